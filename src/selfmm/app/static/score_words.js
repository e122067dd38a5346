// Words coloured by what they add to the score; clickable if they have times.
import { clock, element, figure } from "./app.js";

const LEVELS = 4;
const PAUSE = 1.2; // seconds, after which a paragraph begins
const LONG = 14; // words, after which a sentence ends its paragraph

/** The class of a word: n4 to n1, p1 to p4, or none. `largest` is the value of the deepest colour. */
export function shade(value, largest) {
  if (value === null || value === undefined || !largest) return "";
  const level = Math.min(Math.ceil((Math.abs(value) / largest) * LEVELS - 0.35), LEVELS);
  return level < 1 ? "" : (value < 0 ? "n" : "p") + level;
}

/** The value of the deepest colour. A few extreme words do not make all others pale. */
export function largestOf(values, range) {
  const known = values.filter((value) => value !== null && value !== undefined).map(Math.abs).sort((a, b) => b - a);
  if (!known.length) return 0;
  return Math.max(known[Math.min(Math.floor(known.length * 0.03), known.length - 1)], (range[1] - range[0]) * 0.01);
}

export function title(word, range) {
  if (word.value === null || word.value === undefined) return "";
  return `${word.value < 0 ? "takes away" : "adds"} ${figure(Math.abs(word.value), [0, 1])}`;
}

/** The words of an explanation of a text, which has no times. */
export function sentenceWords(explanation, range) {
  const largest = largestOf(explanation.words.map((word) => word.value), range);
  const nodes = [];
  let place = 0;
  for (const word of explanation.words) {
    nodes.push(explanation.text.slice(place, word.start));
    nodes.push(element("span", { class: `w ${shade(word.value, largest)}`, title: title(word, range) }, explanation.text.slice(word.start, word.end)));
    place = word.end;
  }
  nodes.push(explanation.text.slice(place));
  return element("p", { class: "words still" }, nodes);
}

/** Values of words from the explanation of their text, as in selfmm.recordings.timeline.word_values. */
export function valuesOf(words, explanation) {
  let place = 0;
  return words.map((word) => {
    const start = explanation.text.indexOf(word.text, place);
    if (start < 0) return null;
    place = start + word.text.length;
    const inside = explanation.words.filter((share) => share.start >= start && share.start < place);
    return inside.length ? inside.reduce((sum, share) => sum + share.value, 0) : null;
  });
}

/** Group words into paragraphs: at pauses, and at the ends of sentences when they are long. */
export function paragraphs(words) {
  const groups = [];
  let group = [];
  for (const [index, word] of words.entries()) {
    group.push(index);
    const next = words[index + 1];
    const ends = /[.?!。？！…]["'”’»)]*$/.test(word.text);
    if (!next || next.start - word.end > PAUSE || (ends && group.length >= LONG) || group.length >= 60) {
      groups.push(group);
      group = [];
    }
  }
  return groups;
}

/** The transcript: Tab leads to one word, the arrow keys to the others. */
export class Transcript {
  constructor(root, { range, language, onSeek }) {
    Object.assign(this, { root, range, onSeek });
    this.language = language;
    this.words = [];
    this.nodes = [];
    this.now = -1;
    root.addEventListener("click", (event) => {
      const node = event.target.closest("a[data-index]");
      if (!node || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.focusable(Number(node.dataset.index));
      onSeek(this.words[node.dataset.index].start);
    });
    root.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const node = event.target.closest("a[data-index]");
      if (!step || !node) return;
      event.preventDefault();
      event.stopPropagation();
      const next = Math.min(Math.max(Number(node.dataset.index) + step, 0), this.nodes.length - 1);
      this.focusable(next);
      this.nodes[next].focus();
    });
  }

  show(words) {
    this.words = words;
    this.nodes = [];
    this.now = -1;
    const blank = ["zh", "ja", "th", "lo", "my", "km", "yue"].includes(this.language) ? "" : " ";
    this.largest = largestOf(words.map((word) => word.value), this.range);
    const blocks = paragraphs(words).map((group) => {
      const line = element("p", { lang: this.language ?? undefined });
      const start = words[group[0]].start;
      if (words.at(-1).end > 20) line.append(element("span", { class: "stamp number", "aria-hidden": "true" }, clock(start, 0)));
      for (const index of group) {
        const word = words[index];
        const node = element("a", { href: `?t=${word.start.toFixed(2)}`, dataset: { index }, tabindex: index ? -1 : 0 }, word.text);
        this.nodes.push(node);
        this.colour(index);
        line.append(node, blank);
      }
      line.dataset.first = group[0];
      line.dataset.last = group.at(-1);
      return line;
    });
    this.root.replaceChildren(...(blocks.length ? blocks : [element("p", { class: "soft" }, "No words were recognised.")]));
  }

  colour(index) {
    const word = this.words[index];
    const node = this.nodes[index];
    node.className = `w ${shade(word.value, this.largest)}${index === this.now ? " now" : ""}`;
    const text = title(word, this.range);
    if (text) node.title = text;
  }

  /** Set values that came later. */
  setValues(first, values) {
    values.forEach((value, place) => (this.words[first + place].value = value));
    const largest = largestOf(this.words.map((word) => word.value), this.range);
    const all = Math.abs(largest - this.largest) > 1e-9;
    this.largest = largest;
    if (all) this.nodes.forEach((_, index) => this.colour(index));
    else values.forEach((_, place) => this.colour(first + place));
  }

  focusable(index) {
    for (const node of this.root.querySelectorAll('a[tabindex="0"]')) node.tabIndex = -1;
    this.nodes[index].tabIndex = 0;
  }

  /** Mark the word that is spoken at a time. */
  at(time) {
    let low = 0;
    let high = this.words.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.words[middle].start <= time + 0.01) low = middle;
      else high = middle - 1;
    }
    const word = this.words[low];
    const now = word && word.start <= time + 0.01 && time < word.end + 0.3 ? low : -1;
    if (now === this.now) return;
    const before = this.now;
    this.now = now;
    if (before >= 0 && this.nodes[before]) this.nodes[before].classList.remove("now");
    if (now < 0) return;
    const node = this.nodes[now];
    node.classList.add("now");
    const box = this.root;
    if (box.scrollHeight <= box.clientHeight + 4 || box.matches(":hover") || box.contains(document.activeElement)) return;
    const top = node.offsetTop; // in the box, which is positioned
    if (top < box.scrollTop + 20 || top > box.scrollTop + box.clientHeight - 60) box.scrollTop = top - box.clientHeight / 3;
  }
}
