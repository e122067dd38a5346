// The page with all data sets: each card asks for what its data set holds, one after the other.

import { ask } from "./app.js";
import { svg } from "./data_histogram.js";

for (const card of document.querySelectorAll("#sets a")) {
  const bars = card.querySelector("svg");
  const line = card.querySelector("p");
  try {
    const found = await ask(card.dataset.url);
    line.textContent = found.facts.join(" · ");
    const middle = (found.bars.length - 1) / 2;
    bars.append(
      ...found.bars.map((height, at) => {
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
