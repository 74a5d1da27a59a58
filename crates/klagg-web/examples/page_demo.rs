//! The page with a random market behind it, to look at: no exchange, no network.
//!
//! `cargo run -p klagg-web --example page_demo -- 127.0.0.1:8080`

#![allow(
    clippy::assigning_clones,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a demo may"
)]

#[path = "../tests/web/pipeline.rs"]
mod pipeline;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Price, Quantity, QuoteVolume, Side, TradeId,
    UnixMillis, Volume,
};
use klagg_web::{BackfillStatus, FeedStatus, MissingOrigin, WebConfig, WebLimits};
use pipeline::{MINUTE, Market, listed};

const SYMBOLS: u32 = 740;
const MINUTES: i64 = 2_900;

/// Numbers that look random and are the same every time.
struct Chance(u64);

impl Chance {
    /// Between 0 and 1.
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        f64::from((self.0 >> 40) as u32) / f64::from(1_u32 << 24)
    }

    /// About normal, around 0.
    fn swing(&mut self) -> f64 {
        (0..6).map(|_| self.draw()).sum::<f64>() - 3.0
    }
}

fn name(number: u32) -> String {
    const KNOWN: [&str; 9] = [
        "BTCUSDT",
        "ETHUSDT",
        "SOLUSDT",
        "XRPUSDT",
        "1000PEPEUSDT",
        "币安人生USDT",
        "DOGEUSDT",
        "BNBUSDT",
        "LINKUSDC",
    ];
    const SYLLABLES: [&str; 12] =
        ["AR", "BO", "CE", "DI", "FU", "GAL", "HEX", "ION", "KAI", "LUM", "NEO", "TRI"];
    let pick = |part: u32| SYLLABLES[(part % 12) as usize];
    match KNOWN.get(number as usize) {
        Some(name) => (*name).to_owned(),
        None => format!("{}{}{}USDT", pick(number), pick(number / 12), pick(number / 144)),
    }
}

#[expect(clippy::disallowed_methods, reason = "a demo's clock")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A price on the symbol's grid.
fn price(value: f64, decimals: u8) -> Price {
    let step = 10_i64.pow(8 - u32::from(decimals));
    let scaled = (value * 1e8) as i64;
    Price::from_scaled((scaled / step).max(1) * step)
}

/// One made-up kline from `from` to the returned price.
fn made_up(open_time: i64, from: f64, decimals: u8, chance: &mut Chance) -> (Kline, f64) {
    let to = from * (1.0 + chance.swing() * 0.0011);
    let high = from.max(to) * (1.0 + chance.draw() * 0.0007);
    let low = from.min(to) * (1.0 - chance.draw() * 0.0007);
    let amount = (chance.draw() * chance.draw() * 4e8 * 2e4 / from) as i128 + 1;
    let volume = Volume::from_scaled(amount / 100_000 * 100_000 + 100_000);
    let quote =
        QuoteVolume::from_scaled(volume.scaled() * i128::from(price(to, decimals).scaled()));
    let kline = Kline {
        volume,
        quote_volume: quote,
        taker_buy_volume: Volume::from_scaled(volume.scaled() / 200_000 * 100_000),
        taker_buy_quote_volume: QuoteVolume::from_scaled(quote.scaled() / 2),
        open_time: UnixMillis(open_time),
        open: price(from, decimals),
        high: price(high, decimals).max(price(from, decimals)),
        low: price(low, decimals),
        close: price(to, decimals),
        trade_count: 40 + (chance.draw() * 900.0) as u64,
        first_id: TradeId(0),
        last_id: TradeId(-1),
    };
    (kline, to)
}

/// Minutes up to now and what follows from them for the longer periods; days before that.
fn history(market: &mut Market, symbol: u32, now: i64, chance: &mut Chance) -> f64 {
    let decimals = market.symbols.load().iter().nth(symbol as usize).unwrap().precision.price();
    let mut value = 10_f64.powf(4.9 - f64::from(symbol % 40) * 0.13);
    let day = 24 * 60 * MINUTE;
    let first = (now - MINUTES * MINUTE).div_euclid(day) * day;
    let confirmed = |kline| KlineRecord { kline, revision: 0, status: KlineStatus::Confirmed };
    let mut days = Vec::new();
    for at in 0..400 {
        let (mut kline, next) = made_up(first - (400 - at) * day, value, decimals, chance);
        value = next * (1.0 + chance.swing() * 0.012);
        kline.close = price(value, decimals);
        kline.high = kline.high.max(kline.close);
        kline.low = kline.low.min(kline.close);
        days.push(confirmed(kline));
    }
    let end = Period::M1.open_time(UnixMillis(now)).0;
    let mut minutes = Vec::new();
    let mut at = first;
    while at < end {
        let (kline, next) = made_up(at, value, decimals, chance);
        value = next;
        let mut record = confirmed(kline);
        if (end - at) / MINUTE < 3 {
            record.status = KlineStatus::Closed;
        }
        if (40..44).contains(&((end - at) / MINUTE)) {
            record.status = KlineStatus::Provisional;
        }
        minutes.push(record);
        at += MINUTE;
    }
    for &period in market.periods.clone().as_slice() {
        let mut records = if period == Period::D1 { days.clone() } else { Vec::new() };
        let whole = minutes.chunk_by(|a, b| {
            period.open_time(a.kline.open_time) == period.open_time(b.kline.open_time)
        });
        for part in whole {
            let open_time = period.open_time(part[0].kline.open_time);
            if period.next_open_time(open_time).0 <= end {
                let klines = part.iter().map(|record| &record.kline);
                records.push(confirmed(Kline::rollup(open_time, klines).unwrap()));
            }
        }
        if period == Period::M1 {
            // One hole, to see how it is shown.
            let hole = end - 90 * MINUTE;
            records.clone_from(&minutes);
            records.retain(|record| {
                symbol != 2 || !(hole..hole + 5 * MINUTE).contains(&record.kline.open_time.0)
            });
        }
        market.page(symbol, period, records);
    }
    value
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr =
        std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned()).parse()?;
    let live = std::env::args().nth(2).as_deref() != Some("backfill");
    let precision = |number: u32| 2 + (number % 40 / 8) as u8;
    let symbols = (0..SYMBOLS).map(|number| {
        let mut symbol = listed(&name(number), precision(number), 3);
        symbol.first_open_time = symbol.first_open_time.plus(i64::from(number));
        symbol
    });
    let (mut market, seams) = Market::new(symbols.collect(), 4_500, None);
    let mut chance = Chance(42);
    let begun = now();
    let mut values = Vec::new();
    for symbol in 0..SYMBOLS {
        let full = symbol < 12 || symbol % 25 == 0;
        let value = 10_f64.powf(4.9 - f64::from(symbol % 40) * 0.13);
        values.push(if full { history(&mut market, symbol, begun, &mut chance) } else { value });
    }
    {
        let mut report = seams.report.lock().unwrap();
        report.ready = live;
        report.phase = if live { "live" } else { "backfill" }.to_owned();
        report.source = "Random walk (page_demo)".to_owned();
        report.version = env!("CARGO_PKG_VERSION").to_owned();
        report.feed = FeedStatus { connections_up: 4, connections_total: 4 };
        report.backfill = (!live).then_some(BackfillStatus {
            symbols_done: 212,
            symbols_total: 740,
            klines: 1_284_000,
            requests: 1_406,
            weight_used: 1_611,
            weight_limit: 1_920,
            eta_seconds: Some(214),
        });
    }
    let config = WebConfig {
        listen: address,
        admin_listen: None,
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
        missing_origin: MissingOrigin::Allow,
        limits: WebLimits::standard(),
    };
    let running = pipeline::run(config, seams.parts.clone()).await?;
    let _ = (&running.admin, &seams.exchange_info, Arc::clone(&seams.report));
    eprintln!("http://{}/", running.address);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let now = now();
        for symbol in 0..SYMBOLS {
            if chance.draw() > 0.1 + 0.9 / f64::from(symbol + 1) {
                continue;
            }
            let value = &mut values[symbol as usize];
            *value *= 1.0 + chance.swing() * 0.00012;
            let side = if chance.draw() > 0.5 { Side::Buy } else { Side::Sell };
            let amount = (chance.draw() * 3e8 * 2e3 / *value) as i64 / 100_000 * 100_000 + 100_000;
            let price = price(*value, precision(symbol));
            market.trade_of(symbol, now, price, Quantity::from_scaled(amount), side);
        }
        market.publish(now);
    }
    running.stop.send_replace(true);
    running.server.await?;
    running.scheduler.abort();
    Ok(())
}
