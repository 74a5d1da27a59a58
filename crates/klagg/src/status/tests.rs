//! What is wrong is said: to people, to probes, to scrapers.

use klagg_binance::Tls;
use klagg_engine::{HistoryConfig, history};
use klagg_gateway::{Consumer, ReadScheduler, Update};

use super::*;
use crate::config::{Config, Layers};
use crate::parts;

struct Bad;

impl Consumer for Bad {
    fn name(&self) -> &'static str {
        "bad"
    }

    fn on_update(&mut self, _: &Update<'_>) {
        panic!("broken by a test");
    }
}

struct Good;

impl Consumer for Good {
    fn name(&self) -> &'static str {
        "good"
    }

    fn on_update(&mut self, _: &Update<'_>) {}
}

/// Looks at what is said of it while it keeps the scheduler.
struct Stuck(Box<dyn Fn() + Send>);

impl Consumer for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn on_update(&mut self, _: &Update<'_>) {
        (self.0)();
    }
}

#[tokio::test]
async fn a_consumer_that_broke_and_a_part_that_is_silent_are_shown() {
    let config = Config::from_layers(&Layers::default()).unwrap();
    let rest = RestClient::new(parts::rest(&config), &Tls::new().unwrap()).unwrap();
    let klines = watch::Sender::new(Arc::default());
    let pulses = Pulses::new();
    let status = Status::new("a test", &rest, &klines, pulses.clone());
    assert!(status.report().problems.is_empty() && status.report().silent.is_empty());

    let (_, reader) =
        history(HistoryConfig { symbols_max: 1, log_capacity: 1, ..parts::history(&config) })
            .unwrap();
    let consumers: Vec<Box<dyn Consumer>> = vec![Box::new(Bad), Box::new(Good)];
    let mut scheduler = ReadScheduler::new(reader, consumers, Duration::ZERO);
    status.consumers(scheduler.status());
    (0..3).for_each(|_| scheduler.update(&Arc::default()));
    let report = status.report();
    assert_eq!(report.problems, ["consumer `bad` broke and is called no more"]);
    let calls = |name: &str| {
        let of = |sample: &&klagg_web::HistogramSample| sample.labels[0].1 == name;
        let sample = report.histograms.iter().find(of).unwrap();
        assert!(sample.buckets.is_sorted_by(|a, b| a.0 < b.0), "{sample:?}");
        assert!(sample.buckets.last().is_some_and(|(bound, _)| bound.is_infinite()));
        (sample.name, sample.buckets.iter().map(|(_, calls)| calls).sum::<u64>())
    };
    assert_eq!(calls("good"), ("consumer_call_seconds", 3));
    assert_eq!(calls("bad"), ("consumer_call_seconds", 0));
    let figure = |name: &str, label: &str| {
        let of = |sample: &&klagg_web::MetricSample| {
            sample.name == name && sample.labels.iter().any(|(_, value)| value == label)
        };
        report.metrics.iter().find(of).map(|sample| sample.value > 0.5)
    };
    assert_eq!(figure("consumer_broken", "bad"), Some(true));
    assert_eq!(figure("consumer_broken", "good"), Some(false));
    assert_eq!(figure("consumer_slow_calls", "good"), Some(true), "with a limit of nothing");

    let looked = Arc::new(Mutex::new(Vec::new()));
    let (seen, looking) = (Arc::clone(&looked), status.clone());
    pulses.probe(READ_SCHEDULER, Duration::ZERO, None, || Some(0));
    pulses.look();
    let stuck = Stuck(Box::new(move || seen.lock().unwrap().extend(looking.report().silent)));
    let config = HistoryConfig { symbols_max: 1, log_capacity: 1, ..parts::history(&config) };
    let stuck: Vec<Box<dyn Consumer>> = vec![Box::new(Good), Box::new(stuck)];
    let mut scheduler = ReadScheduler::new(history(config).unwrap().1, stuck, Duration::ZERO);
    status.consumers(scheduler.status());
    scheduler.update(&Arc::default());
    let sentence = "the read scheduler has given no sign of life for 0 s: consumer `stuck` does \
                    not return";
    assert_eq!(*looked.lock().unwrap(), [sentence]);

    let _heart = pulses.heart("the stuck part", Duration::ZERO);
    pulses.look();
    let report = status.report();
    assert_eq!(report.silent[1..], ["the stuck part has given no sign of life for 0 s"]);
}

#[test]
fn a_store_that_takes_nothing_says_what_to_do() {
    let failed = |damaged, why: Option<&str>| WriterStatus {
        persist_stalled: true,
        database_damaged: damaged,
        last_error: why.map(str::to_owned),
        ..WriterStatus::default()
    };
    assert_eq!(stalled(&WriterStatus::default()), None);
    let full = stalled(&failed(false, Some("the disk that holds the database is full: make room")));
    assert_eq!(
        full.as_deref(),
        Some(
            "klines cannot be written; they are kept and retried: the disk that holds the \
             database is full: make room"
        )
    );
    let damaged = stalled(&failed(true, Some("`klagg.db` is damaged: malformed")));
    assert_eq!(
        damaged.as_deref(),
        Some(
            "the database is damaged and takes no more klines: restart klagg, which sets it \
             aside and fills a new one (`klagg.db` is damaged: malformed)"
        )
    );
    assert!(stalled(&failed(true, None)).unwrap().contains("restart klagg"));
}
