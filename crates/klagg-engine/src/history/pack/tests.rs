//! Packing gives back what was put in.

use proptest::prelude::*;

use super::*;

fn record(prices: [i64; 4], volumes: [i128; 4], count: u64, ids: (i64, i64)) -> KlineRecord {
    KlineRecord {
        kline: Kline {
            volume: Volume::from_scaled(volumes[0]),
            quote_volume: QuoteVolume::from_scaled(volumes[1]),
            taker_buy_volume: Volume::from_scaled(volumes[2]),
            taker_buy_quote_volume: QuoteVolume::from_scaled(volumes[3]),
            open_time: UnixMillis(1_700_000_040_000),
            open: Price::from_scaled(prices[0]),
            high: Price::from_scaled(prices[1]),
            low: Price::from_scaled(prices[2]),
            close: Price::from_scaled(prices[3]),
            trade_count: count,
            first_id: TradeId(ids.0),
            last_id: TradeId(ids.1),
        },
        revision: 3,
        status: KlineStatus::Closed,
    }
}

#[test]
fn a_busy_day_of_the_largest_symbol_is_narrow() {
    // 82418.70 at two decimals, 400,000 BTC, 33 billion quote at five decimals.
    let prices = [8_241_870_000_000, 8_300_000_000_000, 8_100_000_000_000, 8_241_880_000_000];
    let volumes = [
        40_000_012_300_000,
        330_000_000_001_234_500_000_000_000,
        20_000_000_100_000,
        170_000_000_005_000_000_000_000_000,
    ];
    let record = record(prices, volumes, 6_000_000, (3_481_200_417, 3_483_000_000));
    let words = narrow(&record).unwrap();
    assert_eq!(from_narrow(&words), record);
}

#[test]
fn the_largest_numbers_of_the_narrow_form_come_back() {
    let (base, quote) = ((1 << 48) - 1, (1 << 56) - 1);
    for (first, last) in [((1 << 48) - 1, (1 << 48) - 1), (0, 7), (0x1234_5678_9abc, 1 << 47)] {
        let ids = (first, last.min(first + (1 << 31)));
        let record = record([(1 << 32) - 1; 4], [base, quote, base, quote], u32::MAX.into(), ids);
        assert_eq!(from_narrow(&narrow(&record).unwrap()), record);
    }
}

#[test]
fn what_does_not_fit_is_wide() {
    let fine = || record([1; 4], [1; 4], 1, (5, 5));
    assert!(narrow(&fine()).is_some());
    let check = |change: fn(&mut KlineRecord), why: &str| {
        let mut record = fine();
        change(&mut record);
        assert!(narrow(&record).is_none(), "{why}");
        assert_eq!(from_wide(&wide(&record)), record, "{why}");
    };
    check(|record| record.kline.open_time = UnixMillis(1), "off the minute");
    check(|record| record.kline.open_time = UnixMillis(-60_000), "before 1970");
    check(|record| record.kline.high = Price::from_scaled((1 << 32) + 1), "a fine, high price");
    check(|record| record.kline.volume = Volume::from_scaled((1 << 48) + 1), "a huge volume");
    check(
        |record| record.kline.quote_volume = QuoteVolume::from_scaled((1 << 56) + 1),
        "a huge quote volume",
    );
    check(
        |record| {
            (record.kline.first_id, record.kline.last_id) = (TradeId(1 << 48), TradeId(1 << 48));
        },
        "a huge id",
    );
    check(|record| record.kline.trade_count = 1 << 32, "a huge count");
    check(|record| record.kline.last_id = TradeId(1 << 40), "many ids");
    check(|record| record.revision = 1 << 16, "many revisions");
    check(|record| record.kline.first_id = TradeId(9), "a strange empty range of ids");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_record_comes_back_to_the_bit(
        prices in prop::array::uniform4(0_i64..=i64::MAX),
        price_tens in 0_u32..9,
        volumes in prop::array::uniform4(0_i128..=1 << 110),
        volume_tens in 0_u32..26,
        count in prop_oneof![0..100_u64, any::<u64>()],
        first in 0..=i64::MAX / 2,
        width in prop_oneof![0..1_000_000_i64, 0..i64::MAX / 2],
    ) {
        let tens = 10_i64.pow(price_tens);
        let prices = prices.map(|price| price / 10_i64.pow(9) * tens % i64::MAX);
        let volume_unit = 10_i128.pow(volume_tens % 17);
        let volumes = volumes.map(|volume| volume / 10_i128.pow(25) * volume_unit);
        let record = record(prices, volumes, count, (first, first + width));
        if let Some(words) = narrow(&record) {
            prop_assert_eq!(from_narrow(&words), record);
        }
        prop_assert_eq!(from_wide(&wide(&record)), record);
        let mut without_ids = record;
        (without_ids.kline.first_id, without_ids.kline.last_id) = (TradeId(0), TradeId(-1));
        if let Some(words) = narrow(&without_ids) {
            prop_assert_eq!(from_narrow(&words), without_ids);
        }
    }
}
