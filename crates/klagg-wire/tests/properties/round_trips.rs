//! What is printed is read back to the same value.

use klagg_kline::{
    Kline, Period, Precision, Price, Quantity, QuoteVolume, Side, Trade, TradeId, UnixMillis,
    Volume,
};
use klagg_wire::request::{ClientRequest, RequestId};
use klagg_wire::rest::{AggTradeRow, ExchangeInfo, SymbolInfo, TradeRow};
use klagg_wire::stream_name::StreamName;
use klagg_wire::{
    ContractInfo, Decoder, KlineEvent, MiniTicker, StreamEvent, TradeEvent, TradeKind, encode,
    request, rest,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

fn symbol() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["BTCUSDT", "币安人生USDT", "1000PEPEUSDT", "BTCUSDT_261225"])
}

fn precision() -> impl Strategy<Value = Precision> {
    (0..=8_u8, 0..=8_u8).prop_map(|(price, quantity)| Precision::new(price, quantity).unwrap())
}

fn time() -> impl Strategy<Value = UnixMillis> {
    (0..4_000_000_000_000_i64).prop_map(UnixMillis)
}

/// `steps` of the smallest value that `decimals` can print, at 1e-8.
fn at(steps: i64, decimals: u8) -> i64 {
    steps * 10_i64.pow(8 - u32::from(decimals))
}

fn trade() -> impl Strategy<Value = (Trade, Precision, i64)> {
    let numbers = (1..10_000_000_i64, 1..100_000_i64, 0..1_000_000_000_000_i64);
    (numbers, precision(), time(), 1..1_000_u32, any::<bool>(), 0..1_i64 << 50).prop_map(
        |((price, quantity, id), precision, time, fills, sells, first)| {
            let trade = Trade::new(
                TradeId(id),
                time,
                Price::from_scaled(at(price, precision.price())),
                Quantity::from_scaled(at(quantity, precision.quantity())),
                fills,
                Side::from_buyer_is_maker(sells),
            );
            (trade.unwrap(), precision, first)
        },
    )
}

fn trade_event() -> impl Strategy<Value = TradeEvent<'static>> {
    (trade(), symbol(), any::<bool>(), time()).prop_map(
        |((trade, precision, first), symbol, coin_margined, event_time)| TradeEvent {
            symbol,
            kind: TradeKind::Aggregate,
            event_time,
            trade,
            first_fill_id: first,
            last_fill_id: first + i64::from(trade.fill_count) - 1,
            coin_margined,
            precision,
        },
    )
}

fn kline() -> impl Strategy<Value = (Kline, Period, Precision)> {
    let prices = prop::collection::vec(1..1_000_000_i64, 4);
    let amounts = prop::collection::vec(0..1_000_000_000_i64, 4);
    (prices, amounts, precision(), time(), prop::sample::select(Period::ALL.to_vec())).prop_map(
        |(mut prices, amounts, precision, time, period)| {
            prices.sort_unstable();
            let price =
                |at_index: usize| Price::from_scaled(at(prices[at_index], precision.price()));
            let unit = 10_i128.pow(16 - u32::from(precision.quote()));
            let volume = |steps: i64| {
                Volume::from_scaled(
                    i128::from(at(steps, 0)) / 10_i128.pow(precision.quantity().into()),
                )
            };
            let kline = Kline {
                volume: volume(amounts[0] + amounts[1]),
                quote_volume: QuoteVolume::from_scaled(i128::from(amounts[2] + amounts[3]) * unit),
                taker_buy_volume: volume(amounts[1]),
                taker_buy_quote_volume: QuoteVolume::from_scaled(i128::from(amounts[3]) * unit),
                open_time: period.open_time(time.plus(5_000_000_000)),
                open: price(1),
                high: price(3),
                low: price(0),
                close: price(2),
                trade_count: 1 + amounts[0].unsigned_abs(),
                first_id: TradeId(0),
                last_id: TradeId(-1),
            };
            (kline, period, precision)
        },
    )
}

fn mini_ticker() -> impl Strategy<Value = MiniTicker> {
    (symbol(), time(), prop::collection::vec(0..1_000_000_i64, 6), precision(), any::<bool>())
        .prop_map(|(symbol, event_time, numbers, precision, coin_margined)| {
            let price = |index: usize| Price::from_scaled(at(numbers[index], precision.price()));
            MiniTicker {
                symbol: symbol.to_owned(),
                event_time,
                close: price(0),
                open: price(1),
                high: price(2),
                low: price(3),
                volume: Volume::from_scaled(at(numbers[4], precision.quantity()).into()),
                quote_volume: QuoteVolume::from_scaled(i128::from(numbers[5]) * 10_i128.pow(14)),
                coin_margined,
                precision,
            }
        })
}

fn printed(print: impl FnOnce(&mut String)) -> String {
    let mut text = String::new();
    print(&mut text);
    text
}

fn check(text: &str, expected: StreamEvent<'_>) -> TestCaseResult {
    let mut decoder = Decoder::new();
    prop_assert_eq!(decoder.decode(text.as_bytes()), Ok(expected), "{}", text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn trades_of_streams(event in trade_event(), seed in any::<u64>()) {
        let mut decoder = Decoder::new();
        let raw = TradeEvent {
            kind: TradeKind::Raw,
            trade: Trade::new(
                event.trade.id, event.trade.time, event.trade.price, event.trade.quantity, 1,
                event.trade.taker,
            ).unwrap(),
            first_fill_id: event.trade.id.0,
            last_fill_id: event.trade.id.0,
            coin_margined: false,
            ..event
        };
        let shuffled = printed(|out| encode::agg_trade_shuffled(out, &event, seed));
        prop_assert_eq!(decoder.decode(shuffled.as_bytes()), Ok(StreamEvent::Trade(event)));
        for event in [event, raw] {
            let text = printed(|out| encode::trade_event(out, &event));
            prop_assert_eq!(decoder.decode(text.as_bytes()), Ok(StreamEvent::Trade(event)));
            let stream = format!("{}@aggTrade", event.symbol);
            let text = printed(|out| {
                encode::combined(out, &stream, |out| encode::trade_event(out, &event));
            });
            prop_assert_eq!(decoder.decode(text.as_bytes()), Ok(StreamEvent::Trade(event)));
        }
        let text = printed(|out| encode::off_market_trade(out, &raw, "INSURANCE_FUND"));
        let expected = StreamEvent::OffMarketTrade {
            symbol: raw.symbol, id: raw.trade.id, event_time: raw.event_time,
        };
        prop_assert_eq!(decoder.decode(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn klines(
        (kline, period, precision) in kline(), symbol in symbol(), closed in any::<bool>(),
        first in 0..1_i64 << 40, ids in any::<bool>(),
    ) {
        let next = Kline { open_time: period.next_open_time(kline.open_time), ..kline };
        let flat = Kline::flat(period.next_open_time(next.open_time), kline.close);
        let rows = [kline, next, flat];
        let text = printed(|out| encode::kline_rows(out, &rows, period, precision));
        prop_assert_eq!(rest::klines(text.as_bytes(), period), Ok(rows.to_vec()));

        let with_ids = Kline { first_id: TradeId(first), last_id: TradeId(first + 7), ..kline };
        let event = KlineEvent {
            symbol, period, event_time: kline.open_time, is_closed: closed,
            kline: if ids { with_ids } else { kline },
        };
        let text = printed(|out| encode::kline_event(out, &event, precision));
        check(&text, StreamEvent::Kline(event))?;
        let text = printed(|out| {
            encode::continuous_kline_event(out, &event, "PERPETUAL", precision);
        });
        check(&text, StreamEvent::Other)?;
    }

    #[test]
    fn trades_of_rest(trades in prop::collection::vec(trade(), 0..20)) {
        let mut aggregates: Vec<AggTradeRow> = trades.iter().map(|&(trade, precision, first)| {
            let last = first + i64::from(trade.fill_count) - 1;
            AggTradeRow { trade, first_fill_id: first, last_fill_id: last, precision }
        }).collect();
        aggregates.sort_by_key(|row| row.trade.id);
        aggregates.dedup_by_key(|row| row.trade.id);
        let text = printed(|out| encode::agg_trade_rows(out, &aggregates));
        prop_assert_eq!(rest::agg_trades(text.as_bytes()), Ok(aggregates.clone()));

        let rows: Vec<TradeRow> = aggregates.iter().map(|row| {
            let trade = &row.trade;
            let single =
                Trade::new(trade.id, trade.time, trade.price, trade.quantity, 1, trade.taker);
            TradeRow { trade: single.unwrap(), precision: row.precision }
        }).collect();
        let text = printed(|out| encode::trade_rows(out, &rows));
        prop_assert_eq!(rest::trades(text.as_bytes()), Ok(rows));
    }

    #[test]
    fn tickers_and_listings(
        tickers in prop::collection::vec(mini_ticker(), 1..20), symbol in symbol(),
        times in (time(), time(), time()), coin_margined in any::<bool>(),
    ) {
        let text = printed(|out| encode::mini_ticker_array(out, &tickers));
        let expected = StreamEvent::MiniTickers { tickers: tickers.clone(), skipped: 0 };
        check(&text, expected)?;
        let text = printed(|out| encode::ticker_24h(out, &tickers));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());

        let info = ContractInfo {
            symbol: symbol.to_owned(),
            event_time: times.0,
            contract_type: "TRADIFI_PERPETUAL".to_owned(),
            status: "PENDING_TRADING".to_owned(),
            onboard_time: times.1,
            delivery_time: times.2,
            coin_margined,
        };
        let text = printed(|out| encode::contract_info(out, &info));
        check(&text, StreamEvent::ContractInfo(info))?;
    }

    #[test]
    fn exchange_info(
        rows in prop::collection::vec((precision(), time(), time(), any::<bool>()), 0..6),
        server_time in time(), weight in prop::option::of(1..100_000_u32),
    ) {
        let symbols = rows.iter().enumerate().map(|(number, row)| {
            let &(precision, onboard, delivery, filters) = row;
            SymbolInfo {
                name: format!("{number}币USDT"),
                contract_type: "PERPETUAL".to_owned(),
                status: "TRADING".to_owned(),
                base_asset: format!("{number}币"),
                quote_asset: "USDT".to_owned(),
                margin_asset: "USDT".to_owned(),
                onboard_time: onboard,
                delivery_time: delivery,
                precision,
                tick_size: filters.then(|| Price::from_scaled(at(1, precision.price()))),
                step_size: filters.then(|| Quantity::from_scaled(at(1, precision.quantity()))),
            }
        }).collect();
        let info = ExchangeInfo { server_time, weight_per_minute: weight, symbols, skipped: 0 };
        let text = printed(|out| encode::exchange_info(out, &info));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        prop_assert_eq!(rest::exchange_info(text.as_bytes()), Ok(info));
    }

    #[test]
    fn requests_and_answers(
        streams in prop::collection::vec("[a-z0-9\"币]{1,9}@x", 0..9), id in any::<u64>(),
    ) {
        let text = printed(|out| encode::subscribe(out, &streams, id));
        let id_read = RequestId::Unsigned(id);
        let expected = ClientRequest::Subscribe { streams: streams.clone(), id: id_read.clone() };
        prop_assert_eq!(request::parse(text.as_bytes()), Ok(expected));
        let text = printed(|out| encode::unsubscribe(out, &streams, id));
        let expected = ClientRequest::Unsubscribe { streams: streams.clone(), id: id_read.clone() };
        prop_assert_eq!(request::parse(text.as_bytes()), Ok(expected));
        let text = printed(|out| encode::list_subscriptions(out, id));
        let expected = ClientRequest::ListSubscriptions { id: id_read.clone() };
        prop_assert_eq!(request::parse(text.as_bytes()), Ok(expected));

        let text = printed(|out| request::encode_ack(out, &id_read));
        check(&text, StreamEvent::Ack { id })?;
        let text = printed(|out| request::encode_subscriptions(out, &streams, &id_read));
        let expected = StreamEvent::Subscriptions { id, streams };
        check(&text, expected)?;
    }

    #[test]
    fn stream_names(symbol in symbol(), period in prop::sample::select(Period::ALL.to_vec())) {
        let owned = symbol.to_owned();
        for name in [
            StreamName::AggTrade(owned.clone()),
            StreamName::Trade(owned.clone()),
            StreamName::MiniTicker(owned.clone()),
            StreamName::Kline(owned.clone(), period),
            StreamName::ContinuousKline {
                pair: owned.clone(), contract_type: "TRADIFI_PERPETUAL".to_owned(), period,
            },
            StreamName::AllMiniTickers,
            StreamName::ContractInfo,
        ] {
            prop_assert_eq!(name.to_string().parse::<StreamName>(), Ok(name));
        }
    }
}
