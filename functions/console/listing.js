"use strict";

// A table that is filled page by page, and renewed in place: while someone reads, no row moves.

// Idle times are whole seconds, of two clocks.
const ORDER_TOLERANCE_MILLISECONDS = 2000;

class Listing {
  /**
   * @param {object} options
   * @param {string} options.title the heading, which also names the table
   * @param {string} options.noun what one row is, such as "session"
   * @param {Array<{name: string, cell: (item: object) => Node|string, isNumber?: boolean}>} options.columns
   * @param {(item: object) => string} options.keyOf what tells the rows apart
   * @param {(cursor?: string) => Promise<{items: object[], next?: string}>} options.fetchPage
   * @param {Array<Node|string>} options.empty what stands there without a row
   * @param {(item: object) => number} [options.positionOf] by what the rows are sorted, the highest first
   */
  constructor(options) {
    Object.assign(this, options);
    this.heading = h("h2", { id: "listing-title", tabindex: "-1" }, this.title);
    this.changes = h("p", { class: "changes", role: "status" });
    this.body = h("tbody", { role: "rowgroup" });
    const names = this.columns.map(({ name, isNumber }) => h("th",
      { role: "columnheader", scope: "col", class: isNumber && "number" }, name || h("span", { class: "unseen" }, "Actions")));
    this.table = h("table", { role: "table", "aria-labelledby": "listing-title" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, names)), this.body);
    this.emptiness = h("div", { class: "empty" }, this.empty);
    this.footer = h("p", { class: "more" });
    this.element = h("section", { "aria-labelledby": "listing-title" },
      h("div", { class: "bar" }, this.heading, this.changes), this.table, this.emptiness, this.footer);
  }

  /** Shows the first page, in place of all rows. */
  async load() {
    const page = await this.fetchPage();
    this.rows = new Map();
    this.body.replaceChildren();
    this.changes.replaceChildren();
    this.append(page);
  }

  /** Brings the rows that are shown up to date. New ones are only announced. */
  async renew() {
    const { rows } = this;
    const { items, next } = await this.fetchPage();
    // What was loaded meanwhile is newer.
    if (rows !== this.rows) return;
    const fetched = new Map(items.map((item) => [this.keyOf(item), item]));
    for (const [key, row] of rows) {
      if (row.ended) continue;
      if (fetched.has(key)) row.item = fetched.get(key);
      else if (!next || this.belongsAbove(row.item, items.at(-1))) this.markEnded(key);
      this.refresh(row);
    }
    const added = items.filter((item) => !rows.has(this.keyOf(item))).length;
    const text = added ? `${next && added === items.length ? "More than " : ""}${count(added, `new ${this.noun}`)}` : "";
    if (text === (this.changes.firstChild?.textContent ?? "")) return;
    this.changes.replaceChildren(...(added ? [h("span", {}, text), button("Show", () => this.showLatest())] : []));
  }

  /** Marks a row as ended. It stays where it is. */
  markEnded(key) {
    const row = this.rows.get(key);
    if (!row) return;
    row.ended = true;
    row.element.classList.add("ended");
    row.cells.at(-1).replaceChildren("ended");
  }

  async showLatest() {
    await tell(async () => {
      await this.load();
      this.heading.focus();
    });
  }

  async showMore() {
    await tell(async () => {
      const [first] = this.append(await this.fetchPage(this.next));
      // The button may be gone, and with it the place of the keyboard's focus.
      first?.element.querySelector("a, button")?.focus();
    });
  }

  /** Returns the rows that it made. A session that was used meanwhile may come twice; it keeps its first row. */
  append({ items, next }) {
    const rows = items.filter((item) => !this.rows.has(this.keyOf(item))).map((item) => this.row(item));
    this.body.append(...rows.map((row) => row.element));
    this.next = next;
    const isEmpty = this.rows.size === 0;
    this.table.hidden = isEmpty;
    this.emptiness.hidden = !isEmpty;
    this.footer.replaceChildren(...(isEmpty ? [] : [h("span", { class: "soft" }, `${count(this.rows.size, this.noun)} shown`)]),
      ...(next ? [button("Show more", () => this.showMore())] : []));
    return rows;
  }

  row(item) {
    const cells = this.columns.map(({ name, isNumber }) =>
      h("td", { role: "cell", "data-name": name, class: isNumber && "number" }));
    const row = { item, cells, element: h("tr", { role: "row" }, cells), ended: false };
    this.rows.set(this.keyOf(item), row);
    this.refresh(row);
    return row;
  }

  /** Writes what has changed. A link or button whose text is the same stays, and with it the focus. */
  refresh(row) {
    if (row.ended) return;
    this.columns.forEach(({ cell }, index) => {
      const fresh = h("span", {}, cell(row.item));
      const shown = row.cells[index];
      if (!shown.hasChildNodes() || shown.textContent !== fresh.textContent) shown.replaceChildren(fresh);
    });
  }

  belongsAbove(item, last) {
    return this.positionOf !== undefined && this.positionOf(item) > this.positionOf(last) + ORDER_TOLERANCE_MILLISECONDS;
  }
}
