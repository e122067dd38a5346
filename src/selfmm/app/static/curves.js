// Curves over epochs, drawn by uPlot. The pointer or the table below shows each number.
import { element } from "./app.js";
import { colour, onLook } from "./plane.js";

const NAMES = { fusion: "all together" };

/**
 * Draw one picture: `lines` is a list of { title, values, colour, dash }; all share `epochs`, or what `across` names.
 * Arrow keys read one value after the other.
 */
export function curve(box, { title, epochs, lines, best, digits = 3, note, height = 220, across = "epoch" }) {
  const place = element("div", { class: "curve", tabindex: "0", role: "group", "aria-label": `${title}. Arrow keys read the values.` });
  const spoken = element("span", { class: "visually-hidden", "aria-live": "polite" });
  box.append(element("figure", {}, element("figcaption", {}, element("b", {}, title), note ? element("span", { class: "soft" }, ` ${note}`) : ""), place, spoken));
  let chart = null;
  let at = -1;
  const whole = epochs.every(Number.isInteger);
  place.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at < 0 ? epochs.length - 1 : at - 1, Home: 0, End: epochs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    at = Math.min(Math.max(to, 0), epochs.length - 1);
    chart.setCursor({ left: chart.valToPos(epochs[at], "x"), top: height / 3 });
    const value = (line) => line.values[at]?.toFixed(digits) ?? "unknown";
    spoken.textContent = `${across} ${whole ? epochs[at] : epochs[at].toFixed(2)}: ${lines.map((line) => `${line.title} ${value(line)}`).join(", ")}`;
  });
  onLook(place, () => {
    const width = Math.max(place.clientWidth, 220);
    chart?.destroy();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui" };
    chart = new window.uPlot(
      {
        width,
        height,
        cursor: { drag: { x: false, y: false } },
        scales: { x: { time: false, range: epochs.length > 1 ? [epochs[0], epochs.at(-1)] : [epochs[0] - 1, epochs[0] + 1] }, y: { range: (_, low, high) => padded(low, high) } },
        axes: [
          whole ? { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000], values: (_, marks) => marks.map((mark) => (Number.isInteger(mark) ? mark : "")) } : axis,
          { ...axis, size: 52, values: (_, marks) => marks.map((value) => (value === null ? "" : String(Number(value.toPrecision(6)) || 0).replace("-", "−"))) },
        ],
        series: [
          { label: across, value: (_, value) => (value === null || value === undefined ? "–" : whole ? value : value.toFixed(2)) },
          ...lines.map((line) => ({
            label: line.title,
            stroke: colour(line.colour),
            width: 2,
            dash: line.dash,
            points: { show: epochs.length < 60, size: 5 },
            value: (_, value) => (value === null || value === undefined ? "–" : value.toFixed(digits)),
          })),
        ],
        hooks: { draw: [(plot) => mark(plot, best)] },
      },
      [epochs, ...lines.map((line) => line.values)],
      place,
    );
  });
  return place;
}

function padded(low, high) {
  if (low === null) return [0, 1];
  const space = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - space < 0 && low >= 0 ? 0 : low - space, high + space];
}

/** Draw a dotted line at the epoch whose weights the run keeps. */
function mark(plot, best) {
  if (best === null || best === undefined) return;
  const x = plot.valToPos(best, "x", true);
  const pen = plot.ctx;
  pen.save();
  pen.strokeStyle = colour("--strong");
  pen.setLineDash([4, 4]);
  pen.beginPath();
  pen.moveTo(x, plot.bbox.top);
  pen.lineTo(x, plot.bbox.top + plot.bbox.height);
  pen.stroke();
  pen.restore();
}

/** Return the name and the colour of a modality, by its place among others. */
export function look(name, place = 0) {
  const known = { text: "--text", audio: "--audio", vision: "--vision", fusion: "--fusion" };
  return { title: NAMES[name] ?? name, colour: known[name] ?? ["--text", "--audio", "--vision", "--positive", "--negative"][place % 5] };
}

/** Draw the curves of a training from the columns of its history. */
export function training(box, history) {
  box.replaceChildren();
  const { epochs, columns, best } = history;
  const columns_ = element("div", { class: "curves" });
  box.append(columns_);
  curve(columns_, { title: "Validation error (MAE)", note: best ? `lowest ${Math.min(...columns.valid_mae.filter((value) => value !== null)).toFixed(3)} at epoch ${best}, dotted: the run keeps its weights` : "", epochs, best, lines: [{ title: "MAE", values: columns.valid_mae, colour: "--fusion" }] });
  if (columns.valid_corr) curve(columns_, { title: "Validation correlation", epochs, best, lines: [{ title: "Corr", values: columns.valid_corr, colour: "--positive" }] });
  const losses = Object.keys(columns).filter((key) => key.startsWith("loss_"));
  if (losses.length) {
    curve(columns_, {
      title: "Training losses",
      epochs,
      best,
      lines: losses.map((key, place) => ({ ...look(key.slice(5), place), values: columns[key], dash: key === "loss_fusion" ? undefined : [6, 3] })),
    });
  }
  const heads = ["epoch", "valid_mae", "valid_corr", ...losses].filter((key) => key === "epoch" || columns[key]);
  const names = { epoch: "epoch", valid_mae: "valid MAE", valid_corr: "valid Corr" };
  box.append(
    element("details", { class: "reading" }, element("summary", {}, `As numbers: ${epochs.length === 1 ? "1 epoch" : `${epochs.length} epochs`}`),
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The epochs as numbers" }, element("table", { class: "figures" },
        element("thead", {}, element("tr", {}, heads.map((key) => element("th", { scope: "col", class: "number" }, names[key] ?? `loss ${look(key.slice(5)).title}`)))),
        element("tbody", {}, epochs.map((epoch, row) => element("tr", { class: epoch === best ? "chosen" : null }, heads.map((key) => element("td", { class: "number" }, key === "epoch" ? String(epoch) : columns[key][row]?.toFixed(4) ?? "–"))))))),
    ),
  );
}
