// Scores as bars with their bands, and what they are worth. A score without information is grey.
import { element, figure, svg as shape } from "./app.js";

export const TITLES = { fusion: "All together", text: "Words", audio: "Voice", vision: "Face" };
// The reasons that the starters name, in full.
const REASONS = { "no score: no free ratings of voices": "no score: there are no ratings of voices that may be used freely, so the starter did not learn voices" };
const ORDER = ["fusion", "text", "audio", "vision"];
const LACKING = { text: "no words", audio: "no voice", vision: "no face" };

/** The label between negative and positive. */
export function neutralOf([low, high]) {
  return low < 0 && high > 0 ? 0 : (low + high) / 2;
}

/** One bar on the scale of the labels: from neutral to the score, with its band behind. */
export function bar(score, band, range, grey = false) {
  const [low, high] = range;
  const at = (value) => ((Math.min(Math.max(value, low), high) - low) / (high - low)) * 200;
  const middle = at(neutralOf(range));
  const svg = shape("svg", { viewBox: "0 0 200 20", preserveAspectRatio: "none", class: "score-bar", "aria-hidden": "true" });
  svg.append(shape("rect", { x: 0, y: 8.5, width: 200, height: 3, class: "track" }));
  if (score !== null && score !== undefined) {
    if (band) svg.append(shape("rect", { x: at(band[0]), y: 2, width: Math.max(at(band[1]) - at(band[0]), 1), height: 16, rx: 3, class: "band" }));
    const x = at(score);
    const kind = grey ? "grey" : score < neutralOf(range) ? "negative" : "positive";
    svg.append(shape("rect", { x: Math.min(x, middle), y: 6, width: Math.max(Math.abs(x - middle), 1.5), height: 8, class: `value ${kind}` }));
  }
  svg.append(shape("line", { x1: middle, x2: middle, y1: 1, y2: 19, class: "neutral", "vector-effect": "non-scaling-stroke" }));
  return svg;
}

/** Rows with all scores. `scores` has fusion and the modalities; `facts` are those of the run. */
export function bars(scores, bands, verdicts, facts) {
  const range = facts.label_range;
  const names = [...ORDER, ...Object.keys(scores).filter((name) => !ORDER.includes(name))];
  const rows = [];
  for (const name of names) {
    const title = TITLES[name] ?? name;
    if (!(name in scores)) {
      if (facts.unscored?.[name]) rows.push(row(title, null, null, range, true, REASONS[facts.unscored[name]] ?? facts.unscored[name]));
      continue;
    }
    const score = scores[name];
    const verdict = verdicts?.[name] ?? "";
    if (score === null || score === undefined) rows.push(row(title, null, null, range, true, LACKING[name] ?? "missing"));
    else if (verdict) rows.push(row(title, score, null, range, true, verdict, name === "fusion"));
    else {
      const band = bands?.[name];
      const text = band ? `4 of 5 within ${figure(band[0], range)} to ${figure(band[1], range)}` : "it is not known how far off this is";
      rows.push(row(title, score, band, range, false, text, name === "fusion"));
    }
  }
  return element("div", { class: "bars", role: "list", "aria-label": "Scores" }, rows, scale(range));
}

function row(title, score, band, range, grey, note, main = false) {
  const shown = score === null || grey ? "" : figure(score, range);
  return element(
    "div",
    { class: `bar-row${grey ? " grey" : ""}${main ? " main" : ""}`, role: "listitem" },
    element("span", { class: "bar-name" }, title),
    bar(score, band, range, grey),
    element("span", { class: "bar-figure number" }, shown),
    element("span", { class: "bar-note" }, note),
  );
}

function scale(range) {
  return element(
    "div",
    { class: "bar-scale", "aria-hidden": "true" },
    element("span", {}, `${short(range[0])} negative`),
    element("span", {}, `positive ${short(range[1])}`),
  );
}

function short(label) {
  return `${label > 0 ? "+" : ""}${Number(label.toFixed(2))}`.replace("-", "−");
}

/** A prediction in full: its sentence, its bars, and the cautions of its run. */
export function card(prediction, facts) {
  const scores = { fusion: prediction.score, ...prediction.scores };
  const [verdict, ...rest] = prediction.sentence.replace(/( are within \S+) of the label/, "$1 of what people would give").split("; ").map((part) => `${part.charAt(0).toUpperCase()}${part.slice(1)}.`);
  return [
    (facts.cautions ?? []).length ? warnings(facts.cautions) : null,
    element("p", { class: "verdict" }, verdict),
    rest.length ? element("p", { class: "soft" }, rest.join(" ")) : null,
    bars(scores, prediction.intervals, prediction.verdicts ?? facts.verdicts, facts),
  ].filter(Boolean);
}

/** A list of warnings; items are sentences, or [sentence, number of windows]. */
export function warnings(list, windows = 0) {
  const items = list.map((item) => {
    const [text, count] = Array.isArray(item) ? item : [item, 0];
    const line = text.charAt(0).toUpperCase() + text.slice(1);
    const where = windows > 1 && count < windows ? ` (${count} of ${windows} windows)` : "";
    return element("li", {}, line + where + (line.endsWith(".") ? "" : "."));
  });
  return element("ul", { class: "warnings", "aria-label": "Warnings" }, items);
}
