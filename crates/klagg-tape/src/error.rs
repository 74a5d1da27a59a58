//! What can go wrong with a recording as a whole. Single bad rows are counted, not raised.

use std::io;
use std::path::PathBuf;

/// Why a recording cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapeError {
    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file broke while it was read: the disk, or a damaged compressed stream.
    #[error("cannot read {part}")]
    Read {
        /// The file, and the member if it is an archive.
        part: String,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// A zip archive that cannot be used.
    #[error("{}: {reason}", path.display())]
    Archive {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The content is none of the known kinds, or not of the wanted one.
    #[error("{part}: {reason}")]
    Unrecognised {
        /// The file, and the member if it is an archive.
        part: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// A tape of a newer version than this program knows.
    #[error("{part} is a tape of version {version}, known is up to {known}")]
    Version {
        /// Which file.
        part: String,
        /// The version it says.
        version: u16,
        /// The newest version that can be read.
        known: u16,
    },
    /// The rows do not name their symbol, and neither does anything else.
    #[error("{part}: the symbol is neither in the rows nor in the file name")]
    SymbolUnknown {
        /// The file, and the member if it is an archive.
        part: String,
    },
    /// Neither the rows nor the file name tell the length of the klines.
    #[error("{part}: the period is neither in the rows nor in the file name")]
    PeriodUnknown {
        /// The file, and the member if it is an archive.
        part: String,
    },
    /// Not one usable row.
    #[error("{}: nothing usable in {rows} rows{}", path.display(), first_text(first.as_ref()))]
    NothingUsable {
        /// Which file.
        path: PathBuf,
        /// Rows that were read.
        rows: u64,
        /// The first bad row, if there was one.
        first: Option<String>,
    },
    /// More bad rows than the documented share.
    #[error("{}: {bad} of {rows} rows are malformed{}", path.display(), first_text(first.as_ref()))]
    TooManyBad {
        /// Which file.
        path: PathBuf,
        /// Malformed rows.
        bad: u64,
        /// Rows that were read.
        rows: u64,
        /// The first bad row.
        first: Option<String>,
    },
    /// The tape cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A frame larger than a tape takes.
    #[error("a frame of {length} bytes is above the limit of {limit}")]
    FrameTooLong {
        /// Its length.
        length: usize,
        /// The longest that is taken.
        limit: usize,
    },
}

fn first_text(first: Option<&String>) -> String {
    first.map_or_else(String::new, |first| format!("; first: {first}"))
}
