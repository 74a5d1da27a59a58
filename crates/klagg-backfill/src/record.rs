//! The exchange's klines against ours: what is confirmed, what is corrected. Pure.

use klagg_kline::{Kline, KlineRecord, KlineStatus};

use crate::difference::{Causes, Differences};

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Closed or provisional here, and equal.
    pub(crate) equal: u64,
    /// Closed here, and different, by cause.
    pub(crate) causes: Causes,
    /// Provisional here, and different.
    pub(crate) corrected_provisional: u64,
    /// Confirmed here, and different: the exchange has changed its mind.
    pub(crate) corrected_confirmed: u64,
}

/// Records that confirm `official`, given what is held; both ascending. Those that are held as
/// confirmed already come as they are: another reader of the engine may not have stored them yet.
///
/// `differences` remembers those of closed minutes from call to call.
pub(crate) fn settle(
    held: &[KlineRecord],
    official: &[Kline],
    differences: &mut Differences,
) -> (Vec<KlineRecord>, Tally) {
    let status = KlineStatus::Confirmed;
    let mut tally = Tally::default();
    let mut held = held.iter().peekable();
    let mut records = Vec::with_capacity(official.len());
    for kline in official {
        while held.next_if(|held| held.kline.open_time < kline.open_time).is_some() {}
        let Some(ours) = held.next_if(|held| held.kline.open_time == kline.open_time) else {
            records.push(KlineRecord { kline: *kline, revision: 0, status });
            continue;
        };
        let same = ours.kline.same_values(kline);
        match (ours.status, same) {
            (KlineStatus::Confirmed, true) => {}
            (_, true) => tally.equal += 1,
            (KlineStatus::Confirmed, false) => tally.corrected_confirmed += 1,
            (KlineStatus::Closed, false) => differences.add(kline, ours, &mut tally.causes),
            (KlineStatus::Provisional | KlineStatus::Broken | KlineStatus::Open, false) => {
                tally.corrected_provisional += 1;
            }
        }
        records.push(if same {
            // Ours knows its ids besides.
            KlineRecord { status, ..*ours }
        } else {
            KlineRecord { kline: *kline, revision: ours.revision + 1, status }
        });
    }
    if let Some(last) = official.last() {
        differences.pass(last.open_time.plus(60_000), &mut tally.causes);
    }
    (records, tally)
}

#[cfg(test)]
mod tests {
    use klagg_kline::{Price, TradeId, UnixMillis};

    use super::*;

    #[test]
    fn what_we_had_is_confirmed_corrected_or_left() {
        let kline = |minute: i64, price: i64| {
            Kline::flat(UnixMillis(minute * 60_000), Price::from_scaled(price))
        };
        let held = |minute, price, revision, status| {
            let ids = Kline { first_id: TradeId(5), last_id: TradeId(9), ..kline(minute, price) };
            KlineRecord { kline: ids, revision, status }
        };
        let ours = [
            held(1, 10, 0, KlineStatus::Closed),
            held(2, 10, 3, KlineStatus::Closed),
            held(3, 10, 1, KlineStatus::Provisional),
            held(4, 10, 0, KlineStatus::Confirmed),
            held(5, 10, 0, KlineStatus::Confirmed),
        ];
        let official = [kline(0, 10), kline(1, 10), kline(2, 11), kline(3, 11), kline(4, 10)];
        let mut differences = Differences::default();
        let (records, tally) = settle(&ours, &official, &mut differences);
        let causes = Causes { late: 1, ..Causes::default() };
        let expected = Tally { equal: 1, causes, corrected_provisional: 1, ..Tally::default() };
        assert_eq!(tally, expected);
        let seen: Vec<(i64, u32)> = records
            .iter()
            .map(|record| (record.kline.open_time.0 / 60_000, record.revision))
            .collect();
        assert_eq!(seen, [(0, 0), (1, 0), (2, 4), (3, 2), (4, 0)]);
        assert!(records.iter().all(|record| record.status == KlineStatus::Confirmed));
        assert!(records[1].kline.has_ids());
        for record in &records[1..4] {
            let before = ours.iter().find(|of| of.kline.open_time == record.kline.open_time);
            assert!(record.supersedes(before.unwrap()));
        }
        let (records, tally) = settle(&ours, &[kline(5, 12)], &mut differences);
        assert_eq!((records[0].revision, tally.corrected_confirmed), (1, 1));
    }
}
