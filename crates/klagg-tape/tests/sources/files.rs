//! Small files in a folder of their own.

use std::io::Write;
use std::path::{Path, PathBuf};

use klagg_tape::{KlineSource, SourceCounters, SourceKline, SourceOptions, SourceTrade};
use klagg_tape::{TapeError, TradeSource};

/// A folder that disappears with the test.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

pub(crate) fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// An archive of members; stored where the name ends in `.txt`, else deflated.
pub(crate) fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        let method = if Path::new(name).extension().is_some_and(|ending| ending == "txt") {
            zip::CompressionMethod::Stored
        } else {
            zip::CompressionMethod::Deflated
        };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// All trades of a file and the counts at its end.
pub(crate) fn trades(path: &Path) -> Result<(Vec<SourceTrade>, SourceCounters), TapeError> {
    trades_of(path, None)
}

pub(crate) fn trades_of(
    path: &Path,
    symbol: Option<&str>,
) -> Result<(Vec<SourceTrade>, SourceCounters), TapeError> {
    let options = SourceOptions { symbol: symbol.map(str::to_owned) };
    let mut source = TradeSource::open(path, &options)?;
    let mut trades = Vec::new();
    while let Some(trade) = source.next_trade()? {
        trades.push(trade);
    }
    assert!(source.next_trade()?.is_none(), "the end stays the end");
    let counters = source.counters().clone();
    assert_eq!(counters.given, trades.len() as u64);
    Ok((trades, counters))
}

/// All klines of a file and the counts at its end.
pub(crate) fn klines(path: &Path) -> Result<(Vec<SourceKline>, SourceCounters), TapeError> {
    let mut source = KlineSource::open(path, &SourceOptions::default())?;
    let mut klines = Vec::new();
    while let Some(kline) = source.next_kline()? {
        klines.push(kline);
    }
    Ok((klines, source.counters().clone()))
}
