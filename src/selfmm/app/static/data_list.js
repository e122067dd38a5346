// A long list. Only the rows in view are in the page, and they come from the server a hundred at a time.

const PAGE = 100;
const MARGIN = 8; // rows before and after those in view
const SETTLED = 120; // ms without scrolling before pictures are loaded

export class LongList {
  /**
   * @param host the element to fill.
   * @param fetchRows async (offset, limit, signal) => rows.
   * @param views by name, functions that return { node, body, space(above, below), columns(), height, row(item, index) }.
   */
  constructor(host, fetchRows, views) {
    this.host = host;
    this.fetchRows = fetchRows;
    this.views = views;
    this.total = 0;
    this.pages = new Map(); // number -> rows, or a promise of them
    this.nodes = new Map(); // index -> its element
    this.settle = 0;
    const update = () => {
      if (!this.planned) this.planned = requestAnimationFrame(() => this.update());
      clearTimeout(this.settle);
      this.settle = setTimeout(() => this.pictures(), SETTLED);
    };
    addEventListener("scroll", update, { passive: true });
    new ResizeObserver(update).observe(host);
  }

  /** Show a view; the rows stay. */
  show(name) {
    this.view = this.views[name]();
    this.nodes.clear();
    this.host.replaceChildren(this.view.node);
    this.update();
    this.pictures();
  }

  /** Start again with another number of rows; `first` holds the first hundred. */
  reset(total, first) {
    this.controller?.abort();
    this.controller = new AbortController();
    this.total = total;
    this.pages.clear();
    this.pages.set(0, first);
    this.nodes.clear();
    if (this.view) {
      this.update();
      this.pictures();
    }
  }

  /** Return a row, or undefined while it is loading. */
  row(index) {
    const page = this.pages.get(Math.floor(index / PAGE));
    return Array.isArray(page) ? page[index % PAGE] : undefined;
  }

  get columns() {
    return this.view.columns();
  }

  /** Scroll to a row and put the focus on its link. */
  async focus(index) {
    if (index < 0 || index >= this.total) return;
    const line = Math.floor(index / this.columns);
    const top = this.top() + line * this.view.height;
    const head = 70;
    if (top - head < scrollY) scrollTo({ top: top - head });
    else if (top + this.view.height > scrollY + innerHeight) scrollTo({ top: top + this.view.height - innerHeight + 20 });
    this.update();
    await this.load(Math.floor(index / PAGE));
    this.nodes.get(index)?.querySelector("a")?.focus({ preventScroll: true });
  }

  /** Return the index of the row that has the focus; -1 if none has. */
  focused() {
    const node = document.activeElement?.closest("[data-index]");
    return node && this.host.contains(node) ? Number(node.dataset.index) : -1;
  }

  top() {
    return this.view.body.getBoundingClientRect().top + scrollY;
  }

  update() {
    this.planned = 0;
    if (!this.view) return;
    const { height, body } = this.view;
    const columns = this.columns;
    const lines = Math.ceil(this.total / columns);
    const offset = scrollY - this.top();
    const begin = Math.min(Math.max(Math.floor(offset / height) - MARGIN, 0), Math.max(lines - 1, 0));
    const end = Math.min(Math.ceil((offset + innerHeight) / height) + MARGIN, lines);
    const from = begin * columns;
    const to = Math.min(Math.max(end, begin) * columns, this.total);
    const shown = [];
    for (let index = from; index < to; index++) {
      let node = this.nodes.get(index);
      const item = this.row(index);
      if (!node || (item && node.dataset.waits)) {
        const row = this.view.row(item, index);
        row.dataset.index = index;
        if (!item) row.dataset.waits = "1";
        if (node?.isConnected) node.replaceWith(row);
        node = row;
        this.nodes.set(index, node);
      }
      shown.push(node);
      if (!item) this.load(Math.floor(index / PAGE));
    }
    for (const index of this.nodes.keys()) if (index < from || index >= to) this.nodes.delete(index);
    this.view.space(begin * height, Math.max(lines - Math.ceil(to / columns), 0) * height);
    const keep = new Set(shown);
    for (const child of [...body.children]) if (!keep.has(child) && !child.classList.contains("space")) child.remove();
    let after = body.firstElementChild; // the space before
    for (const node of shown) {
      if (after.nextElementSibling !== node) after.after(node);
      after = node;
    }
  }

  /** Load the pictures in view. */
  pictures() {
    for (const image of this.host.querySelectorAll("img[data-src]")) {
      image.src = image.dataset.src;
      image.removeAttribute("data-src");
    }
  }

  async load(page) {
    const known = this.pages.get(page);
    if (known) return known;
    const controller = this.controller;
    const coming = this.fetchRows(page * PAGE, PAGE, controller.signal).then(
      (rows) => {
        if (controller !== this.controller) return;
        this.pages.set(page, rows);
        this.update();
        this.pictures();
      },
      () => {
        if (controller === this.controller) setTimeout(() => this.pages.delete(page), 2000); // tried again on the next scroll
      },
    );
    this.pages.set(page, coming);
    return coming;
  }
}
