//! Differences that an aggregate makes because it lies across the edge of two klines.
//!
//! The exchange folds single fills, each into the kline of its own time. An aggregate carries the
//! time of its first fill, so all of it falls into the earlier kline. Fills of one symbol happen
//! one after another: at every edge only one aggregate can lie across it, the last one stamped
//! before it. Let `x` be the part of its quantity that was filled behind the edge. Then
//!
//! - the earlier kline is ours less `x` (in both volumes, and in the taker's two if it bought),
//! - the later kline is ours plus `x` at that aggregate's price, which is also its open, and may
//!   be its high or low; close is never touched, for the first fill remains where it is.
//!
//! So one number an edge must explain four differences in each of two klines. A kline is explained
//! if there are `x` of its two edges, each from zero to less than the aggregate's quantity, that
//! make all its volumes and prices equal; the `x` found for one kline's end is the one that its
//! successor has to start with.
//!
//! The count is judged apart: `last raw id - first raw id + 1` counts ids that were burnt by
//! self-trade prevention. Official counts from one fill an aggregate up to ours, plus what may
//! have come across the edge, are explained.

use klagg_kline::{Kline, Price, QuoteVolume, Side, Trade, UnixMillis, Volume};

/// Ours, official, and the aggregates at the kline's edges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) ours: &'a Kline,
    pub(crate) official: &'a Kline,
    /// The last aggregate before the kline, if it may lie across the edge.
    pub(crate) before: Option<&'a Trade>,
    /// The last aggregate within the kline, if it may lie across the edge.
    pub(crate) last: Option<&'a Trade>,
    /// The part of `before` that lies in this kline, if the kline before told it.
    pub(crate) carried: Option<i128>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Ours with the straddling parts moved.
    pub(crate) explained: Option<Kline>,
    /// The part of `last` that lies in the next kline, if it is known.
    pub(crate) carry: Option<i128>,
}

/// Looks for the parts that explain the differences.
pub(crate) fn explain(case: &Case<'_>) -> Finding {
    for into in candidates(case) {
        let out = into - (case.official.volume - case.ours.volume).scaled();
        if !fits(into, case.before) || !fits(out, case.last) {
            continue;
        }
        let moved = moved(case, into, out);
        if same_but_count(&moved, case.official) {
            let explained = Some(with_count(moved, case, into > 0));
            return Finding { explained, carry: Some(out) };
        }
    }
    // Something else is wrong as well. What came across the first edge still explains prices.
    let explained = match case.carried {
        Some(into) if into > 0 && fits(into, case.before) => {
            let moved = moved(case, into, 0);
            let Kline { open, high, low, close, .. } = moved;
            Some(Kline { open, high, low, close, ..*case.ours })
        }
        _ => None,
    };
    Finding { explained, carry: None }
}

/// Values of the part at the first edge that are worth trying.
fn candidates(case: &Case<'_>) -> Vec<i128> {
    if let Some(carried) = case.carried {
        return vec![carried];
    }
    let (ours, official) = (case.ours, case.official);
    let volume = (official.volume - ours.volume).scaled();
    let mut candidates = vec![0, volume];
    if let (Some(before), Some(last)) = (case.before, case.last) {
        // into * before.price - out * last.price = quote, and into - out = volume.
        let quote = (official.quote_volume - ours.quote_volume).scaled();
        let first = i128::from(before.price.scaled());
        let second = i128::from(last.price.scaled());
        let numerator = volume.checked_mul(second).and_then(|known| quote.checked_sub(known));
        if let (Some(numerator), true) = (numerator, first != second) {
            candidates.push(numerator / (first - second));
        }
        let bought = (official.taker_buy_volume - ours.taker_buy_volume).scaled();
        match (before.taker, last.taker) {
            (Side::Buy, Side::Sell) => candidates.push(bought),
            (Side::Sell, Side::Buy) => candidates.push(volume - bought),
            _ => {}
        }
    }
    candidates
}

/// Whether a part of `aggregate` can be `part`: its first fill stays where it is.
fn fits(part: i128, aggregate: Option<&Trade>) -> bool {
    match aggregate {
        _ if part == 0 => true,
        Some(trade) => part > 0 && part < trade.quantity.scaled().into(),
        None => false,
    }
}

/// Ours with `into` of the aggregate before added, and `out` of the last one taken away.
fn moved(case: &Case<'_>, into: i128, out: i128) -> Kline {
    let mut kline = *case.ours;
    if let (Some(before), true) = (case.before, into > 0) {
        add(&mut kline, before, into);
        let flat = case.ours.is_flat();
        let price = before.price;
        kline.open = price;
        kline.high = if flat { price } else { kline.high.max(price) };
        kline.low = if flat { price } else { kline.low.min(price) };
        kline.close = if flat { price } else { kline.close };
    }
    if let (Some(last), true) = (case.last, out > 0) {
        add(&mut kline, last, -out);
    }
    kline
}

/// Adds a part of an aggregate to the four volumes.
pub(crate) fn add(kline: &mut Kline, trade: &Trade, part: i128) {
    let volume = Volume::from_scaled(part);
    let quote_volume = QuoteVolume::from_scaled(i128::from(trade.price.scaled()) * part);
    kline.volume += volume;
    kline.quote_volume += quote_volume;
    if trade.taker == Side::Buy {
        kline.taker_buy_volume += volume;
        kline.taker_buy_quote_volume += quote_volume;
    }
}

fn same_but_count(left: &Kline, right: &Kline) -> bool {
    let values = |kline: &Kline| -> (UnixMillis, [Price; 4], [Volume; 2], [QuoteVolume; 2]) {
        (
            kline.open_time,
            [kline.open, kline.high, kline.low, kline.close],
            [kline.volume, kline.taker_buy_volume],
            [kline.quote_volume, kline.taker_buy_quote_volume],
        )
    };
    values(left) == values(right)
}

/// Gives the official count to `moved` if burnt ids and the straddling parts allow it.
fn with_count(moved: Kline, case: &Case<'_>, came_in: bool) -> Kline {
    let ours = case.ours;
    let aggregates = if ours.has_ids() { ours.last_id.0 - ours.first_id.0 + 1 } else { 0 };
    let lowest = u64::try_from(aggregates).unwrap_or(0) + u64::from(came_in);
    let fills_before = case.before.map_or(0, |trade| u64::from(trade.fill_count) - 1);
    let highest = ours.trade_count + if came_in { fills_before } else { 0 };
    let official = case.official.trade_count;
    let trade_count =
        if (lowest..=highest).contains(&official) { official } else { moved.trade_count };
    Kline { trade_count, ..moved }
}

#[cfg(test)]
mod tests;
