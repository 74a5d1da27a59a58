//! A backfill that is cut off anywhere goes on where it stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use klagg_backfill::{Event, What};
use klagg_kline::{Period, SymbolId, UnixMillis};
use proptest::prelude::*;

use crate::world::{World, config};

type Asked = BTreeSet<(SymbolId, Period, UnixMillis)>;

/// Every kline that was asked for.
fn asked(world: &World) -> Asked {
    let mut all = Asked::new();
    for granted in &world.granted {
        let What::Klines(page) = granted.request.what else { continue };
        let mut at = page.from;
        while at < page.until {
            all.insert((granted.request.symbol, page.period, at));
            at = page.period.next_open_time(at);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_that_was_stored_is_asked_for_again(
        symbols in 1_u32..6,
        cut_ms in 0_u64..30_000,
        down_minutes in 0_u64..90,
    ) {
        let periods = [Period::M1, Period::M5, Period::H1, Period::D1];
        let config = config(&periods, &[700, 700, 300, 400]);
        let mut world = World::new(config.clone(), symbols, 2_400);
        world.stores = true;
        world.tell(Event::Live(world.exchange()));
        world.run_until(Duration::from_millis(cut_ms));
        let before = world.local;
        let rows = std::mem::take(&mut world.rows);
        let held: Asked = rows
            .iter()
            .flat_map(|((symbol, index), rows)| {
                rows.keys().map(|&at| (*symbol, periods[*index], at))
            })
            .collect();
        let mut again = World::with_rows(config, symbols, 2_400, rows);
        // Time went on meanwhile; what was loaded at once is as it would be later.
        again.run_until(before + Duration::from_mins(down_minutes));
        again.tell(Event::Live(again.exchange()));
        again.run_to(Duration::from_hours(1), |world| world.core.progress().history_complete);
        let twice: Vec<_> = asked(&again).intersection(&held).copied().collect();
        prop_assert!(twice.is_empty(), "{} are asked for twice: {:?}", twice.len(), twice.first());
    }
}
