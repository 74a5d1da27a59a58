//! A damaged database is set aside whole, and its symbols' numbers are saved from it.
//!
//! The files are renamed together: a database without its write-ahead log is another database.
//! Nothing is deleted. Klines are fetched anew from the exchange, which has the truth; numbers of
//! symbols are ours alone, so they are read from the damaged file if every one of them proves
//! itself. If not, the new database has another epoch, which tells everybody that the numbering
//! is another one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::connection::open_reader;
use crate::folder::{BESIDE, beside, sync_names};
use crate::{StoreError, StoredSymbol, symbols};

/// A database that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Where it lies now; its log and shared memory lie beside it.
    pub path: PathBuf,
    /// What was found wrong with it.
    pub detail: String,
    /// How many symbols kept their numbers; `None` if the numbering begins anew.
    pub symbols_kept: Option<usize>,
}

/// What could be saved from a database that was set aside.
pub(crate) struct Saved {
    pub(crate) path: PathBuf,
    /// The epoch and the whole numbering.
    pub(crate) numbering: Option<(u64, Vec<StoredSymbol>)>,
}

/// Renames the database and what belongs to it. The folder must be held, and nothing open.
pub(crate) fn set_aside(database: &Path, label: &str) -> Result<Saved, StoreError> {
    let mut number = 0;
    let path = loop {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let path = beside(database, &format!(".damaged-{label}{suffix}"));
        if !path.exists() {
            break path;
        }
        number += 1;
    };
    for suffix in [""].iter().chain(&BESIDE) {
        let from = beside(database, suffix);
        match fs::rename(&from, beside(&path, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            outcome => outcome.map_err(|source| StoreError::Unusable { path: from, source })?,
        }
    }
    let directory = database.parent().unwrap_or(database);
    sync_names(directory)
        .map_err(|source| StoreError::Unusable { path: directory.to_owned(), source })?;
    let numbering = numbering(&path).inspect_err(|error| {
        tracing::error!(%error, "the numbers of the symbols cannot be saved");
    });
    Ok(Saved { path, numbering: numbering.ok() })
}

fn numbering(path: &Path) -> Result<(u64, Vec<StoredSymbol>), StoreError> {
    let connection = open_reader(path, Duration::from_secs(1))?;
    Ok((symbols::epoch(&connection, path)?, symbols::load(&connection, path)?))
}
