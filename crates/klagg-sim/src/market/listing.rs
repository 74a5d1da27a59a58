//! Which contracts there are at the start, and what a new one is like.
//!
//! Listing times are anchored to the calendar, not to the start: an exchange that is started
//! again an hour or a day later with the same seed is the same exchange, one hour or day older.

use std::sync::Arc;

use klagg_kline::{Precision, UnixMillis};
use klagg_wire::stream_name;

use super::calendar::{DAY, civil, quarter_ends};
use super::names::{Profile, like, perpetual, settled};
use super::price::scale;
use super::symbol::{Contract, Symbol};
use crate::random::{at, mix, unit};
use crate::{SimConfig, SimError};

/// `deliveryDate` of a perpetual: 2100-12-25.
pub(crate) const NEVER: UnixMillis = UnixMillis(4_133_404_800_000);

const TAG_ONBOARD: u64 = 0x0b0a;
/// Of 1e-8, the scale of prices and quantities.
const SCALE_DIGITS: u8 = 8;
/// What an ordinary fill is worth, in quote units.
const TYPICAL_VALUE: i64 = 400;
/// Ids that old contracts have used up before history starts.
const OLD_IDS: u64 = 4_000_000_000;

/// The first market.
#[derive(Debug)]
pub(crate) struct Genesis<'a> {
    config: &'a SimConfig,
    start: UnixMillis,
    /// Midnight from which there is history.
    oldest: UnixMillis,
}

impl<'a> Genesis<'a> {
    pub(crate) fn new(config: &'a SimConfig, start: UnixMillis) -> Self {
        let span = i64::from(config.history_days) * DAY;
        let oldest = start.0 - span;
        Self { config, start, oldest: UnixMillis(oldest - oldest.rem_euclid(span)) }
    }

    /// Perpetuals first, biggest first; then quarterlies, then what was settled.
    pub(crate) fn symbols(&self) -> Vec<Symbol> {
        let count = self.config.symbols;
        let whole: f64 = (0..count).map(weight).sum();
        let mut symbols: Vec<Symbol> = (0..count)
            .map(|at| {
                let share = self.config.trades_per_second * weight(at) / whole;
                self.perpetual(at, share)
            })
            .collect();
        let tail = self.config.trades_per_second * weight(count) / whole;
        let extras = (count / 20).max(1);
        let kinds = [Contract::CurrentQuarter, Contract::NextQuarter];
        for (contract, end) in kinds.into_iter().zip(quarter_ends(self.start)) {
            symbols.push(self.quarterly(contract, end, tail));
        }
        for profile in settled(extras) {
            let mut symbol = build(self.config, &profile, tail, self.oldest);
            let days = i64::from(self.config.history_days / 2);
            symbol.delivery = Some(self.oldest.plus(days * DAY + 9 * DAY / 24));
            symbols.push(symbol);
        }
        symbols
    }

    fn perpetual(&self, place: usize, trades_per_second: f64) -> Symbol {
        let profile = perpetual(place);
        let mut symbol = build(self.config, &profile, trades_per_second, self.oldest);
        let number = at(symbol.seed, TAG_ONBOARD, 0);
        // The two biggest are the oldest; of the others, most are old, some came day by day.
        if place > 1 && number.is_multiple_of(3) {
            let days = (number >> 8) % u64::from(self.config.history_days);
            let quarter_hours = (number >> 40) % 96;
            let after = days.cast_signed() * DAY + quarter_hours.cast_signed() * DAY / 96;
            symbol.set_listing(symbol.seed, self.oldest.plus(after));
        } else {
            symbol.ids_before = ((number >> 8) % OLD_IDS).cast_signed();
            symbol.fills_before = symbol.ids_before / 10 * 23;
        }
        symbol
    }

    fn quarterly(&self, contract: Contract, end: UnixMillis, trades_per_second: f64) -> Symbol {
        let profile = Profile { contract, ..perpetual(0) };
        let mut symbol = build(self.config, &profile, trades_per_second, self.oldest);
        let (year, month, day) = civil(end);
        set_name(&mut symbol, &format!("BTCUSDT_{:02}{month:02}{day:02}", year % 100));
        symbol.delivery = Some(end);
        symbol.set_listing(mix(symbol.seed ^ end.0.unsigned_abs()), symbol.onboard);
        symbol
    }
}

/// A perpetual that is listed while the exchange runs.
pub(crate) fn new_listing(
    config: &SimConfig,
    name: &str,
    trades_per_second: f64,
    onboard: UnixMillis,
) -> Result<Symbol, SimError> {
    let quote = ["USDT", "USDC"].into_iter().find(|quote| name.ends_with(quote));
    let base = quote.and_then(|quote| name.strip_suffix(quote));
    let (Some(quote), Some(base)) = (quote, base.filter(|base| !base.is_empty())) else {
        return Err(SimError::BadName(name.to_owned()));
    };
    let is_shown_so = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    if !is_shown_so || !stream_name::is_symbol(name) {
        return Err(SimError::BadName(name.to_owned()));
    }
    if !(0.001..=100_000.0).contains(&trades_per_second) {
        let value = trades_per_second.to_string();
        return Err(SimError::Config {
            key: "trades_per_second",
            value,
            allowed: "0.001 to 100000",
        });
    }
    Ok(build(config, &like(base, quote), trades_per_second, onboard))
}

/// How much of the market is at a place: few heavy symbols, a long tail. Only IEEE basics.
fn weight(place: usize) -> f64 {
    let rank = f64::from(u32::try_from(place).unwrap_or(u32::MAX)) + 3.0;
    1.0 / (rank * rank.sqrt())
}

fn build(
    config: &SimConfig,
    profile: &Profile,
    trades_per_second: f64,
    onboard: UnixMillis,
) -> Symbol {
    let name = format!("{}{}", profile.base, profile.quote);
    let hash = name.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    let seed = mix(config.seed ^ hash);
    let unit_price = 10_i64.pow(u32::from(SCALE_DIGITS - profile.price_decimals));
    let tick = profile.tick * unit_price;
    let step = 10_i64.pow(u32::from(SCALE_DIGITS - profile.quantity_decimals));
    let base_ticks = profile.price / profile.tick;
    // What a step is worth, in units of 1e-8.
    let step_value = i128::from(base_ticks) * i128::from(tick) * i128::from(step) / 100_000_000;
    let typical = i128::from(TYPICAL_VALUE) * 100_000_000 / step_value.max(1);
    let precision = Precision::new(profile.price_decimals, profile.quantity_decimals);
    let mut symbol = Symbol {
        name: Arc::from(""),
        stream_name: Arc::from(""),
        pair: Arc::from(name.as_str()),
        base: Arc::from(profile.base.as_str()),
        quote: profile.quote,
        contract: profile.contract,
        precision: precision.expect("profiles have at most eight decimals"),
        tick,
        step,
        onboard,
        delivery: None,
        seed,
        base_ticks,
        volatility: 0.6 + 1.2 * unit(mix(seed)),
        rate: rate_fixed(trades_per_second),
        aggregates_at_first: 0,
        typical_steps: i64::try_from(typical).unwrap_or(i64::MAX).clamp(1, 1 << 30),
        ids_before: 0,
        fills_before: 0,
        straddles: config.quirks.straddles,
        burnt_ids: config.quirks.burnt_ids,
        same_millisecond_runs: config.quirks.same_millisecond_runs,
    };
    set_name(&mut symbol, &name);
    symbol.set_listing(seed, onboard);
    symbol
}

fn set_name(symbol: &mut Symbol, name: &str) {
    symbol.name = Arc::from(name);
    symbol.stream_name = Arc::from(stream_name::lowercase(name));
}

/// Aggregates a minute in 32.32 fixed point.
fn rate_fixed(trades_per_second: f64) -> u64 {
    scale(1 << 32, trades_per_second * 60.0).max(1).unsigned_abs()
}
