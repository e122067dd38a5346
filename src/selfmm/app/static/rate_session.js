// A session of rating: the clips in order, the labels that the rater gave, undo, and what each clip shows.
import { ask, element, remember } from "./app.js";
import { Stage } from "./rate_stage.js";
import { QUESTIONS, labelText, neutralOf, toneOf } from "./rate_words.js";

const AHEAD = 3; // clips that are fetched before they are needed
const RETRY = 2000; // milliseconds until a clip is asked for again while the server does not answer
const byId = (id) => document.getElementById(id);

export class Session {
  /** `choice` comes from the setup; `queue` takes the acts; `onFinished` is called when all clips are done. */
  constructor(choice, { ids, passes, mine }, queue, onFinished) {
    this.choice = choice;
    this.queue = queue;
    this.onFinished = onFinished;
    this.tasks = passes.flatMap(({ target, mode, without }) => {
      const left = new Set(without); // places of clips that lack what the mode shows
      return ids.filter((_, number) => !left.has(number)).map((id) => ({ id, target, mode }));
    });
    this.done = new Map(); // by place (clip and target): the label, null if it was skipped
    this.history = []; // places in the order of their latest acts
    this.before = []; // the label that each act of this session replaced
    this.clips = new Map(); // by mode, target and id: a promise of what to show
    this.stage = new Stage(byId("stage"));
    this.places = new Map(this.tasks.map((task, number) => [placeOf(task), number]));
    for (const [id, target, label] of mine) {
      const place = placeOf({ id, target });
      if (this.places.has(place)) this.set(place, label);
    }
    this.at = -1;
  }

  /** Begin at a clip, or at the first one that is not done. */
  begin(clip, target) {
    const asked = this.places.get(placeOf({ id: clip, target })) ?? this.tasks.findIndex((task) => task.id === clip);
    const open = this.tasks.findIndex((task) => !this.done.has(placeOf(task)));
    if (clip && asked >= 0) this.go(asked);
    else if (open >= 0) this.go(open);
    else if (this.tasks.length) this.finish();
    else this.empty();
  }

  get task() {
    return this.tasks[this.at];
  }

  go(number) {
    if (number < 0 || number >= this.tasks.length) return;
    this.at = number;
    const task = this.task;
    byId("session").hidden = false;
    byId("finished").hidden = true;
    remember({ clip: task.id });
    this.draw();
    byId("stage").focus({ preventScroll: true });
    this.shown = performance.now();
    this.proposal = null;
    this.drawProposal();
    this.load(task, number, (this.visit = {}));
  }

  /** Fetch a clip and show it; again after a while if the server does not answer. */
  async load(task, number, visit) {
    const left = () => this.visit !== visit || byId("session").hidden;
    const clip = await this.fetch(task).catch((error) => {
      if (left()) return;
      this.stage.show({ problem: `This clip cannot be shown. ${error.message}` }, "all");
      if (!error.status) setTimeout(() => left() || this.load(task, number, visit), RETRY);
    });
    if (!clip || left()) return;
    this.stage.show(clip, task.mode);
    this.shown = performance.now();
    if (this.choice.propose) [this.proposal, this.band] = [clip.proposal, clip.band];
    this.drawProposal();
    for (const next of this.tasks.slice(number + 1, number + 1 + AHEAD)) this.fetch(next).catch(() => {});
  }

  fetch({ id, target, mode }) {
    const key = `${mode}\n${target}\n${id}`;
    if (!this.clips.has(key)) {
      const query = new URLSearchParams({ source: this.queue.source, clip: id, mode, target });
      if (this.choice.by) query.set("by", this.choice.by);
      const answer = ask(`/v1/ratings/clips?${query}`).then(({ clips }) => {
        if (clips[0].sound) fetch(clips[0].sound).catch(() => {}); // so that it plays immediately
        return clips[0];
      });
      answer.catch(() => this.clips.delete(key));
      this.clips.set(key, answer);
    }
    return this.clips.get(key);
  }

  /** Give the clip a label and go on. */
  rate(label, accepted = false) {
    const [low, high] = this.choice.range;
    this.act("rate", Math.min(Math.max(label, low), high), accepted);
  }

  skip() {
    this.act("skip", null, false);
  }

  act(kind, label, accepted) {
    const task = this.task;
    if (!task || byId("session").hidden) return;
    const place = placeOf(task);
    const again = this.done.has(place);
    this.before.push([place, again ? this.done.get(place) : undefined]);
    this.set(place, label);
    this.send(task, kind, { label, accepted, mode: task.mode, proposal: this.proposal ?? null, seconds: (performance.now() - this.shown) / 1000 });
    this.stage.stop();
    this.flash(label);
    this.next(again);
  }

  send(task, kind, more = {}) {
    this.queue.add({ id: task.id, target: task.target, rater: this.choice.rater, act: kind, ...more });
  }

  /** Take back the last act of this rater, and show its clip. */
  undo() {
    const place = this.history.at(-1);
    if (place === undefined) return;
    const number = this.places.get(place);
    const [id, target] = place.split("\n");
    const known = this.before.at(-1)?.[0] === place ? this.before.pop()[1] : undefined;
    this.history.pop();
    if (known === undefined) this.done.delete(place);
    else {
      this.done.set(place, known);
      this.history.unshift(place); // its act is older
    }
    this.send({ id, target }, "undo", { mode: this.tasks[number]?.mode ?? "all" });
    if (number !== undefined) this.go(number);
    else this.draw();
  }

  /** Go to the next clip that is not done; after the last clip, to an earlier one. If all are done, end the session, or go
   * to the clip that follows if the rater is looking through the clips `again`. */
  next(again) {
    const count = this.tasks.length;
    for (let step = 1; step <= count; step++) {
      const number = (this.at + step) % count;
      if (!this.done.has(placeOf(this.tasks[number]))) return void this.go(number);
    }
    if (again && this.at < count - 1) this.go(this.at + 1);
    else this.finish();
  }

  /** Take over the labels that count on the server, after it got acts. */
  learn(places) {
    for (const { rater, id, target, done, label } of places) {
      if (rater !== this.choice.rater) continue;
      const place = placeOf({ id, target });
      const known = this.done.has(place) ? this.done.get(place) : undefined;
      if (done === (known !== undefined) && (!done || label === known)) continue;
      if (done) this.done.set(place, label);
      else this.done.delete(place);
      const spot = this.history.indexOf(place);
      if (done && spot < 0) this.history.unshift(place);
      if (!done && spot >= 0) this.history.splice(spot, 1);
    }
    if (this.task && !byId("session").hidden) this.draw();
  }

  set(place, label) {
    const spot = this.done.has(place) ? this.history.lastIndexOf(place) : -1;
    if (spot >= 0) this.history.splice(spot, 1);
    this.done.set(place, label);
    this.history.push(place);
  }

  empty() {
    byId("session").hidden = true;
    byId("finished").hidden = false;
    byId("finished-title").textContent = "Nothing to rate here";
    byId("finished-text").textContent = "No clip has what you chose to see or hear. Choose something else.";
  }

  finish() {
    this.stage.stop();
    byId("session").hidden = true;
    byId("finished").hidden = false;
    byId("finished-title").textContent = "All done";
    const skipped = this.tasks.filter((task) => this.done.get(placeOf(task)) === null).length;
    const rated = this.tasks.length - skipped;
    byId("finished-text").textContent = `You rated ${rated} and skipped ${skipped} of ${this.tasks.length}. Thank you.`;
    byId("finished-title").focus();
    this.onFinished();
  }

  draw() {
    const { range, keys } = this.choice;
    const { task } = this;
    const done = this.tasks.filter((one) => this.done.has(placeOf(one))).length;
    byId("progress").max = this.tasks.length;
    byId("progress").value = done;
    byId("count").textContent = `${done} of ${this.tasks.length} done`;
    byId("clip-id").textContent = task.mode === "all" ? task.id : "";
    byId("question").textContent = QUESTIONS[task.target];
    const current = this.done.get(placeOf(task));
    byId("labels").replaceChildren(...keys.map((label, number) => this.button(label, number, current, range)));
    const slider = byId("slider");
    [slider.min, slider.max] = range;
    slider.step = (range[1] - range[0]) / 60;
    slider.value = current ?? neutralOf(range);
    this.drawSlider();
    byId("undo").disabled = !this.history.length;
    byId("back").disabled = this.at <= 0;
    byId("forward").disabled = this.at >= this.tasks.length - 1;
    byId("skip").setAttribute("aria-pressed", String(current === null));
  }

  button(label, number, current, range) {
    const text = labelText(label, range);
    const node = element(
      "button",
      { type: "button", class: "label", "aria-pressed": String(current === label), onclick: () => this.rate(label) },
      element("b", {}, text),
      element("kbd", { "aria-hidden": "true" }, String(number + 1)),
    );
    const tone = toneOf(label, range);
    node.style.setProperty("--tone", `var(${tone < 0 ? "--negative" : tone > 0 ? "--positive" : "--strong"})`);
    node.style.setProperty("--much", `${Math.round(Math.abs(tone) * 45)}%`);
    return node;
  }

  drawSlider() {
    byId("give").textContent = `Give ${labelText(Number(byId("slider").value), this.choice.range)}`;
    byId("slider").setAttribute("aria-valuetext", labelText(Number(byId("slider").value), this.choice.range));
  }

  drawProposal() {
    const button = byId("accept");
    button.hidden = this.proposal === null || this.proposal === undefined;
    if (button.hidden) return;
    const [score, ...ends] = [this.proposal, ...(this.band ?? [])].map((value) => labelText(value, this.choice.range));
    const band = ends.length ? `4 of 5 within ${ends.join(" to ")}` : "band unknown";
    button.replaceChildren(`Accept ${score} `, element("small", {}, band), " ", element("kbd", {}, "A"));
    button.title = this.choice.by.startsWith("labels:") ? `A label that ${this.choice.by.slice(7)} generated` : `The score of ${this.choice.by}`;
  }

  flash(label) {
    byId("saved").textContent = label === null ? "skipped" : `gave ${labelText(label, this.choice.range)}`;
  }
}

function placeOf({ id, target }) {
  return `${id}\n${target}`;
}
