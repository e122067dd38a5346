// The page of a clip: its player, and the scores of runs.

import { ask, clock, element, figure, pathOf, svg } from "./app.js";
import { banded, worthLines } from "./data_worth.js";

for (const node of document.querySelectorAll("[data-clock]")) node.textContent = clock(Number(node.dataset.clock));

const player = document.getElementById("player");

/** Show the player, or why the clip cannot be played. */
async function show() {
  let media;
  try {
    media = await ask(player.dataset.url);
  } catch (error) {
    media = { why: error.message };
  }
  if (media.why) {
    player.replaceChildren(element("p", { class: "soft" }, media.why));
    return;
  }
  if (media.copied) {
    player.replaceChildren(element("p", { class: "soft" }, "Making a copy that the browser can play …"));
    const response = await fetch(media.url, { headers: { range: "bytes=0-0" } }).catch(() => null);
    if (!response?.ok) {
      const { error } = (await response?.json().catch(() => null)) ?? {};
      player.replaceChildren(element("p", { class: "problem" }, error ?? "The recording cannot be played."));
      return;
    }
  }
  const { start, end } = media;
  const part = end !== null ? `#t=${start},${end}` : start ? `#t=${start}` : "";
  const video = media.type.startsWith("video");
  const node = element(video ? "video" : "audio", { controls: true, preload: "metadata", playsinline: true, src: media.url + part });
  const loop = element("input", { type: "checkbox" });
  const again = element("button", { type: "button", "aria-keyshortcuts": "r" }, "Play the clip again");
  const replay = () => {
    node.currentTime = start;
    node.play();
  };
  again.addEventListener("click", replay);
  node.addEventListener("timeupdate", () => {
    if (end === null || node.currentTime < end) return;
    if (loop.checked) node.currentTime = start;
    else if (!node.paused && node.currentTime < end + 0.5) node.pause(); // further on, the user chose this place
  });
  node.addEventListener("ended", () => loop.checked && replay());
  node.addEventListener("error", () => {
    player.replaceChildren(element("p", { class: "problem" }, "The browser cannot play this recording. It may be damaged; play it in another program to find out."));
  });
  timed(node, start);
  player.replaceChildren(node, element("p", { class: "row" }, again, element("label", {}, loop, "Repeat")));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, button, a, video, audio")) return;  // these have their own keys
    if (event.key === " ") {
      event.preventDefault();
      if (node.paused) node.play();
      else node.pause();
    }
    if (event.key === "r") replay();
  });
}

/** Turn the words of the clip into buttons that play from there, and mark the word that is being spoken. */
function timed(media, start) {
  const box = document.getElementById("words");
  const words = JSON.parse(box?.dataset.words ?? "[]");
  if (!words.length) return;
  const go = (time) => {
    media.currentTime = start + time;
    media.play();
  };
  const buttons = words.map(([word, from]) => element("button", { type: "button", class: "word", title: clock(from), onclick: () => go(from) }, word));
  box.replaceChildren(...buttons.flatMap((button) => [button, " "]));
  media.addEventListener("timeupdate", () => {
    const time = media.currentTime - start;
    words.forEach(([, from, to], at) => buttons[at].classList.toggle("now", time >= from && time < to));
  });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  document.getElementById({ j: "after", k: "before" }[event.key] ?? "")?.click();
});

const box = document.getElementById("runs");
const range = box.dataset.range.split(",").map(Number);
const neutral = Number(box.dataset.neutral);
const tone = (value) => (value === null ? "" : value > neutral ? "positive" : value < neutral ? "negative" : "");
const titles = { score: "all together" };
const place = (value, size) => ((Math.min(Math.max(value, range[0]), range[1]) - range[0]) / (range[1] - range[0])) * size;

function scale(value, name, band = null) {
  const [zero, at] = [2 + place(neutral, 196), 2 + place(value, 196)];
  const [low, high] = band === null ? [at, at] : [2 + place(value - band, 196), 2 + place(value + band, 196)];
  return svg(
    "svg",
    { class: `scale ${name}`, viewBox: "0 0 200 16", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", x: 2, y: 6.5, width: 196, height: 3 }),
    ...(band === null ? [] : [svg("rect", { class: "band", x: low, y: 2.5, width: high - low, height: 11, rx: 2 })]),
    svg("rect", { class: "value", x: Math.min(zero, at), y: 5, width: Math.abs(at - zero), height: 6 }),
    svg("rect", { class: "zero", x: zero - 0.6, y: 1, width: 1.2, height: 14 }),
    svg("rect", { class: "mark", x: at - 1.6, y: 1, width: 3.2, height: 14, rx: 1.6 }),
  );
}

/** Return a table with rows of name, value and scale. A score also has its worth: its band, and why not to use it. */
function rows(values) {
  const row = ([title, name, value, worth]) => {
    const { band = null, verdict = "" } = worth ?? {};
    const number = element("td", { class: `number ${verdict ? "soft" : tone(value)}` }, worth ? banded(value, range, worth) : figure(value, range));
    const head = element("th", { scope: "row" }, title, verdict ? element("small", {}, ` ${verdict}`) : "");
    return element("tr", {}, head, number, element("td", {}, value === null ? "" : scale(value, verdict ? "" : name, band)));
  };
  return element("table", { class: "plain-table" }, element("tbody", {}, values.map(row)));
}

function card(run, label) {
  const address = `/runs/${pathOf(run.name)}`;
  const scores = Object.entries(run.scores ?? {}).filter(([, value]) => value !== null);
  const error = run.scores?.score != null && label !== null ? Math.abs(run.scores.score - label) : null;
  const title = element("h3", {}, element("a", { href: address }, run.name));
  const children = [title, element("p", { class: "soft" }, run.model, error === null ? "" : ` · ${error.toFixed(2)} from the label`)];
  if (run.problem) children.push(element("p", { class: "problem" }, run.problem));
  if (scores.length) {
    const named = ([key, value]) => [titles[key] ?? key.replace("score_", ""), key === "score" ? "fusion" : key.replace("score_", ""), value, run.worth?.scores[key] ?? {}];
    children.push(element("h4", {}, "Scores"), rows(scores.map(named)));
    const lines = [run.seen ? "The run was trained on this clip, so its scores are closer to the label than those of new clips." : "", ...worthLines(run.worth)];
    children.push(...lines.filter(Boolean).map((text) => element("p", { class: "soft small" }, text)));
  } else if (!run.problem) children.push(element("p", { class: "soft" }, "This run has no score of this clip."));
  if (scores.length) children.push(element("p", {}, element("a", { href: `${address}?view=explain&clip=${encodeURIComponent(box.dataset.clip)}` }, "Why this score?")));
  if (run.generated?.modalities) children.push(...generated(run.generated, label));
  return element("article", { class: "card" }, children);
}

/** Return the labels that a run generated: curves over the epochs, or rows if it estimated them before training. */
function generated({ modalities, epochs, best }, label) {
  const names = Object.keys(modalities);
  if (!epochs.length || epochs.length === 1) {
    const trust = names.map((name) => modalities[name].trust).filter((value) => value !== undefined && value !== null);
    const word = trust.length ? "estimated before training" : "generated";
    const how = trust.length ? `Trust: ${names.map((name) => `${name} ${Math.round(modalities[name].trust * 100)}%`).join(", ")}.` : "";
    return [
      element("h4", {}, `Labels ${word}`),
      rows(names.map((name) => [name, name, modalities[name].labels.at(-1)])),
      element("p", { class: "soft" }, how),
    ];
  }
  const [wide, high] = [epochs.length - 1, 100];
  const y = (value) => high - place(value, high);
  const lines = names.map((name) => svg("polyline", { class: `key ${name}`, points: modalities[name].labels.map((value, at) => `${at},${y(value).toFixed(2)}`).join(" ") }));
  const words = names.map((name) => `${name} ends at ${figure(modalities[name].labels.at(-1), range)}`).join(", ");
  const picture = svg(
    "svg",
    { class: "course", viewBox: `0 -2 ${wide} ${high + 4}`, preserveAspectRatio: "none", role: "img", "aria-label": `Generated labels over ${epochs.length} epochs: ${words}` },
    svg("line", { x1: 0, x2: wide, y1: y(neutral), y2: y(neutral) }),
    ...(label === null ? [] : [svg("line", { class: "whole", x1: 0, x2: wide, y1: y(label), y2: y(label) })]),
    ...(best === null ? [] : [svg("line", { class: "best", x1: epochs.indexOf(best), x2: epochs.indexOf(best), y1: 0, y2: high })]),
    ...lines,
  );
  const key = (name, text) => element("span", { class: `key ${name}` }, element("span", {}, text));
  return [
    element("h4", {}, "Labels generated over the epochs"),
    picture,
    element("p", { class: "row soft" }, element("span", {}, `epoch ${epochs[0]}`), element("span", {}, `to ${epochs.at(-1)}${best === null ? "" : `, weights of ${best}`}`)),
    element("p", { class: "row" }, names.map((name) => key(name, `${name} ${figure(modalities[name].labels.at(-1), range)}`)), label === null ? null : key("fusion", "label of the clip")),
  ];
}

async function runs() {
  let content;
  try {
    content = await ask(box.dataset.url);
  } catch (error) {
    box.replaceChildren(element("p", { class: "problem" }, error.message));
    return;
  }
  if (!content.runs.length) {
    box.replaceChildren(element("p", { class: "soft" }, "No run in this folder was trained on this data set yet. The scores of such a run, and the labels that it generated, appear here."));
    return;
  }
  box.replaceChildren(element("div", { class: "run-cards" }, content.runs.map((run) => card(run, content.label))));
}

show();
runs();
