//! Our own tape: raw frames with their time of arrival, compressed.
//!
//! A zstd stream with checksum. Inside, all numbers little endian:
//!
//! ```text
//! header  magic "klaggtap", version u16, length u32, then that many bytes of `key=value` lines
//! frame   tag 1, received u64 (nanoseconds since 1970), length u32, then that many bytes
//! end     tag 0, frames u64
//! ```
//!
//! A tape without its end record was not finished; all that was flushed can still be read.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use klagg_kline::UnixMillis;

use crate::TapeError;
use crate::input::PartReader;
use crate::rows::OpenError;

pub(crate) const MAGIC: [u8; 8] = *b"klaggtap";
/// The newest version that is written and read.
pub(crate) const VERSION: u16 = 1;
const HEADER_BYTES_MAX: u32 = 64 * 1024;
const FRAME_BYTES_MAX: u32 = 8 * 1024 * 1024;
const TAG_END: u8 = 0;
const TAG_FRAME: u8 = 1;
/// Frames this large together are flushed without being asked.
const FLUSH_BYTES: u64 = 4 * 1024 * 1024;
const LEVEL: i32 = 3;

/// What a tape says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeHeader {
    /// When recording began.
    pub created: UnixMillis,
    /// What was recorded: an address, usually. One line.
    pub source: String,
}

impl TapeHeader {
    fn to_text(&self) -> String {
        // One line a key: a line end in the source would forge another.
        let source = self.source.replace(['\r', '\n'], " ");
        format!("created={}\nsource={source}\n", self.created)
    }

    fn from_text(text: &str) -> Self {
        let value = |key: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            pairs.find(|&(name, _)| name == key).map_or("", |(_, value)| value)
        };
        let created = UnixMillis(value("created").parse().unwrap_or_default());
        Self { created, source: value("source").to_owned() }
    }
}

/// Writes a tape.
///
/// What was flushed survives the death of the process, and can be read although the tape was not
/// finished. It flushes by itself every 4 MiB of frames; a recorder calls [`TapeWriter::flush`]
/// on its own cadence as well.
pub struct TapeWriter {
    path: PathBuf,
    encoder: zstd::stream::write::Encoder<'static, BufWriter<File>>,
    frames: u64,
    unflushed: u64,
}

impl TapeWriter {
    /// Begins a tape in a new file.
    ///
    /// # Errors
    /// [`TapeError::Write`] if the file exists or cannot be created.
    pub fn create(path: &Path, header: &TapeHeader) -> Result<Self, TapeError> {
        let begin = || {
            let file = OpenOptions::new().write(true).create_new(true).open(path)?;
            let mut encoder = zstd::stream::write::Encoder::new(BufWriter::new(file), LEVEL)?;
            encoder.include_checksum(true)?;
            let mut text = header.to_text();
            text.truncate(text.floor_char_boundary(HEADER_BYTES_MAX as usize));
            encoder.write_all(&MAGIC)?;
            encoder.write_all(&VERSION.to_le_bytes())?;
            let length = u32::try_from(text.len()).map_err(io::Error::other)?;
            encoder.write_all(&length.to_le_bytes())?;
            encoder.write_all(text.as_bytes())?;
            encoder.flush()?;
            Ok(encoder)
        };
        let encoder =
            begin().map_err(|source| TapeError::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), encoder, frames: 0, unflushed: 0 })
    }

    /// Adds a frame that arrived at `received_ns`, nanoseconds since 1970.
    ///
    /// # Errors
    /// [`TapeError::FrameTooLong`] above 8 MiB, the tape goes on; [`TapeError::Write`] if the
    /// file cannot be written, the tape ends where it was last flushed.
    pub fn write(&mut self, received_ns: u64, frame: &[u8]) -> Result<(), TapeError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        if length > FRAME_BYTES_MAX {
            let limit = FRAME_BYTES_MAX as usize;
            return Err(TapeError::FrameTooLong { length: frame.len(), limit });
        }
        let mut head = [0; 13];
        head[0] = TAG_FRAME;
        head[1..9].copy_from_slice(&received_ns.to_le_bytes());
        head[9..].copy_from_slice(&length.to_le_bytes());
        let written = self.encoder.write_all(&head).and_then(|()| self.encoder.write_all(frame));
        written.map_err(|source| self.write_error(source))?;
        self.frames += 1;
        self.unflushed += u64::from(length);
        if self.unflushed >= FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Hands all frames so far to the operating system.
    ///
    /// # Errors
    /// [`TapeError::Write`] if the file cannot be written.
    pub fn flush(&mut self) -> Result<(), TapeError> {
        self.unflushed = 0;
        self.encoder.flush().map_err(|source| self.write_error(source))
    }

    /// Frames so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Ends the tape and waits until the disk has it.
    ///
    /// # Errors
    /// [`TapeError::Write`] if the file cannot be written.
    pub fn finish(self) -> Result<u64, TapeError> {
        let Self { path, mut encoder, frames, .. } = self;
        let end = || {
            encoder.write_all(&[TAG_END])?;
            encoder.write_all(&frames.to_le_bytes())?;
            let file = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()
        };
        end().map_err(|source| TapeError::Write { path, source })?;
        Ok(frames)
    }

    fn write_error(&self, source: io::Error) -> TapeError {
        TapeError::Write { path: self.path.clone(), source }
    }
}

impl std::fmt::Debug for TapeWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("TapeWriter");
        debug.field("path", &self.path).field("frames", &self.frames).finish_non_exhaustive()
    }
}

/// Reads the records of a decompressed tape.
pub(crate) struct RecordReader {
    reader: PartReader,
    header: TapeHeader,
    records: u64,
    ended: bool,
    truncated: bool,
}

impl RecordReader {
    /// Reads magic and header.
    pub(crate) fn open(mut reader: PartReader) -> Result<Self, OpenError> {
        let mut magic = [0; 8];
        reader.read_exact(&mut magic)?;
        let mut version = [0; 2];
        reader.read_exact(&mut version)?;
        let version = u16::from_le_bytes(version);
        if version > VERSION || magic != MAGIC {
            return Err(OpenError::Version(version));
        }
        let length = read_u32(&mut reader)?;
        if length > HEADER_BYTES_MAX {
            return Err(OpenError::Unrecognised("a tape whose header is damaged".to_owned()));
        }
        let mut text = Vec::new();
        (&mut reader).take(u64::from(length)).read_to_end(&mut text)?;
        let header = TapeHeader::from_text(&String::from_utf8_lossy(&text));
        Ok(Self { reader, header, records: 0, ended: false, truncated: false })
    }

    pub(crate) fn header(&self) -> &TapeHeader {
        &self.header
    }

    /// Whether the tape lacks its end: it was cut off, or what follows is damaged.
    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    /// Puts the next frame into `frame` and returns its time of arrival. `None` after the end
    /// record, and where the tape breaks off: behind that nothing can be told apart.
    pub(crate) fn next(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<u64>> {
        if self.ended {
            return Ok(None);
        }
        match self.record(frame) {
            Ok(Some(received_ns)) => {
                self.records += 1;
                return Ok(Some(received_ns));
            }
            Ok(None) => {}
            Err(error) if breaks_off(&error) => self.truncated = true,
            Err(error) => return Err(error),
        }
        self.ended = true;
        Ok(None)
    }

    fn record(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut tag = [0];
        self.reader.read_exact(&mut tag)?;
        let mut number = [0; 8];
        self.reader.read_exact(&mut number)?;
        let number = u64::from_le_bytes(number);
        match tag[0] {
            TAG_END if number == self.records => {
                // Reading on to the end checks the stream's checksum.
                let rest = self.reader.fill_buf()?.len();
                if rest == 0 { Ok(None) } else { Err(damaged("bytes behind the end")) }
            }
            TAG_FRAME => {
                let length = read_u32(&mut self.reader)?;
                if length > FRAME_BYTES_MAX {
                    return Err(damaged("frame too long"));
                }
                frame.clear();
                let taken = (&mut self.reader).take(u64::from(length)).read_to_end(frame)?;
                if taken < length as usize {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(Some(number))
            }
            _ => Err(damaged("neither a frame nor the end")),
        }
    }
}

/// A cut-off or damaged stream, as against a disk that cannot be read. The decompressor reports
/// damage as `Other`.
fn breaks_off(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}

fn read_u32(reader: &mut PartReader) -> io::Result<u32> {
    let mut number = [0; 4];
    reader.read_exact(&mut number)?;
    Ok(u32::from_le_bytes(number))
}
