//! What is known of one symbol's history of one period without looking through it.
//!
//! Kept in memory by the store, and in the table `coverage` in the same transaction as the rows
//! it speaks of, so it is true at every instant that a crash can choose.

use klagg_kline::{Period, SymbolId, UnixMillis};
use rusqlite::{Connection, params};

use crate::schema::{SELECT_STATUS, chunk_of};
use crate::{Coverage, StoredKline};

pub(crate) mod block;
pub(crate) mod rows;
mod slots;

pub(crate) use slots::Slots;

/// Whose knowledge it is.
pub(crate) type SlotKey = (SymbolId, Period);

/// The knowledge about one symbol and period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The tracked run of confirmed klines; there is one as soon as anything was confirmed.
    pub(crate) run: Option<Coverage>,
    /// Open times of the first and last confirmed kline, the run's own and those beyond holes.
    pub(crate) confirmed: Option<(UnixMillis, UnixMillis)>,
    /// Open times of the first and last stored kline of any status.
    pub(crate) stored: Option<(UnixMillis, UnixMillis)>,
    /// Open time of the stored open kline. Not part of the table `coverage`.
    pub(crate) open: Option<UnixMillis>,
}

/// Stretches `bounds` to hold `times`.
fn stretch(
    bounds: Option<(UnixMillis, UnixMillis)>,
    times: &[UnixMillis],
) -> Option<(UnixMillis, UnixMillis)> {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return bounds };
    Some(bounds.map_or((first, last), |(least, most)| (least.min(first), most.max(last))))
}

impl Slot {
    /// The slot after klines were written: `stored` are their open times, `confirmed` those of
    /// the confirmed among them, both ascending. Rows beyond them are looked up only where the
    /// run reaches something that was stored before.
    pub(crate) fn after(
        mut self,
        key: SlotKey,
        stored: &[UnixMillis],
        confirmed: &[UnixMillis],
        connection: &Connection,
    ) -> rusqlite::Result<Self> {
        self.stored = stretch(self.stored, stored);
        self.confirmed = stretch(self.confirmed, confirmed);
        let (Some(&first), Some((least, most))) = (confirmed.first(), self.confirmed) else {
            return Ok(self);
        };
        let period = key.1;
        let before = self.run.unwrap_or(Coverage { from: first, until: first });
        let mut run = before;
        for &time in &confirmed[confirmed.partition_point(|&time| time < run.until)..] {
            if time != run.until {
                break;
            }
            run.until = period.next_open_time(time);
        }
        for &time in confirmed[..confirmed.partition_point(|&time| time < run.from)].iter().rev() {
            if period.next_open_time(time) != run.from {
                break;
            }
            run.from = time;
        }
        if run.until != before.until && run.until <= most {
            run.until = run_forward(key, run.until, most, connection)?;
        }
        if run.from != before.from && least < run.from {
            run.from = run_backward(key, run.from, least, connection)?;
        }
        self.run = Some(run);
        Ok(self)
    }

    /// The slot after all klines that open before `kept_from` were deleted.
    pub(crate) fn without(
        mut self,
        key: SlotKey,
        kept_from: UnixMillis,
        connection: &Connection,
    ) -> rusqlite::Result<Self> {
        let clip = |bounds: Option<(UnixMillis, UnixMillis)>| {
            let (first, last) = bounds?;
            (last >= kept_from).then_some((first.max(kept_from), last))
        };
        // Bounds need not be met exactly: what they enclose is looked through.
        self.stored = clip(self.stored);
        self.confirmed = clip(self.confirmed);
        let Some(run) = self.run else { return Ok(self) };
        let first = key.1.open_time(kept_from);
        let first = if first < kept_from { key.1.next_open_time(first) } else { first };
        self.run = match self.confirmed {
            None => None,
            Some(_) if run.until > first => {
                Some(Coverage { from: run.from.max(first), until: run.until })
            }
            // The run is gone, and what was confirmed beyond a hole takes its place.
            Some((_, most)) => match first_confirmed(key, first, most, connection)? {
                None => None,
                Some(from) => {
                    Some(Coverage { from, until: run_forward(key, from, most, connection)? })
                }
            },
        };
        Ok(self)
    }
}

/// The confirmed open times of one symbol in one chunk, ascending.
fn confirmed_in(
    key: SlotKey,
    chunk: i64,
    connection: &Connection,
) -> rusqlite::Result<Vec<UnixMillis>> {
    let confirmed = i64::from(klagg_kline::KlineStatus::Confirmed.to_u8());
    let mut statement = connection.prepare_cached(SELECT_STATUS)?;
    let mut rows = statement.query(params![chunk, key.0.0])?;
    let mut times = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? == confirmed {
            times.push(UnixMillis(row.get(0)?));
        }
    }
    Ok(times)
}

/// The first confirmed kline that opens within `from..=most`.
fn first_confirmed(
    key: SlotKey,
    from: UnixMillis,
    most: UnixMillis,
    connection: &Connection,
) -> rusqlite::Result<Option<UnixMillis>> {
    for chunk in chunk_of(key.1, from)..=chunk_of(key.1, most) {
        let times = confirmed_in(key, chunk, connection)?;
        if let Some(&time) = times.iter().find(|&&time| time >= from) {
            return Ok(Some(time));
        }
    }
    Ok(None)
}

/// Where the run of stored confirmed klines ends that is known to reach to `until`.
fn run_forward(
    key: SlotKey,
    mut until: UnixMillis,
    most: UnixMillis,
    connection: &Connection,
) -> rusqlite::Result<UnixMillis> {
    for chunk in chunk_of(key.1, until)..=chunk_of(key.1, most) {
        for time in confirmed_in(key, chunk, connection)? {
            if time > until {
                return Ok(until);
            }
            if time == until {
                until = key.1.next_open_time(time);
            }
        }
        if chunk_of(key.1, until) == chunk {
            break;
        }
    }
    Ok(until)
}

/// Where the run of stored confirmed klines begins that is known to begin at `from` or before.
fn run_backward(
    key: SlotKey,
    mut from: UnixMillis,
    least: UnixMillis,
    connection: &Connection,
) -> rusqlite::Result<UnixMillis> {
    for chunk in (chunk_of(key.1, least)..=chunk_of(key.1, from)).rev() {
        for &time in confirmed_in(key, chunk, connection)?.iter().rev() {
            if time >= from {
                continue;
            }
            if key.1.next_open_time(time) != from {
                return Ok(from);
            }
            from = time;
        }
        // The kline before may lie in the chunk before, unless this one still had room for it.
        if chunk_of(key.1, key.1.open_time(from.plus(-1))) == chunk {
            break;
        }
    }
    Ok(from)
}

/// Written klines in the order in which they are inserted: those of one slot stand together,
/// oldest first, and slots of one period side by side, as they lie on the disk. What is written
/// twice stays in its order.
pub(crate) fn by_slot(closed: &[StoredKline]) -> Vec<&StoredKline> {
    let mut sorted: Vec<&StoredKline> = closed.iter().collect();
    sorted.sort_by_key(|stored| (stored.period, stored.symbol, stored.record.kline.open_time));
    sorted
}
