//! What arrives on a stream, as plain data.

use klagg_kline::{
    Kline, Period, Precision, Price, QuoteVolume, Trade, TradeId, UnixMillis, Volume,
};

/// One frame of a stream, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEvent<'a> {
    /// `<symbol>@aggTrade`, or a market fill of `<symbol>@trade`.
    Trade(TradeEvent<'a>),
    /// A fill of `<symbol>@trade` that is no order-book trade (`X` other than `MARKET`:
    /// `INSURANCE_FUND`, `ADL`, `NA`). It must not enter a kline; its id is used up.
    OffMarketTrade {
        /// The symbol, as the exchange writes it.
        symbol: &'a str,
        /// Its raw id, `t`.
        id: TradeId,
        /// When it was sent, `E`.
        event_time: UnixMillis,
    },
    /// `<symbol>@kline_<interval>`.
    Kline(KlineEvent<'a>),
    /// `!miniTicker@arr`, or one `<symbol>@miniTicker`.
    MiniTickers {
        /// The rows that could be read.
        tickers: Vec<MiniTicker>,
        /// Rows that could not; one bad row does not spoil the others.
        skipped: u64,
    },
    /// `!contractInfo`.
    ContractInfo(ContractInfo),
    /// A request was accepted: `{"result":null,"id":1}`. Proves nothing about delivery (measured:
    /// unknown symbols and bogus names are acknowledged as well).
    Ack {
        /// The id of the request.
        id: u64,
    },
    /// The answer to `LIST_SUBSCRIPTIONS`: `{"result":["btcusdt@aggTrade"],"id":3}`.
    Subscriptions {
        /// The id of the request.
        id: u64,
        /// The streams, as the exchange echoes them.
        streams: Vec<String>,
    },
    /// A request was refused: `{"error":{"code":4,"msg":"Too many subscriptions"}}` (measured),
    /// or `{"code":2,"msg":"Invalid request"}` (the older shape).
    Refused {
        /// The exchange's code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// Valid JSON of a stream that is not used here.
    Other,
}

/// Whether a trade is an aggregate or a single fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TradeKind {
    /// `@aggTrade`: ids grow by exactly one.
    Aggregate,
    /// `@trade`: ids may have holes, burnt by self-trade prevention.
    Raw,
}

/// A trade as a stream tells it.
///
/// `<symbol>@aggTrade` (docs: Aggregate Trade Streams; `nq` since 2025-12-31; `st` measured):
/// ```json
/// {"e":"aggTrade","E":1791460920015,"a":3481200418,"s":"BTCUSDT","p":"82418.80","q":"0.250",
///  "nq":"0.240","f":8162300556,"l":8162300561,"T":1791460919932,"m":false,"st":1}
/// ```
/// `<symbol>@trade` (undocumented; measured):
/// ```json
/// {"e":"trade","E":1791460920015,"T":1791460919932,"s":"BTCUSDT","t":8162300556,
///  "p":"82418.80","q":"0.010","X":"MARKET","m":false}
/// ```
/// `nq` leaves out fills against retail price improvement orders and is not read: klines count
/// all of `q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeEvent<'a> {
    /// The symbol `s`, as the exchange writes it (upper case where there is a case).
    pub symbol: &'a str,
    /// Aggregate or single fill.
    pub kind: TradeKind,
    /// When it was sent, `E`.
    pub event_time: UnixMillis,
    /// Id `a` or `t`, time `T`, price `p`, quantity `q`, taker from `m`.
    pub trade: Trade,
    /// First raw fill, `f`; the id itself for a raw trade.
    pub first_fill_id: i64,
    /// Last raw fill, `l`; the id itself for a raw trade.
    pub last_fill_id: i64,
    /// Whether `st` is 2: a COIN-M contract.
    pub coin_margined: bool,
    /// Decimals as printed in this frame.
    pub precision: Precision,
}

/// A kline as a stream tells it, at most every 250 ms (docs: Kline/Candlestick Streams).
///
/// ```json
/// {"e":"kline","E":1791460933250,"s":"BTCUSDT","k":{"t":1791460920000,"T":1791460979999,
///  "s":"BTCUSDT","i":"1m","f":8162300562,"L":8162301004,"o":"82418.80","c":"82420.10",
///  "h":"82424.00","l":"82415.00","v":"9.204","n":441,"x":false,"q":"758551.20440",
///  "V":"5.010","Q":"412915.33010","B":"0"}}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KlineEvent<'a> {
    /// The symbol `s`.
    pub symbol: &'a str,
    /// The period `i`.
    pub period: Period,
    /// When it was sent, `E`.
    pub event_time: UnixMillis,
    /// Whether the exchange calls it closed, `x`.
    pub is_closed: bool,
    /// The values. Its ids are the first and last *raw* ids `f` and `L`, or none where the
    /// exchange gives -1.
    pub kline: Kline,
}

/// The last 24 hours of a symbol (docs: All Market Mini Tickers Stream, Individual Symbol Mini
/// Ticker Stream; `ps` and `st` measured). Rolling, not the UTC day.
///
/// ```json
/// {"e":"24hrMiniTicker","E":1791382992429,"s":"ETHUSDT","c":"3121.55","o":"3204.10",
///  "h":"3220.00","l":"3098.01","v":"4102233.871","q":"12921003411.25","ps":"ETHUSDT","st":1}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MiniTicker {
    /// The symbol `s`.
    pub symbol: String,
    /// When it was sent, `E`.
    pub event_time: UnixMillis,
    /// Last price, `c`. May be zero before the first trade, as may the other prices.
    pub close: Price,
    /// Price 24 hours ago, `o`.
    pub open: Price,
    /// Highest price, `h`.
    pub high: Price,
    /// Lowest price, `l`.
    pub low: Price,
    /// Base volume, `v`.
    pub volume: Volume,
    /// Quote volume, `q`.
    pub quote_volume: QuoteVolume,
    /// Whether `st` is 2: a COIN-M contract. All-market streams carry both (measured).
    pub coin_margined: bool,
    /// Decimals as printed: of `c`, and of `v`.
    pub precision: Precision,
}

/// A contract was listed, settled, or changed (docs: Contract Info Stream; `st` measured).
///
/// ```json
/// {"e":"contractInfo","E":1791382800123,"s":"NEWUSDT","ct":"PERPETUAL","dt":4133404800000,
///  "ot":1791383400000,"cs":"PENDING_TRADING","st":1}
/// ```
/// `bks`, present when brackets change, is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractInfo {
    /// The symbol `s`.
    pub symbol: String,
    /// When it was sent, `E`.
    pub event_time: UnixMillis,
    /// `ct`, for example `PERPETUAL`.
    pub contract_type: String,
    /// `cs`, for example `PENDING_TRADING` or `TRADING`.
    pub status: String,
    /// When it trades first, `ot`.
    pub onboard_time: UnixMillis,
    /// When it is delivered, `dt`; in the year 2100 for perpetuals.
    pub delivery_time: UnixMillis,
    /// Whether `st` is 2: a COIN-M contract.
    pub coin_margined: bool,
}
