//! Whether a page of klines is what was asked for. Pure.

use klagg_engine::Hole;
use klagg_kline::{Kline, Period, Trade, UnixMillis};

use crate::pages::Page;

/// Whether klines of this period that open before a page are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// There are: a page must begin where it was asked to.
    Known,
    /// None: the page may begin later, where the symbol was listed.
    Unknown,
}

/// Checks that `klines`, ascending and on the grid, fill `page` without a hole.
///
/// Only the beginning may be missing, and only where nothing older is known: there the symbol
/// was listed. Then all of the page counts as held.
pub(crate) fn check(page: &Page, klines: &[Kline], before: Before) -> Result<(), &'static str> {
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
    if first.open_time != page.from && before == Before::Known {
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

/// Whether an empty answer for `page` means that the symbol was listed later.
pub(crate) fn is_before_listing(page: &Page, oldest_known: Option<UnixMillis>) -> bool {
    oldest_known.is_some_and(|oldest| page.until <= oldest)
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
        let check = |minutes: &[i64], before: Before, expected: Result<(), &'static str>| {
            let flat =
                |&minute: &i64| Kline::flat(UnixMillis(minute * MINUTE), Price::from_scaled(1));
            let klines: Vec<Kline> = minutes.iter().map(flat).collect();
            assert_eq!(super::check(&page(), &klines, before), expected, "{minutes:?}");
        };
        check(&[10, 11, 12, 13], Before::Known, Ok(()));
        check(&[12, 13], Before::Unknown, Ok(()));
        check(&[12, 13], Before::Known, Err("the oldest klines are missing"));
        check(&[10, 11, 12], Before::Known, Err("the newest klines are missing"));
        check(&[10, 11, 13], Before::Known, Err("a hole between klines"));
        check(&[9, 10, 11, 12, 13], Before::Known, Err("a kline outside of what was asked for"));
        check(&[10, 11, 12, 13, 14], Before::Known, Err("a kline outside of what was asked for"));
        check(&[], Before::Unknown, Err("no kline"));
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

    #[test]
    fn nothing_at_all_is_believed_only_before_the_oldest_known_kline() {
        assert!(is_before_listing(&page(), Some(UnixMillis(14 * MINUTE))));
        assert!(!is_before_listing(&page(), Some(UnixMillis(13 * MINUTE))));
        assert!(!is_before_listing(&page(), None), "the exchange may just be late");
    }
}
