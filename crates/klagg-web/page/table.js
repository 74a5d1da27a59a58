// What stands in for the chart when its library is not in the program: the newest klines, live.

import {
  direction, element, grouped, moment, percent, short, signed, statusChip,
} from "./format.js";

const ROWS = 200;
const HEADS = ["Open time (UTC)", "Open", "High", "Low", "Close", "Change", "Volume", "Trades", "Status"];
const WIDE = new Set([5, 7]);

export class Table {
  constructor(box, on) {
    this.on = on;
    this.box = box;
    this.rows = new Map();
    box.hidden = false;
    const words = element("p");
    words.append(
      "The chart library is missing in this build, so the klines are shown as a table. To have " +
        "charts, build klagg where ",
      element("code", "", "npm"),
      " is installed and can reach its registry.",
    );
    const table = element("table");
    const head = element("tr");
    HEADS.forEach((text, at) => head.append(element("th", WIDE.has(at) ? "wide" : "", text)));
    const top = element("thead");
    top.append(head);
    this.body = element("tbody");
    table.append(top, this.body);
    box.append(words, table);
  }

  show(series) {
    this.series = series;
    this.draw();
  }

  update(kline) {
    const row = this.rows.get(kline.time);
    if (row) this.fill(row, kline);
    else this.draw();
  }

  grown() {}

  latest() {
    this.box.scrollTop = 0;
  }

  clear() {
    this.body.replaceChildren();
    this.rows.clear();
  }

  draw() {
    this.clear();
    const { klines, period } = this.series;
    const newest = klines.slice(-ROWS);
    const holes = new Map(this.series.holes().map((hole) => [hole.to, hole]));
    const made = [];
    for (const kline of newest) {
      const hole = holes.get(kline.time);
      if (hole) {
        const row = element("tr", "gap");
        const cell = element("td", "", `${hole.times.length} klines missing`);
        cell.colSpan = HEADS.length;
        row.append(cell);
        made.push(row);
      }
      const row = element("tr");
      HEADS.forEach((_, at) => row.append(element("td", WIDE.has(at) ? "wide" : "")));
      row.cells[0].textContent = moment(kline.time, period);
      this.rows.set(kline.time, row);
      this.fill(row, kline);
      made.push(row);
    }
    this.body.replaceChildren(...made.reverse());
  }

  fill(row, kline) {
    const change = percent(kline.open, kline.close);
    const texts = [kline.open, kline.high, kline.low, kline.close].map(grouped);
    texts.push(signed(change), short(kline.volume), grouped(kline.trades));
    texts.forEach((text, at) => {
      row.cells[at + 1].textContent = text;
    });
    row.cells[4].className = direction(change);
    row.cells[5].className = `wide ${direction(change)}`;
    row.cells[8].replaceChildren(statusChip(kline.status));
  }
}
