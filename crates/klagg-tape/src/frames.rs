//! Frames of a recording, undecoded, with their time of arrival.

use std::path::Path;

use crate::input::{Input, Part};
use crate::rows::{Row, Rows};
use crate::shape::Shape;
use crate::source::open_error;
use crate::{SourceCounters, TapeError, TapeHeader};

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it arrived, in nanoseconds since 1970, where the recording says it.
    pub received_ns: Option<u64>,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Line or tape record, from 1.
    pub line: u64,
}

/// Reads frames: of our own tapes, and of texts with one frame a line.
pub struct FrameReader {
    input: Input,
    label: String,
    rows: Rows,
    counters: SourceCounters,
}

impl FrameReader {
    /// Opens a file of frames.
    ///
    /// # Errors
    /// [`TapeError`] if it cannot be opened or holds no frames.
    pub fn open(path: &Path) -> Result<Self, TapeError> {
        let mut input = Input::open(path)?;
        let Some(part) = input.next_part()? else {
            let (part, reason) = (path.display().to_string(), "empty".to_owned());
            return Err(TapeError::Unrecognised { part, reason });
        };
        let (label, rows) = open_rows(part)?;
        Ok(Self { input, label, rows, counters: SourceCounters::default() })
    }

    /// The next frame, or `None` after the last. Lines that are too long or whose time of arrival
    /// cannot be read are skipped and counted.
    ///
    /// # Errors
    /// [`TapeError`] if the file cannot be read on.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, TapeError> {
        loop {
            let label = &self.label;
            let advanced = self.rows.advance();
            if !advanced.map_err(|source| TapeError::Read { part: label.clone(), source })? {
                self.counters.truncated += u64::from(self.rows.truncated());
                let Some(part) = self.input.next_part()? else { return Ok(None) };
                (self.label, self.rows) = open_rows(part)?;
                continue;
            }
            self.counters.rows += 1;
            let row = self.rows.row();
            match row.bytes {
                Ok(_) => break,
                Err(reason) => self.counters.count_malformed(label, row.line, reason.to_owned()),
            }
        }
        self.counters.given += 1;
        // Asked again because a borrow returned from within the loop would last too long.
        let Row { line, received_ns, bytes } = self.rows.row();
        Ok(bytes.ok().map(|bytes| Frame { received_ns, bytes, line }))
    }

    /// What the tape says about itself; `None` for other files.
    pub fn tape_header(&self) -> Option<&TapeHeader> {
        self.rows.tape_header()
    }

    /// Counts so far.
    pub fn counters(&self) -> &SourceCounters {
        &self.counters
    }

    /// Bytes of the file read so far, as they lie on disk.
    pub fn bytes_read(&self) -> u64 {
        self.input.bytes_read()
    }

    /// Bytes of the file.
    pub fn bytes_total(&self) -> u64 {
        self.input.bytes_total()
    }
}

impl std::fmt::Debug for FrameReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("FrameReader");
        debug.field("label", &self.label).field("counters", &self.counters);
        debug.finish_non_exhaustive()
    }
}

fn open_rows(part: Part) -> Result<(String, Rows), TapeError> {
    let Part { label, reader, .. } = part;
    let rows = Rows::open(reader).map_err(|error| open_error(&label, error))?;
    if !matches!(rows.shape(), Shape::Frames | Shape::Tape) {
        let reason = "holds rows, not frames".to_owned();
        return Err(TapeError::Unrecognised { part: label, reason });
    }
    Ok((label, rows))
}
