//! How a closed kline lies in words: narrow where its numbers allow, wide where not, exact always.
//!
//! Nearly every kline of the market fits the narrow form: its prices are whole numbers of ticks
//! below 2^32, its volumes whole numbers of steps below 2^48, of the quote asset's below 2^56. It
//! takes 64 bytes, the wide form 136. Both give back the same record to the bit.

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Price, QuoteVolume, TradeId, UnixMillis, Volume,
};

/// Words of the narrow form.
pub(super) const NARROW: usize = 8;
/// Words of the wide form.
pub(super) const WIDE: usize = 17;

const MINUTE_MS: i64 = 60_000;
/// The range of ids that a kline without known ids carries.
const NO_IDS: (i64, i64) = (0, -1);
/// Difference of last and first id that stands for "no ids known".
const NO_IDS_SPAN: u64 = u32::MAX as u64;

/// Bits of a base volume and of a quote volume. What they leave of their words holds the first id.
const BASE_BITS: u32 = 48;
const QUOTE_BITS: u32 = 56;
const FIRST_ID_BITS: u32 = 2 * (64 - BASE_BITS) + 2 * (64 - QUOTE_BITS);

/// Powers of ten up to those that the scales hold.
const TENS: [u64; 17] = {
    let mut tens = [1; 17];
    let mut at = 1;
    while at < tens.len() {
        tens[at] = tens[at - 1] * 10;
        at += 1;
    }
    tens
};

/// How many times ten divides all the values, up to `max`. All zeros: `max`.
fn shared_tens(values: &[u128], max: usize) -> usize {
    values.iter().map(|&value| tens_in(value, max)).min().unwrap_or(max)
}

/// In steps of eight, four, two and one: each 128-bit division costs as much as a fold.
fn tens_in(mut value: u128, max: usize) -> usize {
    if value == 0 {
        return max;
    }
    let mut tens = 0;
    for step in [8, 8, 4, 2, 1] {
        if tens + step <= max && value.is_multiple_of(u128::from(TENS[step])) {
            value /= u128::from(TENS[step]);
            tens += step;
        }
    }
    tens
}

fn unsigned(value: i128) -> Option<u128> {
    u128::try_from(value).ok()
}

/// The narrow form, if the record fits it.
///
/// Word 0: open time in minutes (32 bits), revision (16), status (2), power of ten of the prices
/// (4), of the base volumes (4), of the quote volumes (5). Words 1 and 2: open, high, low, close,
/// 32 bits each. Words 3 to 6: the volumes, base, quote, taker base, taker quote, and above each,
/// lowest first, a part of the first id. Word 7: trade count and width of the range of ids, 32
/// bits each.
pub(super) fn narrow(record: &KlineRecord) -> Option<[u64; NARROW]> {
    let kline = &record.kline;
    let minutes = u32::try_from(kline.open_time.0 / MINUTE_MS).ok()?;
    if i64::from(minutes) * MINUTE_MS != kline.open_time.0 {
        return None;
    }
    let mut prices = [0; 4];
    for (slot, price) in prices.iter_mut().zip([kline.open, kline.high, kline.low, kline.close]) {
        *slot = unsigned(i128::from(price.scaled()))?;
    }
    let bases = [unsigned(kline.volume.scaled())?, unsigned(kline.taker_buy_volume.scaled())?];
    let quotes =
        [unsigned(kline.quote_volume.scaled())?, unsigned(kline.taker_buy_quote_volume.scaled())?];
    let price_tens = shared_tens(&prices, 8);
    let base_tens = shared_tens(&bases, 8);
    let quote_tens = shared_tens(&quotes, 16);
    let price =
        |at: usize| u32::try_from(prices[at] / u128::from(TENS[price_tens])).ok().map(u64::from);
    let steps = |value: u128, tens: usize, bits: u32| {
        u64::try_from(value / u128::from(TENS[tens])).ok().filter(|steps| steps >> bits == 0)
    };
    let count = u64::from(u32::try_from(kline.trade_count).ok()?);
    let (first, last) = (kline.first_id.0, kline.last_id.0);
    let span = match (first, last) {
        NO_IDS => NO_IDS_SPAN,
        _ => u64::try_from(last.checked_sub(first)?).ok().filter(|&span| span < NO_IDS_SPAN)?,
    };
    let id = u64::try_from(first).ok().filter(|id| id >> FIRST_ID_BITS == 0)?;
    let revision = u64::from(u16::try_from(record.revision).ok()?);
    let head = u64::from(minutes)
        | revision << 32
        | u64::from(record.status.to_u8()) << 48
        | (price_tens as u64) << 50
        | (base_tens as u64) << 54
        | (quote_tens as u64) << 58;
    Some([
        head,
        price(0)? | price(1)? << 32,
        price(2)? | price(3)? << 32,
        steps(bases[0], base_tens, BASE_BITS)? | id << BASE_BITS,
        steps(quotes[0], quote_tens, QUOTE_BITS)? | id >> 16 << QUOTE_BITS,
        steps(bases[1], base_tens, BASE_BITS)? | id >> 24 << BASE_BITS,
        steps(quotes[1], quote_tens, QUOTE_BITS)? | id >> 40 << QUOTE_BITS,
        count | span << 32,
    ])
}

/// The record behind words made by [`narrow`].
pub(super) fn from_narrow(words: &[u64; NARROW]) -> KlineRecord {
    let head = words[0];
    let low = |word: u64| word & 0xffff_ffff;
    let price_tens = TENS[(head >> 50 & 0xf) as usize % TENS.len()];
    let base_tens = TENS[(head >> 54 & 0xf) as usize % TENS.len()];
    let quote_tens = TENS[(head >> 58 & 0x1f) as usize % TENS.len()];
    let volume = |word: u64, bits: u32, tens: u64| {
        (u128::from(word & ((1 << bits) - 1)) * u128::from(tens)).cast_signed()
    };
    let base = |at: usize| Volume::from_scaled(volume(words[at], BASE_BITS, base_tens));
    let quote = |at: usize| QuoteVolume::from_scaled(volume(words[at], QUOTE_BITS, quote_tens));
    // Does not wrap: it was a price's 64-bit integer before the division by `price_tens`.
    let price = |steps: u64| Price::from_scaled(steps.wrapping_mul(price_tens).cast_signed());
    let first = (words[3] >> BASE_BITS
        | words[4] >> QUOTE_BITS << 16
        | words[5] >> BASE_BITS << 24
        | words[6] >> QUOTE_BITS << 40)
        .cast_signed();
    let span = words[7] >> 32;
    let (first_id, last_id) = match span {
        NO_IDS_SPAN => NO_IDS,
        _ => (first, first + span.cast_signed()),
    };
    KlineRecord {
        kline: Kline {
            volume: base(3),
            quote_volume: quote(4),
            taker_buy_volume: base(5),
            taker_buy_quote_volume: quote(6),
            open_time: open_time_of(head),
            open: price(low(words[1])),
            high: price(words[1] >> 32),
            low: price(low(words[2])),
            close: price(words[2] >> 32),
            trade_count: low(words[7]),
            first_id: TradeId(first_id),
            last_id: TradeId(last_id),
        },
        revision: (head >> 32 & 0xffff) as u32,
        status: status_of(head >> 48 & 3),
    }
}

/// The open time in the first word of the narrow form.
fn open_time_of(head: u64) -> UnixMillis {
    UnixMillis((head & 0xffff_ffff).cast_signed() * MINUTE_MS)
}

fn status_of(bits: u64) -> KlineStatus {
    KlineStatus::from_u8((bits & 3) as u8).unwrap_or(KlineStatus::Open)
}

/// The wide form: every field as it is.
pub(super) fn wide(record: &KlineRecord) -> [u64; WIDE] {
    let kline = &record.kline;
    let mut words = [0; WIDE];
    let volumes = [
        kline.volume.scaled(),
        kline.quote_volume.scaled(),
        kline.taker_buy_volume.scaled(),
        kline.taker_buy_quote_volume.scaled(),
    ];
    for (at, volume) in volumes.into_iter().enumerate() {
        let bits = volume.cast_unsigned();
        (words[2 * at], words[2 * at + 1]) = (low_word(bits), low_word(bits >> 64));
    }
    let rest = [
        kline.open_time.0.cast_unsigned(),
        kline.open.scaled().cast_unsigned(),
        kline.high.scaled().cast_unsigned(),
        kline.low.scaled().cast_unsigned(),
        kline.close.scaled().cast_unsigned(),
        kline.trade_count,
        kline.first_id.0.cast_unsigned(),
        kline.last_id.0.cast_unsigned(),
        u64::from(record.revision) | u64::from(record.status.to_u8()) << 32,
    ];
    words[8..].copy_from_slice(&rest);
    words
}

#[expect(clippy::cast_possible_truncation, reason = "the low word is what is asked for")]
const fn low_word(bits: u128) -> u64 {
    bits as u64
}

/// The record behind words made by [`wide`].
pub(super) fn from_wide(words: &[u64; WIDE]) -> KlineRecord {
    let volume =
        |at: usize| (u128::from(words[at]) | u128::from(words[at + 1]) << 64).cast_signed();
    let price = |at: usize| Price::from_scaled(words[at].cast_signed());
    KlineRecord {
        kline: Kline {
            volume: Volume::from_scaled(volume(0)),
            quote_volume: QuoteVolume::from_scaled(volume(2)),
            taker_buy_volume: Volume::from_scaled(volume(4)),
            taker_buy_quote_volume: QuoteVolume::from_scaled(volume(6)),
            open_time: UnixMillis(words[8].cast_signed()),
            open: price(9),
            high: price(10),
            low: price(11),
            close: price(12),
            trade_count: words[13],
            first_id: TradeId(words[14].cast_signed()),
            last_id: TradeId(words[15].cast_signed()),
        },
        revision: (words[16] & 0xffff_ffff) as u32,
        status: status_of(words[16] >> 32),
    }
}

#[cfg(test)]
mod tests;
