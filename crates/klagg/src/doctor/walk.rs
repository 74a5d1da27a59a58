//! One symbol, period by period, row by row.

use klagg_kline::{KlineRecord, KlineStatus, Period, UnixMillis};
use klagg_store::{Census, Coverage, ReadPage, StoreError, StoreReader, StoredSymbol};

use crate::doctor::Seen;
use crate::doctor::findings::{Findings, Kind};
use crate::doctor::rollup::Rollups;
use crate::export::pages::Pages;
use crate::export::span::shown;

/// Checks all periods of a symbol.
pub(super) fn check(
    reader: &StoreReader,
    symbol: &StoredSymbol,
    census: &Census,
    findings: &mut Findings,
    seen: &mut Seen,
) -> Result<(), StoreError> {
    for period in Period::ALL {
        let mut walk = Walk {
            place: format!("{} {period}", symbol.name),
            period,
            awaited: None,
            last: None,
            rows: 0,
            damaged: Vec::new(),
            findings,
            seen,
        };
        let (run, stored) =
            match (reader.coverage(symbol.id, period), reader.stored(symbol.id, period)) {
                (Ok(run), Ok(stored)) => (run, stored),
                // The summary of this one history is damaged; others can still be looked at.
                (Err(StoreError::Corrupt { detail, .. }), _)
                | (_, Err(StoreError::Corrupt { detail, .. })) => {
                    walk.find(Kind::Coverage, || detail);
                    continue;
                }
                (Err(error), _) | (_, Err(error)) => return Err(error),
            };
        walk.awaited = run.map(|run| run.from);
        let mut rollups = (period == Period::M1).then(|| Rollups::new(reader, symbol));
        let mut pages = Pages::new(reader, symbol.id, period, (None, None));
        while let Some(page) = pages.next_page()? {
            walk.page(&page, run);
            let Some(rollups) = &mut rollups else { continue };
            for record in &page.records {
                rollups.push(record, walk.findings, walk.seen)?;
            }
        }
        if let Some(rollups) = &mut rollups {
            rollups.finish(walk.findings, walk.seen)?;
        }
        walk.finish(run, stored, census.slots.get(&(symbol.id, period)).copied());
    }
    Ok(())
}

/// The state of a walk through one period.
struct Walk<'a> {
    place: String,
    period: Period,
    /// The next kline of the unbroken run.
    awaited: Option<UnixMillis>,
    last: Option<UnixMillis>,
    rows: u64,
    /// Damaged rows from `awaited` on: they are found already, and not missing as well.
    damaged: Vec<UnixMillis>,
    findings: &'a mut Findings,
    seen: &'a mut Seen,
}

impl Walk<'_> {
    fn find(&mut self, kind: Kind, detail: impl FnOnce() -> String) {
        self.findings.add(kind, &self.place, detail);
    }

    fn page(&mut self, page: &ReadPage, run: Option<Coverage>) {
        self.rows += (page.records.len() + page.damaged.len()) as u64;
        for &open_time in &page.damaged {
            self.find(Kind::Damaged, || format!("at {}", shown(open_time)));
        }
        self.damaged.extend(&page.damaged);
        for record in &page.records {
            self.seen.klines += 1;
            self.seen.unconfirmed += u64::from(record.status != KlineStatus::Confirmed);
            self.record(record);
            if let Some(run) = run
                && (run.from..run.until).contains(&record.kline.open_time)
            {
                self.in_run(record);
            }
        }
    }

    fn record(&mut self, record: &KlineRecord) {
        let open_time = record.kline.open_time;
        let at = || shown(open_time);
        if self.last.is_some_and(|last| open_time <= last) {
            self.find(Kind::Impossible, || format!("at {}: out of order", at()));
        }
        self.last = Some(open_time);
        if self.period.open_time(open_time) != open_time {
            self.find(Kind::Impossible, || format!("at {}: no such open time", at()));
        }
        if record.status.is_open() {
            self.find(Kind::Impossible, || format!("at {}: open in the history", at()));
        }
        if let Err(error) = record.kline.validate() {
            self.find(Kind::Impossible, || format!("at {}: {error}", at()));
        }
    }

    /// A record within the run that the store calls unbroken and confirmed.
    fn in_run(&mut self, record: &KlineRecord) {
        let open_time = record.kline.open_time;
        self.skip_to(open_time);
        if record.status != KlineStatus::Confirmed {
            let status = record.status;
            self.find(Kind::Hole, || format!("at {}: {status}", shown(open_time)));
        }
        self.awaited = Some(self.period.next_open_time(open_time));
    }

    /// Counts what is missing before `until`.
    fn skip_to(&mut self, until: UnixMillis) {
        let Some(mut awaited) = self.awaited else { return };
        let mut first = None;
        let mut missing = 0_u64;
        while awaited < until {
            if !self.damaged.contains(&awaited) {
                first.get_or_insert(awaited);
                missing += 1;
            }
            awaited = self.period.next_open_time(awaited);
        }
        self.damaged.retain(|&open_time| open_time >= until);
        if let Some(first) = first {
            self.find(Kind::Hole, || format!("{missing} klines from {} on", shown(first)));
        }
    }

    /// What only the whole tells.
    fn finish(
        mut self,
        run: Option<Coverage>,
        stored: Option<(UnixMillis, UnixMillis)>,
        counted: Option<klagg_store::CensusSlot>,
    ) {
        if let Some(run) = run {
            self.skip_to(run.until);
        }
        let counted_rows = counted.map_or(0, |counted| counted.rows);
        // A running klagg adds rows after the count: more read than counted is no finding.
        if counted_rows > self.rows {
            let lost = counted_rows - self.rows;
            self.find(Kind::Lost, || format!("{lost} rows outside of what the store says it has"));
        }
        if let (Some((first, last)), None) = (stored, counted)
            && self.rows == 0
        {
            let detail = || format!("nothing between {} and {}", shown(first), shown(last));
            self.find(Kind::Coverage, detail);
        }
    }
}
