//! Pages that are not what was asked for.
//!
//! What the reader of the exchange's JSON refuses comes as [`Reply::Garbage`]; the rest is for the
//! one who asked. A page of another symbol is not among them: a kline does not name its symbol.

use klagg_kline::{Kline, Period, Trade, TradeId, UnixMillis};

use crate::exchange::rest::Reply;
use crate::random::index;

/// A page that went wrong in one of several ways.
pub(super) fn page(mut klines: Vec<Kline>, (period, from): (Period, i64), dice: u64) -> Reply {
    let count = klines.len() as u64;
    let at = index((dice >> 8) % count.max(1));
    match dice % 7 {
        0 if count > 1 => {
            // Truncated: the newest are missing.
            klines.truncate(at.max(1));
        }
        1 if count > 2 => {
            klines.remove(at.clamp(1, index(count) - 2));
        }
        2 | 3 if count > 0 => {
            // One more than was asked for.
            let last = klines[index(count) - 1];
            klines.push(Kline { open_time: period.next_open_time(last.open_time), ..last });
        }
        4 if count > 0 => {
            // One from before what was asked for.
            let first = klines[0];
            let before = period.open_time(UnixMillis(from - 1));
            klines.insert(0, Kline { open_time: before, ..first });
        }
        // Nothing, as if it had not been listed yet.
        5 => klines.clear(),
        // Unsorted, off the grid, high below low: the reader of the JSON refuses most of it, and
        // who asked the rest.
        _ => match (dice >> 40) % 3 {
            0 if count > 1 => klines.swap(0, index(count) - 1),
            1 if count > 0 => klines.iter_mut().for_each(|of| of.open_time.0 += 1),
            _ => return Reply::Garbage,
        },
    }
    Reply::Klines(klines)
}

/// The same for aggregates.
pub(super) fn trades(mut trades: Vec<Trade>, dice: u64) -> Reply {
    let count = trades.len() as u64;
    let at = index((dice >> 8) % count.max(1));
    match dice % 5 {
        0 if count > 2 => {
            trades.remove(at.clamp(1, index(count) - 2));
        }
        1 if count > 1 => {
            trades.remove(0);
        }
        2 => trades.clear(),
        3 if count > 1 => {
            for trade in &mut trades {
                trade.id = TradeId(trade.id.0 + 1);
            }
        }
        _ if count > 1 && (dice >> 40).is_multiple_of(2) => trades.swap(0, index(count) - 1),
        _ => return Reply::Garbage,
    }
    Reply::Trades(trades)
}
