//! Where klines go: a file that appears when it is whole, or stdout.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::export::ExportFormat;
use crate::export::parquet::ParquetOutput;
use crate::replay::Format;
use crate::replay::fold::NamedKline;
use crate::replay::print::{self, Columns};

/// Bytes gathered before they are handed to the system.
const BUFFER_BYTES: usize = 256 * 1024;

/// Takes klines, a batch at a time.
pub(crate) struct Output {
    /// Declared first: its file is closed before the guard removes what is unfinished.
    encoder: Encoder,
    file: Option<Unfinished>,
}

type Sink = BufWriter<Box<dyn Write + Send>>;

enum Encoder {
    Text(Sink, Columns),
    Parquet(Box<ParquetOutput<Sink>>),
}

/// A file under a name of its own, removed unless it is finished.
struct Unfinished {
    path: PathBuf,
    wanted: PathBuf,
    is_finished: bool,
}

impl Unfinished {
    fn create(wanted: &Path) -> anyhow::Result<(Self, File)> {
        anyhow::ensure!(!wanted.is_dir(), "cannot write {}: a folder", wanted.display());
        let mut path = wanted.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok((Self { path, wanted: wanted.to_owned(), is_finished: false }, file))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            // What stopped the export is reported; a file that stays behind says `.part`.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Output {
    /// Opens the file, or stdout, and writes the head.
    pub(crate) fn open(
        path: Option<&Path>,
        format: ExportFormat,
        with_status: bool,
        decimal: bool,
    ) -> anyhow::Result<Self> {
        let (file, sink): (_, Box<dyn Write + Send>) = if let Some(wanted) = path {
            let (file, sink) = Unfinished::create(wanted)?;
            (Some(file), Box::new(sink))
        } else {
            if format == ExportFormat::Parquet && io::stdout().is_terminal() {
                anyhow::bail!("Parquet is not for a terminal: name a file with --out");
            }
            (None, Box::new(io::stdout()))
        };
        let mut sink = BufWriter::with_capacity(BUFFER_BYTES, sink);
        let text = |format| Columns { format, with_status };
        let encoder = match format {
            ExportFormat::Csv => {
                print::header(&mut sink, text(Format::Csv))?;
                Encoder::Text(sink, text(Format::Csv))
            }
            ExportFormat::Jsonl => Encoder::Text(sink, text(Format::Jsonl)),
            ExportFormat::Parquet => {
                Encoder::Parquet(Box::new(ParquetOutput::new(sink, with_status, decimal)?))
            }
        };
        Ok(Self { encoder, file })
    }

    /// Writes a batch. False if whoever reads has gone away.
    pub(crate) fn write(&mut self, klines: Vec<NamedKline>) -> anyhow::Result<bool> {
        let written = match &mut self.encoder {
            Encoder::Text(sink, columns) => {
                print::rows(sink, &klines, *columns).map_err(anyhow::Error::from)
            }
            Encoder::Parquet(output) => output.write(klines),
        };
        self.outcome(written)
    }

    /// Writes what is left and makes the file appear. False if whoever reads has gone away.
    pub(crate) fn finish(mut self) -> anyhow::Result<bool> {
        let written = match &mut self.encoder {
            Encoder::Text(sink, _) => sink.flush().map_err(anyhow::Error::from),
            Encoder::Parquet(output) => output.finish(),
        };
        let is_whole = self.outcome(written)?;
        if let Some(mut file) = self.file.take() {
            // On the disk before the name changes: after a power cut there is the old file or
            // the new one.
            File::open(&file.path)
                .and_then(|written| written.sync_all())
                .and_then(|()| fs::rename(&file.path, &file.wanted))
                .with_context(|| format!("cannot write {}", file.wanted.display()))?;
            file.is_finished = true;
        }
        Ok(is_whole)
    }

    fn outcome(&self, written: anyhow::Result<()>) -> anyhow::Result<bool> {
        match written {
            Ok(()) => Ok(true),
            Err(error) if self.file.is_none() && is_gone(&error) => Ok(false),
            Err(error) => Err(error.context(match &self.file {
                Some(file) => format!("cannot write {}", file.wanted.display()),
                None => "cannot write to stdout".to_owned(),
            })),
        }
    }
}

/// Whether somewhere in the chain stands a reader that has gone away.
fn is_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
