//! New symbols and ended ones, while everything runs: what a [`Lookout`] decides, carried out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use klagg_backfill::{
    BackfillCommand, BackfillError, Clock, Discovery, Lookout, LookoutConfig, Now, discover,
};
use klagg_binance::{Feed, FeedSink, RestClient};
use klagg_engine::{EngineControl, FeedId, NewSymbolSpec};
use klagg_kline::{SymbolId, TradeId, UnixMillis};
use klagg_store::{SymbolChange, WriterHandle};
use klagg_symbols::SymbolIndex;
use tokio::sync::{mpsc, watch};

use super::notices::News;
use crate::status::Status;

/// When the exchange's list is looked at.
pub(super) const LOOKOUT: LookoutConfig = LookoutConfig {
    cadence: Duration::from_mins(10),
    pause: Duration::from_secs(3),
    pause_max: Duration::from_mins(1),
    retry_pause: Duration::from_secs(15),
};

/// What a look at the exchange's list has found.
pub(super) type Looked = Result<Discovery, BackfillError>;
/// A look under way.
pub(super) type PendingLook = Pin<Box<dyn Future<Output = Looked> + Send>>;

/// What is told of a change of the market.
///
/// A look may fail anywhere. What it learned is kept here until everybody has been told, so that
/// the next look goes on where it stopped.
pub(super) struct Listings {
    pub(super) rest: RestClient,
    pub(super) index: SymbolIndex,
    pub(super) concurrency: usize,
    pub(super) control: EngineControl,
    pub(super) writer: Option<WriterHandle>,
    pub(super) backfill: Option<mpsc::Sender<BackfillCommand>>,
    pub(super) exchange_info: watch::Sender<Bytes>,
    pub(super) status: Status,
    pub(super) clock: Clock,
    pub(super) lookout: Lookout,
    /// What the store is still to be told, in this order: numbers are given without a hole.
    pub(super) untold: VecDeque<SymbolChange>,
}

impl Listings {
    /// Goes on from the look of the start, whose active symbols are followed already.
    pub(super) fn begin(&mut self, found: &Discovery) {
        self.lookout.begun(self.now());
        self.lookout.has_followed(&found.active);
        self.conclude(found);
    }

    fn conclude(&mut self, found: &Discovery) {
        self.status.refused(&found.refused, self.index.max());
        self.lookout.concluded(self.now(), found);
    }

    fn now(&self) -> Now {
        Now { local: self.rest.clock().elapsed(), exchange: (self.clock)() }
    }

    /// How long to wait for news before [`Listings::is_due`] is asked again.
    pub(super) fn patience(&self) -> Duration {
        let now = self.now();
        self.lookout.next_deadline(now).saturating_sub(now.local)
    }

    /// Takes news of the market.
    pub(super) fn hear(&mut self, news: &News) {
        let table = self.index.load();
        match news {
            News::Trades(name) => self.lookout.heard(name, &table),
            News::Contract(contract) => {
                if let Some((id, since)) = self.lookout.told(contract, &table)
                    && let Err(error) = self.control.doubt_name(id, since)
                {
                    let symbol = &contract.symbol;
                    tracing::warn!(symbol, %error, "its minutes cannot be marked as unproven");
                }
            }
            // Its listing is not in question.
            News::Mute(_) => {}
        }
    }

    /// Whether to look now.
    pub(super) fn is_due(&self) -> bool {
        self.lookout.is_due(self.now())
    }

    /// Begins to look at the exchange's list. What it finds is to be given to
    /// [`Listings::apply`]; meanwhile, which is as long as a ban lasts, news are heard.
    pub(super) fn look(&mut self) -> PendingLook {
        self.lookout.begun(self.now());
        let (rest, index, concurrency) = (self.rest.clone(), self.index.clone(), self.concurrency);
        let (filter, traded) = (self.lookout.filter().clone(), self.lookout.traded().clone());
        Box::pin(async move {
            let traded_until = |id| traded.get(&id).copied();
            discover(&rest, &filter, &index, concurrency, traded_until).await
        })
    }

    /// Leaves what has ended and follows what is new. What failed is tried again later.
    pub(super) async fn apply<S: FeedSink>(&mut self, found: Looked, feed: &mut Feed<S>) {
        if let Err(error) = self.try_apply(found, feed).await {
            tracing::warn!("{error:#}; trying again");
            self.lookout.failed(self.now());
        }
    }

    async fn try_apply<S: FeedSink>(
        &mut self,
        found: Looked,
        feed: &mut Feed<S>,
    ) -> anyhow::Result<()> {
        let found = found.context("cannot learn which symbols there are")?;
        let seen_at = self.lookout.seen_at(self.now(), &found);
        self.exchange_info.send_replace(found.raw.clone());
        let moves = self.lookout.moves(&found, &self.index.load());
        self.untold.extend(found.changes.iter().cloned());
        self.tell_store()?;
        self.leave(feed, moves.leave, found.info.server_time).await?;
        self.follow(feed, moves.follow).await?;
        self.tell_backfill(BackfillCommand::Listed(found.listed.clone(), seen_at)).await;
        self.conclude(&found);
        Ok(())
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
        let since = (self.clock)();
        let next_id = |symbol| self.lookout.next_id(symbol, since);
        add_symbols(feed, &self.control, (&symbols, since), next_id)?;
        feed.subscribe(&symbols).await.context("cannot subscribe new symbols")?;
        self.lookout.has_followed(&symbols);
        self.tell_backfill(BackfillCommand::Add(symbols)).await;
        Ok(())
    }

    /// Folds `symbols` no more, which a list shows that is of this time of the exchange.
    async fn leave<S: FeedSink>(
        &mut self,
        feed: &mut Feed<S>,
        symbols: Vec<SymbolId>,
        at: UnixMillis,
    ) -> anyhow::Result<()> {
        if symbols.is_empty() {
            return Ok(());
        }
        tracing::info!(count = symbols.len(), "symbols have ended");
        feed.unsubscribe(&symbols).await;
        for &symbol in &symbols {
            self.control.retire_symbol(symbol)?;
        }
        self.lookout.has_left(&symbols);
        self.tell_backfill(BackfillCommand::Retire(symbols, at)).await;
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

/// Tells the engine of symbols, since when they are followed, which connection carries each, and
/// with which id each goes on, where that is known.
pub(super) fn add_symbols<S: FeedSink>(
    feed: &mut Feed<S>,
    control: &EngineControl,
    (symbols, since): (&[SymbolId], UnixMillis),
    next_id: impl Fn(SymbolId) -> Option<TradeId>,
) -> anyhow::Result<()> {
    for assignment in feed.assign(symbols).context("cannot spread the symbols")? {
        control
            .add_symbol(NewSymbolSpec {
                id: assignment.symbol,
                feed: FeedId(assignment.connection.0),
                previous_close: None,
                next_id: next_id(assignment.symbol),
                since: Some(since),
            })
            .context("cannot add a symbol to the engine")?;
    }
    Ok(())
}
