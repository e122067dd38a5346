// The generated labels of a run: verdicts, the audit, each clip as a point and as a row, and how the epochs changed them.
import { ask, attempt, element, parameters, pathOf, remember, svg, waiting } from "./app.js";
import { choiceButtons, clipRows, clipSearch } from "./clip_rows.js";
import { curve, look } from "./curves.js";
import { plane, signed } from "./plane.js";

const box = document.getElementById("labels");
attempt(show).then((done) => done || box.replaceChildren(element("p", { class: "problem" }, "The labels could not be read. The message below explains why.")));

async function show() {
  const { run, data } = box.dataset;
  const ready = waiting(box, "The labels are being audited. The first time, this takes some seconds.");
  const audit = await ask(`/v1/run-labels?run=${encodeURIComponent(run)}`).finally(ready);
  const { clips, modalities } = audit;
  const every = clips.id.map((_, index) => index);
  const neutral = audit.neutral;
  const flipped = (name, index) => (clips[`u_${name}`][index] - neutral) * (clips.m[index] - neutral) < 0;
  const asked = parameters();
  const state = {
    modality: modalities.includes(asked.get("modality")) ? asked.get("modality") : modalities[0],
    split: asked.get("split") ?? "",
    only: asked.get("only") ?? "all",
  };
  const splits = [...new Set(clips.split)];
  const picture = element("div", { class: "plane" });
  const table = element("div", {});
  const detail = element("div", { id: "one-clip", "aria-live": "polite" });
  const search = clipSearch(() => update());
  const splitChoice = element("select", {}, element("option", { value: "" }, "all"), splits.map((name) => element("option", { value: name, selected: name === state.split }, name)));
  const onlyChoices = [["all", "All"], ["flipped", "Sign changed"], ["disagree", "Modalities disagree"]];
  if (modalities.some((name) => clips[`trust_${name}`])) onlyChoices.push(["trusted", "Trust above 0.3"]);

  box.replaceChildren(
    element("section", {}, element("h2", {}, "How far to trust them"),
      element("p", { class: "soft" }, `${audit.title[0].toUpperCase()}${audit.title.slice(1)}; rule: ${audit.rule}.`),
      element("ul", { class: "verdicts" }, audit.verdicts.map(([name, verdict]) => element("li", {}, dot(look(name, modalities.indexOf(name)).colour), element("b", {}, name), `: ${verdict}.`))),
      audit.notes.length ? element("ul", { class: "notes" }, audit.notes.map((note) => element("li", {}, coded(sentence(note))))) : "",
      figures("Audit of the labels", modalities, audit.audit),
      audit.recovery.length ? figures("Compared with the known labels of single modalities: u-label | m-label, which a u-label must beat", audit.recovered, audit.recovery) : ""),
    element("section", {}, element("h2", {}, "Distribution"), histograms(audit)),
    epochs(audit),
    element("section", {}, element("h2", {}, "Each clip"),
      element("p", {}, "If a u-label is far from its m-label, this modality alone expresses something else, as in irony; or the label is wrong. Look at the clip."),
      choiceButtons("Modality", modalities.map((name) => [name, name]), state.modality, (name) => {
        state.modality = name;
        remember({ modality: name === modalities[0] ? null : name });
        paint();
      }),
      element("div", { class: "row" },
        choiceButtons("Which clips", onlyChoices, state.only, (key) => {
          state.only = key;
          remember({ only: key === "all" ? null : key });
          update();
        }),
        splits.length > 1 ? element("label", {}, "Split ", splitChoice) : "",
        element("label", {}, "Find ", search.field)),
      element("div", { class: "beside" }, picture, detail),
      table),
  );
  let drawn = null;

  function paint() {
    const name = state.modality;
    const values = clips[`u_${name}`];
    const known = values.filter((value) => value !== null);
    const space = (audit.range[1] - audit.range[0]) * 0.03;
    const reach = audit.range[1] - audit.range[0]; // labels far outside the range are drawn at the edge
    const low = Math.max(Math.min(audit.range[0], ...known), audit.range[0] - reach) - space;
    const high = Math.min(Math.max(audit.range[1], ...known), audit.range[1] + reach) + space;
    const beyond = known.filter((value) => value < low || value > high).length;
    drawn = plane(picture, {
      x: clips.m,
      y: values,
      xRange: [audit.range[0] - space, audit.range[1] + space],
      yRange: [low, high],
      xTitle: "m-label, from people",
      yTitle: `u-label of ${name}`,
      diagonal: true,
      cross: [neutral, neutral],
      label: `u-label of ${name} against the m-label of ${known.length} clips.`,
      hint: `On the dashed line both labels are equal. Rings: the sign has changed.${beyond ? ` ${beyond} far outside the range of labels ${beyond === 1 ? "is" : "are"} at the edge.` : ""} Point at a clip; a click shows its labels.`,
      paint: (index) => (flipped(name, index) ? "--ink" : look(name, modalities.indexOf(name)).colour),
      ring: (index) => flipped(name, index),
      describe: (index) => `${clips.id[index]}: m ${signed(clips.m[index])}, u of ${name} ${signed(values[index])}${trust(name, index)}. ${clips.text?.[index] ?? ""}`,
      open: (index) => choose(index),
    });
    update();
  }

  function trust(name, index) {
    const value = clips[`trust_${name}`]?.[index];
    return value === null || value === undefined ? "" : `, trust ${value.toFixed(2)}`;
  }

  async function choose(index) {
    const made = Object.fromEntries(modalities.map((name) => [name, element("td", {}, "…")]));
    const number = (values) => element("td", { class: "number" }, values ? values[index]?.toFixed(2) ?? "–" : "unknown");
    const one = (name) => element("tr", {}, element("th", { scope: "row" }, dot(look(name, modalities.indexOf(name)).colour), name), element("td", { class: "number" }, signed(clips[`u_${name}`][index])), number(clips[`expected_error_${name}`]), number(clips[`trust_${name}`]), made[name]);
    const chart = element("div", {});
    detail.replaceChildren(
      element("h3", {}, clips.id[index]),
      clips.text?.[index] ? element("p", {}, clips.text[index]) : "",
      element("p", {}, `m-label ${signed(clips.m[index])}`),
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Labels of this clip" }, element("table", { class: "figures" }, element("thead", {}, element("tr", {}, ["modality", "u-label", "expected error", "trust", "how it was made"].map((head, place) => element("th", { scope: "col", class: place >= 1 && place <= 3 ? "number" : null }, head)))), element("tbody", {}, modalities.map(one)))),
      chart,
      data ? element("p", { class: "row" }, element("a", { class: "button", href: `/data/${pathOf(data)}?clip=${encodeURIComponent(clips.id[index])}` }, "Open the clip"), element("a", { class: "button", href: `/runs/${pathOf(run)}?view=explain&clip=${encodeURIComponent(clips.id[index])}` }, "Why this score?")) : "",
    );
    remember({ clip: clips.id[index] });
    if (!audit.finished) return; // its labels are not in one file yet
    await attempt(async () => {
      const past = await ask(`/v1/run-labels-clip?${new URLSearchParams({ run, clip: clips.id[index] })}`);
      for (const name of modalities) made[name].textContent = past.made[name] || past.outcomes[name]?.replaceAll("_", " ") || "–";
      const numbers = Object.values(past.epochs)[0];
      if (numbers?.length > 1) curve(chart, { title: "Its labels over the epochs", epochs: numbers, best: audit.epoch, digits: 2, height: 190, lines: [...modalities.map((name, place) => ({ ...look(name, place), values: past.labels[name] })), { title: "m", values: numbers.map(() => past.m), colour: "--strong", dash: [4, 4] }] });
    });
  }

  const rows = clipRows(table, {
    caption: "Labels of each clip",
    sorted: asked.get("sort") ?? "-disagreement",
    onSort: (order) => remember({ sort: order === "-disagreement" ? null : order }),
    columns: [
      { key: "id", title: "Clip", value: (index) => clips.id[index], cell: (index) => element("button", { type: "button", class: "plain link", onclick: () => { choose(index); detail.scrollIntoView({ block: "nearest" }); } }, clips.id[index]) },
      { key: "text", title: "Words", word: "words", cell: (index) => clips.text?.[index] ?? "" },
      ...(splits.length > 1 ? [{ key: "split", title: "Split", value: (index) => clips.split[index], cell: (index) => clips.split[index] }] : []),
      { key: "m", title: "m-label", number: true, value: (index) => clips.m[index], cell: (index) => signed(clips.m[index]) },
      ...modalities.map((name) => ({ key: name, title: `u ${name}`, number: true, value: (index) => clips[`u_${name}`][index], cell: (index) => [signed(clips[`u_${name}`][index]), clips[`trust_${name}`] ? element("small", {}, `trust ${clips[`trust_${name}`][index]?.toFixed(2) ?? "–"}`) : ""], paint: (index) => (flipped(name, index) ? "negative" : "") })),
      { key: "disagreement", title: "Range", meaning: "Largest minus smallest of the m-label and the u-labels", number: true, value: (index) => clips.disagreement[index], cell: (index) => clips.disagreement[index]?.toFixed(2) ?? "–" },
    ],
    onPoint: (index) => drawn?.select(index),
  });

  function update() {
    const wanted = {
      all: () => true,
      flipped: (index) => flipped(state.modality, index),
      disagree: (index) => {
        const sides = modalities.map((name) => Math.sign((clips[`u_${name}`][index] ?? neutral) - neutral));
        return sides.includes(1) && sides.includes(-1);
      },
      trusted: (index) => clips[`trust_${state.modality}`]?.[index] > 0.3,
    }[state.only] ?? (() => true);
    const chosen = every.filter((index) => wanted(index) && (!state.split || clips.split[index] === state.split) && search.has(`${clips.id[index]} ${clips.text?.[index] ?? ""}`));
    drawn.update(chosen.filter((index) => clips[`u_${state.modality}`][index] !== null));
    rows.show(chosen);
  }

  splitChoice.addEventListener("change", () => {
    state.split = splitChoice.value;
    remember({ split: splitChoice.value || null });
    update();
  });
  paint();
  const first = clips.id.indexOf(asked.get("clip"));
  if (first >= 0) await choose(first);
  else detail.replaceChildren(element("p", { class: "soft" }, "Choose a clip in the picture or in the table to see its labels here."));
  return true;
}

function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : "";
}

/** Return a text with commands between backticks as code. */
function coded(text) {
  return text.split("`").map((piece, place) => (place % 2 ? element("code", {}, piece) : piece));
}

function dot(name) {
  const mark = element("span", { class: "dot", "aria-hidden": "true" });
  mark.style.background = `var(${name})`;
  return mark;
}

function figures(title, names, rows) {
  return element("details", { class: "reading" }, element("summary", {}, title),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, element("table", { class: "figures" },
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "figure"), names.map((name) => element("th", { scope: "col", class: "number" }, name)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, element("th", { scope: "row" }, row.name, row.meaning ? element("small", {}, row.meaning) : ""), row.cells.map((cell) => element("td", { class: "number" }, cell))))))));
}

/** The distribution of the labels of each modality, with that of the m-labels as a line; a slider goes through epochs. */
function histograms(audit) {
  const { history, modalities } = audit;
  const slider = element("input", { type: "range", min: 0, max: history.epochs.length - 1, value: Math.max(history.epochs.indexOf(audit.epoch), 0), "aria-label": "Epoch" });
  const words = element("span", { class: "soft" });
  const charts = element("div", { class: "curves" });
  const draw = () => {
    const place = Number(slider.value);
    words.textContent = `epoch ${history.epochs[place]}${history.epochs[place] === audit.epoch ? ", of the model" : ""}`;
    charts.replaceChildren(...modalities.map((name, number) => bars(name, look(name, number).colour, history.counts[name][place], history.m, history.edges)));
  };
  slider.addEventListener("input", draw);
  draw();
  return element("div", {}, history.epochs.length > 1 ? element("p", { class: "row" }, element("label", {}, "Epoch ", slider), words) : "", charts, element("p", { class: "soft" }, "Bars: u-labels. Line: m-labels of the same clips. Labels beyond the ends count in the outermost bars."));
}


function bars(name, paint, counts, whole, edges) {
  const highest = Math.max(1, ...counts, ...whole);
  const [width, height] = [320, 120];
  const step = width / counts.length;
  const total = counts.reduce((sum, value) => sum + value, 0);
  const mean = counts.reduce((sum, value, place) => sum + value * (edges[place] + edges[place + 1]) / 2, 0) / Math.max(total, 1);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height + 18}`, role: "img", "aria-label": `Distribution of the u-labels of ${name}: ${total} clips, mean ${mean.toFixed(2)}.` });
  counts.forEach((count, place) => {
    const bar = svg("rect", { x: place * step + 0.5, width: step - 1, y: height - (count / highest) * height, height: (count / highest) * height, fill: `var(${paint})` });
    bar.append(svg("title", {}));
    bar.firstChild.textContent = `${edges[place].toFixed(2)} to ${edges[place + 1].toFixed(2)}: ${count} u-labels, ${whole[place]} m-labels`;
    picture.append(bar);
  });
  picture.append(svg("polyline", { points: whole.map((count, place) => `${(place + 0.5) * step},${height - (count / highest) * height}`).join(" "), fill: "none", stroke: "var(--ink)", "stroke-width": 1.5, "stroke-opacity": 0.7 }));
  for (const [place, value, anchor] of [[0, edges[0], "start"], [width / 2, (edges[0] + edges.at(-1)) / 2, "middle"], [width, edges.at(-1), "end"]]) {
    const text = svg("text", { x: place, y: height + 14, "text-anchor": anchor, fill: "var(--soft)", "font-size": 12 });
    text.textContent = signed(value, 1);
    picture.append(text);
  }
  return element("figure", {}, element("figcaption", {}, dot(paint), element("b", {}, name), element("span", { class: "soft" }, ` mean ${signed(mean)}`)), picture);
}

/** Curves of the figures that change from epoch to epoch; none for labels that were estimated before training. */
function epochs(audit) {
  const names = audit.modalities.filter((name) => (audit.epochs[name]?.epoch.length ?? 0) > 1);
  if (!names.length) return "";
  const curves = element("div", { class: "curves" });
  const section = element("section", {}, element("h2", {}, "What the epochs did"), element("p", { class: "soft" }, "Dotted: the epoch whose weights the run keeps."), curves);
  const titles = { distance_m: ["Mean distance from the m-label", "mean |u − m|"], drift: ["Change since the epoch before", ""], flipped: ["Share with the opposite sign of m", "0 to 1"], separation: ["Separation of the class centres", ""] };
  requestAnimationFrame(() => {
    for (const [key, [title, note]] of Object.entries(titles)) {
      if (!names.some((name) => audit.epochs[name][key]?.some((value) => value !== null))) continue;
      curve(curves, { title, note, epochs: audit.epochs[names[0]].epoch, best: audit.epoch, lines: names.map((name, place) => ({ ...look(name, place), values: audit.epochs[name][key] })) });
    }
  });
  return section;
}
