//! Rows of a part: lines of a text, elements of JSON arrays, records of a tape.
//!
//! One buffer, reused; a row above [`ROW_BYTES_MAX`] is skipped and said to be bad.

use std::io::{self, BufRead, Cursor, Read};
use std::ops::Range;

use crate::elements::{ElementEnd, Elements};
use crate::input::PartReader;
use crate::shape::{self, BOM, Shape};
use crate::tape::{RecordReader, TapeHeader};

/// Longest row. The longest honest frame, a ticker array of the whole market, has 0.3 MB.
pub(crate) const ROW_BYTES_MAX: usize = 8 * 1024 * 1024;

const TOO_LONG: &str = "longer than a row may be";

/// How much of a part is looked at to tell its kind.
const HEAD_BYTES: usize = 16 * 1024;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// Line, element or record, from 1.
    pub(crate) line: u64,
    /// When a frame arrived, where the recording says it.
    pub(crate) received_ns: Option<u64>,
    /// Its bytes without line end and time of arrival, or why there are none.
    pub(crate) bytes: Result<&'a [u8], &'static str>,
}

/// What a part holds, in order.
pub(crate) struct Rows {
    shape: Shape,
    source: Source,
    buffer: Vec<u8>,
    /// Where in the buffer the bytes of the current row lie, or why there are none.
    bytes: Result<Range<usize>, &'static str>,
    received_ns: Option<u64>,
    line: u64,
    truncated: bool,
}

enum Source {
    Lines(PartReader),
    Elements(PartReader, Elements),
    Tape(RecordReader),
}

/// Why a part cannot be read at all.
#[derive(Debug)]
pub(crate) enum OpenError {
    Io(io::Error),
    Unrecognised(String),
    Version(u16),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Rows {
    pub(crate) fn open(mut reader: PartReader) -> Result<Self, OpenError> {
        let mut head = Vec::new();
        // An unfinished file may end within its head; the next read would not say so again.
        let truncated = match (&mut reader).take(HEAD_BYTES as u64).read_to_end(&mut head) {
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => true,
            Err(error) => return Err(error.into()),
        };
        let shape = shape::detect(&head).map_err(OpenError::Unrecognised)?;
        let skipped = if head.starts_with(BOM) { BOM.len() as u64 } else { 0 };
        let mut cursor = Cursor::new(head);
        cursor.set_position(skipped);
        let reader: PartReader = Box::new(cursor.chain(reader));
        let source = match shape {
            Shape::Tape => Source::Tape(RecordReader::open(reader)?),
            Shape::Array => Source::Elements(reader, Elements::default()),
            Shape::Frames | Shape::Csv => Source::Lines(reader),
        };
        let bytes = Err("no row yet");
        Ok(Self { shape, source, buffer: Vec::new(), bytes, received_ns: None, line: 0, truncated })
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The header of a tape.
    pub(crate) fn tape_header(&self) -> Option<&TapeHeader> {
        match &self.source {
            Source::Tape(records) => Some(records.header()),
            Source::Lines(_) | Source::Elements(..) => None,
        }
    }

    /// Whether the part ended in the middle. Final once `Rows::next` gave `None`.
    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    /// Goes to the next row; false at the end. A part that breaks off has an end.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        match &self.source {
            Source::Tape(_) => self.next_record(),
            Source::Elements(..) => self.next_element(),
            Source::Lines(_) => self.next_line(),
        }
    }

    /// The row that [`Rows::advance`] went to.
    pub(crate) fn row(&self) -> Row<'_> {
        let bytes = self.bytes.clone().map(|range| &self.buffer[range]);
        Row { line: self.line, received_ns: self.received_ns, bytes }
    }

    fn next_record(&mut self) -> io::Result<bool> {
        let Source::Tape(records) = &mut self.source else { return Ok(false) };
        let record = records.next(&mut self.buffer)?;
        self.truncated |= records.truncated();
        self.received_ns = record;
        self.bytes = Ok(0..self.buffer.len());
        self.line += 1;
        Ok(record.is_some())
    }

    fn next_line(&mut self) -> io::Result<bool> {
        let Source::Lines(reader) = &mut self.source else { return Ok(false) };
        let long = loop {
            match read_line(reader, &mut self.buffer)? {
                LineEnd::Part => return Ok(false),
                LineEnd::BrokenOff => {
                    self.truncated = true;
                    return Ok(false);
                }
                // The head of an unfinished part ends without a word; see `open`.
                LineEnd::Unterminated { .. } if self.truncated => return Ok(false),
                LineEnd::Newline { long } | LineEnd::Unterminated { long } => {
                    self.line += 1;
                    if long || !self.buffer.trim_ascii().is_empty() {
                        break long;
                    }
                }
            }
        };
        let text = self.buffer.trim_ascii();
        let is_frame = self.shape == Shape::Frames && !long;
        let (digits, row) = if is_frame { shape::split_received(text) } else { (&text[..0], text) };
        self.received_ns = shape::received_ns(digits);
        // `row` is what is left of the buffer behind `start` and before its trailing blanks.
        let end = self.buffer.trim_ascii_end().len();
        self.bytes = if long {
            Err(TOO_LONG)
        } else if self.received_ns.is_none() && !digits.is_empty() {
            Err("time of arrival has neither 10, 13, 16 nor 19 digits")
        } else {
            Ok(end - row.len()..end)
        };
        Ok(true)
    }

    fn next_element(&mut self) -> io::Result<bool> {
        let Source::Elements(reader, elements) = &mut self.source else { return Ok(false) };
        let end = elements.read(reader, &mut self.buffer)?;
        self.line += 1;
        self.truncated |= matches!(end, ElementEnd::BrokenOff);
        let ElementEnd::Element { long } = end else { return Ok(false) };
        self.bytes = if long { Err(TOO_LONG) } else { Ok(0..self.buffer.len()) };
        Ok(true)
    }
}

enum LineEnd {
    /// A whole line is in the buffer, or its beginning if it is too `long`.
    Newline { long: bool },
    /// The last line, without a line end.
    Unterminated { long: bool },
    /// Nothing is left.
    Part,
    /// The compressed stream ended in the middle; what was left of the line is not a line.
    BrokenOff,
}

/// The buffered bytes, `None` where the compressed stream breaks off.
pub(crate) fn fill(reader: &mut PartReader) -> io::Result<Option<&[u8]>> {
    loop {
        // Asked twice because a borrow that is returned from a loop would last too long.
        match reader.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    reader.fill_buf().map(Some)
}

fn read_line(reader: &mut PartReader, line: &mut Vec<u8>) -> io::Result<LineEnd> {
    line.clear();
    let mut long = false;
    let mut any = false;
    loop {
        let Some(bytes) = fill(reader)? else { return Ok(LineEnd::BrokenOff) };
        if bytes.is_empty() {
            return Ok(if any { LineEnd::Unterminated { long } } else { LineEnd::Part });
        }
        any = true;
        let newline = bytes.iter().position(|&byte| byte == b'\n');
        let taken = newline.unwrap_or(bytes.len());
        if line.len() + taken > ROW_BYTES_MAX {
            long = true;
        }
        if !long {
            line.extend_from_slice(&bytes[..taken]);
        }
        reader.consume(newline.map_or(taken, |at| at + 1));
        if newline.is_some() {
            return Ok(LineEnd::Newline { long });
        }
    }
}
