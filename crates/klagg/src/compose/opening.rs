//! Opening the store, and what is said of one that was damaged.

use anyhow::Context;
use klagg_kline::UnixMillis;
use klagg_store::{Quarantine, Store};
use klagg_symbols::SymbolIndex;

use crate::config::Config;
use crate::export::span;
use crate::logs::say;
use crate::parts;

/// The store, if one is wanted, and what had to be set aside for it.
///
/// # Errors
/// Why the data folder cannot be used.
pub(super) fn store(
    config: &Config,
    now: UnixMillis,
) -> anyhow::Result<(Option<Store>, Option<String>)> {
    if !config.store.enabled {
        return Ok((None, None));
    }
    // A file name holds neither colons nor, for its sorting, fractions.
    let seconds = UnixMillis(now.0 / 1_000 * 1_000);
    let label = span::shown(seconds).replace([':', '-'], "");
    let (store, quarantine) = Store::open_or_quarantine(&parts::store(config), &label)?;
    let alarm = quarantine.as_ref().map(sentence);
    if let Some(alarm) = &alarm {
        tracing::error!("{alarm}");
        say(&format!("alarm:   {alarm}"));
    }
    Ok((Some(store), alarm))
}

fn sentence(quarantine: &Quarantine) -> String {
    let Quarantine { path, detail, symbols_kept } = quarantine;
    let numbers = match symbols_kept {
        Some(count) => format!("the numbers of its {count} symbols are kept"),
        None => "the numbers of its symbols are lost, so they begin anew".to_owned(),
    };
    format!(
        "the database was damaged ({detail}) and is set aside as {}; {numbers}, and its klines \
         are fetched anew",
        path.display()
    )
}

/// The numbering that the store holds.
///
/// # Errors
/// If it is damaged or does not fit.
pub(super) fn index(config: &Config, store: Option<&Store>) -> anyhow::Result<SymbolIndex> {
    let Some(store) = store else { return Ok(SymbolIndex::empty(config.engine.max_symbols)) };
    let entries = store.load_symbols()?.iter().map(klagg_backfill::entry).collect();
    SymbolIndex::from_entries(entries, config.engine.max_symbols)
        .with_context(|| format!("the symbols in {} do not fit", config.store.directory.display()))
}
