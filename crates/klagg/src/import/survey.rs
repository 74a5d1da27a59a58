//! The first pass: a file from end to end, nothing stored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klagg_kline::{Kline, Precision, UnixMillis};
use klagg_tape::{KlineOrigin, KlineSource, NameFacts, SourceCounters, SourceOptions, TapeError};

use crate::import::checksum;
use crate::import::judge::{Judge, Rules, Verdict};

/// Beginnings of packed files: gzip, zip, zstd.
const MAGICS: [&[u8]; 3] = [b"\x1f\x8b", b"PK", b"\x28\xb5\x2f\xfd"];

/// A file that may be imported.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) path: PathBuf,
    /// Good rows.
    pub(super) rows: u64,
    pub(super) symbols: BTreeMap<Arc<str>, SymbolFacts>,
}

/// What a file tells of a symbol.
#[derive(Debug, Clone, Copy)]
pub(super) struct SymbolFacts {
    /// Its first kline.
    pub(super) first: UnixMillis,
    /// The finest values.
    pub(super) precision: Precision,
}

/// Why a file is not imported.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Rows read of it, all of them refused.
    pub(super) rows: u64,
    pub(super) samples: Vec<String>,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { reason, ..Self::default() }
    }
}

/// Reads a file to its end and judges every row.
pub(super) fn survey(
    path: &Path,
    options: &SourceOptions,
    rules: Rules,
) -> Result<Survey, Refusal> {
    checksum::verify(path)?;
    let name = NameFacts::of(path);
    if let (Some(name), Some(wanted)) = (&name, &options.symbol)
        && name.symbol != *wanted
    {
        let reason = format!(
            "its name says {}, --symbol says {wanted}: give the right one, or rename the file",
            name.symbol
        );
        return Err(Refusal::from(reason));
    }
    let mut source = KlineSource::open(path, options).map_err(|error| described(path, error))?;
    refuse_torn(path)?;
    let mut judge = Judge::new(rules);
    let mut survey = Survey { path: path.to_owned(), rows: 0, symbols: BTreeMap::new() };
    loop {
        let row = match source.next_kline() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                let SourceCounters { rows, samples, .. } = source.counters();
                let samples = samples.iter().map(|sample| format!("  {sample}")).collect();
                return Err(Refusal { rows: *rows, samples, ..described(path, error) });
            }
        };
        let named = name.as_ref().and_then(|name| name.period);
        if let Some(named) =
            named.filter(|&named| row.origin == KlineOrigin::Dump && named != row.period)
        {
            let reason = format!(
                "its name says {named}, and it holds {} klines: rename it if they are right",
                row.period
            );
            return Err(Refusal::from(reason));
        }
        match judge.judge(&row) {
            Verdict::Good(record) => survey.note(&row.symbol, &record.kline),
            Verdict::LeftOut | Verdict::Bad => {}
            Verdict::Alien(reason) => return Err(Refusal::from(reason.to_owned())),
        }
    }
    let counters = source.counters();
    let rows = counters.rows;
    let mut reasons = Vec::new();
    if judge.bad_rows() > 0 {
        reasons.push(judge.to_string());
    }
    if counters.malformed > 0 {
        reasons.push(format!("{} malformed", counters.malformed));
    }
    if counters.truncated > 0 {
        reasons.push("the file ends in the middle".to_owned());
    }
    let samples = counters.samples.iter().map(|sample| format!("  {sample}"));
    let samples: Vec<String> = samples.chain(judge.samples).collect();
    if !reasons.is_empty() && !rules.skip_bad {
        let reason = format!("{} (--skip-bad takes the other rows)", reasons.join(", "));
        return Err(Refusal { reason, rows, samples });
    }
    if survey.rows == 0 {
        let reason = "it holds no kline that can be stored".to_owned();
        return Err(Refusal { reason, rows, samples });
    }
    Ok(survey)
}

impl Survey {
    fn note(&mut self, symbol: &Arc<str>, kline: &Kline) {
        self.rows += 1;
        let prices = [kline.open, kline.high, kline.low, kline.close];
        let price = prices.iter().map(|price| price.decimals()).max().unwrap_or_default();
        let quantity = kline.volume.decimals().max(kline.taker_buy_volume.decimals());
        // Neither type keeps more than the eight decimals that a precision may have.
        let Ok(precision) = Precision::new(price, quantity) else { return };
        let fresh = SymbolFacts { first: kline.open_time, precision };
        let facts = self.symbols.entry(Arc::clone(symbol)).or_insert(fresh);
        facts.first = facts.first.min(kline.open_time);
        facts.precision = facts.precision.finest(precision);
    }
}

fn described(path: &Path, error: TapeError) -> Refusal {
    let advice = match &error {
        TapeError::SymbolUnknown { .. } => ": give it with --symbol",
        TapeError::PeriodUnknown { .. } => ": name the file SYMBOL-PERIOD-DATE.csv",
        TapeError::Archive { .. } | TapeError::Read { .. } => ": download it again",
        TapeError::NothingUsable { rows: 0, .. } => {
            return Refusal::from("it holds no row".to_owned());
        }
        _ => "",
    };
    let text = format!("{:#}", anyhow::Error::from(error));
    let prefix = format!("{}: ", path.display());
    Refusal::from(format!("{}{advice}", text.strip_prefix(&prefix).unwrap_or(&text)))
}

/// A text that was cut short ends within a number, which would then be another number.
fn refuse_torn(path: &Path) -> Result<(), Refusal> {
    let ends = || -> std::io::Result<([u8; 4], u8)> {
        let mut file = File::open(path)?;
        let mut head = [0; 4];
        let read = file.read(&mut head)?;
        let mut last = [head[read.saturating_sub(1)]];
        if read > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok((head, last[0]))
    };
    // What cannot be read is described where it is read.
    let Ok((head, last)) = ends() else { return Ok(()) };
    let is_packed = MAGICS.iter().any(|magic| head.starts_with(magic));
    let is_json = matches!(head[0], b'[' | b'{');
    if is_packed || is_json || last == b'\n' || last == 0 {
        return Ok(());
    }
    let reason = "its last line has no end, as if it was cut short; if it is whole, add a line \
                  break";
    Err(Refusal::from(reason.to_owned()))
}
