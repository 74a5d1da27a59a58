//! The second pass: a file found good is compared with the store and committed.

use std::fmt;

use klagg_kline::KlineStatus;
use klagg_store::{Store, StoreReader, StoredKline};
use klagg_tape::{KlineSource, SourceOptions};

use crate::export::pages::Pages;
use crate::export::span;
use crate::import::judge::{Judge, Rules, Verdict};
use crate::import::numbering::Numbering;
use crate::import::survey::{Refusal, Survey};

/// Rows of one commit, and most that are in memory: seven months of minutes.
pub(super) const COMMIT_ROWS: usize = 300_000;

/// Contradictions that are shown.
const SAMPLES_MAX: usize = 5;

/// A file that was found good, and how it was read.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) survey: &'a Survey,
    pub(super) options: &'a SourceOptions,
    pub(super) rules: Rules,
}

/// What became of the rows of a file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) written: u64,
    pub(super) unchanged: u64,
    pub(super) refused: u64,
    pub(super) left_out: u64,
    pub(super) reasons: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, unchanged, refused, left_out, .. } = self;
        write!(formatter, "{written} klines written, {unchanged} unchanged, {refused} refused")?;
        if *left_out > 0 {
            write!(formatter, ", {left_out} open ones left out")?;
        }
        Ok(())
    }
}

/// Rows that contradict what is stored.
#[derive(Debug, Default)]
struct Contradictions {
    rows: u64,
    samples: Vec<String>,
}

/// Writes a file, or says why not.
///
/// # Errors
/// If the store cannot be read or written.
pub(super) fn write(
    store: &mut Store,
    numbering: &Numbering,
    file: &File<'_>,
) -> anyhow::Result<Result<Outcome, Refusal>> {
    let survey = file.survey;
    let unknown =
        survey.symbols.iter().find(|(name, facts)| numbering.find(name, facts.first).is_none());
    if let Some((name, _)) = unknown {
        let reason = format!(
            "{name} is not in the store; klagg numbers the market's symbols when it runs, or \
             --add-symbols numbers it now"
        );
        return Ok(Err(Refusal { reason, rows: survey.rows, samples: Vec::new() }));
    }
    let reader = store.reader()?;
    let mut found = Contradictions::default();
    // A long file is compared as a whole before the first piece of it is committed.
    if survey.rows > COMMIT_ROWS as u64 {
        let checked = each_piece(numbering, file, |mut piece| {
            find((&reader, numbering), &mut piece, &mut found)
        })?;
        if let Err(refusal) = checked {
            return Ok(Err(refusal));
        }
        if found.rows > 0 && !file.rules.skip_bad {
            return Ok(Err(contradicted(found, survey)));
        }
        found = Contradictions::default();
    }
    let mut outcome = Outcome::default();
    let mut is_refused = false;
    let read = each_piece(numbering, file, |mut piece| {
        find((&reader, numbering), &mut piece, &mut found)?;
        is_refused = found.rows > 0 && !file.rules.skip_bad;
        if !is_refused {
            let written = store.write(&piece)?;
            outcome.written += written.written;
            outcome.unchanged += written.unchanged;
        }
        Ok(())
    })?;
    let bad = match read {
        Ok(bad) => bad,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if is_refused {
        return Ok(Err(contradicted(found, survey)));
    }
    outcome.refused = bad.rows + found.rows;
    outcome.left_out = bad.left_out;
    outcome.reasons = bad.samples.into_iter().chain(found.samples).collect();
    Ok(Ok(outcome))
}

fn contradicted(found: Contradictions, survey: &Survey) -> Refusal {
    let reason = format!(
        "{} rows contradict confirmed klines that are stored (--skip-bad takes the other rows)",
        found.rows
    );
    Refusal { reason, rows: survey.rows, samples: found.samples }
}

/// What was left out of a file on the way.
#[derive(Debug)]
struct BadRows {
    rows: u64,
    left_out: u64,
    samples: Vec<String>,
}

/// Reads the file again and hands its good rows over, at most [`COMMIT_ROWS`] at a time. A file
/// that fits one piece and is not what it was when it was surveyed is refused.
fn each_piece(
    numbering: &Numbering,
    file: &File<'_>,
    mut each: impl FnMut(Vec<StoredKline>) -> anyhow::Result<()>,
) -> anyhow::Result<Result<BadRows, Refusal>> {
    let changed = || Refusal::from("it changed while it was read".to_owned());
    let Ok(mut source) = KlineSource::open(&file.survey.path, file.options) else {
        return Ok(Err(changed()));
    };
    let mut judge = Judge::new(file.rules);
    let mut piece = Vec::new();
    let mut good = 0;
    loop {
        let row = match source.next_kline() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(_) => return Ok(Err(changed())),
        };
        let Verdict::Good(record) = judge.judge(&row) else { continue };
        let facts = file.survey.symbols.get(&row.symbol);
        let Some(symbol) = facts.and_then(|facts| numbering.find(&row.symbol, facts.first)) else {
            return Ok(Err(changed()));
        };
        good += 1;
        piece.push(StoredKline { symbol, period: row.period, record });
        if piece.len() == COMMIT_ROWS && good < file.survey.rows {
            each(std::mem::take(&mut piece))?;
        }
    }
    if good != file.survey.rows {
        return Ok(Err(changed()));
    }
    each(piece)?;
    let counters = source.counters();
    let rows = counters.malformed + judge.bad_rows();
    let samples = counters.samples.iter().map(|sample| format!("  {sample}"));
    let samples = samples.chain(judge.samples).collect();
    Ok(Ok(BadRows { rows, left_out: judge.left_out, samples }))
}

/// Takes out of `rows` what contradicts a confirmed kline that is stored.
fn find(
    (reader, numbering): (&StoreReader, &Numbering),
    rows: &mut Vec<StoredKline>,
    found: &mut Contradictions,
) -> anyhow::Result<()> {
    let key = |row: &StoredKline| (row.symbol, row.period, row.record.kline.open_time);
    rows.sort_unstable_by_key(key);
    let mut bad = Vec::new();
    for slot in rows.chunk_by(|a, b| (a.symbol, a.period) == (b.symbol, b.period)) {
        let (symbol, period, from) = key(&slot[0]);
        let to = slot.last().map(|row| row.record.kline.open_time.plus(1));
        let mut pages = Pages::new(reader, symbol, period, (Some(from), to));
        let mut new = slot.iter().peekable();
        while let Some(page) = pages.next_page()? {
            for held in page.records {
                let at = held.kline.open_time;
                while new.next_if(|row| row.record.kline.open_time < at).is_some() {}
                let Some(row) = new.next_if(|row| row.record.kline.open_time == at) else {
                    continue;
                };
                let both = [held.status, row.record.status];
                let is_claimed = both == [KlineStatus::Confirmed; 2];
                if is_claimed && !row.record.kline.same_values(&held.kline) {
                    bad.push(key(row));
                }
            }
        }
    }
    let room = SAMPLES_MAX.saturating_sub(found.samples.len());
    found.rows += bad.len() as u64;
    found.samples.extend(bad.iter().take(room).map(|(symbol, period, at)| {
        let at = span::shown(*at);
        let name = numbering.name(*symbol);
        format!("  {name} {period} at {at}: another confirmed kline is stored")
    }));
    rows.retain(|row| bad.binary_search(&key(row)).is_err());
    Ok(())
}
