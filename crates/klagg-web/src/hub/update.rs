//! A kline as it is handed to clients: once in memory, each wire form written once.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use klagg_kline::{KlineRecord, Period, Precision, UnixMillis};

use super::Slot;
use crate::{exchange, live};

/// In which words a kline is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Form {
    /// `/ws/kline/live`.
    Live,
    /// `<symbol>@kline_<period>` on `/ws`.
    Kline,
    /// The same on `/stream`, wrapped with the stream's name.
    KlineCombined,
    /// `<pair>_perpetual@continuousKline_<period>` on `/ws`.
    Continuous,
    /// The same on `/stream`.
    ContinuousCombined,
}

const FORMS: usize = 5;

/// A new state of one kline.
#[derive(Debug)]
pub(crate) struct SlotUpdate {
    pub(crate) slot: Slot,
    pub(crate) record: KlineRecord,
    /// The published state in which it was seen.
    pub(crate) sequence: u64,
    /// When it was published, in the exchange's time where that is known.
    pub(crate) event_time: UnixMillis,
    pub(crate) symbol: Arc<str>,
    pub(crate) period: Period,
    pub(crate) precision: Precision,
    written: [OnceLock<Utf8Bytes>; FORMS],
}

impl SlotUpdate {
    pub(crate) fn new(
        slot: Slot,
        record: KlineRecord,
        (sequence, event_time): (u64, UnixMillis),
        symbol: Arc<str>,
        (period, precision): (Period, Precision),
    ) -> Self {
        let written = [const { OnceLock::new() }; FORMS];
        Self { slot, record, sequence, event_time, symbol, period, precision, written }
    }

    pub(crate) fn open_time(&self) -> UnixMillis {
        self.record.kline.open_time
    }

    /// Whether the kline's time is over.
    pub(crate) fn is_closed(&self) -> bool {
        !self.record.status.is_open()
    }

    /// Its text in one form: written by who asks first, shared by all after.
    pub(crate) fn text(&self, form: Form) -> Utf8Bytes {
        let text = self.written[form as usize].get_or_init(|| {
            let mut text = String::with_capacity(512);
            match form {
                Form::Live => live::encode::kline(&mut text, self),
                _ => exchange::event::write(&mut text, self, form),
            }
            Utf8Bytes::from(text)
        });
        text.clone()
    }
}
