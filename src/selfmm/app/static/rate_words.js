// Words of the Rate screen for what people rate, and for what they see and hear.
import { figure } from "./app.js";

export const TARGETS = {
  clip: ["Whole clip", "one label for everything"],
  text: ["Words alone", "what is said"],
  audio: ["Voice alone", "how it is said"],
  vision: ["Face alone", "what it shows"],
  parts: ["All three parts", "first words, then voices, then faces"],
};
export const QUESTIONS = {
  clip: "How negative or positive is this clip?",
  text: "How negative or positive are the words?",
  audio: "How negative or positive does the voice sound?",
  vision: "How negative or positive does the face look?",
};
export const MODES = {
  all: ["Everything", "pictures, sound and words"],
  words: ["Words only", "the transcript, nothing else"],
  sound: ["Sound only", "no pictures"],
  "filtered sound": ["Voice melody only", "filtered: no words can be understood"],
  pictures: ["Pictures only", "no sound"],
  blind: ["Only that part", "nothing else of the clip"],
  filtered: ["Only that part, filtered", "no words can be understood in voices"],
};
/** Names of modes in a sentence: "pictures only". */
export const modeName = (mode) => MODES[mode]?.[0].toLowerCase() ?? mode;
export const NAMES = { clip: "whole clip", text: "words", audio: "voice", vision: "face" };

export const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** Return the neutral label of a scale. */
export const neutralOf = ([low, high]) => (low < 0 && high > 0 ? 0 : (low + high) / 2);

/** Return a label as short as possible: −2, +0.5, 0. */
export function labelText(value, range) {
  const text = figure(value, range);
  return text.replace(/\.?0+$/, "") || "0";
}

/** Return the place of a value on its scale, from -1 (most negative) to 0 (neutral) to 1 (most positive). */
export function toneOf(value, [low, high]) {
  const neutral = neutralOf([low, high]);
  return value >= neutral ? (value - neutral) / (high - neutral) : (value - neutral) / (neutral - low);
}
