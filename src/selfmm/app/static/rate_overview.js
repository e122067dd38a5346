// The results of the ratings: how far the raters agree, where they disagree, and a training with the ratings.
import { ask, attempt, element, figure, pathOf, poll } from "./app.js";
import { NAMES, labelText, modeName, plural } from "./rate_words.js";

const byId = (id) => document.getElementById(id);

let followed = ""; // the job that is shown
let drawn = ""; // the summary that is shown; only another one is drawn, so that the focus stays where it is

/** Fill the part on agreement, and the one on training. */
export async function showOverview(source, linkTo) {
  const listed = byId("listed-labels").checked ? "1" : "0";
  const summary = await attempt(() => ask(`/v1/ratings/summary?${new URLSearchParams({ source, listed })}`));
  const text = JSON.stringify(summary);
  if (!summary || text === drawn) return;
  drawn = text;
  drawAgreement(summary);
  drawDisagreements(summary, linkTo);
  drawPlan(summary);
  if (summary.training && summary.training.job !== followed) follow(summary.training).catch(() => {});
  byId("exports").hidden = !summary.raters.length;
}

function drawAgreement({ agreement, raters, range, damaged }) {
  const cards = agreement.map((row) =>
    element(
      "section",
      { class: "card alpha" },
      element("h3", {}, `${NAMES[row.target] ?? row.target}${row.split || row.mode !== "all" ? `: ${modeName(row.mode)}` : ""}`),
      element(
        "p",
        { class: "big" },
        row.alpha === null ? "–" : row.alpha.toFixed(2).replace("-", "−"),
        element("small", { class: "soft" }, " Krippendorff's alpha"),
      ),
      row.alpha === null ? null : meter(row.alpha),
      element("p", {}, row.sentence),
      element(
        "p",
        { class: "soft" },
        `${plural(row.ratings, "rating")} of ${plural(row.clips, "clip")} by ${plural(row.raters, "person").replace("persons", "people")}; ` +
          `${row.shared} rated by several.` +
          (row.difference === null ? "" : ` Two raters differ by ${Number(row.difference).toFixed(2)} on average, on a scale of ${figureRange(range)}.`),
      ),
    ),
  );
  if (!cards.length) cards.push(element("section", { class: "card" }, element("h3", {}, "No ratings yet"), element("p", { class: "soft" }, "Agreement is shown here once two people have rated the same clips.")));
  if (raters.length) {
    cards.push(
      element(
        "section",
        { class: "card" },
        element("h3", {}, "Raters"),
        element("ul", { class: "list" }, raters.map(({ rater, ratings }) => element("li", {}, rater, element("span", { class: "side soft" }, plural(ratings, "rating"))))),
        damaged ? element("p", { class: "soft" }, `${plural(damaged, "line")} of the file could not be read, for example after a crash.`) : null,
      ),
    );
  }
  byId("agreement-cards").replaceChildren(...cards);
}

function figureRange([low, high]) {
  return `${labelText(low, [low, high])} to ${labelText(high, [low, high])}`;
}

/** A bar from 0 to 1 with marks at the levels that Krippendorff recommends. */
function meter(alpha) {
  const bar = element("div", { class: "alpha-bar", role: "img", "aria-label": `${alpha.toFixed(2)} on a scale from 0 to 1; 0.67 is tentative, 0.8 reliable` });
  const fill = element("span", { class: "fill" });
  fill.style.width = `${Math.min(Math.max(alpha, 0), 1) * 100}%`;
  bar.append(fill, element("span", { class: "mark tentative", title: "0.67: tentative" }), element("span", { class: "mark reliable", title: "0.80: reliable" }));
  return bar;
}

function drawDisagreements({ disagreements, range }, linkTo) {
  const rows = disagreements.filter((row) => row.range > 0);
  if (!rows.length) {
    const why = disagreements.length ? "All raters gave the same labels." : "No clip has been rated by two people yet.";
    byId("disagreements").replaceChildren(element("p", { class: "soft" }, why));
    return;
  }
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort();
  const key = element("p", { class: "rater-key" }, names.map((name, number) => element("span", {}, dot(name, number), ` ${name}`)));
  const list = element("ul", { class: "disagreements" }, rows.map((row) => disagreement(row, names, range, linkTo)));
  byId("disagreements").replaceChildren(key, list);
}

function disagreement(row, names, [low, high], linkTo) {
  const lane = element("div", { class: "lane", role: "img", "aria-label": Object.entries(row.labels).map(([name, label]) => `${name}: ${labelText(label, [low, high])}`).join(", ") });
  const place = (value) => `${((value - low) / (high - low)) * 100}%`;
  const span = element("span", { class: "span" });
  const labels = Object.values(row.labels);
  span.style.left = place(Math.min(...labels));
  span.style.width = `${((Math.max(...labels) - Math.min(...labels)) / (high - low)) * 100}%`;
  lane.append(element("span", { class: "line" }), span);
  const seen = {};
  for (const [name, label] of Object.entries(row.labels).sort((first, second) => first[1] - second[1])) {
    const mark = dot(name, names.indexOf(name));
    mark.style.marginLeft = `${(seen[label] ?? 0) * 1.3}rem`; // next to the dots of others with the same label
    seen[label] = (seen[label] ?? 0) + 1;
    mark.style.left = place(label);
    mark.title = `${name}: ${labelText(label, [low, high])}`;
    lane.append(mark);
  }
  return element(
    "li",
    {},
    element("div", { class: "what" }, element("a", { href: linkTo(row.id, row.target) }, row.id), element("span", { class: "soft" }, NAMES[row.target] ?? row.target), row.text ? element("span", { class: "soft quote" }, row.text) : null),
    lane,
    element("span", { class: "number" }, `${figure(row.mean, [low, high])} mean, ${row.range.toFixed(2).replace(/\.?0+$/, "")} apart`),
    Object.keys(row.modes).length ? element("p", { class: "soft ways" }, `They saw and heard different things: ${Object.entries(row.modes).map(([name, mode]) => `${name} ${modeName(mode)}`).join(", ")}.`) : null,
  );
}

function dot(name, number) {
  return element("span", { class: `dot r${number % 6}`, "aria-hidden": "true" }, name.slice(0, 1).toUpperCase());
}

/** Say which labels the table in the folder has, that nobody gave here. */
function drawListed({ listing, listed }) {
  const { words = 0, clip = 0, ...ofParts } = listed;
  const labels = [clip ? plural(clip, "whole clip") : "", ...Object.entries(ofParts).map(([name, number]) => `the ${NAMES[name] ?? name} of ${plural(number, "clip")}`)].filter(Boolean);
  byId("train-words").hidden = !words;
  byId("train-words").textContent = `The words of ${plural(words, "clip")} come from the table ${listing} in this folder.`;
  byId("train-listed").hidden = !labels.length;
  byId("train-listed-text").textContent = `Also use the labels in the table ${listing}: of ${labels.join(", ")}. Ratings of whole clips given here replace those in the table.`;
}

function drawPlan({ plan, ...summary }) {
  drawListed(summary);
  const alone = Object.entries(plan.alone).map(([name, number]) => `${number} of the ${NAMES[name] ?? name}`);
  const earlier = plan.labelled - plan.clips;
  const parts = [`${plural(plan.clips, "whole clip")} of ${plan.total} rated by ${plan.raters === 1 ? "one person" : `${plan.raters} people`}`];
  if (!plan.raters) parts[0] = `No ratings yet; ${plural(plan.total, "clip")} to rate`;
  if (alone.length) parts.push(`ratings of single parts: ${alone.join(", ")}`);
  if (earlier > 0) parts.push(`${plural(earlier, "other clip")} with an earlier label`);
  byId("train-counts").textContent = `${parts.join("; ")}. Where several people rated a clip, the mean counts.`;
  byId("train-steps").replaceChildren(...plan.steps.map((step) => element("li", {}, step)));
  byId("train-expect").replaceChildren(element("h3", {}, "What to expect"), ...plan.expect.map((sentence) => element("p", {}, sentence)));
  byId("train-problem").hidden = !plan.problem;
  byId("train-problem").textContent = plan.problem;
  byId("train-start").disabled = Boolean(plan.problem);
}

/** Return the share of a step that is done, 0 to 1. */
function part(progress) {
  return progress && progress[1] ? progress[0] / progress[1] : 0;
}

/** Start a training with the ratings, and follow it. */
export async function startTraining(source) {
  const button = byId("train-start");
  button.disabled = true;
  const recogniser = byId("recogniser")?.value ?? "tiny.en";
  const begun = await attempt(() => ask("/v1/ratings/train", { json: { source, recogniser, listed: byId("listed-labels").checked } }));
  if (!begun) {
    button.disabled = false;
    return;
  }
  await follow(begun);
  button.disabled = false;
}

/** Show a training until it is over. */
async function follow(begun) {
  followed = begun.job;
  const box = byId("train-job");
  await poll(async () => {
    const job = await ask(`/v1/jobs/${begun.job}`).catch((error) => (error.status === 404 ? "gone" : null));
    if (job === "gone" || followed !== begun.job) return true;
    if (!job) return false;
    const shown = [
      element("p", {}, `Training of ${job.created}: `, element("span", { class: `state ${job.status}` }, job.status), job.status === "running" ? ` step ${job.done + 1} of ${job.commands.length}` : ""),
      job.over ? null : element("progress", { max: job.commands.length, value: job.done + part(job.progress), "aria-label": "Progress of the training" }),
      job.problem ? element("p", { class: "problem" }, job.problem) : null,
      element(
        "p",
        { class: "row" },
        job.status === "finished" ? element("a", { class: "button primary", href: `/runs/${pathOf(begun.run)}` }, "Open the new run") : null,
        element("a", { class: "button", href: `/jobs/${begun.job}` }, job.over ? "See what it printed" : "Follow it"),
      ),
    ];
    box.replaceChildren(...shown.filter(Boolean));
    return job.over;
  }, 1000);
}
