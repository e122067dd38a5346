// What a rater sees and hears of a clip: words, pictures, sound, or all of them, with the same controls.
import { clock, element } from "./app.js";

const LARGEST = 20e6; // bytes of a sound that is drawn, ten minutes
const RETRY = 2000; // milliseconds

export class Stage {
  constructor(box) {
    this.box = box;
    this.player = null;
    this.token = 0;
  }

  /** Show a clip, as the server describes it; `mode` is what the rater may see and hear. */
  show(clip, mode) {
    this.stop();
    this.token += 1;
    this.note = null;
    const parts = [];
    if (clip.problem) parts.push(element("p", { class: "problem" }, clip.problem));
    if (clip.video || clip.sound) parts.push(...this.media(clip, mode));
    if (clip.text) parts.push(element("blockquote", { class: "words" }, clip.text));
    if (!parts.length || (mode === "words" && !clip.text)) {
      parts.push(element("p", { class: "soft" }, mode === "words" ? "The words of this clip are not known." : "There is nothing to see or hear."));
    }
    this.box.className = `stage ${clip.video ? "has-video" : clip.sound ? "has-sound" : "has-words"}`;
    this.box.replaceChildren(...parts);
    if (this.player) this.play();
  }

  media(clip, mode) {
    const silent = mode === "pictures";
    const player = clip.video
      ? element("video", { src: clip.video, preload: "auto", playsinline: true, muted: silent, disablepictureinpicture: true })
      : element("audio", { src: clip.sound, preload: "auto" });
    player.muted = silent;
    this.player = player;
    this.start = clip.start ?? 0;
    this.end = clip.end;
    if (silent) player.addEventListener("volumechange", () => (player.muted = true));
    const button = element("button", { type: "button", class: "play", "aria-label": "Play", onclick: () => this.toggle() });
    const seek = element("input", { type: "range", min: 0, max: 1, step: 0.001, value: 0, "aria-label": "Place in the clip" });
    const time = element("span", { class: "time soft" }, "0:00.0");
    const picture = clip.video ? player : element("canvas", { class: "wave", width: 1200, height: 160, "aria-hidden": "true" });
    const length = () => Math.max((this.end ?? player.duration) - this.start, 0.01) || 0.01;
    const draw = () => {
      const place = Math.min(Math.max((player.currentTime - this.start) / length(), 0), 1);
      seek.value = place;
      time.textContent = `${clock(Math.max(player.currentTime - this.start, 0))} / ${clock(Number.isFinite(length()) ? length() : 0)}`;
      button.classList.toggle("playing", !player.paused);
      button.setAttribute("aria-label", player.paused ? "Play" : "Pause");
      if (this.peaks) wave(picture, this.peaks, place);
    };
    const follow = () => {
      if (this.player !== player) return;
      if (this.end !== null && this.end !== undefined && player.currentTime >= this.end) {
        player.pause();
        player.currentTime = this.start;
      }
      draw();
      if (!player.paused) requestAnimationFrame(follow);
    };
    player.addEventListener("loadedmetadata", () => {
      if (this.start) player.currentTime = this.start;
      draw();
    });
    for (const event of ["play", "pause", "ended", "seeked"]) player.addEventListener(event, follow);
    player.addEventListener("error", () => this.player === player && this.recover(clip, mode, player));
    seek.addEventListener("input", () => (player.currentTime = this.start + Number(seek.value) * length()));
    if (clip.video) player.addEventListener("click", () => this.toggle());
    else this.load(clip.sound, picture, draw);
    const controls = element("div", { class: "controls" }, button, seek, time);
    if (silent) controls.append(element("span", { class: "soft" }, "no sound"));
    return [picture, ...(clip.video ? [] : [player]), controls];
  }

  /** Say why a clip does not play. If the server does not answer, or has just begun to, show the clip again once it does. */
  async recover(clip, mode, player, waited = false) {
    const address = clip.video ?? clip.sound;
    const answer = await fetch(address, { headers: { range: "bytes=0-0" } }).catch(() => null);
    if (this.player !== player) return;
    this.note ??= element("p", { class: "problem", role: "status" });
    this.box.prepend(this.note);
    if (!answer) {
      this.note.textContent = "selfmm does not answer. This clip plays when it answers again. Is it still running in the terminal?";
      setTimeout(() => this.player === player && this.recover(clip, mode, player, true), RETRY);
    } else if (answer.ok && (waited || this.tried !== address)) {
      this.tried = address;
      this.show(clip, mode);
    } else {
      const { error } = await answer.json().catch(() => ({}));
      this.note.textContent = error ?? "This browser cannot play the recording. Skip the clip, or try another browser.";
    }
  }

  /** Draw the loudness of a sound; without it the sound still plays. */
  async load(address, canvas, draw) {
    const mine = this.token;
    this.peaks = null;
    try {
      const answer = await fetch(address);
      if (Number(answer.headers.get("content-length")) > LARGEST) throw new Error("too long to draw");
      const bytes = new DataView(await answer.arrayBuffer());
      if (mine !== this.token) return;
      this.peaks = peaksOf(bytes, 150);
      draw();
    } catch {
      canvas.hidden = true;
    }
  }

  toggle() {
    if (!this.player) return;
    if (this.player.paused) this.play();
    else this.player.pause();
  }

  play() {
    if (this.player.ended) this.player.currentTime = this.start;
    this.player.play().catch(() => {}); // some browsers do not play before the first click
  }

  stop() {
    if (this.player) {
      const player = this.player;
      this.player = null;
      player.pause();
      player.removeAttribute("src");
      player.load();
    }
    this.peaks = null;
  }
}

/** Return the largest amplitude in each of `count` parts of a WAV of 16 bits, relative to the largest of all. */
function peaksOf(bytes, count) {
  const begin = 44;
  const samples = Math.floor((bytes.byteLength - begin) / 2);
  const peaks = new Float32Array(count);
  const step = Math.max(1, Math.floor(samples / (count * 60)));
  for (let sample = 0; sample < samples; sample += step) {
    const part = Math.min(Math.floor((sample / samples) * count), count - 1);
    peaks[part] = Math.max(peaks[part], Math.abs(bytes.getInt16(begin + 2 * sample, true)));
  }
  const most = Math.max(...peaks, 1);
  return peaks.map((peak) => peak / most);
}

function wave(canvas, peaks, place) {
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const width = canvas.width / peaks.length;
  context.clearRect(0, 0, canvas.width, canvas.height);
  peaks.forEach((peak, number) => {
    context.fillStyle = number / peaks.length < place ? style.getPropertyValue("--accent") : style.getPropertyValue("--strong");
    const height = Math.max(peak * (canvas.height - 8), 4);
    context.beginPath();
    context.roundRect(number * width + 1, (canvas.height - height) / 2, width - 2, height, 2);
    context.fill();
  });
}
