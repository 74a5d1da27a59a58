// Candles and volume, drawn by the chart library. The same face as the table's.

import { grouped } from "./format.js";

const COLOURS = { up: "#2dbd8c", down: "#ef5b6b", doubt: "#e3a94b" };
const FAINT = { up: "#2dbd8c59", down: "#ef5b6b59" };
const VOLUME = { up: "#2dbd8c66", down: "#ef5b6b66" };

/** Loads the library; false where the server does not have it. */
export function load() {
  return new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = "/page/lightweight-charts.js";
    script.onload = () => resolve("LightweightCharts" in window);
    script.onerror = () => resolve(false);
    document.head.append(script);
  });
}

const side = (kline) => (Number(kline.close) >= Number(kline.open) ? "up" : "down");

/** A kline as a candle. One whose coverage is not proven is pale with a border of doubt. */
function candle(kline) {
  const bar = {
    time: kline.time / 1000,
    open: Number(kline.open),
    high: Number(kline.high),
    low: Number(kline.low),
    close: Number(kline.close),
  };
  if (kline.status === "provisional" || kline.status === "broken") {
    bar.color = FAINT[side(kline)];
    bar.borderColor = COLOURS.doubt;
    bar.wickColor = COLOURS.doubt;
  }
  return bar;
}

const bar = (kline) => ({
  time: kline.time / 1000,
  value: Number(kline.volume),
  color: VOLUME[side(kline)],
});

export class Chart {
  /** `on` has `hover(time or null)`, `older()` and `away(bool)`. */
  constructor(box, on) {
    const library = window.LightweightCharts;
    this.on = on;
    this.box = box;
    this.chart = library.createChart(box, {
      autoSize: true,
      layout: {
        background: { type: "solid", color: "#0d1117" },
        textColor: "#8794a5",
        fontSize: 11,
        fontFamily: getComputedStyle(document.body).fontFamily,
        // The library's own logo needs an inline style, which the page's policy forbids; the
        // link and the notice stand in the foot instead.
        attributionLogo: false,
        panes: { separatorColor: "#222c3a", separatorHoverColor: "#2c384a" },
      },
      grid: { vertLines: { color: "#161d27" }, horzLines: { color: "#161d27" } },
      crosshair: {
        mode: library.CrosshairMode.Normal,
        vertLine: { color: "#566273", labelBackgroundColor: "#2c384a" },
        horzLine: { color: "#566273", labelBackgroundColor: "#2c384a" },
      },
      rightPriceScale: { borderColor: "#222c3a", scaleMargins: { top: 0.12, bottom: 0.06 } },
      timeScale: { borderColor: "#222c3a", rightOffset: 6, minBarSpacing: 0.8, barSpacing: 8 },
    });
    this.candles = this.chart.addSeries(library.CandlestickSeries, {
      upColor: COLOURS.up, downColor: COLOURS.down, borderUpColor: COLOURS.up,
      borderDownColor: COLOURS.down, wickUpColor: COLOURS.up, wickDownColor: COLOURS.down,
    });
    this.volumes = this.chart.addSeries(
      library.HistogramSeries,
      { priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false },
      1,
    );
    const [main, below] = this.chart.panes();
    main.setStretchFactor(4);
    below.setStretchFactor(1);
    this.chart.subscribeCrosshairMove((event) => {
      on.hover(event.time === undefined ? null : event.time * 1000);
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (!range || !this.count) return;
      on.away(range.to < this.count - 2);
      if (range.from < 40) on.older();
    });
    this.count = 0;
  }

  /** Shows a series from the start, or again with older klines before the others. */
  show(series, { keepPlace }) {
    const { price } = series.precision;
    const seconds = /m$/.test(series.period);
    this.chart.timeScale().applyOptions({
      timeVisible: /[mh]$/.test(series.period),
      secondsVisible: false,
      tickMarkMaxCharacterLength: seconds ? 6 : 8,
    });
    this.candles.applyOptions({
      priceFormat: {
        type: "custom",
        minMove: 10 ** -price,
        formatter: (value) => grouped(value.toFixed(price)),
      },
    });
    const blanks = series.holes().flatMap((hole) => hole.times.map((time) => ({ time: time / 1000 })));
    const merged = (points) =>
      blanks.length ? points.concat(blanks).sort((a, b) => a.time - b.time) : points;
    // The count first: setting data moves the range, which asks how many there are.
    this.count = 0;
    const candles = merged(series.klines.map(candle));
    this.candles.setData(candles);
    this.volumes.setData(merged(series.klines.map(bar)));
    this.count = candles.length;
    if (!keepPlace) {
      this.candles.priceScale().applyOptions({ autoScale: true });
      const width = Math.max(60, Math.min(160, this.box.clientWidth / 8));
      this.chart.timeScale().setVisibleLogicalRange({ from: this.count - width, to: this.count + 6 });
    }
  }

  /** Draws a new state of one kline. */
  update(kline, isLast) {
    this.candles.update(candle(kline), !isLast);
    this.volumes.update(bar(kline), !isLast);
  }

  /** A kline was added at the end. */
  grown() {
    this.count += 1;
  }

  latest() {
    this.chart.timeScale().scrollToRealTime();
  }

  clear() {
    this.count = 0;
    this.candles.setData([]);
    this.volumes.setData([]);
  }
}
