// A table of many clips: sorted by a click on a heading, filtered, and shown in pieces.
import { element, parameters, remember } from "./app.js";

const PIECE = 20;

/**
 * Fill a box with a table. columns: { key, title, meaning, number, cell(index) (text or nodes), value(index), word }.
 * Returns { show(indices), sort(key) }. `remembered` is "key" or "-key"; `onSort` is called with that text.
 */
export function clipRows(box, { columns, caption, sorted, onSort, onPoint, rowHead }) {
  let indices = [];
  let order = sorted ?? "";
  let most = PIECE;
  const heads = columns.map((column) =>
    element("th", { scope: "col", class: column.number ? "number" : null, title: column.meaning },
      column.value ? element("button", { type: "button", onclick: () => sort(column) }, column.title) : column.title),
  );
  const body = element("tbody", {});
  const count = element("p", { class: "soft", "aria-live": "polite" });
  const more = element("button", { type: "button", onclick: () => { most += 4 * PIECE; draw(); } }, "Show more");
  box.replaceChildren(
    count,
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      element("table", { class: "rows" }, element("caption", { class: "visually-hidden" }, caption), element("thead", {}, element("tr", {}, heads)), body)),
    element("p", {}, more),
  );

  function sort(column) {
    const down = order === column.key || (order !== `-${column.key}` && column.number);
    order = down && order !== `-${column.key}` ? `-${column.key}` : column.key;
    most = PIECE;
    onSort?.(order);
    draw();
  }

  function arranged() {
    const column = columns.find((entry) => entry.key === order.replace(/^-/, ""));
    if (!column?.value) return indices;
    const sign = order.startsWith("-") ? -1 : 1;
    const unknown = (value) => value === null || value === undefined || Number.isNaN(value);
    return [...indices].sort((first, second) => {
      const [a, b] = [column.value(first), column.value(second)];
      if (unknown(a) || unknown(b)) return unknown(a) - unknown(b);
      return sign * (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
    });
  }

  function draw() {
    heads.forEach((head, place) => {
      const key = columns[place].key;
      if (order.replace(/^-/, "") === key) head.setAttribute("aria-sort", order.startsWith("-") ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const shown = arranged().slice(0, most);
    body.replaceChildren(
      ...shown.map((index) => {
        const row = element("tr", {}, columns.map((column, place) =>
          element(place === 0 && rowHead !== false ? "th" : "td", { scope: place === 0 && rowHead !== false ? "row" : null, class: [column.number ? "number" : "", column.word ?? "", column.paint?.(index) ?? ""].join(" ").trim() || null }, column.cell(index)),
        ));
        row.addEventListener("pointerenter", () => onPoint?.(index));
        row.addEventListener("focusin", () => onPoint?.(index));
        return row;
      }),
    );
    count.textContent = indices.length === 1 ? "1 clip" : `${indices.length.toLocaleString("en")} clips${shown.length < indices.length ? `, the first ${shown.length} shown` : ""}`;
    more.hidden = shown.length >= indices.length;
  }

  return {
    show(chosen) {
      indices = chosen;
      most = PIECE;
      draw();
    },
  };
}

/** Return buttons of which one is pressed: choices is [[key, title, count?], ...]. */
export function choiceButtons(label, choices, chosen, onChoose) {
  const buttons = choices.map(([key, title]) =>
    element("button", { type: "button", "aria-pressed": String(key === chosen), onclick: () => {
      buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(choices[place][0] === key)));
      onChoose(key);
    } }, title),
  );
  return element("div", { class: "buttons", role: "group", "aria-label": label }, buttons);
}

/** Return a field to find clips, and `has(text)`: whether a text has all its words. The page's link remembers them as `q`. */
export function clipSearch(onFind) {
  const field = element("input", { type: "search", value: parameters().get("q") ?? "", placeholder: "words or id", "aria-label": "Find clips by words or id" });
  field.addEventListener("input", () => {
    remember({ q: field.value || null });
    onFind();
  });
  const has = (text) => field.value.toLowerCase().split(/\s+/).every((word) => text.toLowerCase().includes(word));
  return { field, has };
}
