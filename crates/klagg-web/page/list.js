// The market: every symbol, with only the rows in sight in the document.

import { direction, element, grouped, percent, signed } from "./format.js";

const SPARE = 6; // rows kept above and below what is in sight

export class List {
  constructor(choose) {
    this.choose = choose;
    this.box = document.getElementById("list");
    this.filter = document.getElementById("filter");
    this.count = document.getElementById("count");
    this.heads = [...document.querySelectorAll(".head button")];
    this.room = element("div", "room");
    this.box.append(this.room);
    this.all = [];
    this.seen = [];
    this.rows = new Map();
    this.sort = { by: "listed", direction: 1 };
    this.selected = "";
    this.active = -1;
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.filter.addEventListener("input", () => {
      this.active = -1;
      this.arrange();
      this.box.scrollTop = 0;
    });
    this.filter.addEventListener("keydown", (event) => this.key(event));
    for (const head of this.heads) head.addEventListener("click", () => this.order(head));
  }

  /** Takes the whole market as `/api/v1/symbols` tells it. */
  take(rows) {
    this.all = rows.map(([name, price, quantity, listedAt, open, last, listed], place) => ({
      name, price, quantity, listedAt, open, last, listed, place, change: percent(open, last),
    }));
    this.arrange();
  }

  get(name) {
    return this.all.find((symbol) => symbol.name === name);
  }

  select(name) {
    this.selected = name;
    this.draw();
  }

  arrange() {
    const words = this.filter.value.trim().toUpperCase();
    const matches = this.all.filter(
      (symbol) => (symbol.listed || symbol.name === this.selected) && symbol.name.includes(words),
    );
    const { by, direction: way } = this.sort;
    const value = {
      listed: (symbol) => symbol.place,
      last: (symbol) => (symbol.last === null ? -Infinity : Number(symbol.last)),
      change: (symbol) => (symbol.change === null ? -Infinity : symbol.change),
    }[by];
    matches.sort((a, b) => {
      // What begins with the words comes before what merely holds them.
      const begins = Number(b.name.startsWith(words)) - Number(a.name.startsWith(words));
      if (words && begins) return begins;
      if (by === "name") return way * (a.name < b.name ? -1 : 1);
      return way * (value(a) - value(b)) || a.place - b.place;
    });
    this.seen = matches;
    const total = this.all.filter((symbol) => symbol.listed).length;
    this.count.textContent =
      matches.length === total ? `${total} symbols` : `${matches.length} of ${total} symbols`;
    this.draw();
  }

  order(head) {
    const by = head.dataset.sort;
    // A head goes round: its natural order, the other way, back to the order of listing.
    const natural = by === "name" ? 1 : -1;
    if (this.sort.by !== by) this.sort = { by, direction: natural };
    else if (this.sort.direction === natural) this.sort = { by, direction: -natural };
    else this.sort = { by: "listed", direction: 1 };
    for (const other of this.heads) {
      if (other.dataset.sort === this.sort.by) other.dataset.direction = this.sort.direction;
      else delete other.dataset.direction;
    }
    this.arrange();
    this.box.scrollTop = 0;
  }

  height() {
    return window.matchMedia("(max-width: 820px)").matches ? 44 : 32;
  }

  draw() {
    const height = this.height();
    const from = Math.max(0, Math.floor(this.box.scrollTop / height) - SPARE);
    const sight = Math.ceil(this.box.clientHeight / height) + 2 * SPARE;
    const to = Math.min(this.seen.length, from + sight);
    this.room.style.height = `${this.seen.length * height}px`;
    const kept = new Set();
    for (let at = from; at < to; at += 1) {
      const symbol = this.seen[at];
      kept.add(symbol.name);
      const row = this.rows.get(symbol.name) ?? this.make(symbol.name);
      this.fill(row, symbol, at, height);
    }
    for (const [name, row] of this.rows) {
      if (kept.has(name)) continue;
      row.item.remove();
      this.rows.delete(name);
    }
    const active = this.seen[this.active];
    if (active && this.rows.has(active.name)) {
      this.filter.setAttribute("aria-activedescendant", this.rows.get(active.name).item.id);
    } else {
      this.filter.removeAttribute("aria-activedescendant");
    }
  }

  make(name) {
    const item = element("div", "item");
    item.id = `symbol-${name}`;
    item.setAttribute("role", "option");
    const row = {
      item,
      name: element("span", "name", name),
      price: element("span", "price"),
      move: element("span", "move"),
    };
    row.name.title = name;
    item.append(row.name, row.price, row.move);
    item.addEventListener("click", () => this.choose(name));
    this.room.append(item);
    this.rows.set(name, row);
    return row;
  }

  fill(row, symbol, at, height) {
    row.item.style.transform = `translateY(${at * height}px)`;
    row.item.setAttribute("aria-selected", String(symbol.name === this.selected));
    row.item.classList.toggle("active", at === this.active);
    row.name.className = symbol.listed ? "name" : "name gone";
    const price = symbol.last === null ? "–" : grouped(symbol.last);
    if (row.price.textContent !== price) row.price.textContent = price;
    const move = signed(symbol.change);
    if (row.move.textContent !== move) row.move.textContent = move;
    row.move.className = `move ${direction(symbol.change)}`;
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height()) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    if (event.key in steps) {
      event.preventDefault();
      const start = this.active < 0 && event.key === "ArrowUp" ? 0 : this.active;
      this.active = Math.min(this.seen.length - 1, Math.max(0, start + steps[event.key]));
      this.reveal();
      this.draw();
    } else if (event.key === "Enter") {
      const symbol = this.seen[Math.max(0, this.active)];
      if (symbol) this.choose(symbol.name);
    } else if (event.key === "Escape") {
      if (this.filter.value === "") this.filter.blur();
      this.filter.value = "";
      this.active = -1;
      this.arrange();
    }
  }

  reveal() {
    const height = this.height();
    const top = this.active * height;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) this.box.scrollTop = top + height - clientHeight;
  }
}
