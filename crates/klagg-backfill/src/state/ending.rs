//! Where the klines of a symbol that has ended break off. Pure.
//!
//! Always true here: one answer that breaks off proves nothing, for pages come truncated. The last
//! minutes are given up only if answer after answer breaks off at the same one.

use klagg_kline::{Kline, Period, UnixMillis};

use super::SymbolState;
use crate::pages::Page;

/// Answers in a row that break off at one minute: then the exchange has none from there on.
const SHORT_ANSWERS: u32 = 6;

/// At which minute the answers for the last minutes broke off, and how often in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BreakOff {
    at: UnixMillis,
    times: u32,
}

impl SymbolState {
    /// An answer for a page of minutes was refused that may have broken off before the end.
    pub(crate) fn note_break_off(&mut self, page: &Page, klines: &[Kline]) {
        let is_last = |ends_at: &UnixMillis| page.period == Period::M1 && page.until >= *ends_at;
        let Some(ends_at) = self.ends_at.filter(is_last) else { return };
        let at = klines.last().map_or(page.from, |last| page.period.next_open_time(last.open_time));
        let times = if self.break_off.at == at { self.break_off.times + 1 } else { 1 };
        self.break_off = BreakOff { at, times };
        if at < ends_at && times >= SHORT_ANSWERS {
            self.ends_at = Some(at);
        }
    }
}
