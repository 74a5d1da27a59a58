//! Longer klines against the sum of their minutes.

use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, UnixMillis};
use klagg_store::{StoreError, StoreReader, StoredSymbol};

use crate::doctor::Seen;
use crate::doctor::findings::{Findings, Kind};
use crate::export::pages::Pages;
use crate::export::span::shown;

/// The longer periods of one symbol, while its minutes go by.
pub(super) struct Rollups<'a> {
    symbol: &'a str,
    longer: Vec<Longer<'a>>,
}

impl<'a> Rollups<'a> {
    /// Looks at the periods of which anything is stored.
    pub(super) fn new(reader: &'a StoreReader, symbol: &'a StoredSymbol) -> Self {
        let mut longer = Vec::new();
        for period in Period::ALL.into_iter().filter(|&longer| Period::M1.nests_in(longer)) {
            // A damaged summary is reported where the period itself is walked.
            if matches!(reader.stored(symbol.id, period), Ok(Some(_))) {
                let pages = Pages::new(reader, symbol.id, period, (None, None));
                longer.push(Longer { period, pages, page: Vec::new().into_iter(), sum: None });
            }
        }
        Self { symbol: &symbol.name, longer }
    }

    /// Adds a minute, later than all before it.
    pub(super) fn push(
        &mut self,
        minute: &KlineRecord,
        findings: &mut Findings,
        seen: &mut Seen,
    ) -> Result<(), StoreError> {
        for longer in &mut self.longer {
            let open_time = longer.period.open_time(minute.kline.open_time);
            if longer.sum.as_ref().is_some_and(|sum| sum.whole.open_time != open_time) {
                longer.compare(self.symbol, findings, seen)?;
            }
            longer.add(open_time, minute);
        }
        Ok(())
    }

    /// Compares what the last minutes completed.
    pub(super) fn finish(
        &mut self,
        findings: &mut Findings,
        seen: &mut Seen,
    ) -> Result<(), StoreError> {
        let symbol = self.symbol;
        self.longer.iter_mut().try_for_each(|longer| longer.compare(symbol, findings, seen))
    }
}

/// One longer period: its stored klines, and the sum that grows.
struct Longer<'a> {
    period: Period,
    pages: Pages<'a>,
    page: std::vec::IntoIter<KlineRecord>,
    sum: Option<Sum>,
}

/// Confirmed minutes without a hole from the start of `whole` on.
struct Sum {
    whole: Kline,
    /// The next minute, or `None` once one was missing or unconfirmed.
    awaited: Option<UnixMillis>,
}

impl Longer<'_> {
    fn add(&mut self, open_time: UnixMillis, minute: &KlineRecord) {
        let at = minute.kline.open_time;
        let is_confirmed = minute.status == KlineStatus::Confirmed;
        let next = is_confirmed.then(|| Period::M1.next_open_time(at));
        match &mut self.sum {
            Some(sum) if sum.awaited == Some(at) => {
                sum.whole.merge(&minute.kline);
                sum.awaited = next;
            }
            Some(sum) => sum.awaited = None,
            none => {
                let awaited = next.filter(|_| at == open_time);
                *none = Some(Sum { whole: Kline { open_time, ..minute.kline }, awaited });
            }
        }
    }

    /// Ends the sum; if it is complete, the stored kline must be the same.
    fn compare(
        &mut self,
        symbol: &str,
        findings: &mut Findings,
        seen: &mut Seen,
    ) -> Result<(), StoreError> {
        let Some(Sum { whole, awaited }) = self.sum.take() else { return Ok(()) };
        let open_time = whole.open_time;
        if awaited != Some(self.period.next_open_time(open_time)) {
            return Ok(());
        }
        let Some(stored) = self.stored_at(open_time)? else { return Ok(()) };
        // A provisional kline does not claim to be whole.
        if stored.status < KlineStatus::Closed {
            return Ok(());
        }
        seen.compared += 1;
        if !stored.kline.same_values(&whole) {
            let place = format!("{symbol} {}", self.period);
            findings.add(Kind::Rollup, &place, || {
                format!("at {}: {}", shown(open_time), difference(&stored.kline, &whole))
            });
        }
        Ok(())
    }

    /// The stored kline that opens then. Times asked for ascend.
    fn stored_at(&mut self, open_time: UnixMillis) -> Result<Option<KlineRecord>, StoreError> {
        loop {
            while let Some(record) = self.page.as_slice().first() {
                if record.kline.open_time > open_time {
                    return Ok(None);
                }
                let record = self.page.next();
                if record.is_some_and(|record| record.kline.open_time == open_time) {
                    return Ok(record);
                }
            }
            match self.pages.next_page()? {
                Some(page) => self.page = page.records.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

/// The first value that differs, in words.
fn difference(stored: &Kline, sum: &Kline) -> String {
    let values = |kline: &Kline| {
        [
            ("open", kline.open.to_string()),
            ("high", kline.high.to_string()),
            ("low", kline.low.to_string()),
            ("close", kline.close.to_string()),
            ("volume", kline.volume.to_string()),
            ("quote volume", kline.quote_volume.to_string()),
            ("count", kline.trade_count.to_string()),
            ("taker buy volume", kline.taker_buy_volume.to_string()),
            ("taker buy quote volume", kline.taker_buy_quote_volume.to_string()),
        ]
    };
    values(stored)
        .into_iter()
        .zip(values(sum))
        .find(|((_, stored), (_, sum))| stored != sum)
        .map_or_else(String::new, |((name, stored), (_, sum))| {
            format!("{name} is {stored}, its minutes make {sum}")
        })
}
