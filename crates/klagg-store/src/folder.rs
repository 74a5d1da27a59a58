//! The data folder: who may read it, who holds it, and which files are ours.
//!
//! The folder is held by a lock on `klagg.lock` for as long as a store is open. The operating
//! system lets go of it when the process ends, however it ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::StoreError;

const DATABASE: &str = "klagg.db";
const LOCK: &str = "klagg.lock";

/// What SQLite puts beside a database: its log and shared memory, and while a new database is made
/// its journal.
pub(crate) const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A data folder that nobody else uses.
#[derive(Debug)]
pub(crate) struct Folder {
    database: PathBuf,
    /// Dropping it lets go of the lock.
    _lock: File,
}

impl Folder {
    /// Makes the folder and its files where they are missing, and takes the lock.
    pub(crate) fn hold(directory: &Path) -> Result<Self, StoreError> {
        make_directory(directory).map_err(|source| unusable(directory, source))?;
        // Below this point no path may hold a link: SQLite is told to refuse them all.
        let directory =
            fs::canonicalize(directory).map_err(|source| unusable(directory, source))?;
        let database = directory.join(DATABASE);
        let lock = directory.join(LOCK);
        refuse_link(&lock)?;
        for suffix in [""].iter().chain(&BESIDE) {
            refuse_link(&beside(&database, suffix))?;
        }
        let lock = take_lock(&directory, &lock)?;
        let folder = Self { database, _lock: lock };
        folder.make_database()?;
        Ok(folder)
    }

    /// Makes the database's file if it is missing. By us and not by SQLite, so that it never
    /// exists with wider rights: SQLite gives the files beside it the rights of the database.
    pub(crate) fn make_database(&self) -> Result<(), StoreError> {
        open_private(&self.database).map(drop).map_err(|source| unusable(&self.database, source))
    }

    /// The database of a data folder that somebody else may hold; makes nothing.
    pub(crate) fn find(directory: &Path) -> Result<PathBuf, StoreError> {
        let missing = |path: &Path, source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => StoreError::NoStore { path: directory.to_owned() },
            _ => unusable(path, source),
        };
        let folder = fs::canonicalize(directory).map_err(|source| missing(directory, source))?;
        let database = folder.join(DATABASE);
        refuse_link(&database)?;
        fs::metadata(&database).map_err(|source| missing(&database, source))?;
        Ok(database)
    }

    /// The database file.
    pub(crate) fn database(&self) -> &Path {
        &self.database
    }
}

pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn unusable(path: &Path, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            StoreError::ReadOnly { path: path.to_owned() }
        }
        _ => StoreError::Unusable { path: path.to_owned(), source },
    }
}

fn refuse_link(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(StoreError::SymbolicLink { path: path.to_owned() }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(unusable(path, source)),
    }
}

/// How often, and after which pause, a lock is tried that somebody holds.
const LOCK_TRIES: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(30);

/// A process that is being started or is just gone holds the lock for a moment: the first has
/// inherited it until it becomes what it is to be, the second until the system has cleared it away.
fn patiently(lock: impl Fn() -> Result<(), TryLockError>) -> Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            outcome => return outcome,
        }
    }
    lock()
}

fn take_lock(directory: &Path, path: &Path) -> Result<File, StoreError> {
    let mut lock = open_private(path).map_err(|source| unusable(path, source))?;
    match patiently(|| lock.try_lock()) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who holds it is a courtesy: without it the message is a few words shorter.
            let _ = (&mut lock).take(16).read_to_string(&mut text);
            let process = text.trim().parse().ok();
            return Err(StoreError::InUse { directory: directory.to_owned(), process });
        }
        Err(TryLockError::Error(source)) => return Err(unusable(path, source)),
    }
    let written = lock
        .set_len(0)
        .and_then(|()| lock.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(lock, "{}", std::process::id()));
    // A full disk must not keep a store from being opened and read.
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "the process number was not written");
    }
    Ok(lock)
}

/// Makes the names in a folder durable, where the file system knows how: what is written into a
/// file is lost with its name.
#[cfg(unix)]
pub(crate) fn sync_names(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

#[cfg(not(unix))]
pub(crate) fn sync_names(_directory: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if path.is_dir() {
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777),
                "the data folder is open to other users");
        }
        return Ok(());
    }
    let missing = path.ancestors().take_while(|path| !path.as_os_str().is_empty());
    let missing: Vec<&Path> = missing.take_while(|path| !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_names(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

/// Opens or makes a file that only its owner may read.
#[cfg(unix)]
fn open_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

#[cfg(not(unix))]
fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}
