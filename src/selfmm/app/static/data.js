// The page of a data set: filters, which are kept in the link, the label histogram, and the clips as a table or a grid.

import { ask, attempt, element, figure, parameters, remember, svg } from "./app.js";
import { Histogram } from "./data_histogram.js";
import { LongList } from "./data_list.js";
import { banded, worthLines } from "./data_worth.js";

const about = JSON.parse(document.getElementById("content").dataset.content);
const form = document.getElementById("filters");
const sort = document.getElementById("sort");
const count = document.getElementById("count");
const FIELDS = ["q", "split", "missing", "warnings", "rated", "labelled", "disagree", "run"];
let worth = {}; // of the scores of the run in the link, by the names of these

const tone = (value) => (value === null || value === about.neutral ? "" : value > about.neutral ? "positive" : "negative");
const number = (value) => element("span", { class: tone(value) }, figure(value, about.range));
const scoreOf = (item) => element("span", { class: worth.score?.verdict ? "soft" : tone(item.scores?.score ?? null), title: worth.score?.verdict }, banded(item.scores?.score ?? null, about.range, worth.score));
const many = (amount) => `${amount.toLocaleString("en")} ${amount === 1 ? "clip" : "clips"}`;

/** Return the filters of the page's link as a query, without the view. */
function query() {
  const values = parameters();
  for (const name of ["view", "clip"]) values.delete(name);
  return values.toString();
}

function linkTo(clip) {
  const values = parameters();
  values.set("clip", clip);
  return `${about.page}?${values}`;
}

/** Return the picture of a clip. The list loads it when scrolling has stopped. */
function picture(item) {
  if (!about.media) return null;
  if (item.media === null) return element("span", { class: "picture", title: "The recording is not in this folder" });
  const source = `${about.base}/thumbnail?id=${encodeURIComponent(item.id)}&v=${item.media}`;
  return element("img", { class: "picture", alt: "", width: 76, height: 46, decoding: "async", dataset: { src: source } });
}

/** Return the labels of a clip's modalities as dots on the scale of the labels. */
function dots(item) {
  const heads = Object.entries(item.scores ?? {}).filter(([name]) => name !== "score").map(([name, value]) => [name.replace("score_", ""), value]);
  const own = Object.keys(item.labels).length > 0;
  const values = (own ? Object.entries(item.labels) : heads).filter(([, value]) => value !== null);
  if (!values.length) return element("span", { class: "soft" }, "–");
  const place = (value) => 6 + (116 * (Math.min(Math.max(value, about.range[0]), about.range[1]) - about.range[0])) / (about.range[1] - about.range[0]);
  const words = `${own ? "labels" : "scores"}: ${values.map(([name, value]) => `${name} ${figure(value, about.range)}${own ? "" : ` ${worth[`score_${name}`]?.text || "(band unknown)"}`}`).join(", ")}`;
  const picture = svg("svg", { class: "dots", viewBox: "0 0 128 22", role: "img", "aria-label": words });
  picture.append(
    svg("title", {}, words),
    svg("line", { class: "axis", x1: 4, x2: 124, y1: 11, y2: 11 }),
    svg("line", { class: "neutral", x1: place(about.neutral), x2: place(about.neutral), y1: 6, y2: 16 }),
  );
  if (item.label !== null) picture.append(svg("line", { class: "whole", x1: place(item.label), x2: place(item.label), y1: 3, y2: 19 }));
  picture.append(...values.map(([name, value]) => svg("circle", { class: name, cx: place(value), cy: 11, r: 4.5 })));
  return picture;
}

function marks(item) {
  const chips = item.missing.map((name) => element("span", { class: "chip lacking" }, `no ${name}`));
  if (item.disagree) chips.push(element("span", { class: "chip strong", title: "One modality is clearly positive and another one clearly negative" }, "disagree"));
  if (item.ratings) chips.push(element("span", { class: "chip" }, item.ratings === 1 ? "1 rating" : `${item.ratings} ratings`));
  if (item.warnings) chips.push(element("span", { class: "chip warning", title: item.warnings }, "warning"));
  return element("span", { class: "marks" }, chips);
}

function words(item) {
  return item.text || (item.missing.includes("text") || !about.modalities.includes("text") ? "no words" : "no words known");
}

/** The view as a table. */
function table() {
  const space = () => element("tr", { class: "space", "aria-hidden": "true" }, element("td", {}));
  const [before, after] = [space(), space()];
  const scored = Boolean(parameters().get("run"));
  const columns = [
    about.media && ["picture", element("span", { class: "visually-hidden" }, "Picture")],
    ["what", heading("Clip", "id")],
    ["label", heading("Label", "label", true), "number"],
    scored && ["score", heading("Score", "score", true), "number"],
    (about.labelled || scored) && ["modalities", heading("Modalities", "spread", true)],
    ["split", heading("Split", "split")],
    ["marks", "Notes"],
  ].filter(Boolean);
  const head = element("thead", {}, element("tr", {}, columns.map(([name, title, more = ""]) => element("th", { scope: "col", class: `col-${name} ${more}`, "aria-sort": sorted(title) }, title))));
  const body = element("tbody", {}, before, after);
  const grid = element("table", {}, element("caption", { class: "visually-hidden" }, "Clips that pass the filters"), head, body);
  const cells = {
    picture: (item) => picture(item),
    what: (item) => element("a", { href: linkTo(item.id) }, element("span", { class: "words" }, words(item)), element("span", { class: "sub" }, item.video && !item.id.startsWith(item.video) ? `${item.id} · ${item.video}` : item.id)),
    label: (item) => number(item.label),
    score: scoreOf,
    modalities: (item) => dots(item),
    split: (item) => item.split,
    marks: (item) => marks(item),
  };
  return {
    node: element("div", { class: "clip-table" }, grid),
    body,
    height: 62,
    columns: () => 1,
    space(above, below) {
      before.firstElementChild.style.height = `${above}px`;
      after.firstElementChild.style.height = `${below}px`;
      before.hidden = !above;
      after.hidden = !below;
      grid.setAttribute("aria-rowcount", String(list.total + 1));
    },
    row: (item, index) =>
      element(
        "tr",
        { class: "clip", "aria-rowindex": index + 2 },
        columns.map(([name, , more = ""]) => {
          const content = item ? cells[name](item) : name === "what" ? element("span", { class: "wait" }) : "";
          return element("td", { class: `cell-${name} ${more}` }, content);
        }),
      ),
  };
}

/** Return the order of a column for screen readers. */
function sorted(title) {
  return { up: "ascending", down: "descending" }[title.dataset?.order];
}

function heading(title, key, largest = false) {
  const now = parameters().get("sort") ?? "";
  const order = now.replace("-", "") !== key ? null : now.startsWith("-") ? "down" : "up";
  const next = now === (largest ? `-${key}` : key) ? (largest ? key : `-${key}`) : largest ? `-${key}` : key;
  return element("button", { type: "button", "data-order": order, title: `Sort by ${title.toLowerCase()}`, onclick: () => change({ sort: next }) }, title);
}

/** The view as a grid of pictures. */
function cards() {
  const space = () => element("li", { class: "space", "aria-hidden": "true" });
  const [before, after] = [space(), space()];
  for (const node of [before, after]) node.style.gridColumn = "1 / -1";
  const body = element("ul", { class: "clip-grid" }, before, after);
  return {
    node: body,
    body,
    height: 230, // 218 and the gap
    columns: () => Math.max(getComputedStyle(body).gridTemplateColumns.split(" ").length, 1),
    space(above, below) {
      before.style.height = `${Math.max(above - 12, 0)}px`;
      after.style.height = `${Math.max(below - 12, 0)}px`;
      before.hidden = !above;
      after.hidden = !below;
    },
    row(item) {
      if (!item) return element("li", {}, element("a", { tabindex: "-1" }, element("span", { class: "picture" })));
      const top = element("span", { class: "top" }, element("b", {}, number(item.label)), item.scores ? element("span", { class: "soft score" }, element("span", {}, "score "), scoreOf(item)) : element("span", { class: "soft" }, item.split));
      const sign = item.warnings || item.missing.length || item.disagree ? marks(item) : null;
      const image = picture(item) ?? (about.labelled ? element("span", { class: "picture nothing" }, dots(item)) : null);
      const text = element("span", { class: image ? "words" : "words long" }, words(item));
      return element("li", {}, element("a", { href: linkTo(item.id) }, image ?? "", element("span", { class: "body" }, top, text, sign ?? element("span", { class: "sub" }, item.id))));
    },
  };
}

const list = new LongList(
  document.getElementById("list"),
  async (offset, limit, signal) => (await ask(`${about.base}/clips?${query()}&offset=${offset}&limit=${limit}`, { signal })).rows,
  { table, grid: cards },
);

const histogram = document.getElementById("bars") && new Histogram(document.getElementById("histogram"), { ...about, onbrush: (from, to) => change({ from, to }) });

/** Show an answer of the server: the number of clips, the histogram, and the first rows. */
function show(answer) {
  const values = parameters();
  const all = answer.matched === answer.total;
  count.replaceChildren(element("b", {}, all ? many(answer.total) : answer.matched.toLocaleString("en")), all ? "" : ` of ${many(answer.total)}`);
  const edge = (name) => (values.get(name) ? Number(values.get(name)) : null);
  histogram?.show(answer.histogram, answer.unlabelled, edge("from"), edge("to"));
  const none = document.getElementById("none");
  none.hidden = answer.matched > 0;
  if (!answer.total) none.textContent = "This data set has no clips. Make it again from recordings or features that have some.";
  document.getElementById("list").hidden = answer.matched === 0;
  worth = answer.worth?.scores ?? {};
  document.getElementById("worth").replaceChildren(answer.worth ? worthLines(answer.worth).join(" ") : "");
  list.reset(answer.matched, answer.rows);
  list.show(values.get("view") === "grid" ? "grid" : "table");
  for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === (values.get("view") ?? "table")));
  document.getElementById("legend").hidden = values.get("view") === "grid" || !(about.labelled || values.get("run"));
  mark(values);
}

/** Make the controls show the filters of the link. */
function mark(values) {
  for (const name of FIELDS) {
    const field = form.elements[name];
    if (!field) continue;
    if (field !== document.activeElement) field.value = values.get(name) ?? "";
    field.classList.toggle("set", Boolean(values.get(name)));
  }
  sort.value = values.get("sort") ?? "";
  if (sort.selectedIndex < 0) sort.value = "";
  const set = [...FIELDS, "from", "to"].filter((name) => name !== "run" && values.get(name)).length;
  document.getElementById("clear").disabled = !set;
  document.getElementById("show-clips").textContent = `Show ${many(list.total)}`;
  document.getElementById("show-filters").textContent = set ? `Filters (${set})` : "Filters";
}

let latest = 0;

/** Load the clips that pass the filters of the link, and show them. */
async function load() {
  const turn = ++latest;
  const answer = await attempt(() => ask(`${about.base}/clips?${query()}&limit=100`));
  if (answer && turn === latest) show(answer);
  return answer;
}

/** Change the link and show the clips of the new one. The back button undoes it. */
function change(values, push = true) {
  remember(values, { push });
  return load();
}

function clear() {
  change(Object.fromEntries([...FIELDS.filter((name) => name !== "run"), "from", "to"].map((name) => [name, null])));
  form.elements.q.value = "";
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  if (FIELDS.includes(event.target.name) && event.target.name !== "q") change({ [event.target.name]: event.target.value });
});
let typing = 0;
let typed = false; // whether this search has its own step in the history
form.elements.q.addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    change({ q: event.target.value.trim() }, !typed);
    typed = true;
  }, 180);
});
form.elements.q.addEventListener("blur", () => {
  typed = false;
});
sort.addEventListener("change", () => change({ sort: sort.value }));
document.getElementById("clear").addEventListener("click", clear);
document.getElementById("clear-none").addEventListener("click", clear);
document.getElementById("show-filters").addEventListener("click", (event) => {
  const open = form.classList.toggle("open");
  event.target.setAttribute("aria-expanded", String(open));
  if (open) form.scrollIntoView();
});
document.getElementById("show-clips").addEventListener("click", () => {
  form.classList.remove("open");
  document.getElementById("show-filters").setAttribute("aria-expanded", "false");
  document.querySelector(".clips").scrollIntoView();
  document.getElementById("show-filters").focus();
});
for (const button of document.querySelectorAll("[data-view]"))
  button.addEventListener("click", () => {
    remember({ view: button.dataset.view === "grid" ? "grid" : null }, { push: true });
    load();
  });
addEventListener("popstate", load);

// A click anywhere in a row opens its clip, but not on a button, and not at the end of selecting text.
document.getElementById("list").addEventListener("click", (event) => {
  const row = event.target.closest("tr.clip");
  if (!row || event.target.closest("a, button") || getSelection().toString()) return;
  row.querySelector("a")?.click();
});

// Keys: / searches, j and k (or the arrows, in the list) go from clip to clip, Enter opens one.
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inField = event.target.closest("input, select, textarea");
  if (event.key === "/" && !inField) {
    event.preventDefault();
    form.classList.add("open");
    form.elements.q.focus();
    return;
  }
  if (inField) {
    if (event.key === "Escape" && event.target.name === "q") event.target.blur();
    return;
  }
  const at = list.focused();
  const arrows = at >= 0 ? { ArrowDown: list.columns, ArrowUp: -list.columns, ...(list.columns > 1 ? { ArrowRight: 1, ArrowLeft: -1 } : {}) } : {};
  const step = { j: 1, k: -1, ...arrows }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  list.focus(at < 0 ? 0 : at + step);
});

/** Load the findings of the inspection. It reads all features, so it takes a while. */
async function inspect() {
  const box = document.getElementById("findings");
  const summary = box.querySelector("summary");
  let findings;
  try {
    findings = await ask(box.dataset.url);
  } catch (error) {
    summary.textContent = `The data set cannot be inspected. ${error.message}`;
    return;
  }
  const { problems, notes } = findings;
  const parts = [];
  if (problems.length) parts.push(element("span", { class: "fix" }, problems.length === 1 ? "1 thing to fix" : `${problems.length} things to fix`));
  else parts.push("Nothing to fix");
  if (notes.length) parts.push(` · ${notes.length === 1 ? "1 note" : `${notes.length} notes`}`);
  summary.replaceChildren(...parts);
  const item = ({ text, query }) => element("li", {}, text, query ? [" ", element("a", { href: `${about.page}?${query}` }, "Show")] : "");
  const items = (sentences) => element("ul", {}, sentences.map(item));
  document.getElementById("findings-list").replaceChildren(
    ...(problems.length ? [element("h3", {}, "Fix before training"), items(problems)] : []),
    ...(notes.length ? [element("h3", {}, "Good to know"), items(notes)] : []),
    ...(problems.length || notes.length ? [] : [element("p", {}, "All files are intact, and nothing about the clips is unusual.")]),
  );
  box.open = problems.length > 0;
}

// When people come back to the page, it is at the place where they left it.
history.scrollRestoration = "manual";
addEventListener("pagehide", () => sessionStorage.setItem(`scroll:${location.href}`, String(scrollY)));
show(about.first);
const before = Number(sessionStorage.getItem(`scroll:${location.href}`) ?? 0);
if (before && performance.getEntriesByType("navigation")[0]?.type !== "navigate") scrollTo(0, before);
inspect();
