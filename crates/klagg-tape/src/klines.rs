//! Klines of any recording: dumps, REST replies, frames, and what `replay` prints.

use std::path::Path;
use std::sync::Arc;

use klagg_kline::{Kline, KlineStatus, Period, UnixMillis};
use klagg_wire::{Decoder, StreamEvent};

use crate::input::Input;
use crate::kline_columns::KlineColumns;
use crate::shape::Shape;
use crate::source::{
    Named, Outcome, PartError, PartFacts, RowBytes, RowParser, Source, SourceOptions, Symbols,
};
use crate::trades::with_causes;
use crate::{SourceCounters, TapeError};

/// A kline of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceKline {
    /// Whose kline.
    pub symbol: Arc<str>,
    /// Its length.
    pub period: Period,
    /// The values. Of a frame, the ids are the first and last *raw* ids; else it has none.
    pub kline: Kline,
    /// Whether the recording calls it closed. Dumps hold closed klines only; a REST reply does
    /// not say it of its last one.
    pub is_closed: bool,
    /// Whether it came in a frame, as a state of its kline among others.
    pub is_frame: bool,
    /// What kind of recording it stands in.
    pub origin: KlineOrigin,
    /// What its `status` column says, if there is one.
    pub status: Option<KlineStatus>,
    /// Whether some value was printed from a double (`218271.54200000002`) and is taken as the
    /// decimal of 15 digits that it stands for.
    pub from_doubles: bool,
    /// Line, array element or tape record, from 1.
    pub line: u64,
}

/// The kinds of recordings that hold klines: they promise different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KlineOrigin {
    /// Rows in the exchange's layout, which do not name their symbol: finished klines.
    Dump,
    /// Rows that name their symbol: what a program such as klagg printed.
    Printed,
    /// The elements of a REST reply: its last kline may be unfinished.
    Reply,
    /// Frames of a stream.
    Frames,
}

/// Reads the klines of a file: see the crate for what may be in it.
///
/// The period is read from a `period` column, else told from the close time, else from the file
/// name. Only klines on the period's grid that pass `Kline::validate` are given.
#[derive(Debug)]
pub struct KlineSource(Source<KlineParser>);

impl KlineSource {
    /// Opens a file and looks at its beginning.
    ///
    /// # Errors
    /// [`TapeError`] if it cannot be opened or is nothing that this crate knows.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self, TapeError> {
        Source::open(path, options).map(Self)
    }

    /// Reads `bytes` as [`KlineSource::open`] reads a file called `name`; fails where they unpack
    /// to more than `plain_max` bytes.
    pub(crate) fn of_bytes(
        name: &str,
        bytes: Arc<[u8]>,
        plain_max: u64,
    ) -> Result<Self, TapeError> {
        let input = Input::of_bytes(Path::new(name), bytes, plain_max)?;
        Source::of(input, &SourceOptions::default()).map(Self)
    }

    /// The next kline, or `None` after the last.
    ///
    /// # Errors
    /// [`TapeError`] if the file cannot be read on, if its rows are no klines, and at its end if
    /// too many rows were malformed or none was usable.
    pub fn next_kline(&mut self) -> Result<Option<SourceKline>, TapeError> {
        self.0.next()
    }

    /// Counts so far.
    pub fn counters(&self) -> &SourceCounters {
        self.0.counters()
    }
}

/// Turns rows into klines.
struct KlineParser {
    shape: Shape,
    symbols: Symbols,
    /// The symbol of rows that name none.
    default_symbol: Option<Arc<str>>,
    /// The period of rows that do not tell theirs.
    name_period: Option<Period>,
    columns: Option<KlineColumns>,
    decoder: Decoder,
}

impl RowParser for KlineParser {
    type Item = SourceKline;

    fn new(facts: PartFacts) -> Self {
        let name_period = facts.name.as_ref().and_then(|name| name.period);
        let named = facts.name.map(|name| Arc::from(name.symbol));
        Self {
            shape: facts.shape,
            default_symbol: facts.symbols.wanted().cloned().or(named),
            symbols: facts.symbols,
            name_period,
            columns: None,
            decoder: Decoder::new(),
        }
    }

    fn parse(&mut self, row: RowBytes<'_>) -> Result<Outcome<SourceKline>, PartError> {
        match self.shape {
            Shape::Csv => self.csv(row),
            Shape::Array => self.element(row),
            Shape::Frames | Shape::Tape => Ok(self.frame(row)),
        }
    }
}

impl KlineParser {
    fn csv(&mut self, row: RowBytes<'_>) -> Result<Outcome<SourceKline>, PartError> {
        if self.columns.is_none() {
            let (columns, is_header) =
                KlineColumns::of_first_row(row.bytes).map_err(PartError::Unrecognised)?;
            self.columns = Some(columns);
            if is_header {
                return Ok(Outcome::Header);
            }
        }
        self.columns_row(row, row.bytes)
    }

    /// A row of a REST reply has the columns of the dumps, in brackets.
    fn element(&mut self, row: RowBytes<'_>) -> Result<Outcome<SourceKline>, PartError> {
        let inside = row.bytes.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
        let Some(inside) = inside else {
            return Ok(Outcome::Malformed("not the array of a kline".to_owned()));
        };
        self.columns.get_or_insert(KlineColumns::EXCHANGE);
        self.columns_row(row, inside)
    }

    fn columns_row(
        &mut self,
        row: RowBytes<'_>,
        bytes: &[u8],
    ) -> Result<Outcome<SourceKline>, PartError> {
        let Some(columns) = &self.columns else {
            return Ok(Outcome::Malformed("no columns".to_owned()));
        };
        let parsed = match columns.parse(bytes) {
            Ok(parsed) => parsed,
            Err(reason) => {
                return Ok(match KlineColumns::of_header(bytes) {
                    Some(columns) => {
                        self.columns = Some(columns);
                        Outcome::Header
                    }
                    None => Outcome::Malformed(reason),
                });
            }
        };
        let origin = match (self.shape, parsed.symbol) {
            (Shape::Array, _) => KlineOrigin::Reply,
            (_, Some(_)) => KlineOrigin::Printed,
            (_, None) => KlineOrigin::Dump,
        };
        let symbol = match parsed.symbol {
            Some(name) => match self.symbols.named(name) {
                Named::Wanted(symbol) => symbol,
                Named::Other => return Ok(Outcome::OtherSymbol),
                Named::TooMany => return Ok(Outcome::Malformed("too many symbols".to_owned())),
            },
            None => self.default_symbol.clone().ok_or(PartError::SymbolUnknown)?,
        };
        let period = parsed.period.or(self.name_period).ok_or(PartError::PeriodUnknown)?;
        Ok(checked(SourceKline {
            symbol,
            period,
            kline: parsed.kline,
            is_closed: parsed.is_closed,
            is_frame: false,
            origin,
            status: parsed.status,
            from_doubles: parsed.from_doubles,
            line: row.line,
        }))
    }

    fn frame(&mut self, row: RowBytes<'_>) -> Outcome<SourceKline> {
        let event = match self.decoder.decode(row.bytes) {
            Ok(StreamEvent::Kline(event)) => event,
            Ok(_) => return Outcome::OtherStream,
            Err(error) => return Outcome::Malformed(with_causes(&error)),
        };
        let symbol = match self.symbols.named(event.symbol) {
            Named::Wanted(symbol) => symbol,
            Named::Other => return Outcome::OtherSymbol,
            Named::TooMany => return Outcome::Malformed("too many symbols".to_owned()),
        };
        checked(SourceKline {
            symbol,
            period: event.period,
            kline: event.kline,
            is_closed: event.is_closed,
            is_frame: true,
            origin: KlineOrigin::Frames,
            status: None,
            from_doubles: false,
            line: row.line,
        })
    }
}

fn checked(row: SourceKline) -> Outcome<SourceKline> {
    let open_time: UnixMillis = row.kline.open_time;
    if row.period.open_time(open_time) != open_time {
        return Outcome::Malformed(format!("open time {open_time} is no start of {}", row.period));
    }
    if let Err(error) = row.kline.validate() {
        return Outcome::Malformed(error.to_string());
    }
    Outcome::Given(row)
}
