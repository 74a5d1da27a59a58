//! Containers: a file becomes one or more parts of plain bytes, told by magic alone.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::TapeError;

const BUFFER_BYTES: usize = 256 * 1024;

/// Members of one archive that are looked at.
const MEMBERS_MAX: usize = 10_000;

/// Endings of archive members that may hold rows.
const MEMBER_ENDINGS: [&str; 5] = [".csv", ".json", ".jsonl", ".ndjson", ".txt"];

pub(crate) type PartReader = Box<dyn BufRead + Send>;

/// A piece of plain bytes with its own header, kind and name.
pub(crate) struct Part {
    /// What the name-derived facts (symbol, period) are taken from, best first.
    pub(crate) names: Vec<String>,
    /// For messages: the file, and the member if it is an archive.
    pub(crate) label: String,
    pub(crate) reader: PartReader,
}

/// Where a zip member lies in the file.
struct Member {
    name: String,
    start: u64,
    compressed: u64,
    deflated: bool,
    checksum: u32,
}

/// Where the bytes lie.
#[derive(Clone)]
enum Origin {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

/// Bytes that can be read from anywhere.
trait Bytes: Read + Seek + Send {}

impl<T: Read + Seek + Send> Bytes for T {}

impl Origin {
    fn open(&self) -> io::Result<Box<dyn Bytes>> {
        Ok(match self {
            Self::File(path) => Box::new(File::open(path)?),
            Self::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        })
    }
}

enum Container {
    Single(Option<Box<dyn Bytes>>),
    Zip(VecDeque<Member>),
}

/// An opened file, or one that was never written.
pub(crate) struct Input {
    path: PathBuf,
    origin: Origin,
    container: Container,
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
    /// How many plain bytes may still come out of it, where somebody set a bound.
    plain_left: Option<Arc<AtomicU64>>,
}

impl Input {
    pub(crate) fn open(path: &Path) -> Result<Self, TapeError> {
        let open_error = |source| TapeError::Open { path: path.to_owned(), source };
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(open_error)?;
        if metadata.is_dir() {
            let source = io::Error::new(io::ErrorKind::IsADirectory, "it is a directory");
            return Err(open_error(source));
        }
        Self::of(path, Origin::File(path.to_owned()), metadata.len())
    }

    /// Reads `bytes` as if they lay in a file of this name; what unpacks to more than `plain_max`
    /// bytes in all cannot be read to its end.
    pub(crate) fn of_bytes(
        name: &Path,
        bytes: Arc<[u8]>,
        plain_max: u64,
    ) -> Result<Self, TapeError> {
        let length = bytes.len() as u64;
        let plain_left = Some(Arc::new(AtomicU64::new(plain_max)));
        Ok(Self { plain_left, ..Self::of(name, Origin::Memory(bytes), length)? })
    }

    fn of(path: &Path, origin: Origin, bytes_total: u64) -> Result<Self, TapeError> {
        let open_error = |source| TapeError::Open { path: path.to_owned(), source };
        let mut bytes = origin.open().map_err(open_error)?;
        // A pipe cannot be rewound, so its magic could not be looked at and put back.
        bytes.stream_position().map_err(open_error)?;
        let mut magic = [0; 4];
        let known = read_up_to(&mut bytes, &mut magic).map_err(open_error)?;
        bytes.seek(SeekFrom::Start(0)).map_err(open_error)?;
        // `PK 05 06` is an archive without members.
        let is_zip = matches!(&magic[..known], [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6]);
        let container = if is_zip {
            Container::Zip(members(path, bytes)?)
        } else {
            Container::Single(Some(bytes))
        };
        let bytes_read = Arc::default();
        let path = path.to_owned();
        Ok(Self { path, origin, container, bytes_read, bytes_total, plain_left: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file that were read, still compressed.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// The next part, or `None` after the last.
    pub(crate) fn next_part(&mut self) -> Result<Option<Part>, TapeError> {
        let part = self.unpack_next()?;
        let Some(left) = &self.plain_left else { return Ok(part) };
        Ok(part.map(|part| {
            let limited = Limited { inner: part.reader, left: Arc::clone(left) };
            Part { reader: Box::new(BufReader::with_capacity(BUFFER_BYTES, limited)), ..part }
        }))
    }

    fn unpack_next(&mut self) -> Result<Option<Part>, TapeError> {
        let file_name = file_name(&self.path);
        let label = self.path.display().to_string();
        match &mut self.container {
            Container::Single(file) => {
                let Some(file) = file.take() else { return Ok(None) };
                let counted = Counted { inner: file, bytes: Arc::clone(&self.bytes_read) };
                let reader = single(counted)
                    .map_err(|source| TapeError::Read { part: label.clone(), source })?;
                Ok(Some(Part { names: vec![file_name], label, reader }))
            }
            Container::Zip(members) => {
                let Some(member) = members.pop_front() else { return Ok(None) };
                let label = format!("{label}:{}", member.name);
                let reader = open_member(&self.origin, &member, &self.bytes_read)
                    .map_err(|source| TapeError::Read { part: label.clone(), source })?;
                let member_name = file_name_of(&member.name).to_owned();
                Ok(Some(Part { names: vec![member_name, file_name], label, reader }))
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn file_name_of(member: &str) -> &str {
    member.rsplit(['/', '\\']).next().unwrap_or(member)
}

/// Reads until the buffer is full or the file ends.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A file that is no archive: decompressed if its magic says so.
fn single(file: Counted<Box<dyn Bytes>>) -> io::Result<PartReader> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let head = reader.fill_buf()?;
    if head.starts_with(&[0x1f, 0x8b]) {
        let decoder = flate2::bufread::MultiGzDecoder::new(reader);
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)))
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)))
    } else {
        Ok(Box::new(reader))
    }
}

/// The members of a zip archive that may hold rows, in the archive's order.
fn members(path: &Path, file: Box<dyn Bytes>) -> Result<VecDeque<Member>, TapeError> {
    let refuse = |reason: String| TapeError::Archive { path: path.to_owned(), reason };
    let mut archive = zip::ZipArchive::new(BufReader::new(file))
        .map_err(|error| refuse(format!("not a usable zip archive: {error}")))?;
    if archive.len() > MEMBERS_MAX {
        return Err(refuse(format!("{} members, at most {MEMBERS_MAX}", archive.len())));
    }
    let mut members = VecDeque::new();
    for at in 0..archive.len() {
        // `raw`: an unknown compression or a password is no error yet, the member may not matter.
        let entry = archive
            .by_index_raw(at)
            .map_err(|error| refuse(format!("member {at} cannot be read: {error}")))?;
        let name = entry.name().map_err(|error| refuse(format!("member {at}: {error}")))?;
        let name = name.into_owned();
        let lower = name.to_ascii_lowercase();
        if entry.is_dir() || !MEMBER_ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
            continue;
        }
        if entry.encrypted() {
            return Err(refuse(format!("member {name} is encrypted")));
        }
        let deflated = match entry.compression() {
            zip::CompressionMethod::Stored => false,
            zip::CompressionMethod::Deflated => true,
            other => return Err(refuse(format!("member {name}: compression {other} unknown"))),
        };
        let start = entry.data_start().ok_or_else(|| refuse(format!("member {name} is lost")))?;
        let (compressed, checksum) = (entry.compressed_size(), entry.crc32());
        members.push_back(Member { name, start, compressed, deflated, checksum });
    }
    if members.is_empty() {
        return Err(refuse(format!("no member ends in one of {}", MEMBER_ENDINGS.join(" "))));
    }
    Ok(members)
}

fn open_member(origin: &Origin, member: &Member, bytes: &Arc<AtomicU64>) -> io::Result<PartReader> {
    let mut file = origin.open()?;
    file.seek(SeekFrom::Start(member.start))?;
    let counted = Counted { inner: file, bytes: Arc::clone(bytes) };
    let packed = BufReader::with_capacity(BUFFER_BYTES, counted.take(member.compressed));
    let plain: Box<dyn Read + Send> = if member.deflated {
        Box::new(flate2::bufread::DeflateDecoder::new(packed))
    } else {
        Box::new(packed)
    };
    let checked = Checked { inner: plain, sum: flate2::Crc::new(), expected: member.checksum };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, checked)))
}

/// Counts what is read from the file, for the progress bar.
struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        // A display figure: nothing is ordered by it.
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Fails once more bytes have come than all parts together may have.
struct Limited {
    inner: PartReader,
    left: Arc<AtomicU64>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        // Parts are read one after the other, by one thread.
        let left = self.left.load(Ordering::Relaxed);
        let Some(left) = left.checked_sub(count as u64) else {
            return Err(io::Error::other("it unpacks to more bytes than it may"));
        };
        self.left.store(left, Ordering::Relaxed);
        Ok(count)
    }
}

/// Compares the checksum of a zip member when it ends.
struct Checked {
    inner: Box<dyn Read + Send>,
    sum: flate2::Crc,
    expected: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sum.update(&buffer[..count]);
        if count == 0 && !buffer.is_empty() && self.sum.sum() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "checksum does not match"));
        }
        Ok(count)
    }
}
