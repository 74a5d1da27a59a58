//! Klines as the exchange's streams tell them.

use klagg_wire::stream_name::StreamName;
use klagg_wire::{KlineEvent, encode};

use crate::hub::{Form, SlotUpdate};

const PERPETUAL: &str = "PERPETUAL";

/// Appends an update in one of the exchange's forms.
pub(crate) fn write(out: &mut String, update: &SlotUpdate, form: Form) {
    let event = KlineEvent {
        symbol: &update.symbol,
        period: update.period,
        event_time: update.event_time,
        is_closed: update.is_closed(),
        kline: update.record.kline,
    };
    let kline = |out: &mut String| encode::kline_event(out, &event, update.precision);
    let continuous = |out: &mut String| {
        encode::continuous_kline_event(out, &event, PERPETUAL, update.precision);
    };
    let symbol = || update.symbol.to_string();
    match form {
        Form::Kline | Form::Live => kline(out),
        Form::Continuous => continuous(out),
        Form::KlineCombined => {
            let name = StreamName::Kline(symbol(), update.period).to_string();
            encode::combined(out, &name, kline);
        }
        Form::ContinuousCombined => {
            let name = StreamName::ContinuousKline {
                pair: symbol(),
                contract_type: PERPETUAL.to_owned(),
                period: update.period,
            };
            encode::combined(out, &name.to_string(), continuous);
        }
    }
}
