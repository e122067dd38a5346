// The page of one recording: player, lanes, transcript, and the scores of the whole and of a selection.
import { ask, attempt, clock, element, figure, notify, parameters, poll, remember, RequestError } from "./app.js";
import { bars, card, warnings } from "./score_bars.js";
import { Lanes } from "./score_lanes.js";
import { sentenceWords, Transcript, valuesOf } from "./score_words.js";

const $ = (id) => document.getElementById(id);
const root = $("clip");
const id = root.dataset.id;
const video = $("video");
const base = `/v1/scores/${id}`;
const FORMATS = { csv: "Table (CSV)", json: "Everything (JSON)", srt: "Subtitles (SRT)", png: "Picture (PNG)" };

const NOTHING = "There is no voice and no face in this recording. Record again: face the camera, speak clearly, and check that the microphone is on.";

let shown = null; // the result on the page
let round = 0; // counts scorings, so that answers to earlier requests are dropped
let picked = 0; // the same for selections
let transcript = null;

const lanes = new Lanes($("lanes"), {
  seek: (time) => seek(time),
  play: () => (video.paused ? video.play() : video.pause()),
  select: (span, settled) => selected(span, settled),
  piece: (number) => ask(`${base}/lanes/${number}?${query()}`),
});

const run = () => $("run").value;
const query = (extra = {}) => new URLSearchParams({ run: run(), ...extra });

// Scoring

async function score(again = false) {
  const mine = ++round;
  shown = null;
  $("failed").hidden = true;
  $("scores").replaceChildren();
  $("warnings").replaceChildren();
  $("exports").hidden = true;
  progress({ stage: "Starting", status: "waiting" });
  const spans = [];
  let server = null; // the one that was asked to score; another one has forgotten it
  const look = async () => {
    if (mine !== round) return true;
    const state = await ask(`${base}?${query({ seen: spans.length })}`);
    if (mine !== round) return true;
    if ((state.status === "none" && state.server !== server) || (again && state.status === "failed")) {
      await ask(base, { json: { run: run(), again } });
      again = false;
      server = state.server;
      spans.length = 0;
      return false;
    }
    server ??= state.server;
    if (state.status === "failed") failed(state.error, state.kind);
    else if (state.status === "none") failed("It was stopped before it was scored.", "");
    else if (state.status === "finished") await finish(mine, state);
    else {
      progress(state);
      spans.push(...(state.spans ?? []));
      preview(state, spans);
      return false;
    }
    return true;
  };
  await attempt(async () => {
    try {
      await poll(look);
    } catch (error) {
      if (mine === round) failed(error instanceof RequestError ? error.message : `The page has a problem: ${error.message}`, "");
      if (!(error instanceof RequestError)) throw error;
    }
  });
}

function progress(state) {
  const box = $("progress");
  box.hidden = false;
  const bar = $("bar");
  const waits = state.status === "waiting" && !state.read;
  let text = waits ? "Waiting for its turn" : state.stage || "loading the models";
  bar.removeAttribute("value");
  if (!waits && !state.stage && state.read !== null && state.read !== undefined) {
    text = `Reading words, voice and face: ${clock(state.read, 0)}${state.total ? ` of ${clock(state.total, 0)}` : ""}`;
    if (state.total) bar.value = Math.min(state.read / state.total, 1);
  }
  text = text.charAt(0).toUpperCase() + text.slice(1);
  if ($("stage").textContent !== `${text} …`) $("stage").textContent = `${text} …`;
}

/** Show what is known so far. */
function preview(state, spans) {
  if (state.early && !$("scores").childElementCount) {
    const early = state.early;
    const facts = { label_range: early.label_range, unscored: early.unscored, cautions: early.cautions };
    $("scores").replaceChildren(...card(early, facts));
    const words = early.transcript.words.map(([text, start, end]) => ({ text, start, end, value: null }));
    showWords(words, early.transcript, facts.label_range);
    if (early.warnings.length) $("warnings").replaceChildren(warnings(early.warnings));
  }
  if (spans.length) {
    $("timeline").hidden = false;
    const duration = Math.max(state.total ?? 0, spans.at(-1).end, Number.isFinite(video.duration) ? video.duration : 0);
    lanes.show({ curve: spans, words: [], lanes: null }, { duration, range: lanes.range ?? [-3, 3], long: true });
  }
}

function failed(error, kind) {
  $("progress").hidden = true;
  $("failed").hidden = false;
  const own = /^recording \d{4}-\d\d-\d\d /.test(root.dataset.name) && error.includes("has nothing to extract");
  $("problem").textContent = own ? NOTHING : error;
  $("to-record").hidden = !own;
  $("to-home").hidden = !["WeightsError", "MissingPackageError"].includes(kind);
}

async function finish(mine, state) {
  const result = await ask(`${base}/result?${query()}`);
  if (mine !== round) return;
  shown = result;
  result.timeline.words = result.timeline.words.map(([text, start, end, probability, value]) => ({ text, start, end, probability, value }));
  $("progress").hidden = true;
  const { timeline, facts } = result;
  const long = result.prediction === null;
  const end = timeline.curve.at(-1).end;
  if (long) showMean(result, state.summary);
  else $("scores").replaceChildren(...card(result.prediction, facts));
  if (result.unexplained) $("scores").append(element("p", { class: "soft" }, `Words are not coloured: ${result.unexplained}`));
  const list = timeline.warnings;
  $("warnings").replaceChildren(...(list.length ? [warnings(list, timeline.curve.length)] : []));
  $("timeline").hidden = false;
  const length = Number.isFinite(video.duration) ? video.duration : 0;
  lanes.range = facts.label_range;
  lanes.show(timeline, { duration: Math.max(end, length), range: facts.label_range, long, piece: result.piece });
  const own = result.prediction?.transcript ?? { language: result.language, text: timeline.words.map((word) => word.text).join(" ") };
  showWords(timeline.words, own, facts.label_range);
  $("revert").hidden = !state.corrected;
  $("words-note").hidden = !long;
  if (long) {
    $("words-note").textContent = "The colour of a word shows what it adds to the score of its paragraph, from the words alone. It is computed for the paragraphs that you see.";
    explainVisible(mine);
  }
  showFiles(mine, state);
  const link = parameters();
  if (lanes.selection) selected(lanes.selection, true);
  else if (link.has("from") && link.has("to")) lanes.select([Number(link.get("from")), Number(link.get("to"))]);
  if (video.paused) tick();
}

/** A long recording: the mean, the extremes, and the window at the playback position. */
function showMean(result, summary) {
  const { curve } = result.timeline;
  const range = result.facts.label_range;
  const scored = curve.filter((span) => span.scores.fusion !== null);
  const verdict = result.facts.verdicts.fusion;
  const parts = [];
  if (result.facts.cautions.length) parts.push(warnings(result.facts.cautions));
  if (!scored.length) parts.push(element("p", { class: "verdict" }, "No window has a score: the recording has nothing that the run reads."));
  else {
    const lowest = scored.reduce((best, span) => (span.scores.fusion < best.scores.fusion ? span : best));
    const highest = scored.reduce((best, span) => (span.scores.fusion > best.scores.fusion ? span : best));
    const jump = (span) => element("button", { type: "button", class: "plain link", onclick: () => seek(span.start) }, `${clock(span.start, 0)} (${figure(span.scores.fusion, range)})`);
    parts.push(
      element("p", { class: "verdict" }, verdict
        ? `The scores of this run carry ${verdict === "no information" ? verdict : "little information"}.`
        : `On average ${figure(summary.score, range)}, over ${curve.length} windows of ${result.window.window} s.`),
      element("p", {}, "Most negative at ", jump(lowest), ", most positive at ", jump(highest), "."),
    );
  }
  parts.push(element("h3", { id: "window-title" }, "At this moment"), element("div", { id: "window", "aria-live": "off" }));
  $("scores").replaceChildren(...parts);
  lanes.windowShown = null;
}

function showWindow(time) {
  if (!shown || shown.prediction !== null) return;
  const span = lanes.spanAt(time);
  if (!span || span === lanes.windowShown) return;
  lanes.windowShown = span;
  const box = $("window");
  if (!box) return;
  $("window-title").textContent = `${clock(span.start, 0)} to ${clock(span.end, 0)}`;
  box.replaceChildren(bars(span.scores, span.band ? { fusion: span.band } : {}, shown.facts.verdicts, shown.facts));
}

function showFiles(mine, state) {
  const draw = (files) => {
    $("exports").hidden = !files.length;
    $("export-links").replaceChildren(
      ...Object.keys(FORMATS).filter((ending) => files.includes(ending)).map((ending) =>
        element("a", { class: "button", href: `${base}/scores.${ending}?${query()}`, download: true }, FORMATS[ending])),
    );
  };
  draw(state.files);
  if (state.complete) return;
  attempt(() => poll(async () => {
    if (mine !== round) return true;
    const next = await ask(`${base}?${query()}`);
    if (next.status !== "finished") return true;
    draw(next.files);
    if (next.complete && video.error) video.load();
    return next.complete;
  }, 1500));
}

// Words

function showWords(words, own, range) {
  $("transcript").hidden = false;
  if (!transcript || transcript.language !== own.language || transcript.range !== range)
    transcript = new Transcript(replaced("words"), { range, language: own.language, onSeek: (time) => seek(time) });
  transcript.show(words);
  transcript.text = own.text;
  $("legend").hidden = !words.some((word) => word.value !== null) && !(shown && shown.prediction === null);
  if (!words.length && own.text) $("words").replaceChildren(element("p", {}, own.text));
}

/** Replace an element by a copy without content and listeners, and return the copy. */
function replaced(name) {
  const fresh = $(name).cloneNode(false);
  $(name).replaceWith(fresh);
  return fresh;
}

/** Colour the paragraphs that are in view, one after the other. */
function explainVisible(mine) {
  const waiting = new Set();
  const done = new Set();
  let busy = false;
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) waiting.add(entry.target);
      else waiting.delete(entry.target);
    }
    next();
  }, { root: $("words") });
  for (const line of $("words").querySelectorAll("p[data-first]")) watch.observe(line);

  async function next() {
    if (busy || mine !== round) return;
    const line = [...waiting].find((candidate) => !done.has(candidate) && candidate.isConnected);
    if (!line) return;
    busy = true;
    done.add(line);
    const [first, last] = [Number(line.dataset.first), Number(line.dataset.last)];
    const words = transcript.words.slice(first, last + 1);
    line.classList.add("waiting");
    try {
      const { predictions } = await ask("/v1/sentences", { json: { run: run(), texts: [words.map((word) => word.text).join(" ")] } });
      if (mine === round && predictions[0].explanation) {
        transcript.setValues(first, valuesOf(words, predictions[0].explanation));
        lanes.largest = transcript.largest;
        lanes.draw();
      } else watch.disconnect();
    } catch {
      watch.disconnect(); // this run cannot be explained, or something else is being scored
      waiting.clear();
    }
    line.classList.remove("waiting");
    busy = false;
    next();
  }
}

$("edit").addEventListener("click", () => {
  $("corrected").value = transcript.text;
  $("editor").hidden = false;
  $("words").hidden = true;
  $("corrected").focus();
});

function closeEditor() {
  $("editor").hidden = true;
  $("words").hidden = false;
}

$("cancel-edit").addEventListener("click", () => {
  closeEditor();
  $("edit").focus();
});

async function correct(text) {
  const words = transcript.words.map((word) => [word.text, word.start, word.end]);
  const done = await attempt(() => ask(`${base}/words`, { json: { run: run(), text, words } }));
  if (!done) return;
  closeEditor();
  score();
  if (lanes.selection) selected(lanes.selection, true); // its words may be others now
}

$("editor").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("corrected").value.trim();
  if (!text) notify("The transcript is empty. Write at least one word.", "error");
  else if (text === transcript.text) closeEditor();
  else correct(text);
});
$("revert").addEventListener("click", () => correct(null));

// The selection

async function selected(span, settled) {
  const mine = ++picked;
  $("clear").hidden = $("loop-label").hidden = !span;
  if (!span) {
    $("selected").hidden = true;
    remember({ from: null, to: null });
    return;
  }
  if (!settled) return;
  const [start, end] = span.map((time) => Number(time.toFixed(2)));
  remember({ from: start, to: end });
  const time = video.readyState ? video.currentTime : Number(parameters().get("t"));
  if (time < start || time > end) seek(start);
  const box = $("selected");
  const title = element("h3", {}, `Selection ${clock(start)} to ${clock(end)}`);
  const say = element("p", { class: "soft" }, shown ? "Scoring the selection …" : "It is scored when the whole recording has been scored.");
  box.hidden = false;
  box.replaceChildren(title, say);
  if (!shown) return;
  await attempt(async () => {
    const part = { run: run(), start, end };
    let server = null;
    await poll(async () => {
      if (mine !== picked) return true;
      let state = await ask(`${base}?${new URLSearchParams(part)}`);
      if (state.status === "none" && state.server !== server) {
        server = state.server;
        state = await ask(base, { json: part });
      }
      if (mine !== picked) return true;
      if (state.status === "running" && state.early) showPart(box, title, state.early, null);
      if (state.status === "failed") box.replaceChildren(title, element("p", { class: "problem" }, state.error));
      else if (state.status === "finished") {
        const result = await ask(`${base}/result?${new URLSearchParams(part)}`);
        if (mine === picked) showPart(box, title, result.prediction, result);
      } else if (state.status !== "none") {
        if (state.status === "waiting") say.textContent = "Waiting: something else is being scored.";
        return false;
      } else say.textContent = "It was stopped before it was scored.";
      return true;
    }, 400);
  });
}

function showPart(box, title, prediction, result) {
  if (!prediction) {
    const known = result.timeline.curve.map((span) => span.scores.fusion).filter((value) => value !== null);
    const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(known.length, 1);
    const text = known.length ? `On average ${figure(mean, result.facts.label_range)}, over ${result.timeline.curve.length} windows.` : "No window has a score.";
    box.replaceChildren(title, element("p", { class: "verdict" }, text));
    return;
  }
  const facts = result?.facts ?? { label_range: prediction.label_range, unscored: prediction.unscored, cautions: [] };
  const text = prediction.explanation ? sentenceWords(prediction.explanation, facts.label_range) : element("p", { class: "words still" }, prediction.transcript.text);
  const cards = card(prediction, { ...facts, cautions: [] });
  box.replaceChildren(title, ...cards, text, ...(prediction.warnings.length ? [warnings(prediction.warnings)] : []));
}

// The player

function seek(time) {
  // Until it is scored, only the video knows how long it is.
  video.currentTime = Math.min(Math.max(time, 0), shown ? lanes.duration : Infinity, Number.isFinite(video.duration) ? video.duration : 1e7);
  lanes.setTime(time, true);
  tick();
  linkTime();
}

let linking = 0;
function linkTime() {
  clearTimeout(linking);
  linking = setTimeout(() => remember({ t: video.currentTime > 0.05 ? video.currentTime.toFixed(2) : null }), 300);
}

function tick() {
  const time = video.currentTime;
  const span = lanes.selection;
  if (span && !video.paused && $("loop").checked && time >= span[1] - 0.01) video.currentTime = span[0];
  lanes.setTime(time, !video.paused);
  $("now").textContent = clock(time);
  transcript?.at(time);
  showWindow(time);
  faceBox(time);
}

function follow() {
  tick();
  if (!video.paused) requestAnimationFrame(follow);
}

/** Draw a box around the face. */
function faceBox(time) {
  const box = $("box");
  const corner = ["left", "top", "right", "bottom"].map((name) => (shown?.timeline.lanes ? lanes.at(name, time) : null));
  const known = shown?.timeline.lanes && lanes.at("face", time) === 1 && !corner.includes(null) && video.videoWidth;
  box.hidden = !known;
  if (!known) return;
  const scale = Math.min(video.clientWidth / video.videoWidth, video.clientHeight / video.videoHeight);
  const [wide, high] = [video.videoWidth * scale, video.videoHeight * scale];
  const [left, top] = [(video.clientWidth - wide) / 2, (video.clientHeight - high) / 2];
  box.style.left = `${left + corner[0] * wide}px`;
  box.style.top = `${top + corner[1] * high}px`;
  box.style.width = `${(corner[2] - corner[0]) * wide}px`;
  box.style.height = `${(corner[3] - corner[1]) * high}px`;
}

video.addEventListener("play", () => {
  $("play").textContent = "Pause";
  follow();
});
video.addEventListener("pause", () => {
  $("play").textContent = "Play";
  tick();
  linkTime();
});
video.addEventListener("seeked", tick);
video.addEventListener("timeupdate", () => video.paused && tick());
function loaded() {
  video.parentElement.classList.toggle("sound-only", !video.videoWidth);
  const begin = () => {
    const wanted = Number(parameters().get("t"));
    if (wanted > 0) seek(wanted);
  };
  if (Number.isFinite(video.duration)) return begin();
  // The length of a browser's own recording is known only after its end was reached.
  const rest = () => {
    if (!Number.isFinite(video.duration)) return;
    video.removeEventListener("durationchange", rest);
    video.currentTime = 0;
    begin();
  };
  video.addEventListener("durationchange", rest);
  video.currentTime = 1e7;
}

let reloads = 0; // since the video last played

/** Say that the browser cannot play the recording; or load it again, if only the server was gone. */
async function unplayable() {
  const broken = video.error?.code === MediaError.MEDIA_ERR_NETWORK;
  const time = video.currentTime;
  let tries = 0;
  await poll(async () => {
    tries += 1;
    await ask(`${base}?${query()}`);
    return true;
  }).catch(() => {}); // the scores say what is wrong
  if (tries > 1 || (broken && ++reloads <= 5)) {
    if (time) remember({ t: time.toFixed(2) });
    return video.load();
  }
  const say = $("unplayable");
  say.hidden = false;
  say.textContent = "The browser cannot play this format. The recording is scored nevertheless, and then copied to a format that it can play.";
}

// The video may have begun to load before this module.
if (video.readyState >= 1) loaded();
video.addEventListener("loadedmetadata", loaded);
if (video.error) unplayable();
video.addEventListener("error", unplayable);
video.addEventListener("loadeddata", () => {
  $("unplayable").hidden = true;
  reloads = 0;
});

// Controls

$("play").addEventListener("click", () => (video.paused ? video.play() : video.pause()));
$("from").addEventListener("click", () => lanes.from());
$("to").addEventListener("click", () => lanes.to());
$("clear").addEventListener("click", () => {
  lanes.select(null);
  $("lanes").focus();
});
$("closer").addEventListener("click", () => lanes.zoom(0.5));
$("wider").addEventListener("click", () => lanes.zoom(2));
$("again").addEventListener("click", () => score(true));
$("stop").addEventListener("click", () => attempt(() => ask(`${base}/cancel?${query()}`, { method: "POST" })));
$("link").addEventListener("click", async () => {
  remember({ t: video.currentTime.toFixed(2) });
  try {
    await navigator.clipboard.writeText(location.href);
    notify("The link to this moment was copied.");
  } catch {
    notify("The link to this moment is in the address bar.");
  }
});
$("run").addEventListener("change", () => {
  remember({ run: run() === "starter" ? null : run() }, { push: true });
  score();
});
window.addEventListener("popstate", () => {
  const wanted = parameters().get("run") ?? "starter";
  if (wanted !== run()) {
    $("run").value = wanted;
    score();
  }
});

score();
