"use strict";

// A table that is filled page by page, and renewed in place: while someone reads, no row moves.

class Listing {
  /**
   * @param {object} options
   * @param {string} options.title the heading, which also names the table
   * @param {string} options.noun what one row is, such as "session"
   * @param {Array<{name: string, cell: (item: object, row: object) => Node|string, isNumber?: boolean}>} options.columns
   * @param {(item: object) => string} options.keyOf what tells the rows apart
   * @param {(cursor?: string) => Promise<{items: object[], next?: string}>} options.fetchPage
   * @param {(item: object) => object} options.gone the item as it is when it is listed no more
   * @param {Array<Node|string>} options.empty what stands there without a row
   */
  constructor({ title, noun, columns, keyOf, fetchPage, gone, empty }) {
    Object.assign(this, { noun, columns, keyOf, fetchPage, gone });
    this.rows = new Map();
    // Counts what changed the rows. An answer to an earlier question would undo it.
    this.version = 0;
    this.heading = h("h2", { id: "listing-title", tabindex: "-1" }, title);
    this.news = h("span");
    this.show = button("Show", () => this.showLatest(), { hidden: true });
    this.body = h("tbody", { role: "rowgroup" });
    const names = columns.map(({ name, isNumber }) => h("th",
      { role: "columnheader", scope: "col", class: isNumber && "number" }, name || h("span", { class: "unseen" }, "Actions")));
    const table = { role: "table", "aria-labelledby": "listing-title", class: columns.length > 3 && "wide" };
    this.table = h("table", table,
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, names)), this.body);
    this.emptiness = h("div", { class: "empty" }, empty);
    this.total = h("span", { class: "soft" });
    this.more = button("Show more", () => this.showMore());
    this.element = h("section", { "aria-labelledby": "listing-title" },
      h("div", { class: "bar" }, this.heading, h("p", { class: "changes" }, h("span", { role: "status" }, this.news), this.show)),
      this.table, this.emptiness, h("p", { class: "more" }, this.total, this.more));
  }

  /** Shows the first page, in place of all rows. */
  async load() {
    const page = await this.fetchPage();
    this.rows.clear();
    this.body.replaceChildren();
    this.announce([]);
    this.append(page);
  }

  /** Brings the rows that are shown up to date. New ones are only announced. */
  async renew() {
    const { version } = this;
    try {
      const fetched = await this.fetchShown();
      if (version === this.version) this.update(fetched);
    } finally {
      // Times go on, even if the API does not answer.
      for (const row of this.rows.values()) this.refresh(row);
    }
  }

  /** Gives the rows what was fetched, and announces what has no row. */
  update({ items, next, isOnePage }) {
    const fetched = new Map(items.map((item) => [this.keyOf(item), item]));
    for (const [name, row] of this.rows) {
      const isMissing = !fetched.has(name);
      // It may be beyond the last page that was fetched, or have moved from one page to another meanwhile.
      const isGone = isMissing && !next && (isOnePage || row.wasMissing);
      row.wasMissing = isMissing;
      row.item = fetched.get(name) ?? (isGone ? this.gone(row.item) : row.item);
    }
    this.announce(items.filter((item) => !this.rows.has(this.keyOf(item))));
  }

  /** As many pages as the rows have filled. */
  async fetchShown() {
    const { items, next } = await this.fetchPage();
    const all = [...items];
    let cursor = next;
    while (cursor && all.length < this.rows.size) {
      const page = await this.fetchPage(cursor);
      all.push(...page.items);
      cursor = page.next;
    }
    return { items: all, next: cursor, isOnePage: next === undefined };
  }

  announce(added) {
    const text = added.length > 0 ? count(added.length, `new ${this.noun}`) : "";
    // A screen reader reads each change aloud.
    if (this.news.textContent !== text) this.news.textContent = text;
    this.show.hidden = added.length === 0;
  }

  async showLatest() {
    await tell(() => this.load());
    this.heading.focus({ preventScroll: true });
  }

  async showMore() {
    const { version } = this;
    this.more.disabled = true;
    await tell(async () => {
      const page = await this.fetchPage(this.next);
      if (version !== this.version) return;
      const [first] = this.append(page);
      first?.element.querySelector("a, button")?.focus({ preventScroll: true });
    });
    this.more.disabled = false;
  }

  /** Returns the rows that it made. A session that was used meanwhile may come twice; it keeps its first row. */
  append({ items, next }) {
    this.version += 1;
    const rows = items.filter((item) => !this.rows.has(this.keyOf(item))).map((item) => this.row(item));
    this.body.append(...rows.map((row) => row.element));
    this.next = next;
    this.more.hidden = next === undefined;
    const isEmpty = this.rows.size === 0;
    this.table.hidden = isEmpty;
    this.emptiness.hidden = !isEmpty;
    this.total.textContent = isEmpty ? "" : `${count(this.rows.size, this.noun)} shown`;
    return rows;
  }

  row(item) {
    const cells = this.columns.map(({ name, isNumber }) =>
      h("td", { role: "cell", "data-name": name, class: isNumber && "number" }));
    const row = { item, cells, element: h("tr", { role: "row" }, cells) };
    this.rows.set(this.keyOf(item), row);
    this.refresh(row);
    return row;
  }

  /** Shows that a row's item is gone. The row stays where it is. */
  markGone(row) {
    this.version += 1;
    row.item = this.gone(row.item);
    this.refresh(row);
  }

  /** Writes what has changed. A link or a button whose text is the same stays, and the focus with it. */
  refresh(row) {
    row.element.classList.toggle("ended", row.item.hasEnded === true);
    this.columns.forEach(({ cell }, index) => {
      const fresh = h("span", {}, cell(row.item, row));
      const shown = row.cells[index];
      if (!shown.hasChildNodes() || shown.textContent !== fresh.textContent) replaceContent(shown, fresh);
    });
  }
}
