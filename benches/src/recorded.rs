//! Frames that were recorded from the exchange, where somebody has put them.

use std::path::{Path, PathBuf};

use klagg_tape::FrameReader;

/// Up to `max` frames of trades from the recording `name`, or nothing where there is none: a bench
/// on them is then left out, and says so.
#[expect(clippy::print_stderr, reason = "words of a bench; the results go to stdout")]
pub fn recorded_frames(name: &str, max: usize) -> Vec<Vec<u8>> {
    let path = folder().join(name);
    if !path.exists() {
        eprintln!("skipped: no recording {}", path.display());
        return Vec::new();
    }
    match read(&path, max) {
        Ok(frames) => frames,
        Err(error) => {
            eprintln!("skipped: {}: {error}", path.display());
            Vec::new()
        }
    }
}

/// Beside the workspace, for recordings are large and not ours to hand out.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/frames")
}

fn read(path: &Path, max: usize) -> Result<Vec<Vec<u8>>, klagg_tape::TapeError> {
    let mut reader = FrameReader::open(path)?;
    let mut frames = Vec::new();
    while frames.len() < max
        && let Some(frame) = reader.next_frame()?
    {
        // `aggTrade` or `trade`, in the name of the stream or of the event.
        if frame.bytes.windows(5).any(|bytes| bytes == b"rade\"") {
            frames.push(frame.bytes.to_vec());
        }
    }
    Ok(frames)
}
