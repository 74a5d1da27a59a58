//! CSV rows of trades: which column is what, and a row's values.

use klagg_kline::{Precision, Price, Quantity, Side, Trade, TradeError, TradeId};
use klagg_wire::TradeKind;

use crate::fields::{self, Fields, header_key, shown};
use crate::name::SYMBOL_BYTES_MAX;

/// Where the values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TradeColumns {
    kind: TradeKind,
    id: usize,
    price: usize,
    quantity: usize,
    /// First and last raw fill.
    fills: Option<(usize, usize)>,
    time: usize,
    maker: usize,
    symbol: Option<usize>,
}

/// The values of a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TradeRow<'a> {
    pub(crate) kind: TradeKind,
    pub(crate) symbol: Option<&'a str>,
    /// `None` if the quantity is zero.
    pub(crate) trade: Option<Trade>,
    pub(crate) first_fill_id: i64,
    pub(crate) last_fill_id: i64,
    pub(crate) precision: Precision,
}

const RAW: TradeColumns = TradeColumns {
    kind: TradeKind::Raw,
    id: 0,
    price: 1,
    quantity: 2,
    fills: None,
    time: 4,
    maker: 5,
    symbol: None,
};

const AGGREGATE: TradeColumns = TradeColumns {
    kind: TradeKind::Aggregate,
    id: 0,
    price: 1,
    quantity: 2,
    fills: Some((3, 4)),
    time: 5,
    maker: 6,
    symbol: None,
};

/// With `nq` behind the quantity, as REST and the stream have it since 2025-12-31.
const AGGREGATE_NQ: TradeColumns =
    TradeColumns { fills: Some((4, 5)), time: 6, maker: 7, ..AGGREGATE };

impl TradeColumns {
    /// From the first row, and whether that is a header. `Err` says why they are no trades.
    pub(crate) fn of_first_row(row: &[u8]) -> Result<(Self, bool), String> {
        let fields = Fields::split(row);
        if fields::is_header(&fields) {
            let columns = Self::of_header(row)
                .ok_or_else(|| format!("the header {} is not that of trades", shown(row)))?;
            return Ok((columns, true));
        }
        let columns = Self::of_shape(&fields).ok_or_else(|| {
            let count = fields.as_slice().len();
            format!("the first row's {count} columns are not those of trades: {}", shown(row))
        })?;
        Ok((columns, false))
    }

    /// From the names of a header, in any order.
    pub(crate) fn of_header(row: &[u8]) -> Option<Self> {
        let fields = Fields::split(row);
        let keys: Vec<String> = fields.as_slice().iter().map(|field| header_key(field)).collect();
        let find = |names: &[&str]| keys.iter().position(|key| names.contains(&key.as_str()));
        let fills =
            find(&["firsttradeid", "firstid", "f"]).zip(find(&["lasttradeid", "lastid", "l"]));
        let aggregate_id = find(&["aggtradeid", "aggregatetradeid", "aggid", "a"]);
        let kind = if aggregate_id.is_some() || fills.is_some() {
            TradeKind::Aggregate
        } else {
            TradeKind::Raw
        };
        Some(Self {
            kind,
            id: aggregate_id.or_else(|| find(&["id", "tradeid", "t"]))?,
            price: find(&["price", "p"])?,
            quantity: find(&["quantity", "qty", "q"])?,
            fills,
            time: find(&["transacttime", "time", "timestamp", "tradetime", "T"])?,
            maker: find(&["isbuyermaker", "buyerismaker", "wasthebuyerthemaker", "m"])?,
            symbol: find(&["symbol", "s"]),
        })
    }

    /// From a row without a header: see the rule in the crate's documentation.
    fn of_shape(fields: &Fields<'_>) -> Option<Self> {
        let fields = fields.as_slice();
        let word = fields.iter().position(|field| fields::flag_word(field).is_some());
        match (word, fields.len()) {
            (Some(5), _) | (None, 6) => Some(RAW),
            (Some(6), _) | (None, 7) => Some(AGGREGATE),
            (Some(7), _) => Some(AGGREGATE_NQ),
            _ => None,
        }
    }

    /// Reads a row.
    pub(crate) fn parse<'a>(&self, row: &'a [u8]) -> Result<TradeRow<'a>, String> {
        let fields = Fields::split(row);
        let integer = |at: usize, what: &str| {
            let field = fields.get(at)?;
            let number = fields::integer(field).filter(|&number| number >= 0);
            number.ok_or_else(|| format!("{what} {} is no whole number", shown(field)))
        };
        let id = integer(self.id, "id")?;
        let price = fields.get(self.price)?;
        let price =
            Price::parse(price).map_err(|error| format!("price {}: {error}", shown(price)))?;
        let quantity = fields.get(self.quantity)?;
        let quantity = Quantity::parse(quantity)
            .map_err(|error| format!("quantity {}: {error}", shown(quantity)))?;
        let time = fields::time(fields.get(self.time)?)?;
        let maker = fields.get(self.maker)?;
        let maker = fields::flag(maker)
            .ok_or_else(|| format!("flag {} is neither true nor false", shown(maker)))?;
        let (first_fill_id, last_fill_id) = match self.fills {
            Some((first, last)) => (integer(first, "first id")?, integer(last, "last id")?),
            None => (id, id),
        };
        // Beyond `u32` no aggregate can be; `Trade::new` refuses what holds no fill.
        let count =
            last_fill_id.checked_sub(first_fill_id).map(|span| span.saturating_add(1).max(0));
        let fill_count = count
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| "its raw ids span more fills than a trade can have".to_owned())?;
        let side = Side::from_buyer_is_maker(maker);
        let symbol = self.symbol.map(|at| symbol(fields.get(at)?)).transpose()?;
        let trade = match Trade::new(TradeId(id), time, price, quantity, fill_count, side) {
            Ok(trade) => Some(trade),
            Err(TradeError::QuantityNotPositive) if quantity == Quantity::ZERO => None,
            Err(error) => return Err(error.to_string()),
        };
        let precision = Precision::new(price.decimals(), quantity.decimals())
            .map_err(|error| error.to_string())?;
        let kind = self.kind;
        Ok(TradeRow { kind, symbol, trade, first_fill_id, last_fill_id, precision })
    }
}

/// The text of a column that names the symbol.
pub(crate) fn symbol(field: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(field)
        .ok()
        .filter(|text| !text.is_empty() && text.len() <= SYMBOL_BYTES_MAX)
        .ok_or_else(|| format!("symbol {} cannot be one", shown(field)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first_row: &str, kind: TradeKind, time: usize, is_header: bool) {
        let (columns, header) = TradeColumns::of_first_row(first_row.as_bytes()).unwrap();
        assert_eq!((columns.kind, columns.time, header), (kind, time, is_header), "{first_row}");
    }

    #[test]
    fn the_first_row_tells_the_columns() {
        use TradeKind::{Aggregate, Raw};
        check(
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
            Aggregate,
            5,
            true,
        );
        check("id,price,qty,quote_qty,time,is_buyer_maker", Raw, 4, true);
        check("a,p,q,nq,f,l,T,m", Aggregate, 6, true);
        check("id,price,qty,quoteQty,time,isBuyerMaker,isRPITrade", Raw, 4, true);
        check("1,9682,0.132,1278.024,1582329602111,false", Raw, 4, false);
        check("1,9682,0.132,1278.024,1582329602111,False,true", Raw, 4, false);
        check("1,9682,0.132,1278.024,1582329602111,1", Raw, 4, false);
        check("1,0.7,19.0,5,6,1729209603958,true", Aggregate, 5, false);
        check("1,0.7,19.0,5,6,1729209603958,True,true", Aggregate, 5, false);
        check("1,0.7,19.0,5,6,1729209603958,0", Aggregate, 5, false);
        check("1,0.7,19.0,18.0,5,6,1729209603958,TRUE", Aggregate, 6, false);
        let kline = "open_time,open,high,low,close,volume,close_time,quote_volume,count";
        for alien in [kline, "1,2,3", "a,b,c,d", "1,1,1,1,1,1,1,1,1,1,1,0"] {
            assert!(TradeColumns::of_first_row(alien.as_bytes()).is_err(), "{alien}");
        }
    }

    #[test]
    fn a_row_is_read_exactly_or_refused_with_its_reason() {
        let row =
            AGGREGATE.parse(b"171927518,0.7096,2254.0,551530708,551530712,1729209604056,false");
        let row = row.unwrap();
        let trade = row.trade.unwrap();
        assert_eq!((trade.fill_count, trade.taker), (5, Side::Buy));
        assert_eq!((row.precision.price(), row.precision.quantity()), (4, 0));
        let check = |row: &str, reason: &str| {
            let error = AGGREGATE.parse(row.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{row}: {error}");
        };
        check("1,0.7,19.0,5,6,1729209603958", "only 6 columns");
        check("x,0.7,19.0,5,6,1729209603958,true", "id `x`");
        check("-1,0.7,19.0,5,6,1729209603958,true", "id `-1`");
        check("1,0.7e1,19.0,5,6,1729209603958,true", "price `0.7e1`");
        check("1,0,19.0,5,6,1729209603958,true", "price is not positive");
        check("1,0.7,-19.0,5,6,1729209603958,true", "quantity is not positive");
        check("1,0.7,19.0,6,5,1729209603958,true", "no fill");
        check("1,0.7,19.0,0,9223372036854775807,1729209603958,true", "span more fills");
        check("1,0.7,19.0,5,6,1729209603958123456,true", "neither 13 digits");
        check("1,0.7,19.0,5,6,1729209603958,maybe", "neither true nor false");
        let zero = AGGREGATE.parse(b"1,0.7,0.000,5,6,1729209603958,true").unwrap();
        assert_eq!(zero.trade, None);
    }
}
