// Why a clip has its score: contributions that add up, coloured words, and what the frames add over time.
import { ask, attempt, element, waiting } from "./app.js";
import { curve, look } from "./curves.js";
import { signed } from "./plane.js";

const box = document.getElementById("explanation");
attempt(show).then((done) => done || box.replaceChildren(element("p", { class: "problem" }, "This score could not be explained. The message below tells you why.")));

async function show() {
  const { run, data, clip, band } = box.dataset;
  const ready = waiting(box, "The run is being loaded and explains the score. The first time, this takes some seconds.");
  const explanation = await ask(`/v1/explain?${new URLSearchParams({ run, data, clip })}`).finally(ready);
  const tip = element("p", { class: "tip", "aria-live": "polite" }, "Point at a word or a bar to read what it adds.");
  box.replaceChildren(
    element("p", { class: "headline" }, headline(explanation), band ? element("small", {}, band) : ""),
    otherFit(explanation, box.dataset.shown),
    element("section", {}, element("h2", {}, "Each modality"), contributions(explanation, tip), tip,
      explanation.lacking.length ? element("p", { class: "soft" }, `The clip has no ${explanation.lacking.join(" and no ")}.`) : ""),
    explanation.words.length ? element("section", {}, element("h2", {}, "Each word"), ...(explanation.words.every((word) => Math.abs(word.value) < 0.0005) ? [element("p", {}, explanation.text), element("p", { class: "soft" }, "The words add nothing: each changes the score by less than 0.001.")] : [words(explanation), strongest(explanation)])) : "",
    ...explanation.frames.map((stream, place) => frames(stream, place, explanation)),
    element("details", { class: "reading" }, element("summary", {}, "How this is computed, and how far to trust it"),
      element("ul", {},
        element("li", {}, "The score is that of a clip with nothing in it plus what each modality adds: its Shapley value, the mean change over all orders in which the modalities can be added."),
        element("li", {}, `Words and frames share what the content of their modality adds, by integrated gradients with ${explanation.steps} steps. ${gaps(explanation)}`),
        element("li", {}, "This explains the model, not the person: if the model is wrong about a clip, so are its reasons. The page of the run shows what its scores are worth."))),
  );
  return true;
}

function headline(explanation) {
  const label = explanation.labels?.label;
  const parts = [...explanation.contributions].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const strongest = parts[0];
  const known = label === undefined || label === null ? "It has no label from people." : `People gave it ${signed(label)}, which is ${Math.abs(explanation.score - label).toFixed(2)} away.`;
  const split = explanation.split === "train" ? " The run has learned from this clip." : "";
  return `The score is ${signed(explanation.score)}. ${known}${split} ${strongest ? `${strongest.modality[0].toUpperCase()}${strongest.modality.slice(1)} moves it most, by ${signed(strongest.value)}.` : ""}`;
}

/** Say why the page of the run shows another score of this clip. */
function otherFit(explanation, shown) {
  if (!shown || Math.abs(Number(shown) - explanation.score) < 0.005) return "";
  return element("p", { class: "soft", id: "other-fit" }, `The page of the run shows the score ${signed(Number(shown))} for this clip. That score comes from a fit without its recording, which measures the run fairly. The score here is that of the finished model, which has learned from this clip.`);
}

function gaps(explanation) {
  const largest = Math.max(0, ...explanation.contributions.map((part) => Math.abs(part.gap)));
  return `The largest difference between their sum and the whole is ${largest.toFixed(3)}.`;
}

function contributions(explanation, tip) {
  const steps = [{ name: "no modality", value: explanation.base, from: 0, colour: "--strong", words: `A clip with nothing in it would have the score ${signed(explanation.base)}.` }];
  let sum = explanation.base;
  explanation.contributions.forEach((part, place) => {
    const own = explanation.labels?.[`label_${part.modality}`];
    const alone = part.alone === null ? "" : ` Alone it would give ${signed(part.alone)}.`;
    const person = own === undefined || own === null || Number.isNaN(own) ? "" : ` People gave it ${signed(own)} alone.`;
    steps.push({ name: part.modality, value: part.value, from: sum, colour: look(part.modality, place).colour, words: `${part.modality} adds ${signed(part.value)}; without it, the score would be ${signed(explanation.score - part.added)}.${alone}${person}` });
    sum += part.value;
  });
  const ends = steps.flatMap((step) => [step.from, step.from + step.value]).concat([0, explanation.score]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const space = (high - low || 1) * 0.05;
  const place = (value) => (100 * (value - low + space)) / (high - low + 2 * space);
  const row = ({ name, value, from, colour, words: text }, kind) => {
    const bar = element("i", {});
    bar.style.left = `${place(Math.min(from, from + value))}%`;
    bar.style.width = `${Math.max(place(Math.max(from, from + value)) - place(Math.min(from, from + value)), 0.6)}%`;
    bar.style.background = `var(${colour})`;
    const zero = element("u", {});
    zero.style.left = `${place(0)}%`;
    const item = element("li", { tabindex: "0", class: kind ?? null, "aria-label": text }, element("span", {}, name), element("span", { class: "track", "aria-hidden": "true" }, zero, bar), element("span", { class: "number" }, signed(value)));
    for (const event of ["pointerenter", "focus"]) item.addEventListener(event, () => (tip.textContent = text));
    return item;
  };
  return element("ul", { class: "parts" }, steps.map((step) => row(step)), row({ name: "score", value: explanation.score, from: 0, colour: "--fusion", words: `Together: ${signed(explanation.score)}.` }, "sum"));
}

function words(explanation) {
  const largest = Math.max(1e-9, ...explanation.words.map((word) => Math.abs(word.value)));
  const line = element("p", { class: "spoken" });
  const tip = element("p", { class: "tip", "aria-live": "polite" }, "Point at a word, or use Tab and the arrow keys.");
  let end = 0;
  const buttons = [];
  explanation.words.forEach((word, number) => {
    if (word.start > end) line.append(explanation.text.slice(end, word.start));
    const strength = Math.abs(word.value) / largest;
    const button = element("button", { type: "button", tabindex: number ? "-1" : "0", "aria-label": `${word.word}: ${signed(word.value, 3)}` }, word.word);
    const tone = word.value < 0 ? "--negative" : "--positive";
    button.style.background = `color-mix(in srgb, var(${tone}) ${Math.round(strength * 45)}%, transparent)`;
    if (strength > 0.35) button.style.borderBottomColor = `var(${tone})`;
    const tell = () => (tip.textContent = `“${word.word}” ${word.value < 0 ? "lowers" : "raises"} the score by ${Math.abs(word.value).toFixed(3)}.`);
    button.addEventListener("pointerenter", tell);
    button.addEventListener("focus", tell);
    button.addEventListener("click", tell);
    buttons.push(button);
    line.append(button);
    end = word.end;
  });
  line.append(explanation.text.slice(end));
  line.addEventListener("keydown", (event) => {
    const now = buttons.indexOf(document.activeElement);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (now < 0 || to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[now].tabIndex = -1;
    buttons[to].tabIndex = 0;
    buttons[to].focus();
  });
  return element("div", {}, line, element("p", { class: "scale" }, "lowers the score", element("i", { "aria-hidden": "true" }), "raises it"), tip);
}

function strongest(explanation) {
  const order = [...explanation.words].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  return element("details", { class: "reading" }, element("summary", {}, "The words as a table"),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The words as a table" }, element("table", { class: "figures" }, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "word"), element("th", { scope: "col", class: "number" }, "adds"))), element("tbody", {}, order.map((word) => element("tr", {}, element("th", { scope: "row" }, word.word), element("td", { class: `number ${word.value < 0 ? "negative" : "positive"}` }, signed(word.value, 3))))))));
}

function frames(stream, place, explanation) {
  if (silent(stream)) return element("section", {}, element("h2", {}, `Each moment: ${stream.modality}`), element("p", { class: "soft" }, "It adds nothing: no frame and no feature changes the score by 0.01."));
  const { colour } = look(stream.modality, explanation.contributions.findIndex((part) => part.modality === stream.modality));
  const times = stream.curve.map((_, number) => (stream.rate ? number / stream.rate : number));
  const section = element("section", {}, element("h2", {}, `Each moment: ${stream.modality}`),
    element("p", { class: "soft" }, `What each frame adds to the score${stream.rate ? ", over the seconds of the clip" : "; the data set does not say how many frames a second has"}. The strongest is frame ${stream.peak}, mostly by ${stream.peak_column}.`));
  const holder = element("div", {});
  section.append(holder, columns(stream));
  requestAnimationFrame(() => curve(holder, { title: `What each ${stream.rate ? "moment" : "frame"} adds`, across: stream.rate ? "second" : "frame", epochs: times.length > 1 ? times : [0, 1], digits: 4, height: 180, lines: [{ title: "adds", values: times.length > 1 ? stream.curve : [stream.curve[0], stream.curve[0]], colour }] }));
  return section;
}

/** Whether all frames together, each frame and each feature change the score by less than 0.005. */
function silent(stream) {
  const sum = stream.curve.reduce((total, value) => total + value, 0);
  return [sum, ...stream.curve, ...Object.values(stream.columns)].every((value) => Math.abs(value) < 0.005);
}

function columns(stream) {
  const all = Object.entries(stream.columns);
  const entries = all.filter(([, value]) => Math.abs(value) >= 0.0005);
  const zero = all.length - entries.length;
  const largest = Math.max(1e-9, ...entries.map(([, value]) => Math.abs(value)));
  const row = ([name, value]) => {
    const bar = element("i", {});
    bar.style.left = value < 0 ? `${50 - (50 * Math.abs(value)) / largest}%` : "50%";
    bar.style.width = `${Math.max((50 * Math.abs(value)) / largest, 0.4)}%`;
    bar.style.background = `var(${value < 0 ? "--negative" : "--positive"})`;
    const middle = element("u", {});
    middle.style.left = "50%";
    return element("li", {}, element("span", {}, name), element("span", { class: "track", "aria-hidden": "true" }, middle, bar), element("span", { class: "number" }, signed(value, 3)));
  };
  const rest = entries.slice(8);
  return element("div", {}, element("h3", {}, "Its features, summed over the clip"), element("ul", { class: "parts" }, entries.slice(0, 8).map(row)), rest.length ? element("details", { class: "reading" }, element("summary", {}, `${rest.length} more`), element("ul", { class: "parts" }, rest.slice(0, 200).map(row))) : "",
    zero ? element("p", { class: "soft" }, `${rest.length || entries.length ? "Other features" : "Features"} that change the score by less than 0.001: ${zero}.`) : "");
}
