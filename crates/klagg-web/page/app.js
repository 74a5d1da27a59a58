// The page: what is chosen, what is shown, and how true it is.

import { Chart, load } from "./chart.js";
import { Feed } from "./feed.js";
import {
  clock, countdown, direction, element, grouped, moment, nextOpen, percent, short, signed, span,
  statusChip,
} from "./format.js";
import { List } from "./list.js";
import { Series } from "./series.js";
import { Table } from "./table.js";

const at = (id) => document.getElementById(id);
const MARKET_CADENCE = 2_000;
const STATUS_CADENCE = 2_000;
const OLDER_ROWS = 1_000;

let status = null;
let chosen = { symbol: "", period: "1m" };
let series = new Series("", "1m");
let view = null;
let hovered = null;
let loadingOlder = false;
let wasListed = true;

const list = new List((symbol) => {
  choose(symbol, chosen.period);
  showMarket(false);
});
let feed = null;

/** Fetches JSON of our own server; null on any failure. */
async function ask(path) {
  try {
    const response = await fetch(path, { headers: { accept: "application/json" } });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

// ---- what is chosen

function fromAddress() {
  const [symbol = "", period = ""] = location.hash.slice(1).split("/");
  try {
    return { symbol: decodeURIComponent(symbol), period };
  } catch {
    return { symbol: "", period };
  }
}

function choose(symbol, period) {
  if (symbol === chosen.symbol && period === chosen.period) return;
  chosen = { symbol, period };
  const address = `#${encodeURIComponent(symbol)}/${period}`;
  if (location.hash !== address) history.replaceState(null, "", address);
  series = new Series(symbol, period);
  hovered = null;
  wasListed = isListed();
  view.clear();
  at("hole").hidden = true;
  at("legend").hidden = true;
  at("latest").hidden = true;
  at("symbol").textContent = symbol;
  say("loading history…");
  for (const button of at("periods").children) {
    button.setAttribute("aria-pressed", String(button.dataset.period === period));
  }
  list.select(symbol);
  feed.subscribe(symbol, period);
  quote();
  market();
}

function say(words) {
  at("overlay").hidden = !words;
  at("overlay").textContent = words;
}

// ---- klines

const on = {
  snapshot(message) {
    const sameSeries = series.klines.length > 0;
    series.reset(message);
    view.show(series, { keepPlace: sameSeries });
    say(series.klines.length ? "" : "No klines yet. They appear as soon as the first trade is seen.");
    holes();
    quote();
    legend();
  },
  kline(message) {
    const before = series.klines.length;
    const { kind, kline } = series.update(message.kline);
    if (kind === "ignored") return;
    if (kind === "hole") {
      // Never drawn over: a snapshot brings what is between, or shows that it is missing.
      feed.resync();
      return;
    }
    if (before === 0) {
      view.show(series, { keepPlace: false });
      say("");
    } else {
      view.update(kline, kind === "last");
      if (series.klines.length > before) view.grown();
    }
    quote();
    legend();
  },
  refused(message) {
    if (message.code === "unknown_symbol") say(`There is no symbol ${chosen.symbol} here.`);
    else say(message.message);
  },
  state: () => freshness(),
};

async function older() {
  const first = series.first();
  if (loadingOlder || !first || series.complete) return;
  loadingOlder = true;
  const asked = series;
  const query = new URLSearchParams({
    symbol: asked.symbol, period: asked.period, before: first.time, limit: OLDER_ROWS,
  });
  const page = await ask(`/api/v1/klines?${query}`);
  // Only for what is still shown, and only if no snapshot came meanwhile.
  if (page && asked === series && series.first() === first) {
    if (series.prepend(page.klines) > 0) view.show(series, { keepPlace: true });
    holes();
  }
  setTimeout(() => { loadingOlder = false; }, page ? 150 : 3_000);
}

function holes() {
  const found = series.holes();
  const missing = found.reduce((sum, hole) => sum + hole.times.length, 0);
  at("hole").hidden = missing === 0;
  if (missing === 0) return;
  const words = missing === 1 ? "1 kline is missing" : `${grouped(missing)} klines are missing`;
  const where = moment(found[found.length - 1].from, series.period);
  at("hole").textContent = `${words}, last at ${where} UTC. History is still incomplete here.`;
}

// ---- figures

function quote() {
  const last = series.last();
  const tone = last ? direction(percent(last.open, last.close)) : "";
  at("last").textContent = last ? grouped(last.close) : "–";
  at("last").className = `last ${tone}`;
  const change = last ? percent(last.open, last.close) : null;
  at("change").textContent = last ? `${signed(change)} in ${chosen.period}` : "";
  at("change").className = `change ${direction(change)}`;
  at("high").textContent = last ? grouped(last.high) : "–";
  at("low").textContent = last ? grouped(last.low) : "–";
  at("volume").textContent = last ? short(last.volume) : "–";
  document.title = last ? `${grouped(last.close)} ${chosen.symbol} ${chosen.period}` : "klagg";
}

function value(name, text, tone) {
  const made = element("span", `value ${tone ?? ""}`);
  made.append(element("i", "", name), text);
  return made;
}

/** The figures of the kline under the crosshair, or of the newest. */
function legend() {
  const place = hovered === null ? -1 : series.find(hovered);
  const kline = place >= 0 ? series.klines[place] : hovered === null ? series.last() : undefined;
  const box = at("legend");
  box.hidden = series.klines.length === 0 || view instanceof Table;
  if (box.hidden) return;
  const what = element("span", "what", `${series.symbol} · ${series.period}`);
  if (!kline) {
    const when = element("span", "when", `${moment(hovered, series.period)} UTC`);
    box.replaceChildren(what, when, value("", "missing"));
    return;
  }
  const change = percent(kline.open, kline.close);
  const tone = direction(change);
  const chip = statusChip(kline.status);
  const parts = [
    what,
    element("span", "when", `${moment(kline.time, series.period)} UTC`),
    value("O", grouped(kline.open), tone),
    value("H", grouped(kline.high), tone),
    value("L", grouped(kline.low), tone),
    value("C", grouped(kline.close), tone),
    element("span", tone, signed(change)),
    value("Vol", grouped(kline.volume)),
    value("Trades", grouped(kline.trades)),
    chip,
  ];
  if (kline.revision > 0) parts.push(element("span", "chip", `revision ${kline.revision}`));
  box.replaceChildren(...parts);
}

/** Whether the chosen symbol is traded, as far as the market's list tells. */
function isListed() {
  return list.get(chosen.symbol)?.listed ?? true;
}

/** Whether what is shown is true now. Called twice a second, and at each change. */
function freshness() {
  if (!feed) return;
  const state = feed.state();
  const filling = status && !status.ready;
  const words = {
    connecting: "connecting",
    offline: state.wait > 900 ? `offline, retry in ${Math.ceil(state.wait / 1000)} s` : "reconnecting",
    stale: "stale",
    live: filling ? "live, history incomplete" : "live",
  }[state.kind]
    + (state.age > 0 ? `, data ${span(state.age)} old` : "");
  const pill = at("state");
  const ended = state.kind === "live" && !isListed();
  const shown = ended ? "ended, no longer traded" : words;
  if (pill.textContent !== shown) pill.textContent = shown;
  pill.dataset.state = ended ? "ended" : state.kind === "live" && filling ? "filling" : state.kind;
  const stage = document.querySelector(".stage");
  stage.dataset.stale = String(state.kind === "stale" || state.kind === "offline");
  const now = state.exchange ?? feed.now();
  at("clock").textContent = feed.beat ? `${clock(now)} UTC` : "";
  const last = series.last();
  const ends = last ? nextOpen(series.period, last.time) - feed.now() : 0;
  at("countdown").textContent = last && ends > 0 && !ended ? countdown(ends) : "–";
}

// ---- the market and the program

async function market() {
  const { period } = chosen;
  const answer = await ask(`/api/v1/symbols?period=${encodeURIComponent(period)}`);
  if (!answer || period !== chosen.period) return;
  list.take(answer.symbols);
  // Nothing is open of what has ended; under a name listed anew stands another symbol.
  if (wasListed !== isListed()) feed.resync();
  wasListed = isListed();
  freshness();
  at("change-head").textContent = `Chg ${period}`;
}

async function program() {
  const answer = await ask("/api/v1/status");
  if (!answer) return;
  status = answer;
  const { backfill, feed: link } = status;
  at("progress").hidden = !backfill;
  if (backfill) {
    const done = backfill.symbols_total ? backfill.symbols_done / backfill.symbols_total : 0;
    at("meter").value = done;
    const parts = [
      `History: ${grouped(backfill.symbols_done)} of ${grouped(backfill.symbols_total)} symbols`,
      `${short(backfill.klines)} klines`,
      `weight ${grouped(backfill.weight_used)} of ${grouped(backfill.weight_limit)}`,
    ];
    if (backfill.eta_seconds !== null) parts.push(`about ${span(backfill.eta_seconds * 1000)} left`);
    at("backfill").textContent = parts.join(" · ");
  }
  at("problem").hidden = status.problems.length === 0;
  at("problem").textContent = status.problems.join(" · ");
  at("source").textContent = [status.source, status.version && `klagg ${status.version}`]
    .filter(Boolean).join(" · ");
  at("feed").textContent = link.connections_total
    ? `feeds ${link.connections_up}/${link.connections_total}` : "";
  at("notice").textContent = status.notice.replace(/^TradingView Lightweight Charts\. /, "");
  freshness();
}

function repeat(work, cadence) {
  const again = async () => {
    if (!document.hidden) await work();
    setTimeout(again, cadence);
  };
  setTimeout(again, cadence);
}

// ---- start

function showMarket(shown) {
  at("market").classList.toggle("shown", shown);
  at("pick").setAttribute("aria-expanded", String(shown));
  if (shown) at("filter").focus();
}

function periodButtons(periods) {
  for (const period of periods) {
    const button = element("button", "", period);
    button.type = "button";
    button.dataset.period = period;
    button.addEventListener("click", () => choose(chosen.symbol, period));
    at("periods").append(button);
  }
}

function listen(periods) {
  at("pick").addEventListener("click", () => showMarket(true));
  at("close").addEventListener("click", () => showMarket(false));
  at("latest").addEventListener("click", () => view.latest());
  window.addEventListener("hashchange", () => {
    const { symbol, period } = fromAddress();
    if (symbol && periods.includes(period)) choose(symbol, period);
  });
  window.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === "Escape") showMarket(false);
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      showMarket(true);
      at("filter").focus();
      at("filter").select();
    }
  });
}

async function start() {
  const library = load();
  say("connecting…");
  let answer = null;
  while (!(answer = await ask("/api/v1/status"))) {
    at("state").textContent = "server not reachable";
    at("state").dataset.state = "offline";
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
  status = answer;
  const watch = {
    hover: (time) => { hovered = time; legend(); },
    older,
    away: (away) => { at("latest").hidden = !away; },
  };
  view = (await library) ? new Chart(at("chart"), watch) : new Table(at("table"), watch);
  periodButtons(status.periods);
  listen(status.periods);
  feed = new Feed(on);
  let names = [];
  for (;;) {
    names = (await ask("/api/v1/symbols"))?.symbols ?? [];
    if (names.length) break;
    say("No symbols yet: the exchange is being asked.");
    await Promise.all([program(), new Promise((resolve) => setTimeout(resolve, 1_000))]);
  }
  const wish = fromAddress();
  const known = names.map(([name]) => name);
  const fallback = known.includes("BTCUSDT") ? "BTCUSDT" : known[0];
  const symbol = wish.symbol || fallback;
  choose(symbol, status.periods.includes(wish.period) ? wish.period : status.periods[0]);
  await program();
  repeat(market, MARKET_CADENCE);
  repeat(program, STATUS_CADENCE);
}

start();
