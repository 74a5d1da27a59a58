//! Models of what the history hands from its writer to a reader: every interleaving, and every
//! value that a weak memory may show. Run by `cargo xtask loom`, which also runs each without the
//! orderings it stands on and demands that it fails.
//!
//! The writer is always the first thread. The checker looks for other orders only where a step
//! depends on the last one on the same atomic, and the writer loads its own numbers before it
//! stores them: beside a reader that had come first, that load would hide the reader's.

use loom::model::Builder;
use loom::thread;

use super::*;
use crate::history::cell::Cells;
use klagg_kline::{Kline, Period, Price};

/// Changes of thread at places where the thread could have gone on. Three are enough for every
/// weakening named here; each more multiplies the time.
const PREEMPTIONS_MAX: usize = 3;

fn check(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let runs = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    println!("{name}: {} executions", runs.load(std::sync::atomic::Ordering::Relaxed));
}

/// Fails, each by itself, without the release fence of the write, its last store's ordering, the
/// first load's of the read, and the acquire fence of the read.
#[test]
fn a_cell_is_read_whole_and_never_back_in_time() {
    check("cell", || {
        let cells = Arc::new(Cells::<2>::new(1));
        let reading = Arc::clone(&cells);
        let reader = thread::spawn(move || {
            let mut last = 0;
            for _ in 0..2 {
                if let Some(words) = reading.read(0) {
                    assert_eq!(words[0], words[1], "torn");
                    assert!(words[0] >= last, "back in time");
                    last = words[0];
                } else {
                    assert_eq!(last, 0, "written, then not");
                }
            }
        });
        cells.write(0, &[1, 1]);
        cells.write(0, &[2, 2]);
        reader.join().unwrap();
    });
}

const SYMBOL: SymbolId = SymbolId(0);

fn record(minute: i64, price: i64) -> KlineRecord {
    KlineRecord {
        kline: Kline::flat(UnixMillis(minute * 60_000), Price::from_scaled(price)),
        revision: 0,
        status: KlineStatus::Closed,
    }
}

/// Holds minute 1. So the room is there: taking it is the standard library's hand-over, not ours.
fn small_history() -> (HistoryWriter, HistoryReader) {
    let periods = PeriodSet::new(&[Period::M1]).unwrap();
    let config = HistoryConfig { periods, symbols_max: 1, capacity: vec![2], log_capacity: 2 };
    let (mut writer, reader) = history(config).unwrap();
    assert_eq!(writer.apply(SYMBOL, 0, &[record(1, 7)]).applied, 1);
    (writer, reader)
}

/// Fails when the head is stored before the entry, or the change is noted before the kline is put
/// in. The orderings of the head alone could be relaxed: the fences inside the cells, which stand
/// between, order the same; without one of each it fails. They are what a reader of the code would
/// look for, and cost nothing.
#[test]
fn who_sees_a_change_in_the_log_finds_it_and_its_kline() {
    check("log", || {
        let (mut writer, reader) = small_history();
        let reader = thread::spawn(move || {
            let mut changes = Vec::new();
            let cursor = reader.changes_since(1, &mut changes, 2);
            assert!(!cursor.lost, "nothing was overwritten");
            assert_eq!(cursor.next, 1 + changes.len() as u64);
            if let [change] = changes[..] {
                assert_eq!(change.open_time, UnixMillis(120_000));
                assert_eq!(reader.get(SYMBOL, 0, change.open_time), Some(record(2, 8)));
            }
        });
        assert_eq!(writer.apply(SYMBOL, 0, &[record(2, 8)]).applied, 1);
        reader.join().unwrap();
    });
}

/// Fails when the number of the newest is stored before its cell is written. Of its orderings the
/// same holds as of the head's.
#[test]
fn the_newest_kline_is_there_when_it_is_said_to_be() {
    check("newest", || {
        let (mut writer, reader) = small_history();
        let reader = thread::spawn(move || {
            let last = reader.last(SYMBOL, 0);
            assert!(last == Some(record(1, 7)) || last == Some(record(2, 8)), "{last:?}");
        });
        assert_eq!(writer.apply(SYMBOL, 0, &[record(2, 8)]).applied, 1);
        reader.join().unwrap();
    });
}
