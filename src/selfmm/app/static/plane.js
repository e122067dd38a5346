// A picture of many clips as points. The pointer or the keys choose a point and open its clip.
import { element, figure } from "./app.js";

const NEAR = 22; // pixels from a point to the pointer
const LEFT = 44;
const BOTTOM = 38;
const TOP = 10;
const RIGHT = 12;

/** Return a colour of the page, such as "--text". */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888";
}

/** Call `draw` now, when the box changes its width, and when the page turns dark or light. */
export function onLook(box, draw) {
  const observer = new ResizeObserver(() => draw());
  observer.observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}

/** Return round numbers between two ends, about `count` of them. */
export function ticks(low, high, count = 7) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power;
  const marks = [];
  for (let mark = Math.ceil(low / step - 1e-9) * step; mark <= high + step * 1e-6; mark += step) marks.push(Number(mark.toPrecision(6)));
  return marks;
}

/** Return a number as text, with its sign. */
export function signed(value, digits = 2) {
  return figure(value, [-1, 1], digits);
}

function axisNumber(value) {
  return (value < 0 ? "−" : "") + String(Math.abs(value));
}

/**
 * Draw points in a box, and return `{ update(shown), select(index) }`.
 * options: x, y (arrays), xTitle, yTitle, xRange, yRange ([low, high]), label (what the picture shows), paint(index)
 * (name of a colour), ring(index) (whether it is hollow), describe(index) (text of a point), open(index), diagonal (bool), cross ([x, y] of two thin lines).
 */
export function plane(box, options) {
  const canvas = element("canvas", { tabindex: "0", role: "img", "aria-label": `${options.label} Arrow keys go from point to point, Enter opens one.` });
  const tip = element("p", { class: "tip", "aria-live": "polite" }, options.hint ?? "Point at a clip.");
  box.replaceChildren(canvas, tip);
  let shown = options.x.map((_, index) => index);
  let current = -1;
  let places = [];

  const [xLow, xHigh] = options.xRange;
  const [yLow, yHigh] = options.yRange;
  let width = 0;
  let height = 0;
  const toX = (value) => LEFT + ((Math.min(Math.max(value, xLow), xHigh) - xLow) / (xHigh - xLow)) * (width - LEFT - RIGHT);
  const toY = (value) => height - BOTTOM - ((Math.min(Math.max(value, yLow), yHigh) - yLow) / (yHigh - yLow)) * (height - TOP - BOTTOM);

  function draw() {
    width = Math.max(Math.min(box.clientWidth, options.width ?? 640), 240);
    height = Math.round(Math.min(width * (options.shape ?? 0.78), 480));
    const ratio = devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px system-ui, sans-serif";
    frame(pen);
    const radius = shown.length > 3000 ? 1.8 : shown.length > 600 ? 2.6 : 4;
    pen.globalAlpha = shown.length > 3000 ? 0.4 : 0.65;
    places = shown.map((index) => [toX(options.x[index]), toY(options.y[index])]);
    const names = shown.map((index) => options.paint(index));
    const rings = shown.map((index) => options.ring?.(index) ?? false);
    for (const name of new Set(names)) {
      pen.fillStyle = pen.strokeStyle = colour(name);
      pen.lineWidth = 1.8;
      places.forEach(([x, y], place) => {
        if (names[place] !== name) return;
        pen.beginPath();
        pen.arc(x, y, rings[place] ? radius + 0.5 : radius, 0, 7);
        if (rings[place]) pen.stroke();
        else pen.fill();
      });
    }
    pen.globalAlpha = 1;
    if (current >= 0 && current < places.length) {
      pen.strokeStyle = colour("--focus");
      pen.lineWidth = 2.5;
      pen.beginPath();
      pen.arc(...places[current], radius + 4, 0, 7);
      pen.stroke();
    }
  }

  function frame(pen) {
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--soft");
    pen.lineWidth = 1;
    pen.textAlign = "center";
    for (const mark of ticks(xLow, xHigh, width < 420 ? 5 : 8)) {
      line(pen, toX(mark), TOP, toX(mark), height - BOTTOM);
      pen.fillText(axisNumber(mark), toX(mark), height - BOTTOM + 15);
    }
    pen.textAlign = "right";
    for (const mark of ticks(yLow, yHigh, 7)) {
      line(pen, LEFT, toY(mark), width - RIGHT, toY(mark));
      pen.fillText(axisNumber(mark), LEFT - 6, toY(mark) + 4);
    }
    pen.strokeStyle = colour("--strong");
    if (options.cross) {
      line(pen, toX(options.cross[0]), TOP, toX(options.cross[0]), height - BOTTOM);
      line(pen, LEFT, toY(options.cross[1]), width - RIGHT, toY(options.cross[1]));
    }
    if (options.diagonal) {
      const [low, high] = [Math.max(xLow, yLow), Math.min(xHigh, yHigh)];
      pen.setLineDash([5, 4]);
      line(pen, toX(low), toY(low), toX(high), toY(high));
      pen.setLineDash([]);
    }
    pen.fillStyle = colour("--ink");
    pen.textAlign = "center";
    pen.fillText(options.xTitle, (LEFT + width - RIGHT) / 2, height - 4);
    pen.save();
    pen.translate(12, (TOP + height - BOTTOM) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(options.yTitle, 0, 0);
    pen.restore();
  }

  function line(pen, x0, y0, x1, y1) {
    pen.beginPath();
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
    pen.stroke();
  }

  function point(place) {
    if (place === current) return;
    current = place;
    tip.textContent = place < 0 ? options.hint ?? "Point at a clip." : options.describe(shown[place]);
    draw();
    options.onPoint?.(place < 0 ? null : shown[place]);
  }

  function nearest(event) {
    const area = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    let best = -1;
    let least = NEAR ** 2;
    places.forEach(([px, py], place) => {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [best, least] = [place, distance];
    });
    return best;
  }

  canvas.addEventListener("pointermove", (event) => {
    const place = nearest(event);
    canvas.style.cursor = place >= 0 && options.open ? "pointer" : "default";
    point(place);
  });
  canvas.addEventListener("pointerleave", () => point(-1));
  canvas.addEventListener("click", (event) => {
    const place = nearest(event);
    if (place < 0) return;
    if (event.pointerType === "touch" && place !== current) point(place);
    else options.open?.(shown[place]);
  });
  canvas.addEventListener("keydown", (event) => {
    const order = places.map((_, place) => place).sort((a, b) => places[a][0] - places[b][0] || places[b][1] - places[a][1]);
    if (event.key === "Enter" && current >= 0) options.open?.(shown[current]);
    else if (["ArrowRight", "ArrowLeft", "Home", "End"].includes(event.key) && order.length) {
      event.preventDefault();
      const now = order.indexOf(current);
      const to = { ArrowRight: now + 1, ArrowLeft: now < 0 ? order.length - 1 : now - 1, Home: 0, End: order.length - 1 }[event.key];
      point(order[Math.min(Math.max(to, 0), order.length - 1)]);
    }
  });
  onLook(box, draw);
  return {
    update(indices) {
      shown = indices;
      current = -1;
      tip.textContent = options.hint ?? "Point at a clip.";
      draw();
    },
    select(index) {
      point(shown.indexOf(index));
    },
  };
}
