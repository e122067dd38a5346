// The Score screen: dropping, recording, typing, and the table of results.
import { ask, attempt, clock, element, figure, isAway, leave, notify, remember, waitsForServer } from "./app.js";
import { bar, card, TITLES, warnings } from "./score_bars.js";
import { recorder } from "./score_record.js";
import { sentenceWords } from "./score_words.js";
import { takesFiles, uploadAll } from "./upload.js";

const $ = (id) => document.getElementById(id);
const limit = Number($("score").dataset.limit);
const run = () => $("run").value;
const link = (id) => `/score/${id}${run() === "starter" ? "" : `?run=${encodeURIComponent(run())}`}`;

// Files

async function send(files) {
  const fits = [...files].filter((file) => {
    if (file.size <= limit) return true;
    notify(`${file.name} is too large: ${(file.size / 2 ** 30).toFixed(1)} GB of ${(limit / 2 ** 30).toFixed(0)} GB at most. Cut it, or score it in the terminal: selfmm predict`, "error");
    return false;
  });
  if (!fits.length) return;
  const ids = await uploadAll(fits, $("uploading"), { run: run() });
  if (ids.length === 1 && fits.length === 1) leave(link(ids[0]));
  else if (ids.length) refresh();
}

$("files").addEventListener("change", () => {
  send($("files").files);
  $("files").value = "";
});
takesFiles($("drop"), send);

// Panels, which links can open: /score#record, /score#text

const records = recorder((file) => send([file]));

function toggle(name, open = $(name).hidden) {
  for (const other of ["record", "text"]) {
    const shows = other === name && open;
    $(other).hidden = !shows;
    $(`open-${other}`).setAttribute("aria-expanded", String(shows));
  }
  if (name !== "record" || !open) records.close();
  if (!open) return;
  $(name).scrollIntoView({ block: "nearest" });
  $(name === "record" ? "record-start" : "words").focus();
}

for (const name of ["record", "text"]) $(`open-${name}`).addEventListener("click", () => toggle(name));
const fromHash = () => ["record", "text"].includes(location.hash.slice(1)) && toggle(location.hash.slice(1), true);
window.addEventListener("hashchange", fromHash);
fromHash();

// A sentence

$("sentence").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("words").value.trim();
  if (!text) return notify("Type a sentence to score.", "error");
  const box = $("sentence-result");
  box.replaceChildren(element("p", { class: "soft" }, "Scoring …"));
  const answer = await attempt(() => ask("/v1/sentences", { json: { run: run(), texts: [text] } }));
  if (!answer) return box.replaceChildren();
  const [prediction] = answer.predictions;
  const facts = { label_range: prediction.label_range, unscored: {}, cautions: prediction.cautions };
  // By words alone, the score of the words and that of all together are often the same.
  const same = Math.abs(prediction.score - prediction.scores.text) < 1e-6;
  const own = { ...prediction, scores: same ? {} : { text: prediction.scores.text } };
  box.replaceChildren(
    ...(prediction.explanation ? [sentenceWords(prediction.explanation, facts.label_range)] : []),
    ...card(own, facts),
    ...(prediction.warnings.length ? [warnings(prediction.warnings)] : []),
  );
});
$("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    $("sentence").requestSubmit();
  }
});

// The table

let timer = 0;
let drawn = "";
let server = ""; // changes if the server is started again
let pending = new Set(); // ids of the entries that are being scored

async function refresh() {
  clearTimeout(timer);
  let entries = [];
  let own = "";
  const shown = run();
  try {
    ({ entries, server: own } = await ask(`/v1/scores?${new URLSearchParams({ run: shown })}`));
  } catch (error) {
    waitsForServer(refresh, isAway(error));
    if (!isAway(error) && !drawn) notify(error.message, "error");
    timer = setTimeout(refresh, 2000);
    return;
  }
  waitsForServer(refresh, false);
  if (shown !== run()) return refresh();
  // A server that was started again knows nothing of what the last one was scoring.
  const lost = server && server !== own ? entries.filter((entry) => entry.status === "none" && pending.has(entry.id)) : [];
  server = own;
  pending = new Set(entries.filter((entry) => ["waiting", "running"].includes(entry.status)).map((entry) => entry.id));
  for (const entry of lost) again(entry);
  const text = JSON.stringify(entries);
  if (text !== drawn) {
    drawn = text;
    const focused = document.activeElement?.dataset?.key;
    $("results").hidden = !entries.length;
    $("rows").replaceChildren(...entries.map(row));
    if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }
  const busy = entries.some((entry) => ["waiting", "running"].includes(entry.status));
  if (busy) timer = setTimeout(refresh, document.hidden ? 4000 : 800);
}

function row(entry) {
  const name = element("th", { scope: "row", class: "name" }, element("a", { href: link(entry.id), dataset: { key: `name-${entry.id}` } }, entry.name));
  const remove = element("button", { type: "button", class: "plain", dataset: { key: `remove-${entry.id}` }, "aria-label": `Remove ${entry.name} from this list`, title: entry.here ? "Remove from this list; the file stays" : "Delete the upload and its scores", onclick: () => forget(entry) }, "×");
  const last = element("td", {}, remove);
  if (entry.status !== "finished") return element("tr", {}, name, element("td", { colspan: 5 }, standing(entry)), last);
  const { summary } = entry;
  name.append(element("span", { class: "soft length" }, clock(summary.seconds, 0)));
  const range = summary.facts.label_range;
  const grey = Boolean(summary.facts.verdicts.fusion) || summary.score === null;
  const cell = (modality) => {
    const score = summary.scores[modality];
    const verdict = summary.facts.verdicts[modality];
    if (score === undefined || score === null) return element("td", { class: "number soft", "data-name": TITLES[modality] }, "–");
    return element("td", { class: `number${verdict ? " soft" : ""}`, "data-name": TITLES[modality], title: verdict || undefined }, verdict ? "no info" : figure(score, range));
  };
  const fused = element("td", { class: "fused" }, bar(summary.score, grey ? null : summary.intervals.fusion, range, grey), element("span", { class: "number" }, grey ? summary.facts.verdicts.fusion || "no score" : figure(summary.score, range)));
  const notes = summary.warnings.length ? element("span", { class: "soft", title: summary.warnings.join("\n") }, ` ${summary.warnings.length} ${summary.warnings.length === 1 ? "warning" : "warnings"}`) : null;
  return element("tr", {}, name, fused, cell("text"), cell("audio"), cell("vision"), element("td", { class: "says" }, summary.text ? `${summary.text.slice(0, 140)}${summary.text.length > 140 ? " …" : ""}` : "–", notes), last);
}

function standing(entry) {
  if (entry.status === "failed") return element("span", { class: "problem" }, entry.error);
  if (entry.status === "none") return element("button", { type: "button", onclick: () => again(entry) }, `Score with ${run()}`);
  if (entry.status === "waiting") return element("span", { class: "soft" }, "Waiting for its turn");
  const reading = !entry.stage && entry.read !== null;
  const stage = reading ? `reading ${clock(entry.read, 0)}${entry.total ? ` of ${clock(entry.total, 0)}` : ""}` : entry.stage || "loading the models";
  const part = reading && entry.total ? { value: Math.min(entry.read / entry.total, 1), max: 1 } : {};
  return element("span", { class: "standing" }, element("progress", { ...part, "aria-label": `${entry.name}: ${stage}` }), element("span", { class: "soft" }, stage));
}

async function again(entry) {
  if (await attempt(() => ask(`/v1/scores/${entry.id}`, { json: { run: run() } }))) refresh();
}

async function forget(entry) {
  if (await attempt(() => ask(`/v1/scores/${entry.id}`, { method: "DELETE" }))) refresh();
}

$("run").addEventListener("change", () => {
  remember({ run: run() === "starter" ? null : run() });
  changed();
  refresh();
});
function changed() {
  $("csv").href = `/v1/scores.csv?${new URLSearchParams({ run: run() })}`;
}

// Recordings in the folder

const listed = [...document.querySelectorAll("#in-folder button[data-path]")];
const take = (path) => ask("/v1/scores", { json: { path, run: run() } });
for (const button of listed) {
  button.addEventListener("click", async () => {
    const added = await attempt(() => take(button.dataset.path));
    if (added) location.href = link(added.id);
  });
}
$("score-all")?.addEventListener("click", async () => {
  $("score-all").disabled = true;
  for (const button of listed) {
    // If the queue of the server is full, wait until it has room.
    for (;;) {
      try {
        await take(button.dataset.path);
        break;
      } catch (error) {
        if (error.status !== 429) {
          notify(`${button.textContent}: ${error.message}`, "error");
          break;
        }
        await new Promise((done) => setTimeout(done, 3000));
      }
    }
    refresh();
  }
  $("score-all").disabled = false;
});

changed();
refresh();
