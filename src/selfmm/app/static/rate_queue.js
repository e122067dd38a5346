// Acts of raters on their way to the server. They stay in the browser until the server has them on its disk.
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
    this.sending = false;
    this.count = 0;
    addEventListener("online", () => this.send());
  }

  /** Keys of the acts that wait, oldest first. */
  keys() {
    return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).sort();
  }

  add(act) {
    const time = String(Date.now()).padStart(15, "0") + String(this.count++).padStart(6, "0");
    const key = crypto.randomUUID?.() ?? `${time}-${Math.random()}`;
    try {
      localStorage.setItem(`${this.prefix}${time}:${key}`, JSON.stringify({ ...act, key }));
    } catch {
      notify("The browser's storage is full. Wait until the ratings are saved before you go on.", "error");
    }
    this.send();
  }

  /** Send what waits; while the server does not answer, try again and again. */
  async send() {
    if (this.sending) return;
    this.sending = true;
    let size = AT_ONCE;
    let keys = this.keys();
    while (keys.length) {
      const batch = keys.slice(0, size);
      const acts = batch.map((key) => JSON.parse(localStorage.getItem(key))).filter(Boolean);
      try {
        const { places } = acts.length ? await ask("/v1/ratings", { json: { source: this.source, acts } }) : { places: [] };
        for (const key of batch) localStorage.removeItem(key);
        this.problem = "";
        keys = this.keys();
        this.onChange(keys.length, places);
      } catch (error) {
        if (error.status !== 400 && error.status !== 422) {
          this.problem = error.message;
          this.onChange(keys.length, []);
          setTimeout(() => this.send(), RETRY);
          break;
        }
        if (batch.length > 1) {
          size = 1; // find the one that is wrong
          continue;
        }
        notify(`A rating was refused: ${error.message}`, "error");
        localStorage.setItem(batch[0].replace("selfmm.rating:", "selfmm.refused:"), localStorage.getItem(batch[0]));
        localStorage.removeItem(batch[0]);
        keys = this.keys();
      }
    }
    this.sending = false;
  }
}
