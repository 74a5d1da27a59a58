//! Snapshots in their order: nothing in them goes back.

use klagg_gateway::GlobalKlines;
use klagg_kline::KlineRecord;

use crate::agenda::Millis;

/// What the last snapshot showed.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    sequence: u64,
    published_at: Millis,
    /// By slot: the open times of its open and its last closed kline.
    times: Vec<(Millis, Millis)>,
}

impl Slots {
    pub(crate) fn look(&mut self, klines: &GlobalKlines) -> Result<(), String> {
        if klines.sequence != self.sequence + 1 {
            return Err(format!("snapshot {} after {}", klines.sequence, self.sequence));
        }
        if klines.published_at.0 < self.published_at {
            return Err(format!("snapshot {} is older than the one before", klines.sequence));
        }
        (self.sequence, self.published_at) = (klines.sequence, klines.published_at.0);
        let periods = klines.periods.len();
        self.times.resize(klines.symbols() * periods, (Millis::MIN, Millis::MIN));
        for (symbol, period_index) in klines.changed_since(klines.sequence - 1) {
            let at = symbol.index() * periods + usize::from(period_index);
            let Some(slot) = klines.slot(symbol, usize::from(period_index)) else { continue };
            let time = |of: Option<&KlineRecord>| of.map(|record| record.kline.open_time.0);
            // A symbol that has ended shows nothing open any more.
            let before = self.times[at];
            let open = time(slot.open).unwrap_or(before.0);
            let closed = time(slot.last_closed).unwrap_or(Millis::MIN);
            self.times[at] = (open, closed);
            if open < before.0 || closed < before.1 {
                return Err(format!("slot {period_index} of {symbol} went back in time"));
            }
        }
        Ok(())
    }
}
