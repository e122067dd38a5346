// The label histogram: bars, and two sliders that select a range of labels. Dragging over the bars does the same.

import { element, svg } from "./app.js";

const HEIGHT = 60;

export class Histogram {
  /**
   * @param root the fieldset with the bars and sliders.
   * @param options range, neutral, bins, width of a bar, and `onbrush(from, to)`; null is an open end.
   */
  constructor(root, options) {
    Object.assign(this, options);
    this.bars = root.querySelector("#bars");
    this.from = root.querySelector("#from");
    this.to = root.querySelector("#to");
    this.line = root.querySelector("#brushed");
    this.bars.setAttribute("viewBox", `0 0 ${this.bins} ${HEIGHT}`);
    this.bars.setAttribute("preserveAspectRatio", "none");
    for (const slider of [this.from, this.to]) {
      Object.assign(slider, { min: 0, max: this.bins, step: 1 });
      slider.addEventListener("input", () => this.slide(slider));
      slider.addEventListener("change", () => this.tell());
    }
    this.drag();
  }

  /** Show the numbers of clips per bar, and the selected range of labels. */
  show(counts, unlabelled, from, to) {
    this.counts = counts;
    this.unlabelled = unlabelled;
    this.low = from === null ? 0 : Math.round((from - this.edge(0)) / this.width);
    this.high = to === null ? this.bins : Math.round((to - this.edge(0)) / this.width);
    this.low = Math.min(Math.max(this.low, 0), this.bins - 1);
    this.high = Math.min(Math.max(this.high, this.low + 1), this.bins);
    this.draw();
  }

  /** Return the label at the left edge of a bar. */
  edge(bar) {
    return this.range[0] + (bar - 0.5) * this.width;
  }

  draw() {
    const most = Math.max(...this.counts, 1);
    const middle = (this.neutral - this.range[0]) / this.width;
    this.bars.replaceChildren(
      svg("line", { x1: 0, x2: this.bins, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
      ...this.counts.map((count, bar) => {
        const height = count ? Math.max((count / most) * (HEIGHT - 4), 1.5) : 0;
        const tone = bar > middle + 0.25 ? "positive" : bar < middle - 0.25 ? "negative" : "";
        const out = bar < this.low || bar >= this.high ? " out" : "";
        return svg("rect", { x: bar + 0.1, width: 0.8, y: HEIGHT - height, height, class: tone + out });
      }),
    );
    this.from.value = this.low;
    this.to.value = this.high;
    this.from.setAttribute("aria-valuetext", this.text(this.low));
    this.to.setAttribute("aria-valuetext", this.text(this.high));
    this.from.style.zIndex = this.low > this.bins / 2 ? 2 : 1; // both may be at the same end
    const inside = this.counts.slice(this.low, this.high).reduce((sum, count) => sum + count, 0);
    const all = this.low === 0 && this.high === this.bins;
    const rest = this.unlabelled ? `; ${this.unlabelled} without a label` : "";
    this.bars.setAttribute("aria-label", `${inside === 1 ? "1 clip" : `${inside} clips`} with labels from ${this.text(this.low)} to ${this.text(this.high)}${rest}`);
    const ends = all
      ? [element("span", {}, this.text(0)), element("span", {}, this.text(this.bins))]
      : [
          element("span", {}, `${this.text(this.low)} to ${this.text(this.high)}`),
          element("button", { type: "button", onclick: () => this.set(0, this.bins, true) }, "All labels"),
        ];
    this.line.replaceChildren(...ends);
  }

  /** Return the label at an edge between bars as text; the outer edges are the ends of the scale. */
  text(bar) {
    const value = Math.min(Math.max(this.edge(bar), this.range[0]), this.range[1]);
    const digits = this.width < 0.02 ? 3 : this.width < 2 ? 2 : 0;
    return String(Number(value.toFixed(digits))).replace("-", "−");
  }

  slide(slider) {
    if (slider === this.from) this.set(Math.min(Number(slider.value), this.high - 1), this.high);
    else this.set(this.low, Math.max(Number(slider.value), this.low + 1));
  }

  set(low, high, tell = false) {
    [this.low, this.high] = [low, high];
    this.draw();
    if (tell) this.tell();
  }

  tell() {
    const place = (bar) => Number(this.edge(bar).toFixed(6));
    this.onbrush(this.low === 0 ? null : place(this.low), this.high === this.bins ? null : place(this.high));
  }

  drag() {
    let start = null;
    const bar = (event) => {
      const box = this.bars.getBoundingClientRect();
      return Math.min(Math.max(Math.floor(((event.clientX - box.left) / box.width) * this.bins), 0), this.bins - 1);
    };
    this.bars.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      start = bar(event);
      this.bars.setPointerCapture(event.pointerId);
      this.set(start, start + 1);
    });
    this.bars.addEventListener("pointermove", (event) => {
      if (start === null) return;
      const here = bar(event);
      this.set(Math.min(start, here), Math.max(start, here) + 1);
    });
    this.bars.addEventListener("pointerup", () => {
      if (start !== null) this.tell();
      start = null;
    });
    this.bars.addEventListener("pointercancel", () => {
      start = null;
    });
  }
}
