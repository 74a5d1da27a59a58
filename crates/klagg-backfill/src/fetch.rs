//! The shell's way to the archive: a file is fetched once, checked, and read where it may block.

use futures_util::future::BoxFuture;
use klagg_binance::ArchiveError;
use klagg_kline::Kline;

use crate::action::{FileRequest, RequestId};
use crate::config::ArchiveParts;
use crate::event::FileFailure;
use crate::files::FileFault;

/// A file that was fetched, or could not be.
pub(crate) type Fetched = (RequestId, Result<Vec<Kline>, FileFailure>);

/// Fetches a file and reads it; without an archive there is none.
pub(crate) fn fetch(
    archive: Option<ArchiveParts>,
    request: FileRequest,
) -> BoxFuture<'static, Fetched> {
    Box::pin(async move {
        let id = request.id;
        let Some(archive) = archive else { return (id, Err(FileFailure::Missing)) };
        (id, try_fetch(archive, request).await)
    })
}

async fn try_fetch(archive: ArchiveParts, request: FileRequest) -> Result<Vec<Kline>, FileFailure> {
    let ArchiveParts { client, read } = archive;
    let FileRequest { name, file, .. } = request;
    let bytes = client.klines(&name, file.period, file.span).await.map_err(|error| {
        let failure = failure_of(&error);
        // What is wrong with a file is said by the core, in one sentence.
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "a file of the archive did not come");
        failure
    })?;
    // A month of minutes takes tens of milliseconds.
    let reading = tokio::task::spawn_blocking(move || {
        let file_name = file.span.file_name(&name, file.period);
        read(&name, file.period, &file_name, &bytes).map_err(|reason| (file_name, reason))
    });
    match reading.await {
        Ok(Ok(klines)) => Ok(klines),
        Ok(Err((file, reason))) => {
            tracing::warn!(file, reason, "a file of the archive cannot be read");
            Err(FileFailure::Refused(FileFault::Unreadable))
        }
        // Its reader broke: another time it would again.
        Err(_) => Err(FileFailure::Refused(FileFault::Unreadable)),
    }
}

fn failure_of(error: &ArchiveError) -> FileFailure {
    match error {
        ArchiveError::Missing { .. } => FileFailure::Missing,
        ArchiveError::Checksum { .. } => FileFailure::Refused(FileFault::Checksum),
        ArchiveError::TooLong { .. } => FileFailure::Refused(FileFault::TooLong),
        _ => FileFailure::Unreachable,
    }
}
