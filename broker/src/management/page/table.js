// A table that stays fast with many rows: only those in sight are elements.
// Arrow keys move, Enter opens, columns sort, a filter narrows.

import { h, show } from "./dom.js";

const ROW = 33;
const SPARE = 8;

// columns: [{ name, of, cell?, n?, width? }]; open(item) follows a row.
export class Table {
  constructor({ columns, open, search, sort = 0, empty = "Nothing here." }) {
    Object.assign(this, { columns, open, search, empty, items: [], shown: [], at: -1, sort, down: false, text: "" });
    this.filter = h("input", { type: "search", class: "grow", placeholder: "Filter  (press /)", "aria-label": "Filter", oninput: () => { this.text = this.filter.value; this.arrange(); } });
    this.head = h("tr", {});
    this.body = h("tbody", {});
    this.scroll = h("div", { class: "scroll", tabindex: 0, onscroll: () => this.draw(), onkeydown: (e) => this.key(e) },
      h("table", {}, h("colgroup", {}, columns.map((c) => { const col = h("col"); if (c.width) col.style.width = c.width; return col; })), h("thead", {}, this.head), this.body));
    this.foot = h("div", { class: "foot" });
    this.el = h("div", { class: "vt" }, this.scroll, this.foot);
    this.drawHead();
  }

  drawHead() {
    show(this.head, this.columns.map((c, i) => h("th", { class: c.n ? "n" : "", "aria-sort": i === this.sort ? (this.down ? "descending" : "ascending") : undefined },
      h("button", { onclick: () => { this.down = i === this.sort ? !this.down : Boolean(c.n); this.sort = i; this.drawHead(); this.arrange(); } }, c.name, i === this.sort ? (this.down ? " ▾" : " ▴") : ""))));
  }

  set(items) {
    this.items = items;
    this.arrange(true);
  }

  arrange(keep = false) {
    const chosen = keep && this.at >= 0 ? this.shown[this.at] : undefined;
    const words = this.text.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (item) => { const text = this.search(item).toLowerCase(); return words.every((word) => text.includes(word)); };
    this.shown = words.length ? this.items.filter(has) : this.items.slice();
    const of = this.columns[this.sort].of;
    const sign = this.down ? -1 : 1;
    const keyed = this.shown.map((item) => [of(item), item]);
    keyed.sort(([a], [b]) => sign * (typeof a === "string" || typeof b === "string" ? String(a ?? "").localeCompare(String(b ?? "")) : (a ?? 0) - (b ?? 0)));
    this.shown = keyed.map(([, item]) => item);
    this.at = chosen ? this.shown.findIndex((item) => this.search(item) === this.search(chosen)) : -1;
    if (!keep) this.scroll.scrollTop = 0;
    this.draw();
  }

  draw() {
    const total = this.shown.length;
    const room = Math.ceil((this.scroll.clientHeight || 600) / ROW);
    const first = Math.max(0, Math.min(Math.floor(this.scroll.scrollTop / ROW) - SPARE, total - 1));
    const last = Math.min(total, first + room + 2 * SPARE);
    const gap = (rows) => { const td = h("td", { colspan: this.columns.length }); td.style.height = `${rows * ROW}px`; return h("tr", { class: "gap", "aria-hidden": true }, td); };
    const rows = [];
    if (first > 0) rows.push(gap(first));
    for (let i = first; i < last; i += 1) rows.push(this.row(i));
    if (last < total) rows.push(gap(total - last));
    if (!total) rows.push(h("tr", {}, h("td", { colspan: this.columns.length, class: "soft" }, this.text ? "Nothing matches the filter." : this.empty)));
    show(this.body, rows);
    show(this.foot, this.text ? `${total.toLocaleString("en")} of ${this.items.length.toLocaleString("en")}` : total.toLocaleString("en"), total === 1 ? " row" : " rows");
  }

  row(i) {
    const item = this.shown[i];
    return h("tr", { class: i === this.at ? "at" : "", onclick: (e) => { if (!e.target.closest("a,button") && this.open) this.open(item); } },
      this.columns.map((c) => { const value = c.cell ? c.cell(item) : c.of(item); return h("td", { class: c.n ? "n" : "", title: typeof value === "string" ? value : undefined }, value); }));
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 };
    if (event.key in steps && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.at = Math.max(0, Math.min(this.shown.length - 1, this.at + steps[event.key]));
      const y = this.at * ROW;
      const view = this.scroll;
      if (y < view.scrollTop) view.scrollTop = y;
      else if (y + 2 * ROW > view.scrollTop + view.clientHeight) view.scrollTop = y + 2 * ROW - view.clientHeight;
      this.draw();
    } else if (event.key === "Enter" && this.shown[this.at] && this.open) {
      this.open(this.shown[this.at]);
    }
  }
}
