// Figures and times as people read them. Prices stay the exact texts that the server sent.

const MINUTE = 60_000;
const DAY = 86_400_000;
const LENGTHS = {
  "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE,
  "1h": 60 * MINUTE, "2h": 120 * MINUTE, "4h": 240 * MINUTE, "6h": 360 * MINUTE,
  "8h": 480 * MINUTE, "12h": 720 * MINUTE, "1d": DAY, "3d": 3 * DAY, "1w": 7 * DAY,
};

/** The open time of the kline after the one that opens at `time`. */
export function nextOpen(period, time) {
  if (period !== "1M") return time + LENGTHS[period];
  const date = new Date(time);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** A decimal text with its thousands set apart: 82,418.70 */
export function grouped(text) {
  const [whole, rest] = String(text).split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return rest === undefined ? spaced : `${spaced}.${rest}`;
}

/** A large figure, shortened: 1.24 M */
export function short(value) {
  const number = Number(value);
  const size = Math.abs(number);
  const units = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]];
  for (const [unit, name] of units) {
    if (size >= unit) return `${(number / unit).toFixed(2)} ${name}`;
  }
  return size >= 100 ? number.toFixed(0) : String(Number(number.toPrecision(3)));
}

/** By how much `last` is above `open`, in percent; null where that has no meaning. */
export function percent(open, last) {
  const from = Number(open);
  return open === null || last === null || !(from > 0) ? null : (Number(last) / from - 1) * 100;
}

/** +1.24 % */
export function signed(value) {
  if (value === null) return "–";
  const text = Math.abs(value).toFixed(2);
  if (text === "0.00") return "0.00 %";
  return `${value > 0 ? "+" : "−"}${text} %`;
}

/** `up`, `down` or nothing, for a class. */
export function direction(value) {
  return value === null || Math.abs(value) < 0.005 ? "" : value > 0 ? "up" : "down";
}

const two = (number) => String(number).padStart(2, "0");

/** 12:34:56 in UTC */
export function clock(time) {
  const date = new Date(time);
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
}

/** 2026-11-22 12:34, or the day alone for long periods; in UTC */
export function moment(time, period) {
  const date = new Date(time);
  const day = `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
  return /[dwM]$/.test(period) ? day : `${day} ${clock(time).slice(0, 5)}`;
}

/** A length of time in the two largest units: 3 h 12 min */
export function span(millis) {
  const seconds = Math.max(0, Math.round(millis / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

/** 04:59 or 3:04:59 or 2d 03:04:59, for what counts down */
export function countdown(millis) {
  const seconds = Math.max(0, Math.ceil(millis / 1000));
  const tail = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  if (seconds < 3600) return tail;
  const hours = Math.floor(seconds / 3600);
  return hours < 24 ? `${hours}:${tail}` : `${Math.floor(hours / 24)}d ${two(hours % 24)}:${tail}`;
}

/** An element with a class and a text; texts are never read as markup. */
export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const STATUSES = {
  open: "Its time is not over.",
  broken: "Its time is not over, and trades of it are missing or may be, until they are fetched.",
  provisional: "Its time is over; trades of it may be missing until the exchange's own is fetched.",
  closed: "Every trade that came in it was counted.",
  confirmed: "Equals the exchange's own kline.",
};

/** The status of a kline, and in words what it means. */
export function statusChip(status) {
  const chip = element("span", "chip", status);
  chip.dataset.status = status;
  chip.title = STATUSES[status] ?? "";
  return chip;
}
