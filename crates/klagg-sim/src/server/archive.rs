//! The public archive beside the exchange: days and months of klines, zipped, each with its
//! checksum. It costs no weight, appears late, and can be spoiled symbol by symbol.

mod file;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use klagg_kline::Period;
use sha2::{Digest, Sha256};

use self::file::Wanted;
use super::{Counts, Shared};

/// What is wrong with the files of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArchiveFault {
    /// There are none: 404.
    Missing,
    /// The archive answers 503.
    Unavailable,
    /// The connection is cut in the middle of each file.
    Cut,
    /// There is no checksum beside them.
    NoChecksum,
    /// The checksum is that of another content.
    WrongChecksum,
    /// The checksum is right, and of a file that is cut in half.
    Truncated,
    /// The checksum is right, and of aggregates instead of klines.
    Alien,
    /// The klines are those of another symbol, as the name of the member says.
    OtherSymbol,
    /// Two rows have changed places.
    Unsorted,
    /// The rows are those of the day after.
    OtherDay,
    /// The rows open half a minute late.
    OffGrid,
    /// Rows are missing in the middle.
    Holes,
    /// Minutes with trades stand there without any.
    Flat,
    /// A file that unpacks to more than a month can have.
    Bomb,
    /// A file longer than any honest one.
    Huge,
}

/// Which symbols are spoiled, and how.
pub(crate) type Faults = HashMap<String, ArchiveFault>;

/// Answers for one file or the checksum of one.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    Path((kind, symbol, period, name)): Path<(String, String, String, String)>,
) -> Response {
    Counts::add(&shared.counts.archive_requests, 1);
    let fault = {
        let faults = shared.archive_faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(&symbol).copied()
    };
    if fault == Some(ArchiveFault::Unavailable) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (zip_name, is_checksum) = match name.strip_suffix(".CHECKSUM") {
        Some(zip_name) => (zip_name.to_owned(), true),
        None => (name, false),
    };
    let missing = fault == Some(ArchiveFault::Missing)
        || (is_checksum && fault == Some(ArchiveFault::NoChecksum));
    let wanted = Wanted::of_path(&kind, &symbol, &period, &zip_name).filter(|_| !missing);
    let Some(wanted) = wanted else { return StatusCode::NOT_FOUND.into_response() };
    // A month of minutes takes tens of milliseconds.
    let maker = Arc::clone(&shared);
    let made = tokio::task::spawn_blocking(move || file::make(&maker, &wanted, fault)).await;
    let Ok(Some(bytes)) = made else { return StatusCode::NOT_FOUND.into_response() };
    if is_checksum {
        let salt: &[u8] = if fault == Some(ArchiveFault::WrongChecksum) { b"another" } else { b"" };
        let digest = Sha256::new().chain_update(&bytes).chain_update(salt).finalize();
        return format!("{digest:x}  {zip_name}\n").into_response();
    }
    Counts::add(&shared.counts.archive_files, 1);
    Counts::add(&shared.counts.archive_bytes, bytes.len() as u64);
    if fault == Some(ArchiveFault::Cut) {
        let half = bytes[..bytes.len() / 2].to_vec();
        let parts = [Ok(half), Err(std::io::Error::other("cut on purpose"))];
        return Body::from_stream(stream::iter(parts)).into_response();
    }
    bytes.into_response()
}

/// As the archive spells periods: a month is `1mo`.
fn period_of(text: &str) -> Option<Period> {
    if text == "1mo" { Some(Period::Mo1) } else { text.parse().ok().filter(|_| text != "1M") }
}
