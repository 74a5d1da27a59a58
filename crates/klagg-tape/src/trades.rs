//! Trades of any recording, one at a time.

use std::path::Path;
use std::sync::Arc;

use klagg_kline::{Precision, Trade, UnixMillis};
use klagg_wire::{Decoder, StreamEvent, TradeKind, WireError, rest};

use crate::shape::Shape;
use crate::source::{
    Named, Outcome, PartError, PartFacts, RowBytes, RowParser, Source, SourceOptions, Symbols,
};
use crate::trade_columns::TradeColumns;
use crate::{SourceCounters, TapeError};

/// A trade of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTrade {
    /// Whose trade.
    pub symbol: Arc<str>,
    /// Aggregate or single fill.
    pub kind: TradeKind,
    /// The trade.
    pub trade: Trade,
    /// First raw fill; the trade's own id where the recording does not say it.
    pub first_fill_id: i64,
    /// Last raw fill; the trade's own id where the recording does not say it.
    pub last_fill_id: i64,
    /// Decimals as the exchange printed them; of a CSV row only those that are not zero, because
    /// some dumps print `19.0` for a quantity of whole numbers.
    pub precision: Precision,
    /// When the exchange sent it: frames only.
    pub event_time: Option<UnixMillis>,
    /// When it arrived, in nanoseconds since 1970, where the recording says it.
    pub received_ns: Option<u64>,
    /// Line, array element or tape record, from 1.
    pub line: u64,
}

/// Reads the trades of a file: see the crate for what may be in it.
///
/// Left out and counted are raw trades outside the order book, rows of quantity zero, trades of
/// COIN-M contracts, and with [`SourceOptions::symbol`] the rows that name another symbol.
#[derive(Debug)]
pub struct TradeSource(Source<TradeParser>);

impl TradeSource {
    /// Opens a file and looks at its beginning.
    ///
    /// # Errors
    /// [`TapeError`] if it cannot be opened or is nothing that this crate knows.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self, TapeError> {
        Source::open(path, options).map(Self)
    }

    /// The next trade, or `None` after the last.
    ///
    /// # Errors
    /// [`TapeError`] if the file cannot be read on, if its rows are no trades, and at its end if
    /// too many rows were malformed or none was usable.
    pub fn next_trade(&mut self) -> Result<Option<SourceTrade>, TapeError> {
        self.0.next()
    }

    /// Counts so far.
    pub fn counters(&self) -> &SourceCounters {
        self.0.counters()
    }

    /// Bytes of the file read so far, as they lie on disk.
    pub fn bytes_read(&self) -> u64 {
        self.0.input().bytes_read()
    }

    /// Bytes of the file.
    pub fn bytes_total(&self) -> u64 {
        self.0.input().bytes_total()
    }
}

/// Turns rows into trades.
struct TradeParser {
    shape: Shape,
    symbols: Symbols,
    /// The symbol of rows that name none.
    default_symbol: Option<Arc<str>>,
    columns: Option<TradeColumns>,
    decoder: Decoder,
    /// An element of an array, as a reply of its own.
    reply: Vec<u8>,
}

impl RowParser for TradeParser {
    type Item = SourceTrade;

    fn new(facts: PartFacts) -> Self {
        let named = facts.name.map(|name| Arc::from(name.symbol));
        Self {
            shape: facts.shape,
            default_symbol: facts.symbols.wanted().cloned().or(named),
            symbols: facts.symbols,
            columns: None,
            decoder: Decoder::new(),
            reply: Vec::new(),
        }
    }

    fn parse(&mut self, row: RowBytes<'_>) -> Result<Outcome<SourceTrade>, PartError> {
        match self.shape {
            Shape::Csv => self.csv(row),
            Shape::Array => self.element(row),
            Shape::Frames | Shape::Tape => Ok(self.frame(row)),
        }
    }
}

impl TradeParser {
    fn default_symbol(&self) -> Result<Arc<str>, PartError> {
        self.default_symbol.clone().ok_or(PartError::SymbolUnknown)
    }

    fn csv(&mut self, row: RowBytes<'_>) -> Result<Outcome<SourceTrade>, PartError> {
        let Some(columns) = &self.columns else {
            let (columns, is_header) =
                TradeColumns::of_first_row(row.bytes).map_err(PartError::Unrecognised)?;
            self.columns = Some(columns);
            return if is_header { Ok(Outcome::Header) } else { self.csv(row) };
        };
        let parsed = match columns.parse(row.bytes) {
            Ok(parsed) => parsed,
            // Files that were appended to one another repeat the header.
            Err(reason) => {
                return Ok(match TradeColumns::of_header(row.bytes) {
                    Some(columns) => {
                        self.columns = Some(columns);
                        Outcome::Header
                    }
                    None => Outcome::Malformed(reason),
                });
            }
        };
        let symbol = match parsed.symbol {
            Some(name) => match self.symbols.named(name) {
                Named::Wanted(symbol) => symbol,
                Named::Other => return Ok(Outcome::OtherSymbol),
                Named::TooMany => return Ok(Outcome::Malformed("too many symbols".to_owned())),
            },
            None => self.default_symbol()?,
        };
        let Some(trade) = parsed.trade else { return Ok(Outcome::ZeroQuantity) };
        Ok(Outcome::Given(SourceTrade {
            symbol,
            kind: parsed.kind,
            trade,
            first_fill_id: parsed.first_fill_id,
            last_fill_id: parsed.last_fill_id,
            precision: parsed.precision,
            event_time: None,
            received_ns: None,
            line: row.line,
        }))
    }

    fn element(&mut self, row: RowBytes<'_>) -> Result<Outcome<SourceTrade>, PartError> {
        let symbol = self.default_symbol()?;
        self.reply.clear();
        self.reply.push(b'[');
        self.reply.extend_from_slice(row.bytes);
        self.reply.push(b']');
        // Only replies of raw trades spell the price out.
        let is_raw = row.bytes.windows(7).any(|window| window == br#""price""#);
        let parsed = if is_raw {
            rest::trades(&self.reply).map(|rows| {
                rows.first().map(|row| {
                    let id = row.trade.id.0;
                    (TradeKind::Raw, row.trade, id, id, row.precision)
                })
            })
        } else {
            rest::agg_trades(&self.reply).map(|rows| {
                rows.first().map(|row| {
                    let fills = (row.first_fill_id, row.last_fill_id);
                    (TradeKind::Aggregate, row.trade, fills.0, fills.1, row.precision)
                })
            })
        };
        Ok(match parsed {
            Ok(Some((kind, trade, first_fill_id, last_fill_id, precision))) => {
                Outcome::Given(SourceTrade {
                    symbol,
                    kind,
                    trade,
                    first_fill_id,
                    last_fill_id,
                    precision,
                    event_time: None,
                    received_ns: None,
                    line: row.line,
                })
            }
            Ok(None) => Outcome::Malformed("an empty element".to_owned()),
            Err(error) => not_a_trade(error),
        })
    }

    fn frame(&mut self, row: RowBytes<'_>) -> Outcome<SourceTrade> {
        let event = match self.decoder.decode(row.bytes) {
            Ok(StreamEvent::Trade(event)) => event,
            Ok(StreamEvent::OffMarketTrade { .. }) => return Outcome::OffMarket,
            Ok(_) => return Outcome::OtherStream,
            Err(error) => return not_a_trade(error),
        };
        if event.coin_margined {
            return Outcome::CoinMargined;
        }
        let symbol = match self.symbols.named(event.symbol) {
            Named::Wanted(symbol) => symbol,
            Named::Other => return Outcome::OtherSymbol,
            Named::TooMany => return Outcome::Malformed("too many symbols".to_owned()),
        };
        Outcome::Given(SourceTrade {
            symbol,
            kind: event.kind,
            trade: event.trade,
            first_fill_id: event.first_fill_id,
            last_fill_id: event.last_fill_id,
            precision: event.precision,
            event_time: Some(event.event_time),
            received_ns: row.received_ns,
            line: row.line,
        })
    }
}

/// Rows of quantity zero are a known fault of the exchange's own dumps, not ours to call broken.
fn not_a_trade<T>(error: WireError) -> Outcome<T> {
    match error {
        WireError::Trade { source: klagg_kline::TradeError::QuantityNotPositive, .. } => {
            Outcome::ZeroQuantity
        }
        error => Outcome::Malformed(with_causes(&error)),
    }
}

/// An error in one line, its causes behind it.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
