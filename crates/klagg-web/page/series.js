// The klines of one symbol and period: always in order, and honest about what is missing.

import { nextOpen } from "./format.js";

const RANKS = { open: 0, broken: 0, provisional: 1, closed: 2, confirmed: 3 };
/** More missing klines than this in one hole are drawn as one mark. */
const HOLE_MAX = 3000;

/** A row of the server as an object. */
function kline(row) {
  const [time, open, high, low, close, volume, closeTime, quote, trades, , , status, revision] = row;
  return { time, open, high, low, close, volume, closeTime, quote, trades, status, revision };
}

function supersedes(fresh, held) {
  if (RANKS[fresh.status] === 0) return RANKS[held.status] === 0;
  const rank = RANKS[fresh.status] - RANKS[held.status];
  return rank > 0 || (rank === 0 && fresh.revision > held.revision);
}

export class Series {
  constructor(symbol, period) {
    this.symbol = symbol;
    this.period = period;
    this.precision = { price: 2, quantity: 3 };
    this.klines = [];
    this.complete = false; // whether the server has nothing older
  }

  /** Takes a snapshot: it replaces everything. */
  reset(message) {
    this.precision = { price: message.price_precision, quantity: message.quantity_precision };
    this.klines = message.klines.map(kline);
    this.complete = false;
  }

  /**
   * Takes a new state of one kline. Returns what became of it: `last` (the newest changed or
   * was added), `older` (an earlier one changed), `ignored`, or `hole` (klines between the last
   * one and this are missing: a snapshot is needed).
   */
  update(row) {
    const fresh = kline(row);
    const last = this.last();
    if (!last) {
      this.klines.push(fresh);
      return { kind: "last", kline: fresh };
    }
    if (fresh.time > last.time) {
      if (fresh.time !== nextOpen(this.period, last.time)) return { kind: "hole", kline: fresh };
      this.klines.push(fresh);
      return { kind: "last", kline: fresh };
    }
    const at = this.find(fresh.time);
    if (at < 0 || !supersedes(fresh, this.klines[at])) return { kind: "ignored", kline: fresh };
    this.klines[at] = fresh;
    return { kind: at === this.klines.length - 1 ? "last" : "older", kline: fresh };
  }

  /** Puts older history before what is held. Returns how many klines were added. */
  prepend(rows) {
    const first = this.klines.length ? this.klines[0].time : Infinity;
    const older = rows.map(kline).filter((held) => held.time < first);
    this.klines = older.concat(this.klines);
    if (older.length === 0) this.complete = true;
    return older.length;
  }

  first() { return this.klines[0]; }
  last() { return this.klines[this.klines.length - 1]; }

  /** The place of the kline that opens at `time`, or -1. */
  find(time) {
    let low = 0;
    let high = this.klines.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const held = this.klines[middle].time;
      if (held === time) return middle;
      if (held < time) low = middle + 1; else high = middle - 1;
    }
    return -1;
  }

  /** The holes between klines: where each starts, ends, and how many klines are missing. */
  holes() {
    const found = [];
    for (let at = 1; at < this.klines.length; at += 1) {
      let expected = nextOpen(this.period, this.klines[at - 1].time);
      const to = this.klines[at].time;
      if (expected >= to) continue;
      const times = [];
      const from = expected;
      while (expected < to && times.length < HOLE_MAX) {
        times.push(expected);
        expected = nextOpen(this.period, expected);
      }
      found.push({ from, to, times });
    }
    return found;
  }
}
