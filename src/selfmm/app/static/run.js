// The page of a run: curves that follow a training, scores against labels, and the report's pictures.
import { ask, attempt, copyOnClick, element, notify, parameters, pathOf, poll, remember } from "./app.js";
import { training } from "./curves.js";
import { plane, signed } from "./plane.js";
import { neutralOf } from "./score_bars.js";

const curves = document.getElementById("curves");
if (curves) attempt(curves.dataset.live ? follow : once);

async function once() {
  const history = await read(curves.dataset.run);
  if (history.problem) curves.replaceChildren(element("p", { class: "problem" }, history.problem));
  else training(curves, history);
}

function read(run) {
  return ask(`/v1/run-history?run=${encodeURIComponent(run)}`);
}

async function follow() {
  const words = document.getElementById("live-words");
  let seen = -1;
  await poll(async () => {
    const history = await read(curves.dataset.run);
    if (history.epochs.length !== seen) {
      seen = history.epochs.length;
      if (seen) training(curves, history);
      else curves.replaceChildren(element("p", { class: "soft" }, "No epoch is finished yet. The first one takes longest, because it loads the text encoder."));
      if (seen && history.state === "training") words.textContent = `Epoch ${history.epochs.at(-1)} of at most ${history.most ?? "?"} is finished. The best so far is epoch ${history.best}.`;
    }
    if (history.state === "finished") {
      location.reload();
      return true;
    }
    return history.state !== "training";
  }, 2000);
}

const answers = document.getElementById("answers");
if (answers) {
  const split = document.getElementById("split");
  const show = () => attempt(async () => {
    const { run, data } = answers.dataset;
    const clips = await ask(`/v1/run-clips?run=${encodeURIComponent(run)}&split=${split.value}`);
    if (!clips.id.length) {
      answers.replaceChildren(element("p", { class: "soft" }, "No clip of this split has a label and a score."));
      return;
    }
    const [low, high] = clips.range;
    const neutral = neutralOf(clips.range);
    const wrong = (index) => (clips.x[index] - neutral) * (clips.y[index] - neutral) < 0;
    const count = clips.id.filter((_, index) => wrong(index)).length;
    plane(answers, {
      x: clips.x,
      y: clips.y,
      xRange: widened([low, high], 0.03),
      yRange: widened([Math.min(low, ...clips.y), Math.max(high, ...clips.y)], 0.03),
      xTitle: "label",
      yTitle: "score",
      diagonal: true,
      cross: [neutral, neutral],
      label: `Score against label of ${clips.id.length} clips; ${count} have the wrong sign.`,
      hint: `${clips.id.length} clips; on the dashed line score and label are equal. ${count === 1 ? "1 ring has" : `${count} rings have`} the wrong sign.${data ? " Click a point to open its clip." : ""}`,
      paint: (index) => (wrong(index) ? "--negative" : "--text"),
      ring: wrong,
      describe: (index) => `${clips.id[index]}: label ${signed(clips.x[index])}, score ${signed(clips.y[index])}. ${clips.text[index]}`,
      open: data ? (index) => (location.href = `/data/${pathOf(data)}?clip=${encodeURIComponent(clips.id[index])}`) : null,
    });
  });
  const asked = parameters().get("split");
  if (asked && [...split.options].some((option) => option.value === asked)) split.value = asked;
  split.addEventListener("change", () => {
    remember({ split: split.value === split.options[0].value ? null : split.value });
    show();
  });
  show();
}

function widened([low, high], share) {
  return [low - (high - low) * share, high + (high - low) * share];
}

const drawing = document.getElementById("report-pictures");
document.getElementById("draw")?.addEventListener("click", (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  button.textContent = "Drawing …";
  attempt(async () => {
    const groups = await ask(`/v1/run-pictures?run=${encodeURIComponent(drawing.dataset.run)}`);
    drawing.replaceChildren(
      ...groups.map((group) => element("section", {}, element("h3", {}, group.title), element("div", { class: "gallery" }, group.pictures.map((picture) =>
        element("figure", {}, element("img", { src: picture.link, alt: picture.alt, loading: "lazy" }), element("figcaption", {}, element("a", { href: `${picture.link}&as=png`, download: true }, `${picture.name}.png`)))),
      ))),
    );
  }).finally(() => {
    button.disabled = false;
    button.textContent = "Show the pictures";
  });
});

document.getElementById("report")?.addEventListener("click", () => notify("The report is being written. The download starts when it is ready."));

copyOnClick("copy", "command");
