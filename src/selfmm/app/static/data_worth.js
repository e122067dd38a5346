// What the scores of a run are worth, next to the scores: their bands, and reasons not to trust them.

import { element, figure } from "./app.js";

/** Return a score and its band as the content of an element. `worth` has `text` and `verdict`; nothing is known without. */
export function banded(score, range, worth) {
  const known = score !== null && score !== undefined;
  return [figure(score, range), known ? element("small", {}, ` ${worth?.text || "band unknown"}`) : ""];
}

/** Return what to know about the scores of a run, as sentences; the reasons not to trust them come last. */
export function worthLines({ scores = {}, cautions = [] } = {}) {
  const lines = Object.values(scores).some(({ text }) => text) ? ["4 of 5 labels lie within the ± around their score."] : [];
  return [...lines, ...cautions.slice(0, 1).map((text) => `${text[0].toUpperCase()}${text.slice(1)}`)];
}
