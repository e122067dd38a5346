// Two runs clip by clip: how sure the difference is, where one is right and the other wrong, and every clip.
import { ask, attempt, element, parameters, pathOf, remember } from "./app.js";
import { choiceButtons, clipRows, clipSearch } from "./clip_rows.js";
import { plane, signed } from "./plane.js";

const form = document.getElementById("pair");
form.querySelector(".apply").hidden = true;
for (const field of form.querySelectorAll("select")) {
  field.addEventListener("change", () => {
    if (form.elements.a.value && form.elements.b.value) form.requestSubmit();
  });
}
document.getElementById("swap").addEventListener("click", () => {
  [form.elements.a.value, form.elements.b.value] = [form.elements.b.value, form.elements.a.value];
  if (form.elements.a.value && form.elements.b.value) form.requestSubmit();
});

const box = document.getElementById("compared");
if (box) attempt(show).then((done) => done || box.replaceChildren(element("p", { class: "problem" }, "The two runs could not be compared. The message below explains why.")));

async function show() {
  const { a, b, split, data } = box.dataset;
  const clips = await ask(`/v1/run-compare?${new URLSearchParams({ a, b, split })}`);
  if (!clips.id.length) {
    box.replaceChildren(element("p", { class: "empty" }, "No clip of this split has a label and was scored by both. Choose another split, or two runs on the same data set."));
    return true;
  }
  const error = (which, index) => Math.abs(clips[which][index] - clips.label[index]);
  const side = (value) => Math.sign(value - clips.neutral);
  const right = (which, index) => (side(clips.label[index]) === 0 ? null : side(clips[which][index]) === side(clips.label[index]));
  const groups = {
    all: () => true,
    a: (index) => right("a", index) === true && right("b", index) === false,
    b: (index) => right("b", index) === true && right("a", index) === false,
    none: (index) => right("a", index) === false && right("b", index) === false,
    apart: (index) => side(clips.a[index]) * side(clips.b[index]) < 0,
    far: (index) => Math.abs(error("a", index) - error("b", index)) > (clips.range[1] - clips.range[0]) / 6,
  };
  const every = clips.id.map((_, index) => index);
  const title = { all: "All clips", a: "Only A has the right sign", b: "Only B has the right sign", none: "Both have the wrong sign", far: "Errors differ much" };
  const state = { group: parameters().get("only") in title ? parameters().get("only") : "all" };

  const picture = element("div", { class: "plane" });
  const table = element("div", {});
  const search = clipSearch(() => update());
  const buttons = choiceButtons("Which clips", Object.entries(title).map(([key, text]) => [key, `${text} (${every.filter(groups[key]).length})`]), state.group, (key) => {
    state.group = key;
    remember({ only: key === "all" ? null : key });
    update();
  });
  box.replaceChildren(
    ...clips.notes.length ? [element("ul", { class: clips.split === "test" ? "warnings" : "notes" }, clips.notes.map((note) => element("li", {}, note)))] : [],
    ...verdict(clips.summary),
    element("h2", {}, "Clip by clip"),
    buttons,
    element("p", { class: "row" }, element("label", {}, "Find ", search.field)),
    element("div", { class: "beside" }, picture, element("div", {}, element("p", { class: "soft" }, "Each point is a clip. Above the dashed line A is closer to the label, below it B. Point at one to read it; a click opens the clip."), legend())),
    table,
  );
  const highest = Math.max(0.1, ...every.map((index) => Math.max(error("a", index), error("b", index)))) * 1.03;
  const link = (index) => `/data/${pathOf(data)}?clip=${encodeURIComponent(clips.id[index])}`;
  const drawn = plane(picture, {
    x: every.map((index) => error("a", index)),
    y: every.map((index) => error("b", index)),
    xRange: [0, highest],
    yRange: [0, highest],
    xTitle: "error of A",
    yTitle: "error of B",
    diagonal: true,
    label: `Error of B against error of A for ${every.length} clips.`,
    paint: (index) => (groups.a(index) ? "--text" : groups.b(index) ? "--vision" : groups.none(index) ? "--negative" : "--strong"),
    ring: groups.none,
    describe: (index) => `${clips.id[index]}: label ${signed(clips.label[index])}, A ${signed(clips.a[index])}, B ${signed(clips.b[index])}. ${clips.text[index]}`,
    open: data ? (index) => (location.href = link(index)) : null,
  });
  const score = (which) => ({
    key: which,
    title: `Score of ${which.toUpperCase()}`,
    number: true,
    value: (index) => clips[which][index],
    cell: (index) => signed(clips[which][index]),
    paint: (index) => (right(which, index) === false ? "negative" : ""),
  });
  const rows = clipRows(table, {
    caption: "Clips that both have scored",
    sorted: parameters().get("sort") ?? "-gain",
    onSort: (order) => remember({ sort: order === "-gain" ? null : order }),
    columns: [
      { key: "id", title: "Clip", value: (index) => clips.id[index], cell: (index) => (data ? element("a", { href: link(index) }, clips.id[index]) : clips.id[index]) },
      { key: "text", title: "Words", word: "words", cell: (index) => clips.text[index] },
      { key: "label", title: "Label", number: true, value: (index) => clips.label[index], cell: (index) => signed(clips.label[index]) },
      score("a"),
      score("b"),
      { key: "ea", title: "Error of A", number: true, value: (index) => error("a", index), cell: (index) => error("a", index).toFixed(2) },
      { key: "eb", title: "Error of B", number: true, value: (index) => error("b", index), cell: (index) => error("b", index).toFixed(2) },
      { key: "gain", title: "Closer by", meaning: "Difference of the two errors, and which run is closer", number: true, value: (index) => Math.abs(error("a", index) - error("b", index)), cell: (index) => `${error("a", index) < error("b", index) ? "A" : "B"} ${Math.abs(error("a", index) - error("b", index)).toFixed(2)}` },
    ],
    onPoint: (index) => drawn.select(index),
  });

  function update() {
    const chosen = every.filter((index) => groups[state.group](index) && search.has(`${clips.id[index]} ${clips.text[index]}`));
    drawn.update(chosen);
    rows.show(chosen);
  }
  update();
  return true;
}

function legend() {
  const entries = [["--text", "only A has the right sign"], ["--vision", "only B has the right sign"], ["--negative", "both have the wrong sign"], ["--strong", "both have the right sign, or the label is neutral"]];
  return element("ul", { class: "clips" }, entries.map(([name, text]) => {
    const dot = element("span", { class: "dot", "aria-hidden": "true" });
    if (name === "--negative") {
      dot.classList.add("ring");
      dot.style.borderColor = `var(${name})`;
    } else dot.style.background = `var(${name})`;
    return element("li", {}, dot, text);
  }));
}

function verdict(summary) {
  const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(0)} %`);
  const sentence = () => {
    const { difference } = summary;
    if (!difference) return "These clips do not show how certain the difference is.";
    const size = Math.abs(difference.value).toFixed(3);
    const where = `${summary.clips.toLocaleString("en")} clips${difference.recordings > 1 ? ` of ${difference.recordings.toLocaleString("en")} recordings` : ""}`;
    const range = `the error of B minus that of A is ${signed(difference.value, 3)}, with a 95 % interval from ${signed(difference.low, 3)} to ${signed(difference.high, 3)} (below 0, B is better; above 0, A is better)`;
    if (difference.verdict === "open") return `On ${where}, the two cannot be distinguished: the mean error of B is ${size} ${difference.value < 0 ? "smaller" : "larger"}; ${range}. The interval includes 0, so the difference may be chance.`;
    return `On ${where}, ${difference.verdict.toUpperCase()} is better: the mean error of B is ${size} ${difference.value < 0 ? "smaller" : "larger"}; ${range}.`;
  };
  const tile = (value, text, wins) => element("li", { class: wins ? "wins" : null }, element("b", {}, value), element("span", {}, text));
  return [
    element("p", { class: "headline" }, sentence()),
    element("ul", { class: "tiles" },
      tile(`${summary.mae[0].toFixed(3)} | ${summary.mae[1].toFixed(3)}`, "mean error of A | of B"),
      tile(`${percent(summary.signs[0])} | ${percent(summary.signs[1])}`, `right sign, A | B, of ${summary.sided} clips that are not neutral`),
      tile(String(summary.only[0]), "only A has the right sign"),
      tile(String(summary.only[1]), "only B has the right sign"),
      tile(String(summary.neither), "both have the wrong sign"),
      tile(`${summary.closer[0]} | ${summary.closer[1]}`, "clips where A | B is closer")),
  ];
}
