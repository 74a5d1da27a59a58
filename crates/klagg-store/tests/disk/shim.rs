//! The shim between a process and its disk (`shim.c`): built, told what to fail, its log read.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The shim's source, compiled anew for each test binary: it takes a fraction of a second.
const SOURCE: &str = include_str!("shim.c");

const FOLDER: &str = "KLAGG_DISK_FOLDER";
const LOG: &str = "KLAGG_DISK_LOG";
const CONTROL: &str = "KLAGG_DISK_CONTROL";

/// The errors of a disk, as Linux numbers them.
pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;

/// The built shim.
#[derive(Debug)]
pub(crate) struct Shim {
    folder: TempDir,
    shim: PathBuf,
}

impl Shim {
    /// Builds it.
    ///
    /// # Errors
    /// Why this machine cannot have it.
    pub(crate) fn build() -> Result<Self, String> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            return Err("calls to the C library are watched on Linux with glibc alone".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let source = folder.path().join("shim.c");
        let shim = folder.path().join("shim.so");
        fs::write(&source, SOURCE).map_err(|error| error.to_string())?;
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let built = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&shim, &source])
            .arg("-ldl")
            .output()
            .map_err(|error| format!("no C compiler `{compiler}`: {error}"))?;
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Ok(Self { folder, shim })
    }

    /// Puts the shim between `command` and `folder`, and adds to its log, if one is wanted.
    pub(crate) fn watch(&self, command: &mut Command, folder: &Path, log: Option<&Path>) {
        let folder = fs::canonicalize(folder).expect("the folder to watch is there");
        command.env("LD_PRELOAD", &self.shim).env(FOLDER, folder);
        if let Some(log) = log {
            OpenOptions::new().create(true).append(true).open(log).expect("a log can be made");
            command.env(LOG, log);
        }
    }

    /// What `command` is to obey from now on.
    pub(crate) fn control(&self, command: &mut Command) -> Control {
        let path = self.folder.path().join("control");
        fs::write(&path, [0; Control::FIELDS * 4]).expect("the control file can be made");
        command.env(CONTROL, &path);
        Control { path }
    }
}

/// What the shim of a running process obeys, and what it counted.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
}

/// The fields of `struct control` in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    WriteError,
    SyncError,
    SyncPercent,
    SyncDelayMs,
    DieAtSync,
    WritesFailed,
    SyncsFailed,
    Syncs,
    SyncsAfterError,
    ClockAheadS,
}

impl Control {
    const FIELDS: usize = 10;

    /// The control of this very process, if a test started it under the shim.
    pub(crate) fn of_this_process() -> Option<Self> {
        std::env::var_os(CONTROL).map(|path| Self { path: path.into() })
    }

    pub(crate) fn set(&self, field: Field, value: i32) {
        let at = field as usize * 4;
        // In place: the process has this very file mapped. Only this field, for it counts others.
        let mut file = OpenOptions::new().write(true).open(&self.path).expect("it can be written");
        file.seek(SeekFrom::Start(at as u64)).expect("a file can be sought in");
        file.write_all(&value.to_ne_bytes()).expect("it can be written");
    }

    pub(crate) fn get(&self, field: Field) -> i32 {
        let bytes = fs::read(&self.path).expect("the control file is there");
        let at = field as usize * 4;
        i32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    }
}

/// One thing that happened, in the order in which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Write {
        name: String,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        name: String,
        length: usize,
    },
    Sync {
        name: String,
    },
    SyncFailed {
        name: String,
    },
    Unlink {
        name: String,
    },
    /// What the watched process itself had to say.
    Said(u64),
}

/// A kind of record that the shim does not write.
const SAID: u32 = 100;

/// The watched process's own words in the log.
#[derive(Debug)]
pub(crate) struct Said(File);

impl Said {
    /// For a process that is watched and logged; and the log as it is.
    pub(crate) fn open() -> (Self, Vec<Record>) {
        let path = std::env::var_os(LOG).expect("the process is logged");
        let file = OpenOptions::new().append(true).open(&path).expect("the log is there");
        (Self(file), read_log(Path::new(&path)))
    }

    pub(crate) fn say(&mut self, number: u64) {
        let mut record = [0; 24];
        record[..4].copy_from_slice(&SAID.to_ne_bytes());
        record[8..16].copy_from_slice(&number.to_ne_bytes());
        self.0.write_all(&record).expect("the log takes it");
    }
}

/// Reads a log whole.
pub(crate) fn read_log(path: &Path) -> Vec<Record> {
    let log = fs::read(path).expect("the log is there");
    let mut rest = log.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(24);
        let narrow = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().expect("four"));
        let wide = |at: usize| {
            let number = u64::from_ne_bytes(head[at..at + 8].try_into().expect("eight"));
            usize::try_from(number).expect("a size")
        };
        let (kind, offset, length) = (narrow(0), wide(8), wide(16));
        let (name, tail) = tail.split_at(narrow(4) as usize);
        let name = String::from_utf8(name.to_vec()).expect("names are plain");
        let (bytes, tail) = tail.split_at(if kind == 1 { length } else { 0 });
        records.push(match kind {
            1 => Record::Write { name, offset, bytes: bytes.to_vec() },
            2 => Record::Truncate { name, length },
            3 => Record::Sync { name },
            4 => Record::SyncFailed { name },
            5 => Record::Unlink { name },
            SAID => Record::Said(offset as u64),
            _ => panic!("a record of kind {kind}"),
        });
        rest = tail;
    }
    records
}
