// Acts of raters on their way to the server. The browser keeps them until they are on the disk of the server.
import { ask, notify } from "./app.js";

const AT_ONCE = 100;
const RETRY = 2000;

export class Queue {
  /** `place` names the folder of the app, because other folders may have a source of the same name. */
  constructor(place, source, onChange) {
    this.source = source;
    this.prefix = `selfmm.rating:${place}:${source}:`;
    this.onChange = onChange;
    this.problem = "";
    this.refused = false; // whether the server answers, but cannot write
    this.sending = false;
    this.count = 0;
    this.memory = new Map(); // acts that did not fit in the storage of the browser
    addEventListener("online", () => this.send());
  }

  /** Return the keys of the acts that wait, the oldest first. */
  keys() {
    const stored = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix));
    return [...stored, ...this.memory.keys()].sort();
  }

  get(key) {
    return JSON.parse(this.memory.get(key) ?? localStorage.getItem(key));
  }

  remove(key) {
    this.memory.delete(key);
    localStorage.removeItem(key);
  }

  add(act) {
    const time = String(Date.now()).padStart(15, "0") + String(this.count++).padStart(6, "0");
    const key = crypto.randomUUID?.() ?? `${time}-${Math.random()}`;
    const name = `${this.prefix}${time}:${key}`;
    const text = JSON.stringify({ ...act, key });
    try {
      localStorage.setItem(name, text);
    } catch {
      this.memory.set(name, text);
      notify("The browser's storage is full. Do not close this page before the ratings are saved.", "error");
    }
    this.send();
  }

  /** Send the acts that wait; if the server does not answer, try again after a while. */
  async send() {
    if (this.sending) return;
    this.sending = true;
    let size = AT_ONCE;
    let keys = this.keys();
    while (keys.length) {
      const batch = keys.slice(0, size);
      const acts = batch.map((key) => this.get(key)).filter(Boolean); // another window may have sent one
      try {
        const { places } = acts.length ? await ask("/v1/ratings", { json: { source: this.source, acts }, keepalive: acts.length < 50 }) : { places: [] };
        for (const key of batch) this.remove(key);
        this.problem = "";
        keys = this.keys();
        this.onChange(keys.length, places);
      } catch (error) {
        if (error.status !== 400 && error.status !== 422) {
          this.problem = error.message;
          this.refused = Boolean(error.status);
          this.onChange(keys.length, []);
          setTimeout(() => this.send(), RETRY);
          break;
        }
        if (batch.length > 1) {
          size = 1; // to find the act that is wrong
          continue;
        }
        notify(`A rating was refused: ${error.message}`, "error");
        this.memory.delete(batch[0]);
        const text = localStorage.getItem(batch[0]);
        localStorage.removeItem(batch[0]);
        if (text) localStorage.setItem(batch[0].replace("selfmm.rating:", "selfmm.refused:"), text);
        keys = this.keys();
      }
    }
    this.sending = false;
  }
}
