//! Which symbols there are: the exchange's list, filtered, numbered, and compared with ours.
//!
//! Only names of which a [`Look`] doubts which listing they are, are asked for their first daily
//! kline; what else is stored is taken as it is.

use klagg_binance::{BinanceError, KlineQuery, Priority, RestClient};
use klagg_kline::{SymbolId, UnixMillis};
use klagg_store::StoredSymbol;
use klagg_symbols::{SymbolEntry, SymbolIndex};
use klagg_wire::rest::SymbolInfo;
use tokio::task::JoinSet;

use crate::BackfillError;
use crate::look::{Discovery, FirstKline, Look, TRADING};

/// Contract types that are folded.
const CONTRACT_TYPES: [&str; 2] = ["PERPETUAL", "TRADIFI_PERPETUAL"];
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
        symbol.status == TRADING && self.selects(symbol)
    }

    /// Whether `symbol` is wanted, whether it trades or not.
    pub(crate) fn selects(&self, symbol: &SymbolInfo) -> bool {
        let listed =
            |list: &[String], name: &str| list.is_empty() || list.iter().any(|of| of == name);
        is_of_a_kind_that_is_folded(&symbol.contract_type)
            && (listed(&self.quote_assets, &symbol.quote_asset) || mutated!(OtherMarketTaken))
            && listed(&self.names, &symbol.name)
    }
}

/// Whether contracts of this type are folded at all.
pub(crate) fn is_of_a_kind_that_is_folded(contract_type: &str) -> bool {
    CONTRACT_TYPES.contains(&contract_type)
}

/// Asks the exchange for its symbols, numbers the new ones and retires the ended ones: a [`Look`]
/// carried out.
///
/// To be repeated when a [`Lookout`](crate::Lookout) says so: it is the truth about listings, at
/// weight 1 and 1 a new name. `traded_until` tells up to when a number is known to have traded.
///
/// # Errors
/// [`BackfillError`] if the list, or the first kline of a new name, cannot be had; then nothing
/// was numbered.
pub async fn discover(
    rest: &RestClient,
    filter: &SymbolFilter,
    index: &SymbolIndex,
    concurrency: usize,
    traded_until: impl Fn(SymbolId) -> Option<UnixMillis>,
) -> Result<Discovery, BackfillError> {
    let exchange = |what: &str| {
        let what = what.to_owned();
        move |source| BackfillError::Exchange { what, source }
    };
    let (info, raw) =
        rest.exchange_info(Priority::Urgent).await.map_err(exchange("the list of symbols"))?;
    let mut look = Look::new(info, filter, &index.load(), traded_until);
    let questions: Vec<_> = look.questions().collect();
    for (name, first) in first_klines(rest, questions, concurrency).await? {
        look.answer(&name, first);
    }
    let found = look.conclude(index).map_err(BackfillError::Symbols)?;
    let found = Discovery { raw, ..found };
    if let Some(first) = found.refused.first() {
        let (max, refused) = (index.max(), found.refused.len());
        tracing::error!(max, refused, first, "the numbering is full; raise engine.max_symbols");
    }
    Ok(found)
}

/// The row of a symbol in the store.
pub fn stored(entry: &SymbolEntry) -> StoredSymbol {
    StoredSymbol {
        id: entry.id,
        name: entry.name.to_string(),
        first_open_time: entry.first_open_time,
        onboard_time: entry.onboard_time,
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
        onboard_time: stored.onboard_time,
        precision: stored.precision,
        delisted: stored.delisted,
    }
}

/// The first daily klines that are asked for; `None` for a name that has none.
async fn first_klines(
    rest: &RestClient,
    questions: Vec<FirstKline>,
    concurrency: usize,
) -> Result<Vec<(String, Option<UnixMillis>)>, BackfillError> {
    let mut answers = Vec::with_capacity(questions.len());
    let mut waiting = questions.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < concurrency.max(1)
            && let Some(question) = waiting.next()
        {
            let rest = rest.clone();
            asked.spawn(async move { (first_kline(&rest, &question).await, question.name) });
        }
        let Some(answer) = asked.join_next().await else { return Ok(answers) };
        let (first, name) = answer.map_err(|_| BackfillError::ReaderLost)?;
        answers.push((name, first?));
    }
}

async fn first_kline(
    rest: &RestClient,
    question: &FirstKline,
) -> Result<Option<UnixMillis>, BackfillError> {
    let FirstKline { name, period, from } = question;
    let query = KlineQuery { start: Some(*from), end: None, limit: 1 };
    match rest.klines(name, *period, query, Priority::Urgent).await {
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
