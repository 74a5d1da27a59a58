//! One file of the archive, made from the market when it is asked for.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use klagg_kline::{Kline, Period, UnixMillis};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{ArchiveFault, period_of};
use crate::market::calendar::{DAY, civil};
use crate::market::symbol::{MINUTE, Symbol};
use crate::market::view::Range;
use crate::server::Shared;

const HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,\
                      taker_buy_volume,taker_buy_quote_volume,ignore";
const AGGREGATES: &str = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,\
                          is_buyer_maker\n1,2.0,3.0,4,5,1704153600000,true\n";
/// A day's file appears half past eight on the next one.
const DAY_DELAY: i64 = 8 * 3_600_000 + 30 * MINUTE;
/// A month's file appears on the first Monday after it, at ten.
const MONTH_HOUR: i64 = 10 * 3_600_000;
/// What a spoiled file unpacks to, or is long itself.
const ENORMOUS: usize = 26 << 20;
const HUGE: usize = 17 << 20;

/// What a file's path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    symbol: String,
    period: Period,
    /// The name without `.zip`.
    stem: String,
    from: UnixMillis,
    until: UnixMillis,
    appears: UnixMillis,
}

impl Wanted {
    /// The file at a path, if such a file could be.
    pub(super) fn of_path(kind: &str, symbol: &str, spelled: &str, name: &str) -> Option<Self> {
        let period = period_of(spelled)?;
        let stem = name.strip_suffix(".zip")?;
        let date = stem.strip_prefix(symbol)?.strip_prefix('-')?.strip_prefix(spelled)?;
        let numbers: Option<Vec<i64>> =
            date.strip_prefix('-')?.split('-').map(|part| part.parse().ok()).collect();
        let (span, year, month, day) = match (kind, numbers?.as_slice()) {
            ("monthly", &[year, month]) => (Period::Mo1, year, month, 1),
            ("daily", &[year, month, day]) => (Period::D1, year, month, day),
            _ => return None,
        };
        let from = instant(year, month, day)?;
        let until = span.next_open_time(from);
        let appears = match span {
            Period::D1 => until.plus(DAY_DELAY),
            _ => first_monday(until).plus(MONTH_HOUR),
        };
        let (symbol, stem) = (symbol.to_owned(), stem.to_owned());
        Some(Self { symbol, period, stem, from, until, appears })
    }
}

/// Midnight of a date, if there is such a date.
fn instant(year: i64, month: i64, day: i64) -> Option<UnixMillis> {
    if !(2_000..2_200).contains(&year) {
        return None;
    }
    let mut at = UnixMillis((year - 1_970) * 365 * DAY);
    while civil(at).0 < year || (civil(at).0 == year && civil(at).1 < month) {
        at = Period::Mo1.next_open_time(at);
    }
    let at = at.plus((day - 1) * DAY);
    (civil(at) == (year, month, day)).then_some(at)
}

/// The first Monday from `time` on, which is midnight. 1970-01-05 was one.
fn first_monday(time: UnixMillis) -> UnixMillis {
    time.plus((4 - time.0.div_euclid(DAY)).rem_euclid(7) * DAY)
}

/// The file's bytes, if the archive has it by now.
pub(super) fn make(
    shared: &Shared,
    wanted: &Wanted,
    fault: Option<ArchiveFault>,
) -> Option<Vec<u8>> {
    if shared.clock.now() < wanted.appears {
        return None;
    }
    if fault == Some(ArchiveFault::Huge) {
        return Some(vec![b'0'; HUGE]);
    }
    let listed = shared.market.get(&wanted.symbol)?;
    let shift = if fault == Some(ArchiveFault::OtherDay) { DAY } else { 0 };
    let (from, to) = (wanted.from.plus(shift), wanted.until.plus(shift - 1));
    let range = Range { from: Some(from), to: Some(to), limit: usize::MAX };
    let mut klines = listed.klines(wanted.period, range, shared.sight());
    klines.retain(|kline| wanted.period.next_open_time(kline.open_time) <= shared.clock.now());
    if klines.is_empty() {
        return None;
    }
    spoil(&mut klines, fault);
    // Files of days have a header, as newer ones at the exchange; older ones never got one.
    let mut text = String::new();
    if wanted.until.since(wanted.from) == DAY {
        let _ = writeln!(text, "{HEADER}");
    }
    for kline in &klines {
        row(&mut text, kline, wanted.period, &listed.symbol);
    }
    let mut member = format!("{}.csv", wanted.stem);
    match fault {
        Some(ArchiveFault::Alien) => {
            text.clear();
            text.push_str(AGGREGATES);
        }
        Some(ArchiveFault::OtherSymbol) => {
            member = member.replacen(&wanted.symbol, "ALIENUSDT", 1);
        }
        Some(ArchiveFault::Bomb) => text.extend(std::iter::repeat_n('0', ENORMOUS)),
        _ => {}
    }
    let mut packed = pack(&member, &text).ok()?;
    if fault == Some(ArchiveFault::Truncated) {
        packed.truncate(packed.len() / 2);
    }
    Some(packed)
}

fn spoil(klines: &mut Vec<Kline>, fault: Option<ArchiveFault>) {
    let middle = klines.len() / 2;
    match fault {
        Some(ArchiveFault::Unsorted) if middle > 0 => klines.swap(middle - 1, middle),
        Some(ArchiveFault::OffGrid) => {
            for kline in klines.iter_mut() {
                kline.open_time = kline.open_time.plus(MINUTE / 2);
            }
        }
        Some(ArchiveFault::Holes) => {
            let (from, until) = (middle.saturating_sub(3), middle);
            klines.drain(from..until);
        }
        Some(ArchiveFault::Flat) => {
            for kline in klines.iter_mut().step_by(401) {
                *kline = Kline::flat(kline.open_time, kline.open);
            }
        }
        _ => {}
    }
}

/// One row, as the archive prints it.
fn row(text: &mut String, kline: &Kline, period: Period, symbol: &Symbol) {
    let precision = symbol.precision;
    let _ = write!(text, "{}", kline.open_time);
    for price in [kline.open, kline.high, kline.low, kline.close] {
        let _ = write!(text, ",{}", price.display(precision.price()));
    }
    let _ = writeln!(
        text,
        ",{},{},{},{},{},{},0",
        kline.volume.display(precision.quantity()),
        period.close_time(kline.open_time),
        kline.quote_volume.display(precision.quote()),
        kline.trade_count,
        kline.taker_buy_volume.display(precision.quantity()),
        kline.taker_buy_quote_volume.display(precision.quote()),
    );
}

fn pack(member: &str, text: &str) -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(member, SimpleFileOptions::default())?;
    writer.write_all(text.as_bytes())?;
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_is_in_a_file_and_when_it_appears() {
        let check = |kind: &str, spelled: &str, name: &str, expected: Option<(i64, i64, i64)>| {
            let wanted = Wanted::of_path(kind, "BTCUSDT", spelled, name);
            let times = wanted.map(|of| (of.from.0, of.until.0, of.appears.0));
            assert_eq!(times, expected, "{kind} {name}");
        };
        let september = (1_788_220_800_000, 1_790_812_800_000);
        // The first Monday of October 2026 is the fifth.
        let appears = september.1 + 4 * DAY + MONTH_HOUR;
        let expected = Some((september.0, september.1, appears));
        check("monthly", "1m", "BTCUSDT-1m-2026-09.zip", expected);
        check("monthly", "1mo", "BTCUSDT-1mo-2026-09.zip", expected);
        let day = september.1 + DAY;
        let expected = Some((day, day + DAY, day + DAY + DAY_DELAY));
        check("daily", "1h", "BTCUSDT-1h-2026-10-02.zip", expected);
        check("daily", "1h", "BTCUSDT-1h-2026-02-30.zip", None);
        check("daily", "1h", "BTCUSDT-1h-2026-10.zip", None);
        check("monthly", "1h", "ETHUSDT-1h-2026-10.zip", None);
        check("weekly", "1h", "BTCUSDT-1h-2026-10.zip", None);
        check("monthly", "1M", "BTCUSDT-1M-2026-09.zip", None);
        check("monthly", "1m", "BTCUSDT-1m-2026-09.csv", None);
    }
}
