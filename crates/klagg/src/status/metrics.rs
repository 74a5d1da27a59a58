//! Figures for `/metrics`, gathered from every part at each scrape.

use klagg_backfill::BackfillProgress;
use klagg_binance::RestClient;
use klagg_engine::WorkerCounters;
use klagg_gateway::{ConsumerReport, GlobalKlines, SchedulerStatus};
use klagg_web::{HistogramSample, MetricKind, MetricSample};

use super::{Seen, Shared};

/// A list of samples under construction.
#[derive(Default)]
struct Samples(Vec<MetricSample>);

impl Samples {
    fn add(&mut self, kind: MetricKind, name: &'static str, help: &'static str, value: u64) {
        self.add_labelled(kind, (name, help), Vec::new(), value);
    }

    #[expect(clippy::cast_precision_loss, reason = "scrapers take doubles")]
    fn add_labelled(
        &mut self,
        kind: MetricKind,
        (name, help): (&'static str, &'static str),
        labels: Vec<(&'static str, String)>,
        value: u64,
    ) {
        self.0.push(MetricSample { name, help, kind, labels, value: value as f64 });
    }
}

/// Reads one counter of a worker.
type Read<'a> = &'a dyn Fn(&WorkerCounters) -> u64;

/// Every figure.
pub(super) fn samples(
    seen: &Seen,
    shared: &Shared,
    klines: &GlobalKlines,
    backfill: Option<&BackfillProgress>,
) -> Vec<MetricSample> {
    let mut samples = Samples::default();
    for (part, is_silent) in shared.pulses.parts() {
        let silent = ("part_silent", "1 while a part gives no sign of life");
        let value = u64::from(is_silent);
        samples.add_labelled(MetricKind::Gauge, silent, vec![("part", part)], value);
    }
    workers(&mut samples, klines);
    feed(&mut samples, seen);
    requests(&mut samples, &shared.rest);
    if let Some(progress) = backfill {
        confirmation(&mut samples, progress);
        archive(&mut samples, progress);
    }
    if let Some(writer) = &seen.writer {
        use MetricKind::{Counter, Gauge};
        let status = writer.status();
        samples.add(Counter, "store_rows_written", "Rows written", status.rows_written);
        samples.add(
            Counter,
            "store_rows_refused",
            "Rows that can never be stored",
            status.rows_refused,
        );
        samples.add(Counter, "store_commits", "Commits", status.commits);
        samples.add(Counter, "store_failures", "Commits that failed", status.failures);
        samples.add(Counter, "store_rows_trimmed", "Old rows deleted", status.rows_trimmed);
        let quarantined = u64::from(seen.quarantined.is_some());
        let help = "1 if the database was damaged at the start and was set aside";
        samples.add(Gauge, "store_quarantined", help, quarantined);
        let help = "Times the log could not be moved into the database";
        samples.add(Counter, "store_checkpoint_failures", help, status.checkpoint_failures);
        samples.add(Gauge, "store_rows_queued", "Rows that wait", status.rows_queued);
        let stalled = u64::from(status.persist_stalled);
        samples.add(Gauge, "persist_stalled", "1 while the last commit failed", stalled);
        let help = "1 while commits fail because the database is damaged: restart klagg";
        samples.add(Gauge, "database_damaged", help, u64::from(status.database_damaged));
    }
    let consumers = seen.consumers.as_ref().map(SchedulerStatus::reports).unwrap_or_default();
    for report in consumers {
        let label = || vec![("consumer", report.name.clone())];
        let calls = ("consumer_calls", "Calls of a consumer");
        samples.add_labelled(MetricKind::Counter, calls, label(), report.calls);
        let slow = ("consumer_slow_calls", "Calls of a consumer that took too long");
        samples.add_labelled(MetricKind::Counter, slow, label(), report.slow);
        let panicked = ("consumer_broken", "1 once a consumer broke: it is called no more");
        samples.add_labelled(MetricKind::Gauge, panicked, label(), u64::from(report.panicked));
    }
    samples.0
}

/// How long the consumers' calls took.
pub(super) fn histograms(seen: &Seen) -> Vec<HistogramSample> {
    let consumers = seen.consumers.as_ref().map(SchedulerStatus::reports).unwrap_or_default();
    consumers.iter().map(durations).collect()
}

fn durations(report: &ConsumerReport) -> HistogramSample {
    let last = report.histogram.len().saturating_sub(1);
    let bounds = (0..).zip(&report.histogram).map(|(power, &calls)| {
        // The number of a bucket is the power of two that bounds its microseconds.
        let bound = if power == last { f64::INFINITY } else { 1e-6 * f64::from(1_u32 << power) };
        (bound, calls)
    });
    HistogramSample {
        name: "consumer_call_seconds",
        help: "Time of a consumer's calls",
        labels: vec![("consumer", report.name.clone())],
        buckets: bounds.collect(),
        sum: report.sum.as_secs_f64(),
    }
}

fn workers(samples: &mut Samples, klines: &GlobalKlines) {
    use MetricKind::Counter;
    let counters: [(&str, &str, Read<'_>); 20] = [
        ("trades", "Trades folded", &|counters| counters.trades),
        ("trades_duplicate", "Trades dropped as known", &|counters| counters.duplicates),
        ("trades_straggling", "Trades after their hole was given up", &|counters| {
            counters.stragglers
        }),
        ("trades_late_amended", "Late trades folded after all", &|counters| counters.late_amended),
        ("trades_late_dropped", "Late trades dropped", &|counters| counters.late_dropped),
        ("trades_unknown_symbol", "Trades of unknown symbols", &|counters| counters.unknown_symbol),
        ("trades_time_refused", "Trades with an absurd time", &|counters| counters.time_refused),
        ("gaps", "Holes in the ids", &|counters| counters.gaps),
        ("gap_trades", "Trades missing in holes", &|counters| counters.gap_trades),
        ("klines_closed", "Klines closed", &|counters| counters.closed),
        ("klines_corrected", "Closed klines whose values changed", &|counters| counters.corrected),
        ("klines_supplied", "Klines taken from outside", &|counters| counters.supplied),
        ("klines_supply_refused", "Klines from outside refused", &|counters| {
            counters.supply_refused
        }),
        ("klines_supply_ignored", "Klines from outside that bring nothing", &|counters| {
            counters.supply_ignored
        }),
        ("fills", "Holes filled after all", &|counters| counters.fills),
        ("fills_refused", "Fillings that are not what a hole lacks", &|counters| {
            counters.fills_refused
        }),
        ("holes_dropped", "Holes that nobody took in time", &|counters| counters.holes_dropped),
        ("interruptions", "Interruptions of feeds, by worker", &|counters| counters.interruptions),
        ("worker_restarts", "Workers that broke and started again", &|counters| counters.restarts),
        ("trades_lost", "Trades lost to workers that broke", &|counters| counters.trades_lost),
    ];
    for (name, help, read) in counters {
        let sum = klines.workers.iter().map(|worker| read(&worker.counters)).sum();
        samples.add(Counter, name, help, sum);
    }
    for (number, worker) in klines.workers.iter().enumerate() {
        let label = || vec![("worker", number.to_string())];
        let timeouts = ("worker_timeouts", "Pulls a worker did not answer in time");
        samples.add_labelled(Counter, timeouts, label(), worker.timeouts);
        let alarmed = ("worker_alarmed", "1 while a worker has not answered for too long");
        samples.add_labelled(MetricKind::Gauge, alarmed, label(), u64::from(worker.alarmed));
        let since = worker.stale_since.map_or(0, |since| klines.published_at.since(since).max(0));
        let stale = ("worker_stale_ms", "Age of what a late worker's symbols show");
        samples.add_labelled(MetricKind::Gauge, stale, label(), since.unsigned_abs());
        let dropped = ("worker_klines_dropped", "Closed klines nobody took in time");
        samples.add_labelled(Counter, dropped, label(), worker.closed_dropped);
    }
    samples.add(Counter, "snapshots", "Snapshots published", klines.sequence);
    let gateway = &klines.counters;
    let counters = [
        ("snapshot_clones", "Snapshots copied because a reader held the older", gateway.clones),
        ("klines_out_of_range", "Klines beyond the symbols provided for", gateway.out_of_range),
        ("klines_backward", "Klines that would have gone back, refused", gateway.refused),
        ("klines_too_old", "Closed klines older than the history", gateway.closed_too_old),
        ("klines_misplaced", "Closed klines the history cannot hold", gateway.closed_refused),
        ("holes_untold", "Holes that the repair's queue had no room for", gateway.holes_untold),
        ("store_wakes_lost", "Wake-ups the store's queue had no room for", gateway.db_queue_full),
    ];
    for (name, help, value) in counters {
        samples.add(Counter, name, help, value);
    }
}

fn feed(samples: &mut Samples, seen: &Seen) {
    use MetricKind::Counter;
    let Some(counts) = seen.feed.as_ref().map(|counts| counts()) else { return };
    let counters = [
        ("feed_frames", "Frames received", counts.frames),
        ("feed_bytes", "Bytes of frames received", counts.bytes),
        ("feed_trades", "Trades handed to the engine", counts.trades),
        ("feed_malformed", "Frames that cannot be read", counts.malformed),
        ("feed_times_doubted", "Frames far ahead of all others, dropped", counts.times_doubted),
        ("feed_foreign_trades", "Trades on a connection not theirs", counts.foreign_trades),
        ("feed_connects", "Connections opened", counts.connects),
        ("feed_connect_failures", "Connections that could not be opened", counts.connect_failures),
        ("feed_disconnects", "Connections lost or replaced", counts.disconnects),
        ("feed_rotations", "Sockets replaced by another, opened before", counts.rotations),
        ("feed_rotations_failed", "Replacements that failed", counts.rotations_failed),
        ("feed_renewals", "Streams subscribed anew", counts.renewals),
        ("feed_silences", "Connections replaced for their silence", counts.silences),
        ("feed_requests_refused", "Subscriptions that were refused", counts.refused),
        ("feed_stalls", "Times that the engine held up reading", counts.stalls),
        ("feed_notices_dropped", "Notices that nobody took", counts.notices_dropped),
        ("feed_shutdown_dropped", "Trades given up at shutdown", counts.dropped_at_shutdown),
        ("feed_unknown_symbols", "Trades of symbols not followed", counts.unknown_symbols),
        ("feed_off_market", "Fills outside of the order book, dropped", counts.off_market),
        ("feed_coin_margined", "Trades of COIN-M contracts, dropped", counts.coin_margined),
        ("feed_unused", "Frames of streams that are not used", counts.unused),
    ];
    for (name, help, value) in counters {
        samples.add(Counter, name, help, value);
    }
    let help = "Times that nothing came of a symbol although it traded";
    samples.add(Counter, "feed_symbols_mute_found", help, seen.mute_found);
    let help = "Symbols of which nothing comes although they trade";
    samples.add(MetricKind::Gauge, "feed_symbols_mute", help, seen.mute.len() as u64);
}

fn requests(samples: &mut Samples, rest: &RestClient) {
    use MetricKind::{Counter, Gauge};
    let counts = rest.counts();
    let weight = rest.weight();
    samples.add(Counter, "rest_requests", "REST requests sent", counts.requests);
    samples.add(Counter, "rest_limited", "REST answers 429, 418 and 403", counts.limited);
    samples.add(Counter, "rest_errors", "REST requests without an answer", counts.transport_errors);
    samples.add(Counter, "rest_unavailable", "REST answers 408 and 5xx", counts.unavailable);
    samples.add(Counter, "rest_refused", "REST requests refused for what they ask", counts.refused);
    samples.add(Counter, "rest_rejected", "REST answers that are not one", counts.pages_rejected);
    samples.add(Counter, "rest_weight", "Weight spent", weight.spent_total);
    let skew = rest.clock().machine_ahead_ms().unsigned_abs();
    let help = "How far this machine's clock is off the exchange's, at least, in milliseconds";
    samples.add(Gauge, "clock_skew_ms", help, skew);
    samples.add(Gauge, "rest_weight_minute", "Weight in the last minute", weight.used.into());
    samples.add(Gauge, "rest_weight_allowance", "Weight allowed a minute", weight.allowance.into());
}

fn confirmation(samples: &mut Samples, progress: &BackfillProgress) {
    use MetricKind::{Counter, Gauge};
    let counts = &progress.counts;
    let counters = [
        ("confirmed_equal", "Closed klines equal to the exchange's", counts.confirmed_equal),
        (
            "straddle_corrected",
            "Closed klines that differed, but not together with their neighbours",
            counts.corrected_straddle,
        ),
        (
            "late_corrected",
            "Closed klines that took late trades and differed",
            counts.corrected_late,
        ),
        (
            "unexplained_corrected",
            "Closed klines that differed for no known reason",
            counts.corrected_unexplained,
        ),
        ("provisional_corrected", "Provisional klines repaired", counts.corrected_provisional),
        ("confirmed_changed", "Confirmed klines the exchange changed", counts.corrected_confirmed),
        ("holes_left", "Holes in the ids left to klines", counts.holes_left),
        ("holes_filled", "Holes in the ids filled trade by trade", counts.holes_filled),
        ("trades_fetched", "Trades fetched to fill holes", counts.trades_fetched),
        ("folds_checked", "Hours and days equal to the exchange's", counts.checks_equal),
        ("folds_different", "Hours and days that differed", counts.checks_different),
        ("folds_unchecked", "Hours and days that could not be checked", counts.checks_skipped),
        ("pages", "Pages of klines taken over", counts.pages),
        ("pages_failed", "Pages that did not come", counts.pages_failed),
        ("pages_refused", "Pages that came but were refused", counts.pages_refused),
        ("answers_dropped", "Answers of symbols that have ended", counts.answers_dropped),
        ("rows_damaged", "Stored rows that were damaged, fetched anew", counts.rows_damaged),
    ];
    for (name, help, value) in counters {
        samples.add(Counter, name, help, value);
    }
    let until = progress.confirmed_until.map_or(0, |until| until.0.unsigned_abs());
    let help = "Unix milliseconds up to which the minutes of every symbol are confirmed";
    samples.add(Gauge, "confirmed_until_ms", help, until);
    let waiting = progress.unconfirmed_symbols as u64;
    samples.add(Gauge, "unconfirmed_symbols", "Symbols that wait for confirmation", waiting);
}

/// What came from the exchange's archive, and why the rest did not.
fn archive(samples: &mut Samples, progress: &BackfillProgress) {
    let counts = &progress.counts;
    let counters = [
        ("archive_klines", "Klines taken from files of the archive", counts.klines_archived),
        ("archive_klines_left", "Klines without trades in them, left out", counts.klines_left),
        ("archive_files", "Files of the archive that were read", counts.files),
        ("archive_missing", "Files that the archive does not have", counts.files_missing),
        ("archive_failed", "Files of the archive that did not come", counts.files_failed),
        ("archive_checksum", "Files that did not match their checksum", counts.files_checksum),
        ("archive_too_long", "Files longer than any honest one", counts.files_too_long),
        ("archive_unreadable", "Files that could not be read", counts.files_unreadable),
        ("archive_unsorted", "Files whose klines did not ascend", counts.files_unsorted),
        ("archive_out_of_place", "Files with klines of another span", counts.files_out_of_place),
    ];
    for (name, help, value) in counters {
        samples.add(MetricKind::Counter, name, help, value);
    }
}
