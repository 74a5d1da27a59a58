//! New symbols and ended ones, while everything runs.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use klagg_backfill::{BackfillCommand, Discovery, SymbolFilter, discover};
use klagg_binance::{Feed, FeedSink, RestClient};
use klagg_engine::{EngineControl, FeedId, NewSymbolSpec};
use klagg_kline::SymbolId;
use klagg_store::{SymbolChange, WriterHandle};
use klagg_symbols::SymbolIndex;
use tokio::sync::{mpsc, watch};

/// The exchange's list is looked at so often even if nothing points to a change.
pub(super) const POLL_CADENCE: Duration = Duration::from_mins(10);
/// Looks at the list are at least so far apart.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(3);
/// A look that failed is repeated after this.
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(15);

/// What is told of a change of the market.
///
/// A look may fail anywhere. What it learned is kept here until everybody has been told, so that
/// the next look goes on where it stopped.
pub(super) struct Listings {
    pub(super) rest: RestClient,
    pub(super) filter: SymbolFilter,
    pub(super) index: SymbolIndex,
    pub(super) concurrency: usize,
    pub(super) control: EngineControl,
    pub(super) writer: Option<WriterHandle>,
    pub(super) backfill: Option<mpsc::Sender<BackfillCommand>>,
    pub(super) exchange_info: watch::Sender<Bytes>,
    /// Names that trade but are not wanted.
    pub(super) unwanted: HashSet<String>,
    /// Symbols that are folded and subscribed.
    pub(super) followed: BTreeSet<SymbolId>,
    /// What the store is still to be told, in this order: numbers are given without a hole.
    pub(super) untold: VecDeque<SymbolChange>,
}

impl Listings {
    /// Remembers which names of a look are not to be asked for again.
    pub(super) fn remember(&mut self, found: &Discovery) {
        let trading = found.info.symbols.iter().filter(|symbol| symbol.status == "TRADING");
        let unwanted = trading.filter(|symbol| !self.filter.wants(symbol));
        self.unwanted = unwanted.map(|symbol| symbol.name.clone()).collect();
    }

    /// Whether a name that trades is neither followed nor known as unwanted.
    pub(super) fn is_news(&self, name: &str) -> bool {
        let listed = self.index.load().get_listed(name);
        !self.unwanted.contains(name) && listed.is_none_or(|id| !self.followed.contains(&id))
    }

    /// Looks at the exchange's list, and follows what is new.
    ///
    /// # Errors
    /// If the list cannot be had, or a part does not take a symbol. Can be repeated.
    pub(super) async fn look<S: FeedSink>(&mut self, feed: &mut Feed<S>) -> anyhow::Result<()> {
        let found = discover(&self.rest, &self.filter, &self.index, self.concurrency)
            .await
            .context("cannot learn which symbols there are")?;
        self.remember(&found);
        self.exchange_info.send_replace(found.raw.clone());
        let rows: Vec<_> = found.appended.iter().map(klagg_backfill::stored).collect();
        self.untold.extend((!rows.is_empty()).then_some(SymbolChange::Append(rows)));
        self.untold.extend(found.retired.iter().copied().map(SymbolChange::Retire));
        self.tell_store()?;
        // Not only what was numbered just now: a symbol that was halted at our start has its
        // number, and trades again.
        let new = found.active.into_iter().filter(|id| !self.followed.contains(id)).collect();
        self.follow(feed, new).await?;
        let table = self.index.load();
        let has_ended = |id: &SymbolId| table.entry(*id).is_none_or(|entry| entry.delisted);
        let ended = self.followed.iter().copied().filter(has_ended).collect();
        self.leave(feed, ended).await
    }

    /// Numbers must be in the store before anything of their symbols is.
    fn tell_store(&mut self) -> anyhow::Result<()> {
        while let Some(change) = self.untold.front() {
            if let Some(writer) = &self.writer {
                writer.change_symbols(change.clone())?;
            }
            self.untold.pop_front();
        }
        Ok(())
    }

    /// Folds and subscribes `symbols` from now on.
    async fn follow<S: FeedSink>(
        &mut self,
        feed: &mut Feed<S>,
        symbols: Vec<SymbolId>,
    ) -> anyhow::Result<()> {
        if symbols.is_empty() {
            return Ok(());
        }
        tracing::info!(count = symbols.len(), "new symbols are followed");
        add_symbols(feed, &self.control, &symbols)?;
        feed.subscribe(&symbols).await.context("cannot subscribe new symbols")?;
        self.followed.extend(&symbols);
        self.tell_backfill(BackfillCommand::Add(symbols)).await;
        Ok(())
    }

    /// Folds `symbols` no more.
    async fn leave<S: FeedSink>(
        &mut self,
        feed: &mut Feed<S>,
        symbols: Vec<SymbolId>,
    ) -> anyhow::Result<()> {
        if symbols.is_empty() {
            return Ok(());
        }
        tracing::info!(count = symbols.len(), "symbols have ended");
        feed.unsubscribe(&symbols).await;
        for &symbol in &symbols {
            self.control.retire_symbol(symbol)?;
            self.followed.remove(&symbol);
        }
        self.tell_backfill(BackfillCommand::Retire(symbols)).await;
        Ok(())
    }

    async fn tell_backfill(&self, command: BackfillCommand) {
        if let Some(backfill) = &self.backfill
            && backfill.send(command).await.is_err()
        {
            tracing::error!("the backfill has ended; new symbols get no history");
        }
    }
}

/// Tells the engine of symbols, and which connection carries each.
pub(super) fn add_symbols<S: FeedSink>(
    feed: &mut Feed<S>,
    control: &EngineControl,
    symbols: &[SymbolId],
) -> anyhow::Result<()> {
    for assignment in feed.assign(symbols).context("cannot spread the symbols")? {
        control
            .add_symbol(NewSymbolSpec {
                id: assignment.symbol,
                feed: FeedId(assignment.connection.0),
                previous_close: None,
                next_id: None,
            })
            .context("cannot add a symbol to the engine")?;
    }
    Ok(())
}
