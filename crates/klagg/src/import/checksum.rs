//! The checksums that the exchange publishes beside its dumps: `FILE.CHECKSUM`, as `sha256sum`
//! prints them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Bytes of a checksum's file that are looked at.
const TEXT_BYTES: u64 = 1_024;

/// Whether a file is a checksum and no dump.
pub(super) fn is_one(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("CHECKSUM"))
}

/// Compares a file with its checksum, if it has one. `Err` says what is wrong.
pub(super) fn verify(path: &Path) -> Result<(), String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".CHECKSUM");
    let beside = PathBuf::from(name);
    // No more of it than a checksum and a name take: whatever else lies there is none.
    let mut text = Vec::new();
    let read = File::open(&beside).and_then(|file| file.take(TEXT_BYTES).read_to_end(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot read {}: {error}", beside.display())),
    }
    let text = String::from_utf8_lossy(&text);
    let wanted = text.split_whitespace().next().unwrap_or_default();
    if wanted.len() != 64 || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!(
            "{} holds no SHA-256 checksum: download it again, or delete it to go without",
            beside.display()
        ));
    }
    let mut hasher = Sha256::new();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .map_err(|error| format!("cannot read it: {error}"))?;
    let byte = |at: usize| u8::from_str_radix(&wanted[at..at + 2], 16).ok();
    let wanted = (0..64).step_by(2).map(byte);
    if hasher.finalize().into_iter().map(Some).eq(wanted) {
        return Ok(());
    }
    Err(format!("its checksum is not the one in {}: download it again", beside.display()))
}
