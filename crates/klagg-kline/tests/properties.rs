//! Laws of the fold, the merge, the decimals and the calendar, against oracles that share no code
//! with them.

use klagg_kline::{
    DecimalError, Kline, KlineError, KlineRecord, KlineStatus, MAX_NOTIONAL, Period, PeriodSet,
    Price, Quantity, QuoteVolume, Side, Trade, TradeError, TradeId, UnixMillis, Volume,
};
use proptest::prelude::*;

const OPEN_TIME: UnixMillis = UnixMillis(1_700_000_040_000);
const DAY: i64 = 86_400_000;

/// Distinct trades of one minute, ids ascending with holes.
fn trades() -> impl Strategy<Value = Vec<Trade>> {
    let trade =
        (1_i64..4, 0_i64..60_000, 1_i64..1 << 44, 1_i64..1 << 44, 1_u32..500, any::<bool>());
    prop::collection::vec(trade, 1..40).prop_map(|parts| {
        let mut id = 0;
        let trade = |(step, millis, price, quantity, fills, maker)| {
            id += step;
            Trade::new(
                TradeId(id),
                OPEN_TIME.plus(millis),
                Price::from_scaled(price),
                Quantity::from_scaled(quantity),
                fills,
                Side::from_buyer_is_maker(maker),
            )
            .expect("all within bounds")
        };
        parts.into_iter().map(trade).collect()
    })
}

/// Trades and the same ones in another order.
fn shuffled() -> impl Strategy<Value = (Vec<Trade>, Vec<Trade>)> {
    trades().prop_flat_map(|trades| (Just(trades.clone()), Just(trades).prop_shuffle()))
}

/// What a kline of trades is, by the definition: sorted by id, then looked at.
fn oracle(trades: &[Trade]) -> Kline {
    let mut sorted: Vec<&Trade> = trades.iter().collect();
    sorted.sort_by_key(|trade| trade.id.0);
    let product =
        |trade: &Trade| i128::from(trade.price.scaled()) * i128::from(trade.quantity.scaled());
    let bought = || sorted.iter().filter(|trade| !trade.taker.buyer_is_maker());
    let prices = || sorted.iter().map(|trade| trade.price.scaled());
    Kline {
        volume: Volume::from_scaled(
            sorted.iter().map(|trade| i128::from(trade.quantity.scaled())).sum(),
        ),
        quote_volume: QuoteVolume::from_scaled(sorted.iter().map(|trade| product(trade)).sum()),
        taker_buy_volume: Volume::from_scaled(
            bought().map(|trade| i128::from(trade.quantity.scaled())).sum(),
        ),
        taker_buy_quote_volume: QuoteVolume::from_scaled(
            bought().map(|trade| product(trade)).sum(),
        ),
        open_time: OPEN_TIME,
        open: sorted[0].price,
        high: Price::from_scaled(prices().max().expect("not empty")),
        low: Price::from_scaled(prices().min().expect("not empty")),
        close: sorted[sorted.len() - 1].price,
        trade_count: sorted.iter().map(|trade| u64::from(trade.fill_count)).sum(),
        first_id: sorted[0].id,
        last_id: sorted[sorted.len() - 1].id,
    }
}

fn fold<'a>(trades: impl IntoIterator<Item = &'a Trade>) -> Kline {
    let mut kline = Kline::flat(OPEN_TIME, Price::from_scaled(7));
    for trade in trades {
        kline.fold(trade);
    }
    kline
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_order_gives_the_kline_of_the_definition((sorted, mixed) in shuffled()) {
        let expected = oracle(&sorted);
        prop_assert_eq!(fold(&mixed), expected);
        prop_assert_eq!(expected.validate(), Ok(()));
        let mut next = Kline::of_trade(OPEN_TIME, &sorted[0]);
        for trade in &sorted[1..] {
            next.fold_next(trade);
        }
        prop_assert_eq!(next, expected);
    }

    #[test]
    fn trades_that_come_twice_count_once_when_known_by_id(
        (sorted, mixed) in shuffled(),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let repeated = mixed.iter().chain(again.iter().map(|index| index.get(&mixed)));
        let mut seen = std::collections::HashSet::new();
        let once: Vec<&Trade> = repeated.filter(|trade| seen.insert(trade.id)).collect();
        prop_assert_eq!(fold(once), oracle(&sorted));
    }

    /// Each trade is dealt to one of five parts; some of them may stay empty.
    #[test]
    fn any_parts_merge_to_the_whole(
        (sorted, mixed) in shuffled(),
        deal in prop::collection::vec(0_usize..5, 40),
        order in Just([0_usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let part = |at: usize| {
            fold(mixed.iter().zip(&deal).filter(|&(_, &to)| to == at).map(|(trade, _)| trade))
        };
        let mut whole = part(order[0]);
        for &at in &order[1..] {
            whole.merge(&part(at));
        }
        prop_assert_eq!(whole, oracle(&sorted));
    }

    /// Consecutive parts, as klines from the exchange are: without ids, flat ones among them.
    #[test]
    fn parts_without_ids_merge_in_the_order_of_time(
        sorted in trades(),
        cuts in prop::collection::vec(0_usize..40, 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(sorted.len())).collect();
        cuts.extend([0, sorted.len()]);
        cuts.sort_unstable();
        // An exchange's flat kline stands at the last price before it.
        let mut last_price = sorted[0].price;
        let parts: Vec<Kline> = cuts.windows(2).map(|cut| {
            let part = &sorted[cut[0]..cut[1]];
            let mut kline = Kline::flat(OPEN_TIME, last_price);
            for trade in part {
                kline.fold(trade);
            }
            last_price = kline.close;
            Kline { first_id: TradeId(0), last_id: TradeId(-1), ..kline }
        }).collect();
        let whole = Kline::rollup(OPEN_TIME, &parts).expect("there are parts");
        prop_assert!(whole.same_values(&oracle(&sorted)));
        prop_assert!(!whole.has_ids() && !whole.is_flat());
    }

    #[test]
    fn what_is_printed_parses_back(
        scaled in any::<i64>(),
        wide in any::<i128>(),
        decimals in 0_u8..20,
    ) {
        let price = Price::from_scaled(scaled);
        prop_assert_eq!(Price::parse(price.display(decimals).to_string()), Ok(price));
        prop_assert_eq!(price.to_string().parse(), Ok(price));
        let quantity = Quantity::from_scaled(scaled);
        prop_assert_eq!(Quantity::parse(quantity.display(decimals).to_string()), Ok(quantity));
        let wide = wide.max(-i128::MAX);
        let volume = Volume::from_scaled(wide);
        prop_assert_eq!(Volume::parse(volume.display(decimals).to_string()), Ok(volume));
        let quote = QuoteVolume::from_scaled(wide);
        prop_assert_eq!(QuoteVolume::parse(quote.display(decimals).to_string()), Ok(quote));
        prop_assert_eq!(QuoteVolume::parse(quote.to_string()), Ok(quote));
    }

    /// The text of whole and fraction, put together by hand.
    #[test]
    fn a_price_prints_with_at_least_its_precision(
        whole in 0_i64..90_000_000_000,
        fraction in 0_i64..100_000_000,
        kept in 0_u32..9,
        decimals in 0_u8..9,
    ) {
        let fraction = fraction / 10_i64.pow(8 - kept) * 10_i64.pow(8 - kept);
        let price = Price::from_scaled(whole * 100_000_000 + fraction);
        let digits = format!("{fraction:08}");
        let needed = digits.trim_end_matches('0').len().max(usize::from(decimals));
        let expected = match needed {
            0 => whole.to_string(),
            _ => format!("{whole}.{}", &digits[..needed]),
        };
        prop_assert_eq!(price.display(decimals).to_string(), expected);
        prop_assert_eq!(usize::from(price.decimals()), digits.trim_end_matches('0').len());
    }

    /// Whatever the bytes are: what parses is the number that is written there. Where several rules
    /// are broken at once, any of them may be named.
    #[test]
    fn only_plain_decimals_parse(text in "-?[0-9]{0,12}[.]?[0-9]{0,10}[-+eE x]?") {
        let unsigned = text.strip_prefix('-').unwrap_or(&text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let is_number = |digits: &str| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let parsed = Price::parse(&text);
        if !is_number(whole) || !is_number(fraction) {
            let error = parsed.unwrap_err();
            prop_assert!(fraction.len() > 8 || error == DecimalError::Malformed);
        } else if fraction.len() > 8 && !fraction[8..].bytes().all(|byte| byte == b'0') {
            let error = parsed.unwrap_err();
            prop_assert!(matches!(error, DecimalError::TooPrecise | DecimalError::OutOfRange));
        } else {
            let digits = format!("{whole}{fraction:0<8}");
            let value: i128 = digits[..whole.len() + 8].parse().expect("digits");
            let value = if text.starts_with('-') { -value } else { value };
            let expected = i64::try_from(value).map_err(|_| DecimalError::OutOfRange);
            prop_assert_eq!(parsed.map(Price::scaled), expected);
        }
    }

    #[test]
    fn klines_of_a_period_tile_time(
        time in prop_oneof![
            -DAY * 800_000..DAY * 800_000,
            // Around the edges of days, where everything longer than a day has its own.
            (-40_000_i64..40_000, -1_i64..2).prop_map(|(day, millis)| day * DAY + millis),
        ],
        period in prop::sample::select(&Period::ALL[..]),
    ) {
        let time = UnixMillis(time);
        let (open, next) = (period.open_time(time), period.next_open_time(time));
        prop_assert!(open <= time && time < next);
        prop_assert_eq!(period.open_time(open), open);
        prop_assert_eq!(period.next_open_time(open), next);
        prop_assert_eq!(period.open_time(next), next, "the next one opens where this one ends");
        prop_assert_eq!(period.open_time(next.plus(-1)), open);
        prop_assert_eq!(period.close_time(time), next.plus(-1));
        if let Some(millis) = period.fixed_millis() {
            prop_assert_eq!(next.since(open), millis);
        }
        if matches!(period, Period::D1 | Period::D3 | Period::W1 | Period::Mo1) {
            prop_assert_eq!(open.0.rem_euclid(DAY), 0);
        }
        if period < Period::W1 {
            prop_assert_eq!(open.0.rem_euclid(next.since(open)), 0);
        }
    }

    #[test]
    fn what_nests_covers_exactly(
        time in -DAY * 40_000..DAY * 40_000,
        shorter in prop::sample::select(&Period::ALL[..]),
        longer in prop::sample::select(&Period::ALL[..]),
    ) {
        let time = UnixMillis(time);
        let (open, next) = (longer.open_time(time), longer.next_open_time(time));
        if shorter.nests_in(longer) {
            prop_assert!(shorter < longer);
            prop_assert_eq!(shorter.open_time(open), open);
            prop_assert_eq!(shorter.open_time(next), next);
        }
    }

    #[test]
    fn a_record_never_loses_rank(
        held in (0_u8..4, 0_u32..4, 1_i64..4),
        new in (0_u8..4, 0_u32..4, 1_i64..4),
    ) {
        let record = |(status, revision, price): (u8, u32, i64)| KlineRecord {
            kline: Kline::flat(OPEN_TIME, Price::from_scaled(price)),
            revision,
            status: KlineStatus::from_u8(status).expect("below four"),
        };
        let (held, new) = (record(held), record(new));
        match new.superseding(&held) {
            None => prop_assert!(new.status <= held.status),
            Some(then) => {
                prop_assert!((then.status, then.revision) > (held.status, held.revision));
                prop_assert!(then.revision >= held.revision.max(new.revision));
                prop_assert_eq!(then.kline, new.kline);
                prop_assert_eq!(then.superseding(&held), Some(then), "and it stays so");
                prop_assert!(!held.supersedes(&then));
            }
        }
    }
}

/// Walks day by day through four hundred years with the calendar of the school book.
#[test]
fn months_and_weeks_are_those_of_the_calendar() {
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_in = |year: i64, month: usize| match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    // 1970-01-01 was a Thursday.
    let (mut day, mut year, mut month, mut weekday) = (0_i64, 1970_i64, 1_usize, 3_i64);
    while year < 2370 {
        let first = day;
        let end = first + days_in(year, month);
        while day < end {
            let time = UnixMillis(day * DAY + 12_345);
            assert_eq!(Period::Mo1.open_time(time).0, first * DAY, "{year}-{month}");
            assert_eq!(Period::Mo1.next_open_time(time).0, end * DAY, "{year}-{month}");
            assert_eq!(Period::W1.open_time(time).0, (day - weekday) * DAY);
            day += 1;
            weekday = (weekday + 1) % 7;
        }
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
}

/// By arithmetic, since nobody waits for 2^32 trades.
#[test]
fn the_bounds_that_are_written_down_hold() {
    let trades = 1_i128 << 32;
    assert!(MAX_NOTIONAL.scaled().checked_mul(trades).is_some());
    assert!(i128::from(i64::MAX) * trades < 1 << 95);
    assert!(u64::from(u32::MAX).checked_mul(1 << 32).is_some(), "the count of fills");
    let at = |price: i64, quantity: i64| {
        Trade::new(
            TradeId(1),
            OPEN_TIME,
            Price::from_scaled(price),
            Quantity::from_scaled(quantity),
            u32::MAX,
            Side::Buy,
        )
    };
    let largest = at(1 << 47, 1 << 47).expect("exactly the bound");
    assert_eq!(largest.notional(), MAX_NOTIONAL);
    assert_eq!(at(1 << 47, (1 << 47) + 1), Err(TradeError::NotionalOutOfRange));
    assert_eq!(at((1 << 47) + 1, 1 << 47), Err(TradeError::NotionalOutOfRange));
    assert!(at(1, i64::MAX).is_ok() && at(i64::MAX, 1).is_ok());
    assert_eq!(at(i64::MAX, i64::MAX), Err(TradeError::NotionalOutOfRange));

    // 2^16 of the largest klines from outside can be merged.
    let bound = 1_i128 << 110;
    assert!(bound.checked_mul(1 << 16).is_some());
    let outside = |volume: i128| Kline {
        quote_volume: QuoteVolume::from_scaled(volume),
        ..Kline::flat(OPEN_TIME, Price::from_scaled(1))
    };
    assert_eq!(outside(bound).validate(), Ok(()));
    assert_eq!(outside(bound + 1).validate(), Err(KlineError::VolumeOutOfRange));
    assert_eq!(outside(-1).validate(), Err(KlineError::VolumesOutOfOrder));
}

#[test]
fn flat_parts_add_nothing_and_the_latest_price_stays() {
    let price = Price::from_scaled;
    let flat = |at: i64| Kline::flat(OPEN_TIME, price(at));
    let trade =
        Trade::new(TradeId(5), OPEN_TIME, price(50), Quantity::from_scaled(3), 1, Side::Sell);
    let traded = Kline::of_trade(OPEN_TIME, &trade.expect("valid"));
    let check = |parts: &[Kline], expected: Kline| {
        assert_eq!(Kline::rollup(OPEN_TIME, parts), Some(expected), "{parts:?}");
    };
    check(&[flat(1), flat(2)], flat(2));
    check(&[flat(1), traded, flat(50)], traded);
    check(&[traded, flat(50)], traded);
    check(&[flat(9), flat(9), traded], traded);
    // The later kline's own open time gives way to that of the whole.
    let later = Kline { open_time: OPEN_TIME.plus(60_000), ..traded };
    check(&[flat(9), later], traded);
    assert_eq!(Kline::rollup(OPEN_TIME, []), None);
    // A volume without a count is no trade that we know of, but it is a volume.
    let odd = Kline { volume: Volume::from_scaled(8), ..flat(50) };
    assert!(!odd.is_flat());
    let whole = Kline::rollup(OPEN_TIME, [&flat(50), &odd, &traded]).expect("parts");
    assert_eq!((whole.volume, whole.has_ids()), (Volume::from_scaled(11), false));
    assert_eq!(TradeId(i64::MAX).next(), TradeId(i64::MAX));
}

#[test]
fn every_set_of_periods_has_sources_that_nest() {
    // All 2^14 sets that hold the minute.
    for mask in 0_u32..1 << 14 {
        let chosen: Vec<Period> = Period::ALL
            .into_iter()
            .enumerate()
            .filter(|&(at, _)| at == 0 || mask & (1 << (at - 1)) != 0)
            .map(|(_, period)| period)
            .collect();
        let set = PeriodSet::new(&chosen).expect("distinct, with the minute");
        for at in 1..set.len() {
            let source = set.source(at).expect("at least the minute nests");
            assert!(source < at && set.get(source).nests_in(set.get(at)));
            assert!((source + 1..at).all(|other| !set.get(other).nests_in(set.get(at))));
        }
    }
}
