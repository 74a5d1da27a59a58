//! What the composition tells the server about the rest of the program.
//!
//! Plain data, made afresh whenever a page, a probe or a scraper asks.

/// The state of the whole program at one moment.
#[derive(Debug, Clone, Default)]
pub struct StatusReport {
    /// `/readyz` says 200: history and the live feed have met.
    pub ready: bool,
    /// What is being done, in a few words for people: `backfill`, `live`, `stopping`.
    pub phase: String,
    /// Where the data come from: `Binance USD-M futures`, `simulated exchange`.
    pub source: String,
    /// The program's version.
    pub version: String,
    /// The backfill, while there is one.
    pub backfill: Option<BackfillStatus>,
    /// The connections to the exchange.
    pub feed: FeedStatus,
    /// Parts that give no sign of life, in sentences for people: `/healthz` says 503.
    pub silent: Vec<String>,
    /// What else is wrong now, in sentences for people; empty when nothing is.
    pub problems: Vec<String>,
    /// Figures for `/metrics`.
    pub metrics: Vec<MetricSample>,
    /// Distributions for `/metrics`.
    pub histograms: Vec<HistogramSample>,
}

/// How far the backfill is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackfillStatus {
    /// Symbols whose history is complete.
    pub symbols_done: u64,
    /// Symbols in all.
    pub symbols_total: u64,
    /// Klines fetched or loaded.
    pub klines: u64,
    /// Requests made.
    pub requests: u64,
    /// Weight spent in the current minute.
    pub weight_used: u64,
    /// Weight that may be spent in a minute.
    pub weight_limit: u64,
    /// Seconds until it is done, as far as one can tell.
    pub eta_seconds: Option<u64>,
}

/// The connections to the exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedStatus {
    /// Connections that deliver.
    pub connections_up: u64,
    /// Connections there should be.
    pub connections_total: u64,
}

/// One figure for `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSample {
    /// The metric's name without the `klagg_` that all get, and without `_total`.
    pub name: &'static str,
    /// What it counts, one line.
    pub help: &'static str,
    /// Whether it can fall.
    pub kind: MetricKind,
    /// Labels, in order.
    pub labels: Vec<(&'static str, String)>,
    /// The figure.
    pub value: f64,
}

/// One distribution for `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// As [`MetricSample::name`].
    pub name: &'static str,
    /// What it measures, one line.
    pub help: &'static str,
    /// Labels, in order.
    pub labels: Vec<(&'static str, String)>,
    /// Upper bounds, ascending, and how many values lie in each bucket and in none before it. The
    /// last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// The sum of all values.
    pub sum: f64,
}

/// Whether a figure can fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Goes both ways.
    Gauge,
}
