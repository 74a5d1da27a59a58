//! A whole small file, unpacked.

use std::io::Read;
use std::path::Path;

use crate::TapeError;
use crate::input::Input;

/// Reads a file that is needed at once, such as a stored reply, unpacked if it is compressed; of
/// an archive, the first member that may hold rows.
///
/// # Errors
/// [`TapeError`] if it cannot be read, or is longer than `bytes_max`.
pub fn read_plain(path: &Path, bytes_max: u64) -> Result<Vec<u8>, TapeError> {
    let Some(part) = Input::open(path)?.next_part()? else { return Ok(Vec::new()) };
    let label = part.label;
    let mut bytes = Vec::new();
    part.reader
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| TapeError::Read { part: label.clone(), source })?;
    if bytes.len() as u64 > bytes_max {
        let reason = format!("longer than {bytes_max} bytes");
        return Err(TapeError::Unrecognised { part: label, reason });
    }
    Ok(bytes)
}
