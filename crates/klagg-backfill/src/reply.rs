//! Whether a page of klines is what was asked for. Pure.
//!
//! Always true here: an empty page proves nothing.

use klagg_engine::Hole;
use klagg_kline::{Kline, Period, Trade, UnixMillis};

use crate::pages::Page;

/// Checks that `klines`, ascending and on the grid, fill `page` without a hole.
///
/// Only the beginning may be missing, up to a kline that opens at `first_by`: there the symbol may
/// have been listed. Then all of the page counts as held.
pub(crate) fn check(
    page: &Page,
    klines: &[Kline],
    first_by: UnixMillis,
) -> Result<(), &'static str> {
    if mutated!(PageUnchecked) && !klines.is_empty() {
        return Ok(());
    }
    let (Some(first), Some(last)) = (klines.first(), klines.last()) else {
        return Err("no kline");
    };
    if first.open_time < page.from || last.open_time >= page.until {
        return Err("a kline outside of what was asked for");
    }
    if last.open_time != page.last_open_time() {
        return Err("the newest klines are missing");
    }
    if first.open_time > first_by {
        return Err("the oldest klines are missing");
    }
    let next = |kline: &Kline| page.period.next_open_time(kline.open_time);
    if klines.windows(2).any(|pair| next(&pair[0]) != pair[1].open_time) {
        return Err("a hole between klines");
    }
    Ok(())
}

/// Checks that `trades` are exactly those that `hole` lacks.
pub(crate) fn check_trades(hole: &Hole, trades: &[Trade]) -> Result<(), &'static str> {
    let (Some(first), Some(last)) = (trades.first(), trades.last()) else {
        return Err("no trade");
    };
    if mutated!(SeamUnjoined) {
        return Ok(());
    }
    if trades.len() as u64 > hole.trades() {
        return Err("more trades than were asked for");
    }
    if first.id != hole.first {
        return Err("not the first trade that was asked for");
    }
    if trades.windows(2).any(|pair| pair[0].id.next() != pair[1].id) {
        return Err("a hole between trades");
    }
    if last.id != hole.last {
        return Err("the newest trades are missing");
    }
    if trades.windows(2).any(|pair| pair[0].time > pair[1].time) {
        return Err("a trade before the one before it");
    }
    let minute = |trade: &Trade| Some(Period::M1.open_time(trade.time));
    if trades.iter().any(|trade| minute(trade) != hole.minute) {
        return Err("a trade of another minute");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use klagg_kline::{Price, Quantity, Side, SymbolId, TradeId};

    use super::*;

    const MINUTE: i64 = 60_000;

    fn page() -> Page {
        let (from, until) = (UnixMillis(10 * MINUTE), UnixMillis(14 * MINUTE));
        Page { period: Period::M1, from, until, klines: 4 }
    }

    #[test]
    fn a_page_must_fill_what_was_asked_for() {
        let check = |minutes: &[i64], first_by: i64, expected: Result<(), &'static str>| {
            let flat =
                |&minute: &i64| Kline::flat(UnixMillis(minute * MINUTE), Price::from_scaled(1));
            let klines: Vec<Kline> = minutes.iter().map(flat).collect();
            let first_by = UnixMillis(first_by * MINUTE);
            assert_eq!(super::check(&page(), &klines, first_by), expected, "{minutes:?}");
        };
        check(&[10, 11, 12, 13], 10, Ok(()));
        check(&[12, 13], 13, Ok(()));
        check(&[12, 13], 12, Ok(()));
        check(&[12, 13], 11, Err("the oldest klines are missing"));
        check(&[12, 13], 10, Err("the oldest klines are missing"));
        check(&[10, 11, 12], 10, Err("the newest klines are missing"));
        check(&[10, 11, 13], 10, Err("a hole between klines"));
        check(&[9, 10, 11, 12, 13], 10, Err("a kline outside of what was asked for"));
        check(&[10, 11, 12, 13, 14], 10, Err("a kline outside of what was asked for"));
        check(&[], 13, Err("no kline"));
    }

    #[test]
    fn trades_must_be_exactly_what_a_hole_lacks() {
        let hole = Hole {
            symbol: SymbolId(0),
            first: TradeId(5),
            last: TradeId(7),
            minute: Some(UnixMillis(10 * MINUTE)),
        };
        let check = |trades: &[(i64, i64)], expected: Result<(), &'static str>| {
            let of = |&(id, second): &(i64, i64)| {
                let time = UnixMillis(10 * MINUTE + second * 1_000);
                let (price, quantity) = (Price::from_scaled(1), Quantity::from_scaled(1));
                Trade::new(TradeId(id), time, price, quantity, 1, Side::Buy).unwrap()
            };
            let trades: Vec<Trade> = trades.iter().map(of).collect();
            assert_eq!(check_trades(&hole, &trades), expected, "{trades:?}");
        };
        check(&[(5, 0), (6, 59), (7, 59)], Ok(()));
        check(&[], Err("no trade"));
        check(&[(5, 0), (6, 0), (7, 0), (8, 0)], Err("more trades than were asked for"));
        check(&[(4, 0), (5, 0), (6, 0)], Err("not the first trade that was asked for"));
        check(&[(6, 0), (7, 0)], Err("not the first trade that was asked for"));
        check(&[(5, 0), (7, 0)], Err("a hole between trades"));
        check(&[(5, 0), (6, 0), (6, 0)], Err("a hole between trades"));
        check(&[(5, 0), (6, 0)], Err("the newest trades are missing"));
        check(&[(5, 1), (6, 0), (7, 2)], Err("a trade before the one before it"));
        check(&[(5, 1), (6, 2), (7, 60)], Err("a trade of another minute"));
        check(&[(5, -1), (6, 2), (7, 3)], Err("a trade of another minute"));
    }
}
