//! What trade and kline sources share: parts, rows, counts and the verdict at the end.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::input::{Input, Part};
use crate::name::{self, NameFacts};
use crate::rows::{OpenError, Rows};
use crate::shape::Shape;
use crate::{SourceCounters, TapeError, tape};

/// Different symbols that one file may name.
const SYMBOLS_MAX: usize = 65_536;

/// Every so many rows, a file that is mostly malformed is given up.
const GIVE_UP_ROWS: u64 = 65_536;

/// How a file is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// The symbol of rows that do not name theirs. Rows that name another are left out.
    pub symbol: Option<String>,
}

/// What a row turned out to be.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Given(T),
    /// Names of columns; no row at all.
    Header,
    OffMarket,
    ZeroQuantity,
    OtherStream,
    OtherSymbol,
    CoinMargined,
    Malformed(String),
}

/// Why no row of a part can be read.
#[derive(Debug)]
pub(crate) enum PartError {
    Unrecognised(String),
    SymbolUnknown,
    PeriodUnknown,
}

/// What is known of a part before its first row.
pub(crate) struct PartFacts {
    pub(crate) shape: Shape,
    pub(crate) symbols: Symbols,
    pub(crate) name: Option<NameFacts>,
}

/// Turns rows of one part into items.
pub(crate) trait RowParser {
    type Item;

    fn new(facts: PartFacts) -> Self;

    fn parse(&mut self, row: RowBytes<'_>) -> Result<Outcome<Self::Item>, PartError>;
}

/// A row that can be parsed.
#[derive(Clone, Copy)]
pub(crate) struct RowBytes<'a> {
    pub(crate) line: u64,
    pub(crate) received_ns: Option<u64>,
    pub(crate) bytes: &'a [u8],
}

struct OpenPart<P> {
    label: String,
    rows: Rows,
    parser: P,
}

/// Reads the rows of a file through `P`.
pub(crate) struct Source<P> {
    input: Input,
    options: SourceOptions,
    part: Option<OpenPart<P>>,
    counters: SourceCounters,
}

impl<P: RowParser> Source<P> {
    pub(crate) fn open(path: &Path, options: &SourceOptions) -> Result<Self, TapeError> {
        Self::of(Input::open(path)?, options)
    }

    pub(crate) fn of(input: Input, options: &SourceOptions) -> Result<Self, TapeError> {
        let counters = SourceCounters::default();
        let mut source = Self { input, options: options.clone(), part: None, counters };
        // The first part is opened at once, so that an alien file is refused here.
        source.open_part()?;
        Ok(source)
    }

    pub(crate) fn counters(&self) -> &SourceCounters {
        &self.counters
    }

    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// The next item, or `None` at the end of the last part.
    pub(crate) fn next(&mut self) -> Result<Option<P::Item>, TapeError> {
        loop {
            let Some(part) = &mut self.part else {
                if self.open_part()? {
                    continue;
                }
                self.verdict()?;
                return Ok(None);
            };
            let label = &part.label;
            let advanced = part.rows.advance();
            if !advanced.map_err(|source| TapeError::Read { part: label.clone(), source })? {
                self.counters.truncated += u64::from(part.rows.truncated());
                self.part = None;
                continue;
            }
            let row = part.rows.row();
            let (line, received_ns) = (row.line, row.received_ns);
            let outcome = match row.bytes {
                Ok(bytes) => part
                    .parser
                    .parse(RowBytes { line, received_ns, bytes })
                    .map_err(|error| part_error(label, error))?,
                Err(reason) => Outcome::Malformed(reason.to_owned()),
            };
            let counters = &mut self.counters;
            counters.rows += 1;
            match outcome {
                Outcome::Given(item) => {
                    counters.given += 1;
                    return Ok(Some(item));
                }
                Outcome::Header => counters.rows -= 1,
                Outcome::OffMarket => counters.off_market += 1,
                Outcome::ZeroQuantity => counters.zero_quantity += 1,
                Outcome::OtherStream => counters.other_streams += 1,
                Outcome::OtherSymbol => counters.other_symbols += 1,
                Outcome::CoinMargined => counters.coin_margined += 1,
                Outcome::Malformed(reason) => counters.count_malformed(label, line, reason),
            }
            let given_up = counters.rows.is_multiple_of(GIVE_UP_ROWS)
                && counters.malformed > counters.rows / 2;
            if given_up {
                self.verdict()?;
            }
        }
    }

    /// Opens the next part; false if there is none.
    fn open_part(&mut self) -> Result<bool, TapeError> {
        let Some(part) = self.input.next_part()? else { return Ok(false) };
        let Part { names, label, reader } = part;
        let rows = Rows::open(reader).map_err(|error| open_error(&label, error))?;
        let facts = PartFacts {
            shape: rows.shape(),
            symbols: Symbols::new(self.options.symbol.as_deref()),
            name: names.iter().find_map(|name| name::facts(name)),
        };
        self.part = Some(OpenPart { label, rows, parser: P::new(facts) });
        Ok(true)
    }

    /// Whether what was read can be trusted.
    fn verdict(&self) -> Result<(), TapeError> {
        let counters = &self.counters;
        let path = self.input.path().to_owned();
        let first = counters.samples.first().map(ToString::to_string);
        let (bad, rows) = (counters.malformed, counters.rows);
        if counters.too_many_bad() {
            return Err(TapeError::TooManyBad { path, bad, rows, first });
        }
        if counters.given == 0 {
            return Err(TapeError::NothingUsable { path, rows, first });
        }
        Ok(())
    }
}

impl<P> std::fmt::Debug for Source<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("Source");
        debug.field("path", &self.input.path()).field("counters", &self.counters);
        debug.finish_non_exhaustive()
    }
}

pub(crate) fn open_error(label: &str, error: OpenError) -> TapeError {
    let part = label.to_owned();
    match error {
        OpenError::Io(source) => TapeError::Read { part, source },
        OpenError::Unrecognised(reason) => TapeError::Unrecognised { part, reason },
        OpenError::Version(version) => TapeError::Version { part, version, known: tape::VERSION },
    }
}

fn part_error(label: &str, error: PartError) -> TapeError {
    let part = label.to_owned();
    match error {
        PartError::Unrecognised(reason) => TapeError::Unrecognised { part, reason },
        PartError::SymbolUnknown => TapeError::SymbolUnknown { part },
        PartError::PeriodUnknown => TapeError::PeriodUnknown { part },
    }
}

/// The names of symbols, each allocated once.
pub(crate) struct Symbols {
    wanted: Option<Arc<str>>,
    last: Option<Arc<str>>,
    known: HashMap<Box<str>, Arc<str>>,
}

/// Whether a row's symbol is asked for.
pub(crate) enum Named {
    Wanted(Arc<str>),
    Other,
    /// More symbols than a file may name.
    TooMany,
}

impl Symbols {
    fn new(wanted: Option<&str>) -> Self {
        Self { wanted: wanted.map(Arc::from), last: None, known: HashMap::new() }
    }

    /// The symbol asked for, for rows that name none.
    pub(crate) fn wanted(&self) -> Option<&Arc<str>> {
        self.wanted.as_ref()
    }

    /// The symbol that a row names.
    pub(crate) fn named(&mut self, name: &str) -> Named {
        if let Some(wanted) = &self.wanted {
            let is_wanted = wanted.as_ref() == name;
            return if is_wanted { Named::Wanted(Arc::clone(wanted)) } else { Named::Other };
        }
        if let Some(last) = &self.last
            && last.as_ref() == name
        {
            return Named::Wanted(Arc::clone(last));
        }
        let symbol = match self.known.get(name) {
            Some(symbol) => Arc::clone(symbol),
            None if self.known.len() >= SYMBOLS_MAX => return Named::TooMany,
            None => {
                let symbol: Arc<str> = Arc::from(name);
                self.known.insert(Box::from(name), Arc::clone(&symbol));
                symbol
            }
        };
        self.last = Some(Arc::clone(&symbol));
        Named::Wanted(symbol)
    }
}
