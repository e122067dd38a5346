// The page with all data sets. It fills one card after the other.

import { ask, svg } from "./app.js";

for (const card of document.querySelectorAll("#sets a")) {
  const bars = card.querySelector("svg");
  const line = card.querySelector("p");
  try {
    const summary = await ask(card.dataset.url);
    line.textContent = summary.facts.join(" · ");
    const middle = (summary.bars.length - 1) / 2;
    bars.append(
      ...summary.bars.map((height, at) => {
        const tone = at < middle ? "negative" : at > middle ? "positive" : "";
        return svg("rect", { x: at + 0.1, width: 0.8, y: 60 - 58 * height, height: 58 * height, class: tone });
      }),
    );
  } catch (error) {
    bars.remove();
    line.textContent = error.message;
    line.className = "problem";
  }
}
