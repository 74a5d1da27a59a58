//! Figures for a scraper: ours, and those that the composition hands over.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::Admin;
use crate::{HistogramSample, MetricKind, MetricSample};

/// Collects at each scrape.
#[derive(Debug)]
pub(super) struct Figures(pub(super) Admin);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let report = (self.0.app.source.parts.status)();
        let mut samples = self.own();
        samples.extend(report.metrics);
        samples.push(gauge("ready", "Whether history and feed have met.", report.ready.into()));
        // A name is described once, whatever the order in which its samples come.
        samples.sort_by_key(|sample| sample.name);
        for family in samples.chunk_by(|a, b| a.name == b.name) {
            write_family(&mut encoder, family)?;
        }
        let mut histograms = report.histograms;
        histograms.sort_by_key(|sample| sample.name);
        for family in histograms.chunk_by(|a, b| a.name == b.name) {
            write_histograms(&mut encoder, family)?;
        }
        Ok(())
    }
}

fn write_histograms(
    encoder: &mut DescriptorEncoder<'_>,
    family: &[HistogramSample],
) -> Result<(), fmt::Error> {
    let Some(first) = family.first() else { return Ok(()) };
    let kind = MetricType::Histogram;
    let mut described = encoder.encode_descriptor(first.name, first.help, None, kind)?;
    for sample in family {
        let labels: Vec<_> =
            sample.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let count = sample.buckets.iter().map(|(_, values)| values).sum();
        let mut labelled = described.encode_family(&labels)?;
        labelled.encode_histogram::<NoLabelSet>(sample.sum, count, &sample.buckets, None)?;
    }
    Ok(())
}

fn write_family(
    encoder: &mut DescriptorEncoder<'_>,
    family: &[MetricSample],
) -> Result<(), fmt::Error> {
    let Some(first) = family.first() else { return Ok(()) };
    let kind = match first.kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
    };
    let mut described = encoder.encode_descriptor(first.name, first.help, None, kind)?;
    for sample in family {
        if sample.labels.is_empty() {
            write_value(&mut described, sample)?;
            continue;
        }
        let labels: Vec<_> =
            sample.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        write_value(&mut described.encode_family(&labels)?, sample)?;
    }
    Ok(())
}

fn write_value(encoder: &mut MetricEncoder<'_>, sample: &MetricSample) -> Result<(), fmt::Error> {
    match sample.kind {
        MetricKind::Counter => encoder.encode_counter::<NoLabelSet, _, f64>(&sample.value, None),
        MetricKind::Gauge => encoder.encode_gauge(&sample.value),
    }
}

fn gauge(name: &'static str, help: &'static str, value: f64) -> MetricSample {
    MetricSample { name, help, kind: MetricKind::Gauge, labels: Vec::new(), value }
}

fn counter(name: &'static str, help: &'static str, value: &AtomicU64) -> MetricSample {
    let value = precise(value.load(Ordering::Relaxed));
    MetricSample { name, help, kind: MetricKind::Counter, labels: Vec::new(), value }
}

/// Exact up to 2^53, which no counter here reaches.
#[expect(clippy::cast_precision_loss, reason = "what the text format can hold")]
fn precise(value: u64) -> f64 {
    value as f64
}

impl Figures {
    fn own(&self) -> Vec<MetricSample> {
        let Admin { app, gate, guard } = &self.0;
        let (hub, sockets) = (&app.hub.counters, &app.sockets);
        let standing = app.standing();
        let age = standing.now.since(standing.published_at).max(0);
        let symbols = app.source.parts.symbols.load().len();
        let clients = hub.clients.load(Ordering::Relaxed);
        vec![
            gauge("sequence", "Number of the published state.", precise(standing.sequence)),
            gauge(
                "published_age_seconds",
                "Age of the published state.",
                precise(age.unsigned_abs()) / 1000.0,
            ),
            gauge("symbols", "Symbols numbered, tombstones included.", precise(symbols as u64)),
            gauge("web_clients", "Websockets open.", precise(clients)),
            gauge("web_connections", "Connections open.", precise(gate.connections() as u64)),
            counter("web_accepted", "Connections accepted.", &gate.counters.accepted),
            counter("web_refused", "Connections over the total.", &gate.counters.refused_total),
            counter(
                "web_refused_per_ip",
                "Connections over the bound of one address.",
                &gate.counters.refused_per_ip,
            ),
            counter("web_limited", "Requests answered 429.", &gate.counters.requests_limited),
            counter("web_requests", "Requests.", &guard.counters.requests),
            counter("web_forbidden", "Wrong Host or Origin.", &guard.counters.forbidden),
            counter("web_timed_out", "Requests that took too long.", &guard.counters.timed_out),
            counter("web_shed", "Requests over the bound at once.", &guard.counters.shed),
            counter("web_updates_queued", "Updates left in outboxes.", &hub.queued),
            counter("web_updates_conflated", "States skipped for newer ones.", &hub.conflated),
            counter("web_resyncs", "Snapshots in place of a backlog.", &hub.resyncs),
            counter("web_overflows", "Clients that would have had a hole.", &hub.overflows),
            counter("web_messages_sent", "Texts sent on websockets.", &sockets.messages_sent),
            counter("web_strikes", "Wrong commands.", &sockets.strikes),
            counter("web_closed_behind", "Closed with 1013.", &sockets.closed_behind),
            counter("web_closed_stopping", "Closed with 1001.", &sockets.closed_stopping),
            counter("web_closed_for_cause", "Closed otherwise.", &sockets.closed_for_cause),
            counter(
                "web_damaged_rows",
                "Stored rows left out: damaged or gone.",
                app.source.damaged_rows(),
            ),
        ]
    }
}
