// Lanes on one clock: the curve of scores, words, voice and face. One canvas, one cursor, one selection.
import { clock, element, figure } from "./app.js";
import { neutralOf, TITLES } from "./score_bars.js";
import { largestOf, shade } from "./score_words.js";

const AXIS = 22; // pixels
const HEAD = 18; // pixels for the name of a lane
const DRAG = 5; // pixels; less is a click
const SHORTEST = 0.1; // seconds of a selection
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const PITCH = [60, 500]; // Hz
const ENERGY = [-70, -5]; // dBFS

export class Lanes {
  /** `handlers`: seek(time), select(span or null, settled), play(), and piece(number), which returns lanes in full. */
  constructor(root, handlers) {
    Object.assign(this, { root, handlers });
    this.duration = 1;
    this.view = [0, 1];
    this.time = 0;
    this.selection = null;
    this.content = null;
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.names = element("div", { class: "lane-names" });
    this.mark = element("div", { class: "selection", hidden: true }, element("span", { class: "grip" }), element("span", { class: "grip end" }));
    this.cursor = element("div", { class: "cursor" });
    this.hover = element("div", { class: "hover", hidden: true });
    this.over = element("div", { class: "over" }, this.mark, this.hover, this.cursor);
    root.replaceChildren(this.canvas, this.names, this.over);
    new ResizeObserver(() => this.draw()).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.listen();
  }

  /** Show a timeline. `duration`: seconds of the recording; `piece`: seconds in each file of lanes at their full rate. */
  show(timeline, { duration, range, long, piece = null }) {
    const whole = this.view[0] === 0 && this.view[1] === this.duration;
    this.duration = Math.max(duration, 0.1);
    if (whole || this.view[1] > this.duration || !this.content) this.view = [0, this.duration];
    this.content = { ...timeline, range, long };
    this.piece = piece;
    this.pieces = new Map();
    this.largest = largestOf((timeline.words ?? []).map((word) => word.value), range);
    this.lanes = this.plan();
    const height = this.lanes.reduce((sum, lane) => sum + lane.height, 0) + AXIS;
    this.root.style.height = `${height}px`;
    this.label();
    this.draw();
  }

  plan() {
    const { lanes, curve, words, long } = this.content;
    const has = (name) => lanes?.lanes?.[name] !== undefined;
    const why = (name) => lanes?.missing?.[name] ?? "";
    const planned = [];
    if (long) planned.push({ name: "Score", height: 124, draw: (box) => this.drawCurve(box), value: (time) => this.scoreAt(time) });
    if (words?.length) planned.push({ name: "Words", height: 46, draw: (box) => this.drawWords(box), value: () => "" });
    if (lanes) {
      if (has("energy")) {
        planned.push({ name: "Loudness", colour: "--audio", height: 66, draw: (box) => this.drawEnergy(box), value: (time) => unit(this.at("energy", time), "dB", 0) });
        planned.push({ name: "Pitch", colour: "--audio", height: 66, draw: (box) => this.drawPitch(box), value: (time) => unit(this.at("pitch", time), "Hz", 0) });
      } else planned.push(nothing("Voice", why("energy")));
      if (has("smile")) planned.push({ name: "Smile", colour: "--vision", height: 62, draw: (box) => this.drawShare(box, "smile"), value: (time) => percent(this.at("smile", time)) });
      if (has("brow")) planned.push({ name: "Lowered brows", colour: "--vision", height: 62, draw: (box) => this.drawShare(box, "brow"), value: (time) => percent(this.at("brow", time)) });
      if (has("face")) planned.push({ name: "Face found", colour: "--vision", height: 34, draw: (box) => this.drawFound(box, "face"), value: (time) => (this.at("face", time) === 1 ? "yes" : this.at("face", time) === 0 ? "no" : "") });
      else planned.push(nothing("Face", why("face")));
    }
    let top = 0;
    for (const lane of planned) {
      lane.top = top;
      top += lane.height;
    }
    return planned;
  }

  label() {
    this.names.replaceChildren(
      ...this.lanes.map((lane) => {
        lane.shown = element("span", { class: "lane-value number" });
        const name = element("div", { class: `lane-name${lane.missing ? " soft" : ""}` }, element("b", {}, lane.name), this.legend(lane), lane.missing ? ` ${lane.missing}` : null, lane.shown);
        name.style.top = `${lane.top}px`;
        return name;
      }),
    );
  }

  /** The colours of the thin lines in the curve. */
  legend(lane) {
    if (lane.name !== "Score") return null;
    const names = ["text", "audio", "vision"].filter((name) => this.content.curve.some((span) => (span.scores[name] ?? null) !== null));
    return names.map((name) => element("span", { class: `key ${name}` }, TITLES[name].toLowerCase()));
  }

  // The clock

  x(time) {
    return ((time - this.view[0]) / (this.view[1] - this.view[0])) * this.width;
  }

  timeAt(x) {
    return Math.min(Math.max(this.view[0] + (x / this.width) * (this.view[1] - this.view[0]), 0), this.duration);
  }

  setTime(time, follow = false) {
    this.time = time;
    const [start, end] = this.view;
    if (follow && end - start < this.duration && (time < start || time > end)) this.look(time - (end - start) * 0.1, end - start);
    this.place();
  }

  select(span, settled = true) {
    this.selection = span && span[1] - span[0] >= SHORTEST ? span : null;
    this.place();
    this.handlers.select(this.selection, settled);
  }

  look(start, length) {
    const wide = Math.min(Math.max(length, Math.min(1, this.duration)), this.duration);
    const from = Math.min(Math.max(start, 0), this.duration - wide);
    this.view = [from, from + wide];
    this.draw();
  }

  zoom(factor, around = this.time) {
    const [start, end] = this.view;
    const middle = around < start || around > end ? (start + end) / 2 : around;
    const length = (end - start) * factor;
    this.look(middle - ((middle - start) / (end - start)) * length, length);
  }

  place() {
    const x = this.x(this.time);
    this.cursor.hidden = x < -1 || x > this.width + 1;
    this.cursor.style.transform = `translateX(${x}px)`;
    this.mark.hidden = !this.selection;
    if (this.selection) {
      const [a, b] = this.selection.map((time) => this.x(time));
      this.mark.style.left = `${a}px`;
      this.mark.style.width = `${b - a}px`;
    }
    for (const lane of this.lanes ?? []) if (lane.value) lane.shown.textContent = lane.value(this.pointed ?? this.time);
  }

  // The pointer and the keyboard

  listen() {
    const over = this.over;
    const at = (event) => this.timeAt(event.clientX - over.getBoundingClientRect().left);
    let drag = null;
    over.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const grip = event.target.closest(".grip");
      const anchor = grip ? this.selection[grip.classList.contains("end") ? 0 : 1] : at(event);
      drag = { x: event.clientX, anchor, moved: Boolean(grip) };
      over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointermove", (event) => {
      this.pointed = at(event);
      this.hover.hidden = false;
      this.hover.style.transform = `translateX(${this.x(this.pointed)}px)`;
      this.hover.dataset.time = clock(this.pointed);
      this.hover.classList.toggle("left", this.x(this.pointed) > this.width - 70);
      if (drag && (drag.moved || Math.abs(event.clientX - drag.x) >= DRAG)) {
        drag.moved = true;
        this.select([Math.min(drag.anchor, this.pointed), Math.max(drag.anchor, this.pointed)], false);
      } else this.place();
    });
    over.addEventListener("pointerup", (event) => {
      if (!drag) return;
      if (drag.moved) this.select(this.selection, true);
      else this.handlers.seek(at(event));
      drag = null;
    });
    over.addEventListener("pointercancel", () => (drag = null));
    over.addEventListener("pointerleave", () => {
      this.pointed = undefined;
      this.hover.hidden = true;
      this.place();
    });
    over.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) < Math.abs(event.deltaY)) return;
        event.preventDefault();
        if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, at(event));
        else this.look(this.view[0] + (event.deltaX / this.width) * (this.view[1] - this.view[0]), this.view[1] - this.view[0]);
      },
      { passive: false },
    );
    this.root.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = Math.max((this.view[1] - this.view[0]) / 100, 0.1);
    const move = { ArrowLeft: -step, ArrowRight: step, PageUp: -10 * step, PageDown: 10 * step }[event.key];
    const jump = { Home: 0, End: this.duration }[event.key];
    if (move !== undefined || jump !== undefined) {
      const time = jump ?? Math.min(Math.max(this.time + move, 0), this.duration);
      if (event.shiftKey) {
        const [start, end] = this.selection ?? [this.time, this.time];
        const fixed = Math.abs(this.time - start) < Math.abs(this.time - end) ? end : start;
        this.setTime(time, true);
        this.select([Math.min(fixed, time), Math.max(fixed, time)], false);
        clearTimeout(this.settling);
        this.settling = setTimeout(() => this.select(this.selection, true), 900);
        this.handlers.seek(time);
      } else this.handlers.seek(time);
    } else if (event.key === " " || event.key === "k") this.handlers.play();
    else if (event.key === "[") this.from();
    else if (event.key === "]") this.to();
    else if (event.key === "Escape") this.select(null);
    else if (event.key === "+" || event.key === "=") this.zoom(0.6);
    else if (event.key === "-") this.zoom(1 / 0.6);
    else return;
    event.preventDefault();
  }

  /** Begin the selection at the playback position. */
  from() {
    const end = this.selection && this.selection[1] > this.time + SHORTEST ? this.selection[1] : Math.min(this.time + 5, this.duration);
    this.select([this.time, end]);
  }

  /** End the selection at the playback position. */
  to() {
    const start = this.selection && this.selection[0] < this.time - SHORTEST ? this.selection[0] : Math.max(this.time - 5, 0);
    this.select([start, this.time]);
  }

  // The drawing

  draw() {
    if (!this.content || !this.root.clientWidth) return;
    const scale = devicePixelRatio || 1;
    this.width = this.root.clientWidth;
    const height = this.root.clientHeight;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${height}px`;
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(name).trim();
    this.ink = this.canvas.getContext("2d");
    this.ink.setTransform(scale, 0, 0, scale, 0, 0);
    this.ink.clearRect(0, 0, this.width, height);
    this.drawAxis(height);
    for (const lane of this.lanes) {
      if (lane.top) this.line(0, lane.top + 0.5, this.width, lane.top + 0.5, "--line");
      lane.draw?.({ top: lane.top + HEAD, bottom: lane.top + lane.height - 4 });
    }
    this.place();
  }

  line(x1, y1, x2, y2, colour) {
    this.ink.strokeStyle = this.colour(colour);
    this.ink.lineWidth = 1;
    this.ink.beginPath();
    this.ink.moveTo(x1, y1);
    this.ink.lineTo(x2, y2);
    this.ink.stroke();
  }

  drawAxis(height) {
    const [start, end] = this.view;
    const step = TICKS.find((tick) => (tick / (end - start)) * this.width > 64) ?? 7200;
    const y = height - AXIS;
    this.line(0, y + 0.5, this.width, y + 0.5, "--strong");
    this.ink.fillStyle = this.colour("--soft");
    this.ink.font = "12px system-ui, sans-serif";
    this.ink.textBaseline = "top";
    this.ink.textAlign = "left";
    for (let number = Math.ceil(start / step); number * step <= end; number++) {
      const x = this.x(number * step);
      this.line(x + 0.5, y, x + 0.5, y + 5, "--strong");
      this.ink.globalAlpha = 0.5;
      this.line(x + 0.5, 0, x + 0.5, y, "--line");
      this.ink.globalAlpha = 1;
      const text = clock(number * step, step < 1 ? 1 : 0);
      if (x + this.ink.measureText(text).width + 4 < this.width) this.ink.fillText(text, x + 4, y + 6);
    }
  }

  /** Call `use(time, value)` for the samples of a lane that are in view. */
  samples(name, use) {
    for (const lanes of this.sources()) this.within(lanes, name, use);
  }

  /** The lanes to draw: those of the whole, or when zoomed in, the pieces in view at their full rate. */
  sources() {
    const whole = [this.content.lanes];
    const [start, end] = this.view;
    if (!this.piece || end - start > this.piece) return whole;
    const numbers = [];
    for (let number = Math.floor(start / this.piece); number * this.piece < end; number++) numbers.push(number);
    for (const number of numbers.filter((wanted) => !this.pieces.has(wanted))) {
      const pieces = this.pieces;
      pieces.set(number, null);
      this.handlers.piece(number).then(
        (content) => {
          pieces.set(number, content);
          if (pieces === this.pieces) this.draw();
        },
        () => {}, // the lanes of the whole stay
      );
    }
    const known = numbers.map((number) => this.pieces.get(number));
    return known.includes(null) ? whole : known;
  }

  within({ start, step, lanes }, name, use) {
    const values = lanes[name] ?? [];
    const first = Math.max(Math.floor((this.view[0] - start) / step) - 1, 0);
    const last = Math.min(Math.ceil((this.view[1] - start) / step) + 1, values.length);
    for (let index = first; index < last; index++) use(start + index * step, values[index], step);
  }

  at(name, time) {
    const { start, step, lanes } = (this.piece && this.pieces.get(Math.floor(time / this.piece))) || this.content.lanes;
    return lanes[name]?.[Math.floor((time - start) / step + 1e-6)] ?? null;
  }

  drawEnergy(box) {
    const height = box.bottom - 5 - box.top;
    const y = (value) => box.top + height * (1 - share(value, ENERGY));
    this.ink.fillStyle = this.colour("--audio");
    this.ink.globalAlpha = 0.75;
    this.ink.beginPath();
    let open = false;
    let last = 0;
    this.samples("energy", (time, value, step) => {
      if (value === null) {
        if (open) this.ink.lineTo(last, box.bottom - 5);
        open = false;
        return;
      }
      if (!open) this.ink.moveTo(this.x(time), box.bottom - 5);
      open = true;
      this.ink.lineTo(this.x(time), y(value));
      last = this.x(time + step);
      this.ink.lineTo(last, y(value));
    });
    if (open) this.ink.lineTo(last, box.bottom - 5);
    this.ink.fill();
    this.ink.globalAlpha = 1;
    this.drawRuns("speech", box.bottom - 3, 3, "--audio");
  }

  drawPitch(box) {
    const y = (value) => box.top + (box.bottom - box.top) * (1 - share(Math.log2(value), PITCH.map(Math.log2)));
    for (const hertz of [100, 200, 400]) {
      this.ink.globalAlpha = 0.6;
      this.line(0, Math.round(y(hertz)) + 0.5, this.width, Math.round(y(hertz)) + 0.5, "--line");
      this.ink.globalAlpha = 1;
      this.ink.font = "10px system-ui, sans-serif";
      this.ink.textAlign = "right";
      this.ink.textBaseline = "top";
      this.ink.fillStyle = this.colour("--soft");
      this.ink.fillText(`${hertz} Hz`, this.width - 5, y(hertz) + 2);
    }
    this.path("pitch", y, 1.8, "--audio");
  }

  drawShare(box, name) {
    const y = (value) => box.top + (box.bottom - box.top) * (1 - Math.min(Math.max(value, 0), 1));
    this.line(0, box.bottom + 0.5, this.width, box.bottom + 0.5, "--line");
    this.path(name, y, 1.8, "--vision", box.bottom);
  }

  /** Draw a line through the known samples, with dots for single ones; filled down to `floor` if it is given. */
  path(name, y, width, colour, floor) {
    const runs = [];
    let run = null;
    this.samples(name, (time, value, step) => {
      if (value === null) run = null;
      else {
        if (!run) runs.push((run = []));
        run.push([this.x(time + step / 2), y(value)]);
      }
    });
    this.ink.strokeStyle = this.ink.fillStyle = this.colour(colour);
    const dense = runs.length && runs[0].length > 2 && runs[0][1][0] - runs[0][0][0] < 1.5; // lows and highs in turn
    this.ink.lineWidth = dense ? 0.8 : width;
    this.ink.globalAlpha = dense ? 0.7 : 1;
    this.ink.lineJoin = "round";
    for (const points of runs) {
      this.ink.beginPath();
      if (points.length === 1) {
        this.ink.arc(points[0][0], points[0][1], 1.4, 0, 7);
        this.ink.fill();
        continue;
      }
      points.forEach(([x, height], place) => (place ? this.ink.lineTo(x, height) : this.ink.moveTo(x, height)));
      this.ink.stroke();
      if (floor === undefined) continue;
      this.ink.lineTo(points.at(-1)[0], floor);
      this.ink.lineTo(points[0][0], floor);
      this.ink.globalAlpha = dense ? 0 : 0.15;
      this.ink.fill();
      this.ink.globalAlpha = dense ? 0.7 : 1;
    }
    this.ink.globalAlpha = 1;
  }

  drawFound(box, name) {
    const height = box.bottom - box.top - 2;
    this.ink.fillStyle = this.colour("--shade");
    this.ink.fillRect(0, box.top, this.width, height);
    this.drawRuns(name, box.top, height, "--vision");
  }

  /** Draw blocks where a lane is 1. */
  drawRuns(name, top, height, colour) {
    if (!this.content.lanes.lanes[name]) return;
    this.ink.fillStyle = this.colour(colour);
    let start = null;
    let end = 0;
    const close = () => {
      if (start !== null) this.ink.fillRect(start, top, Math.max(end - start, 1), height);
      start = null;
    };
    this.samples(name, (time, value, step) => {
      if (value !== 1) return close();
      start ??= this.x(time);
      end = this.x(time + step);
    });
    close();
  }

  drawWords(box) {
    this.ink.font = "13px system-ui, sans-serif";
    this.ink.textBaseline = "middle";
    this.ink.textAlign = "left";
    const height = box.bottom - box.top;
    let shown = -1;
    for (const word of this.content.words) {
      if (word.end < this.view[0] || word.start > this.view[1]) continue;
      const left = this.x(word.start);
      const wide = Math.max(this.x(word.end) - left - 1, 1);
      const level = shade(word.value, this.largest);
      this.ink.fillStyle = level ? this.colour(level[0] === "n" ? "--negative" : "--positive") : this.colour("--shade");
      this.ink.globalAlpha = level ? 0.16 + 0.14 * Number(level[1]) : 1;
      this.ink.fillRect(left, box.top, wide, height);
      this.ink.globalAlpha = 1;
      if (wide < 14 || left < shown) continue;
      this.ink.save();
      this.ink.beginPath();
      this.ink.rect(left, box.top, wide, height);
      this.ink.clip();
      this.ink.fillStyle = this.colour("--ink");
      this.ink.fillText(word.text, left + 3, box.top + height / 2 + 1);
      this.ink.restore();
    }
  }

  drawCurve(box) {
    const { curve, range } = this.content;
    const y = (value) => box.top + (box.bottom - box.top) * (1 - share(value, range));
    const neutral = Math.round(y(neutralOf(range))) + 0.5;
    this.line(0, neutral, this.width, neutral, "--strong");
    const x = (span) => this.x((span.start + span.end) / 2);
    const known = curve.filter((span) => span.scores.fusion !== null && span.end >= this.view[0] && span.start <= this.view[1]);
    if (!known.length) return;
    const banded = known.filter((span) => span.band);
    if (banded.length > 1) {
      this.ink.beginPath();
      banded.forEach((span, place) => this.ink[place ? "lineTo" : "moveTo"](x(span), y(span.band[1])));
      for (const span of banded.toReversed()) this.ink.lineTo(x(span), y(span.band[0]));
      this.ink.fillStyle = this.colour("--shade");
      this.ink.fill();
      this.line(0, neutral, this.width, neutral, "--strong");
    }
    const grey = known.some((span) => span.informs === false);
    for (const [name, colour, width, alpha] of [["text", "--text", 1.2, 0.55], ["audio", "--audio", 1.2, 0.55], ["vision", "--vision", 1.2, 0.55], ["fusion", grey ? "--strong" : "--fusion", 2.2, 1]]) {
      this.ink.globalAlpha = alpha;
      this.ink.strokeStyle = this.ink.fillStyle = this.colour(colour);
      this.ink.lineWidth = width;
      this.ink.beginPath();
      let open = false;
      for (const span of known) {
        const value = span.scores[name];
        if (value === null || value === undefined) open = false;
        else {
          this.ink[open ? "lineTo" : "moveTo"](x(span), y(value));
          open = true;
        }
      }
      this.ink.stroke();
      if (known.length === 1 && known[0].scores[name] !== null) this.ink.fillRect(x(known[0]) - 2, y(known[0].scores[name]) - 2, 4, 4);
    }
    this.ink.globalAlpha = 1;
  }

  /** The window whose middle is nearest to a time. */
  spanAt(time) {
    let best = null;
    for (const span of this.content?.curve ?? []) {
      const off = Math.abs((span.start + span.end) / 2 - time);
      if (!best || off < best.off) best = { span, off };
    }
    return best?.span ?? null;
  }

  scoreAt(time) {
    const span = this.spanAt(time);
    return span ? figure(span.scores.fusion, this.content.range) : "";
  }
}

function nothing(name, why) {
  return { name, missing: why ? `– ${why}` : "", height: 26 };
}

function share(value, [low, high]) {
  return Math.min(Math.max((value - low) / (high - low), 0), 1);
}

function unit(value, name, digits) {
  return value === null ? "" : `${value.toFixed(digits).replace("-", "−")} ${name}`;
}

function percent(value) {
  return value === null ? "" : `${Math.round(value * 100)} %`;
}
