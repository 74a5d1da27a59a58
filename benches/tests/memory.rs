//! What is held is bounded: counted where memory is taken, at a small size.

use klagg_bench::Series;
use klagg_engine::{HistoryConfig, history};
use klagg_kline::{PeriodSet, SymbolId};

const SYMBOLS: u32 = 6;
const KLINES: usize = 1_000;
/// The goal for 600 symbols of six periods, 1,000 klines of each.
const GOAL_BYTES: u64 = 250 << 20;

#[test]
fn a_full_history_of_600_symbols_takes_less_than_250_mebibytes() {
    let config = HistoryConfig {
        periods: PeriodSet::default(),
        symbols_max: SYMBOLS as usize,
        capacity: vec![KLINES; 6],
        log_capacity: 1,
    };
    let mut held = None;
    let taken = allocation_counter::measure(|| {
        let (mut writer, reader) = history(config).unwrap();
        for at in 0..SYMBOLS {
            for (index, &period) in reader.periods().as_slice().iter().enumerate() {
                for record in Series::new(at as usize, period).take(KLINES) {
                    writer.apply(SymbolId(at), index, &[record]);
                }
            }
        }
        held = Some(writer);
    });
    let reader = held.unwrap().reader();
    assert_eq!(reader.len(SymbolId(SYMBOLS - 1), 5), KLINES);
    let bytes = u64::try_from(taken.bytes_current).unwrap() * 600 / u64::from(SYMBOLS);
    assert!(bytes < GOAL_BYTES, "{bytes} bytes for 600 symbols");
    // What the history says of itself is the cells alone: most of all that is taken.
    let said = reader.memory_bytes() as u64 * 600 / u64::from(SYMBOLS);
    assert!(said <= bytes && bytes - said < bytes / 50, "{said} of {bytes} bytes");
}
