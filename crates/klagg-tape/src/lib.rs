//! Recordings of the market: the exchange's own dump files, recorded frames, our compressed tapes.
//!
//! Always true here:
//! - What a file is, its content says: containers by their magic, texts by their first line. The
//!   name is asked only for what the content does not hold: symbol and period.
//! - Reading streams: memory does not grow with the file.
//! - No input makes it panic. What is left out is counted in [`SourceCounters`]; a malformed row
//!   is counted and skipped, and named while there are few. A source fails only if not one row
//!   is usable, or if more than 20 rows and more than one row in 20 are malformed.
//! - Nothing is rounded: prices, quantities and volumes are read as exact decimals. Klines that
//!   somebody printed from doubles lose the noise behind their 15th digit, and say so.
//!
//! Deliberately absent: any notion of "now", of klines folded here, of symbol numbers.
//!
//! # Kinds of input
//!
//! | container | found by | holds |
//! | --- | --- | --- |
//! | plain | none of the others | one part |
//! | gzip | `1f 8b` | one part; an unfinished one is read up to its end and counted |
//! | zip | `PK` | its `.csv`, `.json`, `.jsonl`, `.ndjson` and `.txt` members, in their order |
//! | zstd | `28 b5 2f fd` | one part: a text, or our own tape |
//!
//! | part | found by | holds |
//! | --- | --- | --- |
//! | tape | the magic of [`TapeWriter`] | frames with their time of arrival |
//! | frames | a line that starts with `{`, or with digits and then `{` or `[` | one frame a line |
//! | REST reply | `[` and then an object without `"e":`, or `[[` | trades or klines |
//! | CSV | anything else whose first line has commas | trades or klines |
//!
//! CSV columns are told by the header's names. Without a header the first row decides: the place
//! of the column that is `true` or `false` (in any case) tells raw trades (6th column), aggregates
//! (7th) and aggregates with the new `nq` column (8th); where flags are `0` and `1`, the number
//! of columns does: 6 raw trades, 7 aggregates. Eleven or more columns without a flag are klines.
//! Surplus columns are ignored. Times are milliseconds (13 digits) or microseconds (16 digits,
//! cut to milliseconds); other lengths are refused, so a nanosecond is never taken for something
//! else.
//!
//! # Examples
//!
//! ```no_run
//! use klagg_tape::{SourceOptions, TradeSource};
//!
//! let path = std::path::Path::new("BTCUSDT-aggTrades-2024-10-18.zip");
//! let mut source = TradeSource::open(path, &SourceOptions::default())?;
//! while let Some(row) = source.next_trade()? {
//!     println!("{} {} × {}", row.symbol, row.trade.price, row.trade.quantity);
//! }
//! println!("{} rows, {} malformed", source.counters().rows, source.counters().malformed);
//! # Ok::<(), klagg_tape::TapeError>(())
//! ```

mod archived;
mod counters;
mod doubles;
mod elements;
mod error;
mod fields;
mod frames;
mod input;
mod kline_columns;
mod klines;
mod name;
mod plain;
mod rows;
mod shape;
mod source;
mod tape;
mod trade_columns;
mod trades;

pub use archived::{ArchivedError, archived_klines};
pub use counters::{BadRow, SourceCounters};
pub use error::TapeError;
pub use frames::{Frame, FrameReader};
pub use klines::{KlineOrigin, KlineSource, SourceKline};
pub use name::NameFacts;
pub use plain::read_plain;
pub use source::SourceOptions;
pub use tape::{TapeHeader, TapeWriter};
pub use trades::{SourceTrade, TradeSource};
