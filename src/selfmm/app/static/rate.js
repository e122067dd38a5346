// The Rate screen of one source: the setup, the session, and the results. The link holds which of them is shown.
import { ask, attempt, element, notify, parameters, poll, remember } from "./app.js";
import { showOverview, startTraining } from "./rate_overview.js";
import { Queue } from "./rate_queue.js";
import { Session } from "./rate_session.js";
import { MODES, TARGETS, plural } from "./rate_words.js";

const byId = (id) => document.getElementById(id);
const { source, place } = byId("rate").dataset;
const CHOICES = ["target", "mode", "order", "by", "propose", "seed", "most"];
let about = null;
let session = null;

const queue = new Queue(place, source, (waiting, places) => {
  session?.learn(places);
  const box = byId("waiting");
  box.hidden = !queue.problem;
  box.textContent = queue.problem
    ? `${waiting === 1 ? "1 rating waits" : `${waiting} ratings wait`} in this browser and will be sent when ${queue.refused ? "they can be written. Keep this page open, and solve the problem first" : "selfmm answers again. You can go on"}. (${queue.problem})`
    : "";
  if (!queue.problem) byId("saved").textContent = waiting ? "saving …" : "saved";
});

// The setup

async function loadSetup() {
  const query = new URLSearchParams({ source, rater: byId("name").value.trim() });
  const by = byId("by").options.length ? byId("by").value : parameters().get("by");
  if (by) query.set("by", by);
  const answer = await attempt(() => ask(`/v1/ratings?${query}`));
  if (!answer) return;
  about = answer;
  byId("setup").inert = false;
  drawSetup();
}

function drawSetup() {
  const link = parameters(); // it counts until something is chosen on the page
  const targets = Object.keys(about.modes);
  if (targets.length > 2) targets.push("parts");
  const asked = link.get("target") === "parts" && !targets.includes("parts") ? targets.at(-1) : link.get("target");
  radios("targets", "target", targets, TARGETS, checked("target") ?? asked);
  drawModes(checked("mode") ?? link.get("mode"));
  const by = byId("by");
  const chosen = by.options.length ? by.value : link.get("by") ?? "";
  const options = about.proposers.map(({ by: value, title, ready }) => [value, `${title}${ready ? "" : " (not ready)"}`]);
  if (JSON.stringify(options) !== by.dataset.options) {
    by.dataset.options = JSON.stringify(options);
    by.replaceChildren(...[["", "none"], ...options].map(([value, title]) => element("option", { value, selected: value === chosen }, title)));
  }
  byId("problem").hidden = !about.problem;
  byId("problem").textContent = about.problem && `Ratings cannot be saved here. ${about.problem}`;
  byId("begin").disabled = Boolean(about.problem);
  byId("listed").hidden = !about.listed.words;
  byId("listed").textContent = `The table ${about.listing} in this folder gives the words of ${plural(about.listed.words ?? 0, "clip")}. Raters who may read the words see these.`;
  byId("scale-row").hidden = !about.scalable;
  const known = [...byId("scale").options].map((option) => option.value);
  if (known.includes(about.range.join(","))) byId("scale").value = about.range.join(",");
  drawScores();
  drawSoFar();
}

function radios(box, name, values, titles, chosen) {
  const current = values.includes(chosen) ? chosen : values[0];
  const inputs = [...byId(box).querySelectorAll("input")];
  if (inputs.map((input) => input.value).join() === values.join()) {
    for (const input of inputs) input.checked = input.value === current; // a click on one may be under way: it must stay
    return;
  }
  const legend = byId(box).querySelector("legend");
  byId(box).replaceChildren(
    legend,
    ...values.map((value) =>
      element(
        "label",
        { class: "choice" },
        element("input", { type: "radio", name, value, checked: value === current }),
        element("span", {}, element("b", {}, titles[value][0]), element("small", { class: "soft" }, titles[value][1])),
      ),
    ),
  );
}

function checked(name) {
  return byId("setup").querySelector(`input[name="${name}"]:checked`)?.value;
}

function drawModes(wanted) {
  const target = checked("target");
  const filtered = Object.values(about.modes).some((modes) => modes.includes("filtered sound"));
  const modes = target === "parts" ? ["blind", ...(filtered ? ["filtered"] : []), "all"] : about.modes[target];
  radios("modes", "mode", modes, MODES, wanted);
}

/** Show what is missing for the order or the proposals. Return whether the rating can begin. */
function drawScores() {
  const needed = needsScores(byId("order").value) || byId("propose").checked;
  const run = byId("by").value;
  const box = byId("scores");
  const ready = about.proposers.find((proposer) => proposer.by === run)?.ready;
  box.hidden = !(needed && !run) && !(run && !ready);
  if (needed && !run) box.replaceChildren(`${needsScores(byId("order").value) ? "This order needs" : "Proposals need"} scores. Choose a run under Scores.`);
  else if (run && !ready) box.replaceChildren(`${run} has not scored these clips yet. `, element("button", { type: "button", onclick: () => score(run) }, "Score them now"));
  const canBegin = !needed || Boolean(run && ready);
  if (canBegin) box.className = "soft";
  return canBegin;
}

async function score(run) {
  const begun = await attempt(() => ask("/v1/ratings/proposals", { json: { source, run } }));
  if (!begun) return;
  const box = byId("scores");
  await poll(async () => {
    const job = await ask(`/v1/jobs/${begun.job}`).catch(() => null);
    if (!job) return false;
    box.hidden = false;
    if (!job.over) box.replaceChildren(`${run} is scoring the clips. To rate before they are ready, choose another order, and no proposals. `, element("progress", { "aria-label": "Scoring" }));
    else if (job.status !== "finished") notify(`The scores could not be made. ${job.problem}`, "error");
    return job.over;
  }, 1000);
  await loadSetup();
}

function drawSoFar() {
  const target = checked("target");
  const done = target === "parts" ? Object.entries(about.done).reduce((sum, [name, number]) => sum + (name === "clip" ? 0 : number), 0) : about.done[target] ?? 0;
  const total = about.clips * (target === "parts" ? Object.keys(about.modes).length - 1 : 1);
  const others = about.raters.filter((name) => name !== byId("name").value.trim());
  const people = others.length ? ` Others who rate here: ${others.slice(0, 3).join(", ")}${others.length > 3 ? " and more" : ""}.` : "";
  byId("so-far").textContent = `${done} of ${total} done.${people}`;
}

async function start() {
  const rater = byId("name").value.trim().replace(/\s+/g, " ");
  if (!rater) return void byId("name").focus();
  localStorage.setItem("selfmm.rater", rater);
  if (!drawScores()) {
    byId("scores").className = "problem";
    return void byId(byId("by").value ? "scores" : "by").focus();
  }
  if (about.scalable && byId("scale").value !== about.range.join(",")) {
    const range = byId("scale").value.split(",").map(Number);
    if (!(await attempt(() => ask("/v1/ratings/scale", { json: { source, range } })))) return;
  }
  const order = byId("order").value;
  const most = Number(byId("most").value) || null;
  // With a number of clips, all raters must get the same ones: the seed is that of a link with this number, or 0.
  const shared = Number(parameters().get("most")) === (most ?? 0) ? parameters().get("seed") : null;
  const seed = shared ?? (most ? "0" : String(Math.floor(Math.random() * 1e6)));
  remember(
    {
      view: "rate",
      target: checked("target"),
      mode: checked("mode"),
      order: order === "given" ? null : order,
      seed: order === "random" ? seed : null,
      most,
      by: byId("by").value || null,
      propose: byId("propose").checked && byId("by").value ? "1" : null,
      clip: null,
    },
    { push: true },
  );
  await show();
}

// The session

const needsScores = (order) => ["disagreement", "uncertainty"].includes(order);

async function openSession() {
  const link = parameters();
  const rater = localStorage.getItem("selfmm.rater");
  if (!rater) {
    remember({ view: null });
    return show();
  }
  const query = new URLSearchParams({ source, rater });
  for (const name of CHOICES) if (link.get(name)) query.set(name, link.get(name));
  const [now, plan] = await Promise.all([attempt(() => ask(`/v1/ratings?source=${encodeURIComponent(source)}`)), attempt(() => ask(`/v1/ratings/tasks?${query}`))]);
  if (!now || !plan) return;
  if (!plan.scored && (needsScores(link.get("order")) || link.get("propose") === "1")) {
    notify("The run has not scored these clips yet, so they have no such order and no proposals. Score them first, or choose another order.", "error");
    remember({ view: null });
    return show();
  }
  const choice = { rater, by: link.get("by") ?? "", propose: link.get("propose") === "1", range: now.range, keys: now.keys };
  session?.stage.stop();
  session = new Session(choice, plan, queue, () => remember({ clip: null }));
  byId("end-low").textContent = "most negative";
  byId("end-middle").textContent = "neutral";
  byId("end-high").textContent = "most positive";
  byId("help-digits").replaceChildren(element("kbd", {}, "1"), " … ", element("kbd", {}, String(now.keys.length)));
  session.begin(link.get("clip"), link.get("target"));
}

function onKey(event) {
  const { target, key } = event;
  if (byId("help").open || event.ctrlKey || event.metaKey || event.altKey || byId("session").hidden) return;
  const typing = target.matches?.("textarea, select, input:not([type=range], [type=radio], [type=checkbox])");
  if (typing || (key === " " && target.matches?.("button, a, summary"))) return;
  const digit = /^[1-9]$/.test(key) ? Number(key) : 0;
  const actions = {
    " ": () => session.stage.toggle(),
    a: () => byId("accept").hidden || session.rate(session.proposal, true),
    u: () => session.undo(),
    s: () => session.skip(),
    j: () => session.go(session.at + 1),
    k: () => session.go(session.at - 1),
    "?": () => byId("help").showModal(),
    Enter: () => target === byId("slider") && session.rate(Number(byId("slider").value)),
  };
  const action = digit && digit <= session.choice.keys.length ? () => session.rate(session.choice.keys[digit - 1]) : actions[key.toLowerCase?.() ?? key] ?? actions[key];
  if (!action || (key === "Enter" && target !== byId("slider"))) return;
  event.preventDefault();
  action();
}

// Views

async function show() {
  const view = parameters().get("view") ?? "setup";
  const tab = view === "rate" ? "setup" : view;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.dataset.view === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const id of ["setup", "session", "finished", "agreement", "train"]) byId(id).hidden = id !== view;
  if (view !== "rate") session?.stage.stop();
  if (view === "setup") await loadSetup();
  else if (view === "rate") {
    byId("session").hidden = true;
    await openSession();
  } else await showOverview(source, linkTo);
}

function linkTo(id, target) {
  const mode = target === "clip" ? "all" : "blind";
  return `?${new URLSearchParams({ view: "rate", target, mode, clip: id })}`;
}

byId("name").value = localStorage.getItem("selfmm.rater") ?? "";
byId("order").value = parameters().get("order") ?? "given";
byId("propose").checked = parameters().get("propose") === "1";
byId("most").value = parameters().get("most") ?? "";
byId("setup").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
byId("targets").addEventListener("change", () => {
  drawModes(null);
  drawSoFar();
});
byId("name").addEventListener("change", loadSetup);
byId("by").addEventListener("change", loadSetup);
for (const id of ["order", "propose"]) byId(id).addEventListener("change", drawScores);
byId("slider").addEventListener("input", () => session.drawSlider());
byId("give").addEventListener("click", () => session.rate(Number(byId("slider").value)));
byId("accept").addEventListener("click", () => session.rate(session.proposal, true));
byId("undo").addEventListener("click", () => session.undo());
byId("skip").addEventListener("click", () => session.skip());
byId("back").addEventListener("click", () => session.go(session.at - 1));
byId("forward").addEventListener("click", () => session.go(session.at + 1));
byId("again").addEventListener("click", () => session.go(0));
byId("help-button").addEventListener("click", () => byId("help").showModal());
byId("train-start").addEventListener("click", () => startTraining(source));
byId("listed-labels").addEventListener("change", () => showOverview(source, linkTo));
document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-view]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href") === "?" ? location.pathname : link.href);
  show();
});
addEventListener("popstate", show);
addEventListener("beforeunload", (event) => {
  if (queue.problem && queue.keys().length) event.preventDefault();
});
setInterval(() => {
  if (!document.hidden && parameters().get("view") === "agreement") showOverview(source, linkTo);
}, 10_000);
queue.send();
show();
