//! Which symbols there are: the exchange's list, filtered, numbered, and compared with ours.
//!
//! Only names that the index does not hold are asked for their first daily kline; a stored
//! numbering is taken as it is.

use bytes::Bytes;
use klagg_binance::{BinanceError, KlineQuery, Priority, RestClient};
use klagg_kline::{Period, SymbolId, UnixMillis};
use klagg_store::StoredSymbol;
use klagg_symbols::{NewSymbol, SymbolEntry, SymbolIndex, SymbolsError};
use klagg_wire::rest::{ExchangeInfo, SymbolInfo};
use tokio::task::JoinSet;

use crate::BackfillError;

/// Contract types that are folded.
const CONTRACT_TYPES: [&str; 2] = ["PERPETUAL", "TRADIFI_PERPETUAL"];
/// The status of a symbol that trades.
const TRADING: &str = "TRADING";
/// Statuses from which a contract does not come back. A halt is none of them.
const ENDED: [&str; 6] =
    ["PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE"];

/// Which of the exchange's symbols are wanted.
#[derive(Debug, Clone)]
pub struct SymbolFilter {
    /// Quote assets, for example `USDT`; empty: all.
    pub quote_assets: Vec<String>,
    /// Names; empty: all.
    pub names: Vec<String>,
}

impl SymbolFilter {
    /// Whether `symbol` is wanted and trades.
    pub fn wants(&self, symbol: &SymbolInfo) -> bool {
        let listed =
            |list: &[String], name: &str| list.is_empty() || list.iter().any(|of| of == name);
        CONTRACT_TYPES.contains(&symbol.contract_type.as_str())
            && symbol.status == TRADING
            && listed(&self.quote_assets, &symbol.quote_asset)
            && listed(&self.names, &symbol.name)
    }
}

/// What discovery found.
#[derive(Debug)]
pub struct Discovery {
    /// The exchange's list.
    pub info: ExchangeInfo,
    /// The bytes it came in, to be served to others.
    pub raw: Bytes,
    /// Symbols to be folded, in the order of their numbers.
    pub active: Vec<SymbolId>,
    /// Symbols that were numbered just now. They must be in the store before anything of them is.
    pub appended: Vec<SymbolEntry>,
    /// Symbols that were made tombstones just now: settled, or no longer listed.
    pub retired: Vec<SymbolId>,
    /// Wanted names that have no daily kline yet, or did not fit; they are looked at next time.
    pub postponed: Vec<String>,
}

/// Asks the exchange for its symbols, numbers the new ones and retires the ended ones.
///
/// To be repeated now and then: it is the truth about listings, at weight 1 and 1 a new name.
///
/// # Errors
/// [`BackfillError`] if the list, or the first kline of a new name, cannot be had; then nothing
/// was numbered.
pub async fn discover(
    rest: &RestClient,
    filter: &SymbolFilter,
    index: &SymbolIndex,
    concurrency: usize,
) -> Result<Discovery, BackfillError> {
    let exchange = |what: &str| {
        let what = what.to_owned();
        move |source| BackfillError::Exchange { what, source }
    };
    let (info, raw) =
        rest.exchange_info(Priority::Urgent).await.map_err(exchange("the list of symbols"))?;
    let wanted: Vec<&SymbolInfo> =
        info.symbols.iter().filter(|symbol| filter.wants(symbol)).collect();
    let table = index.load();
    let unknown: Vec<SymbolInfo> = wanted
        .iter()
        .filter(|symbol| table.get_listed(&symbol.name).is_none())
        .map(|symbol| (*symbol).clone())
        .collect();
    let (new, mut postponed) = first_klines(rest, unknown, concurrency).await?;
    let appended = match index.append(new) {
        Ok(appended) => appended,
        Err(SymbolsError::Full { max, appended, refused }) => {
            tracing::error!(max, refused = refused.len(), "the numbering is full");
            postponed.extend(refused.into_iter().map(|symbol| symbol.name));
            appended
        }
        Err(error) => return Err(BackfillError::Symbols(error)),
    };
    let retired = retire_ended(index, &info)?;
    let table = index.load();
    let mut active: Vec<SymbolId> = Vec::with_capacity(wanted.len());
    for symbol in wanted {
        if let Some(id) = table.get_listed(&symbol.name) {
            index.set_precision(id, symbol.precision).map_err(BackfillError::Symbols)?;
            active.push(id);
        }
    }
    active.sort_unstable();
    Ok(Discovery { info, raw, active, appended, retired, postponed })
}

/// The row of a symbol in the store.
pub fn stored(entry: &SymbolEntry) -> StoredSymbol {
    StoredSymbol {
        id: entry.id,
        name: entry.name.to_string(),
        first_open_time: entry.first_open_time,
        precision: entry.precision,
        delisted: entry.delisted,
    }
}

/// The entry of a symbol in the index, from its row in the store.
pub fn entry(stored: &StoredSymbol) -> SymbolEntry {
    SymbolEntry {
        id: stored.id,
        name: stored.name.as_str().into(),
        first_open_time: stored.first_open_time,
        precision: stored.precision,
        delisted: stored.delisted,
    }
}

/// The first daily klines of `symbols`, and the names that have none.
async fn first_klines(
    rest: &RestClient,
    symbols: Vec<SymbolInfo>,
    concurrency: usize,
) -> Result<(Vec<NewSymbol>, Vec<String>), BackfillError> {
    let (mut new, mut postponed) = (Vec::new(), Vec::new());
    let mut waiting = symbols.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < concurrency.max(1)
            && let Some(symbol) = waiting.next()
        {
            let rest = rest.clone();
            asked.spawn(async move { (first_kline(&rest, &symbol.name).await, symbol) });
        }
        let Some(answer) = asked.join_next().await else { break };
        let (first, symbol) = answer.map_err(|_| BackfillError::ReaderLost)?;
        match first? {
            Some(first_open_time) => new.push(NewSymbol {
                name: symbol.name,
                first_open_time,
                precision: symbol.precision,
            }),
            None => postponed.push(symbol.name),
        }
    }
    Ok((new, postponed))
}

async fn first_kline(rest: &RestClient, name: &str) -> Result<Option<UnixMillis>, BackfillError> {
    let query = KlineQuery { start: Some(UnixMillis(0)), end: None, limit: 1 };
    match rest.klines(name, Period::D1, query, Priority::Urgent).await {
        Ok(klines) => Ok(klines.first().map(|kline| kline.open_time)),
        // A symbol that does not trade yet may be answered with an error, and one that nobody
        // can make sense of must not keep the others from being followed: asked next time.
        Err(
            error @ (BinanceError::Refused { .. }
            | BinanceError::Page { .. }
            | BinanceError::Decode { .. }),
        ) => {
            tracing::warn!(symbol = name, %error, "no first kline yet");
            Ok(None)
        }
        Err(source) => {
            Err(BackfillError::Exchange { what: format!("the first kline of {name}"), source })
        }
    }
}

/// Makes those tombstones that have ended at the exchange. What is merely filtered out is not.
fn retire_ended(index: &SymbolIndex, info: &ExchangeInfo) -> Result<Vec<SymbolId>, BackfillError> {
    // A list with unreadable rows proves no absence.
    let table = index.load();
    let listed = || table.iter().filter(|entry| !entry.delisted);
    let statuses: std::collections::HashMap<&str, &str> =
        info.symbols.iter().map(|symbol| (symbol.name.as_str(), symbol.status.as_str())).collect();
    let absent = listed().filter(|entry| !statuses.contains_key(&*entry.name)).count();
    // Nor does one that lacks half of the market: a number given up does not come back.
    let absent_is_ended = info.skipped == 0 && absent * 2 <= listed().count();
    if absent > 0 && !absent_is_ended {
        tracing::error!(absent, "the exchange's list lacks symbols; they are not taken for ended");
    }
    let mut retired = Vec::new();
    for entry in listed() {
        let ended = match statuses.get(&*entry.name) {
            Some(status) => ENDED.contains(status),
            None => absent_is_ended,
        };
        if ended {
            index.retire(entry.id).map_err(BackfillError::Symbols)?;
            retired.push(entry.id);
        }
    }
    Ok(retired)
}
