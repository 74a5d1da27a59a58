//! CSV rows of klines: which column is what, and a row's values.

use std::cell::Cell;

use klagg_kline::{
    DecimalError, Kline, KlineStatus, Period, Price, QuoteVolume, TradeId, UnixMillis, Volume,
};

use crate::doubles;
use crate::fields::{self, Fields, header_key, shown};
use crate::trade_columns::symbol;

/// Where the values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KlineColumns {
    open_time: usize,
    /// Open, high, low, close.
    prices: [usize; 4],
    volume: usize,
    quote_volume: usize,
    count: usize,
    taker_buy_volume: usize,
    taker_buy_quote_volume: usize,
    close_time: Option<usize>,
    symbol: Option<usize>,
    period: Option<usize>,
    status: Option<usize>,
}

/// The values of a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KlineRow<'a> {
    pub(crate) symbol: Option<&'a str>,
    pub(crate) period: Option<Period>,
    pub(crate) kline: Kline,
    pub(crate) is_closed: bool,
    pub(crate) status: Option<KlineStatus>,
    pub(crate) from_doubles: bool,
}

impl KlineColumns {
    /// The exchange's dumps and REST replies: 12 columns, the last of no use.
    pub(crate) const EXCHANGE: Self = Self {
        open_time: 0,
        prices: [1, 2, 3, 4],
        volume: 5,
        close_time: Some(6),
        quote_volume: 7,
        count: 8,
        taker_buy_volume: 9,
        taker_buy_quote_volume: 10,
        symbol: None,
        period: None,
        status: None,
    };

    /// From the first row, and whether that is a header. `Err` says why they are no klines.
    pub(crate) fn of_first_row(row: &[u8]) -> Result<(Self, bool), String> {
        let fields = Fields::split(row);
        if fields::is_header(&fields) {
            let columns = Self::of_header(row)
                .ok_or_else(|| format!("the header {} is not that of klines", shown(row)))?;
            return Ok((columns, true));
        }
        let count = fields.as_slice().len();
        let has_flag = fields.as_slice().iter().any(|field| fields::flag_word(field).is_some());
        if count < 11 || has_flag {
            let shown = shown(row);
            return Err(format!(
                "the first row's {count} columns are not those of klines: {shown}"
            ));
        }
        Ok((Self::EXCHANGE, false))
    }

    /// From the names of a header, in any order.
    pub(crate) fn of_header(row: &[u8]) -> Option<Self> {
        let fields = Fields::split(row);
        let keys: Vec<String> = fields.as_slice().iter().map(|field| header_key(field)).collect();
        let find = |names: &[&str]| keys.iter().position(|key| names.contains(&key.as_str()));
        Some(Self {
            open_time: find(&["opentime", "timestamp", "time", "datetime", "date"])?,
            prices: [find(&["open"])?, find(&["high"])?, find(&["low"])?, find(&["close"])?],
            volume: find(&["volume", "basevolume"])?,
            quote_volume: find(&["quotevolume", "quoteassetvolume"])?,
            count: find(&["count", "tradecount", "numberoftrades", "trades"])?,
            taker_buy_volume: find(&[
                "takerbuyvolume",
                "takerbuybasevolume",
                "takerbuybaseassetvolume",
            ])?,
            taker_buy_quote_volume: find(&["takerbuyquotevolume", "takerbuyquoteassetvolume"])?,
            close_time: find(&["closetime"]),
            symbol: find(&["symbol"]),
            period: find(&["period", "interval"]),
            status: find(&["status"]),
        })
    }

    /// Reads a row.
    pub(crate) fn parse<'a>(&self, row: &'a [u8]) -> Result<KlineRow<'a>, String> {
        let fields = Fields::split(row);
        let noisy = Cell::new(false);
        let price = |at| decimal(&fields, at, "price", &noisy, |field| Price::parse(field));
        let volume = |at| decimal(&fields, at, "volume", &noisy, |field| Volume::parse(field));
        let quote_volume =
            |at| decimal(&fields, at, "quote volume", &noisy, |field| QuoteVolume::parse(field));
        let open_time = fields::time_or_text(fields.get(self.open_time)?)?;
        let count = fields.get(self.count)?;
        let trade_count = fields::integer(count)
            .and_then(|count| u64::try_from(count).ok())
            .ok_or_else(|| format!("count {} is no whole number", shown(count)))?;
        let kline = Kline {
            open_time,
            open: price(self.prices[0])?,
            high: price(self.prices[1])?,
            low: price(self.prices[2])?,
            close: price(self.prices[3])?,
            volume: volume(self.volume)?,
            quote_volume: quote_volume(self.quote_volume)?,
            taker_buy_volume: volume(self.taker_buy_volume)?,
            taker_buy_quote_volume: quote_volume(self.taker_buy_quote_volume)?,
            trade_count,
            first_id: TradeId(0),
            last_id: TradeId(-1),
        };
        let symbol = self.symbol.map(|at| symbol(fields.get(at)?)).transpose()?;
        let status = self.status.map(|at| status(fields.get(at)?)).transpose()?;
        let is_closed = !status.is_some_and(KlineStatus::is_open);
        let period = self.period(&fields, open_time)?;
        let from_doubles = noisy.get();
        Ok(KlineRow { symbol, period, kline, is_closed, status, from_doubles })
    }

    fn period(&self, fields: &Fields<'_>, open: UnixMillis) -> Result<Option<Period>, String> {
        if let Some(at) = self.period {
            let field = fields.get(at)?;
            let text = std::str::from_utf8(field).unwrap_or_default();
            let period = text.parse().map_err(|_| format!("unknown period {}", shown(field)))?;
            return Ok(Some(period));
        }
        let Some(at) = self.close_time else { return Ok(None) };
        let close = fields::time_or_text(fields.get(at)?)?;
        let period = Period::ALL
            .into_iter()
            .find(|period| period.open_time(open) == open && period.close_time(open) == close);
        let refusal = || format!("from {open} to {close} is no period of the exchange");
        period.map(Some).ok_or_else(refusal)
    }
}

fn status(field: &[u8]) -> Result<KlineStatus, String> {
    KlineStatus::ALL
        .into_iter()
        .find(|status| field.eq_ignore_ascii_case(status.as_str().as_bytes()))
        .ok_or_else(|| format!("unknown status {}", shown(field)))
}

/// Reads one decimal; sets `noisy` if it was the print of a double.
fn decimal<T>(
    fields: &Fields<'_>,
    at: usize,
    what: &str,
    noisy: &Cell<bool>,
    parse: impl Fn(&[u8]) -> Result<T, DecimalError>,
) -> Result<T, String> {
    let field = fields.get(at)?;
    let (value, is_noisy) = doubles::parse(field, parse)
        .map_err(|error| format!("{what} {}: {error}", shown(field)))?;
    noisy.set(noisy.get() || is_noisy);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "1730073600000,67992.70,68094.60,67804.70,67835.20,5179.117,1730077199999,\
                       351923638.03910,85022,2415.052,164090858.68940,0";

    #[test]
    fn rows_of_the_exchange_tell_their_period() {
        let (columns, is_header) = KlineColumns::of_first_row(ROW.as_bytes()).unwrap();
        assert!(!is_header);
        let row = columns.parse(ROW.as_bytes()).unwrap();
        assert_eq!((row.period, row.symbol, row.is_closed), (Some(Period::H1), None, true));
        assert_eq!(row.kline.quote_volume.to_string(), "351923638.0391");
        assert_eq!((row.kline.trade_count, row.kline.has_ids()), (85_022, false));
    }

    #[test]
    fn a_header_may_name_its_columns_in_any_order() {
        let header = "timestamp,open,high,low,close,volume,quote_volume,count,taker_buy_volume,\
                      taker_buy_quote_volume";
        let (columns, is_header) = KlineColumns::of_first_row(header.as_bytes()).unwrap();
        assert!(is_header);
        let row = "2023-06-01 01:00:00,27059.8,27155.7,27045.7,27065.5,17636.072,478001888.0,\
                   141280,8794.62,238385216.0";
        let row = columns.parse(row.as_bytes()).unwrap();
        assert_eq!((row.period, row.kline.open_time.0), (None, 1_685_581_200_000));
        let header = "symbol,period,open_time,open,high,low,close,volume,close_time,quote_volume,\
                      count,taker_buy_volume,taker_buy_quote_volume,ignore,status";
        let columns = KlineColumns::of_header(header.as_bytes()).unwrap();
        let row = format!("BTCUSDT,1h,{ROW},open");
        let row = columns.parse(row.as_bytes()).unwrap();
        assert_eq!((row.symbol, row.period), (Some("BTCUSDT"), Some(Period::H1)));
        assert_eq!((row.is_closed, row.status), (false, Some(KlineStatus::Open)));
        let row = format!("BTCUSDT,1h,{ROW},finished");
        assert!(columns.parse(row.as_bytes()).unwrap_err().contains("unknown status"));
    }

    #[test]
    fn what_is_no_kline_is_refused_with_its_reason() {
        let check = |from: &str, to: &str, reason: &str| {
            let row = ROW.replacen(from, to, 1);
            let error = KlineColumns::EXCHANGE.parse(row.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{row}: {error}");
        };
        check("1730077199999", "1730077199998", "no period");
        check("67992.70", "NaN", "price");
        check("5179.117", "5179.1170000001", "volume");
        check("85022", "85022.5", "count");
        check(",164090858.68940,0", "", "only 10 columns");
        assert!(KlineColumns::of_first_row(b"1,2,3,4,5,6").is_err());
        assert!(KlineColumns::of_first_row(b"id,price,qty").is_err());
    }
}
