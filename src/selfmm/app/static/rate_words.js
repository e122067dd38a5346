// The words of the Rate screen for what is rated, and for what a rater sees and hears.
import { figure } from "./app.js";

export const TARGETS = {
  clip: ["The whole clip", "one label for everything together"],
  text: ["The words alone", "what is said"],
  audio: ["The voice alone", "how it is said"],
  vision: ["The face alone", "what it shows"],
  parts: ["Words, voice and face", "all clips three times, one part at a time"],
};
export const QUESTIONS = {
  clip: "How negative or positive is this clip?",
  text: "How negative or positive are the words?",
  audio: "How negative or positive does the voice sound?",
  vision: "How negative or positive does the face look?",
};
export const MODES = {
  all: ["Everything", "pictures, sound and words as they are"],
  words: ["Words only", "the transcript, nothing else"],
  sound: ["Sound only", "no pictures"],
  "filtered sound": ["Melody of the voice only", "filtered, so that words cannot be understood"],
  pictures: ["Pictures only", "no sound"],
  blind: ["Only the part that is rated", "words, then sound, then pictures"],
  filtered: ["Only that part, voices filtered", "so that their words cannot be understood"],
};
export const NAMES = { clip: "whole clip", text: "words", audio: "voice", vision: "face" };

/** A label as short as it can be: −2, +0.5, 0. */
export function labelText(value, range) {
  const text = figure(value, range);
  return text.replace(/\.?0+$/, "") || "0";
}

/** Where a value is on its scale, from -1 (most negative) over 0 (neutral) to 1 (most positive). */
export function toneOf(value, [low, high]) {
  const neutral = low < 0 && high > 0 ? 0 : (low + high) / 2;
  return value >= neutral ? (value - neutral) / (high - neutral) : (value - neutral) / (neutral - low);
}
