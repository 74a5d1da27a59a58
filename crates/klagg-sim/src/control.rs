//! Breaking the exchange on purpose, while it runs.

use std::sync::{Arc, PoisonError};

use klagg_kline::{Kline, UnixMillis};
use klagg_wire::ContractInfo;

use crate::SimError;
use crate::market::listing::NEVER;
use crate::market::symbol::Symbol;
use crate::server::archive::ArchiveFault;
use crate::server::hub::Fate;
use crate::server::{Failing, Failure, Shared};

/// A handle to a running exchange; cheap to clone. Every call takes effect at once.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

/// What the exchange did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimCounters {
    /// REST requests of all kinds.
    pub requests: u64,
    /// REST requests that were made to fail.
    pub requests_failed: u64,
    /// REST requests answered with 429.
    pub requests_refused: u64,
    /// REST requests answered with 418.
    pub requests_banned: u64,
    /// Websockets opened.
    pub connections: u64,
    /// Websockets refused because there were too many.
    pub connections_refused: u64,
    /// Websockets closed because they broke a rule.
    pub closed_rules: u64,
    /// Websockets closed because they read too slowly.
    pub closed_slow: u64,
    /// Frames handed to clients.
    pub frames_sent: u64,
    /// Frames lost on purpose.
    pub frames_swallowed: u64,
    /// Frames sent twice on purpose.
    pub frames_duplicated: u64,
    /// Frames kept back by a silence.
    pub frames_silenced: u64,
    /// Requests to the archive, those for checksums included. They are no REST requests.
    pub archive_requests: u64,
    /// Files that the archive gave.
    pub archive_files: u64,
    /// Their bytes.
    pub archive_bytes: u64,
}

/// An answer that is none, though its status says so. Rows are spoiled in pages of klines; other
/// answers are given as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spoiled {
    /// A page of HTML.
    Html,
    /// The connection ends amid the body.
    CutOff,
    /// The newest kline comes first.
    Reversed,
    /// Klines open a millisecond late.
    OffGrid,
    /// The first kline is missing.
    Late,
    /// A kline amid the others is missing.
    Holed,
}

impl Spoiled {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Html, Self::CutOff, Self::Reversed, Self::OffGrid, Self::Late, Self::Holed];

    /// Spoils the rows of a page.
    pub(crate) fn spoil(self, klines: &mut Vec<Kline>) {
        match self {
            Self::Html | Self::CutOff => {}
            Self::Reversed => klines.reverse(),
            Self::OffGrid => {
                for kline in klines {
                    kline.open_time = kline.open_time.plus(1);
                }
            }
            Self::Late => drop(klines.drain(..klines.len().min(1))),
            Self::Holed if klines.len() > 2 => drop(klines.remove(klines.len() / 2)),
            Self::Holed => klines.clear(),
        }
    }
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Cuts every websocket without a close frame.
    pub fn disconnect_all(&self) {
        self.shared.hub.end_all(Fate::Cut);
    }

    /// Cuts the websocket that has been open longest and has subscribed to something.
    pub fn disconnect_oldest(&self) {
        self.shared.hub.end_oldest(Fate::Cut);
    }

    /// Sends no more market data on the websocket that has been open longest and has subscribed
    /// to something; it stays open, and its pings are answered.
    pub fn silence_oldest(&self) {
        self.shared.hub.silence_oldest();
    }

    /// Makes every websocket half-open: it is neither read nor written any more and not closed, as
    /// if a router had forgotten it. Those opened later work.
    pub fn freeze_all(&self) {
        self.shared.hub.freeze_all();
    }

    /// Lets all subscriptions to a symbol's trades (upper case) die, silently: a new one to the
    /// same stream delivers again.
    pub fn kill_streams(&self, symbol: &str) {
        self.shared.hub.kill_streams(symbol);
    }

    /// Websockets that are open.
    pub fn connections(&self) -> usize {
        self.shared.hub.connections()
    }

    /// Stops simulated time: no trade happens, no minute ends.
    pub fn pause(&self) {
        self.shared.clock.pause();
    }

    /// Lets time run on from where it was paused.
    pub fn resume(&self) {
        self.shared.clock.resume();
    }

    /// Sends no more market data of one symbol (upper case); connections stay open. Its rows in
    /// `!miniTicker@arr` go on, as they do where only one subscription has died.
    pub fn silence(&self, symbol: &str) {
        self.shared.hub.silence(symbol);
    }

    /// Sends no more market data at all; connections, acknowledgements and pings stay.
    pub fn silence_all(&self) {
        self.shared.hub.silence_all();
    }

    /// Ends every silence. What was kept back stays lost.
    pub fn unsilence(&self) {
        self.shared.hub.unsilence();
    }

    /// Lists a perpetual in USDT or USDC that trades from now on, its ids from 1, and tells
    /// `!contractInfo`. Its first trade comes within the minute. A name that has settled is listed
    /// anew, as another contract.
    ///
    /// # Errors
    /// [`SimError`] if the name is taken or impossible, or there is no room.
    pub fn list_symbol(&self, name: &str, trades_per_second: f64) -> Result<(), SimError> {
        self.list_symbol_at(name, trades_per_second, self.shared.clock.now())
    }

    /// As [`Control::list_symbol`], but it comes on board at `onboard`: until then its status is
    /// `PENDING_TRADING`. `!contractInfo` tells both.
    ///
    /// # Errors
    /// As [`Control::list_symbol`].
    pub fn list_symbol_at(
        &self,
        name: &str,
        trades_per_second: f64,
        onboard: UnixMillis,
    ) -> Result<(), SimError> {
        let now = self.shared.clock.now();
        let onboard = onboard.max(now);
        let listed = self.shared.market.list(name, trades_per_second, onboard)?;
        self.announce(&listed.symbol, now);
        if onboard > now {
            self.announce(&listed.symbol, onboard);
        }
        Ok(())
    }

    /// Settles a symbol within the next two minutes and tells `!contractInfo`, now and then: from
    /// then on its klines are flat.
    ///
    /// # Errors
    /// [`SimError::UnknownSymbol`].
    pub fn delist_symbol(&self, name: &str) -> Result<(), SimError> {
        let now = self.shared.clock.now();
        let listed = self.shared.market.delist(name, now)?;
        self.announce(&listed.symbol, now);
        self.announce(&listed.symbol, listed.symbol.delivery.unwrap_or(now));
        Ok(())
    }

    /// Tells of a symbol at `time`, as it stands then.
    fn announce(&self, symbol: &Symbol, time: UnixMillis) {
        let info = ContractInfo {
            symbol: symbol.name.to_string(),
            event_time: time,
            contract_type: symbol.contract.as_str().to_owned(),
            status: symbol.status(time).to_owned(),
            onboard_time: symbol.onboard,
            delivery_time: symbol.delivery.unwrap_or(NEVER),
            coin_margined: false,
        };
        // The same news of a COIN-M contract comes along: it must not be taken for ours.
        let coin = ContractInfo {
            symbol: format!("{}USD_PERP", symbol.base),
            coin_margined: true,
            ..info.clone()
        };
        let mut waiting = self.shared.announcements.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend([(time, coin), (time, info)]);
    }

    /// Answers the next `requests` REST requests with `status` and a body that is no JSON.
    pub fn fail_rest(&self, status: u16, requests: u32) {
        self.fail(Failure::Status(status), requests);
    }

    /// Answers the next `requests` REST requests with 200 and something that is no answer.
    pub fn spoil_rest(&self, spoiled: Spoiled, requests: u32) {
        self.fail(Failure::Spoiled(spoiled), requests);
    }

    fn fail(&self, failure: Failure, requests: u32) {
        let mut failing = self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner);
        *failing = (requests > 0).then_some(Failing { failure, requests });
    }

    /// Answers all REST requests with 418 and `banned until`, for so many milliseconds of the
    /// market's time.
    pub fn ban(&self, millis: i64) {
        let until = self.shared.clock.now().plus(millis);
        self.shared.weight().ban(until);
    }

    /// Spoils the archive's files of a symbol (upper case); `None` makes them whole again.
    pub fn spoil_archive(&self, symbol: &str, fault: Option<ArchiveFault>) {
        let faults = self.shared.archive_faults.lock();
        let mut faults = faults.unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) => faults.insert(symbol.to_owned(), fault),
            None => faults.remove(symbol),
        };
    }

    /// Changes the weight a minute.
    pub fn set_weight_limit(&self, limit: u32) {
        self.shared.weight().set_limit(limit);
    }

    /// Loses this share (0 to 1) of the market data frames, each client for itself.
    pub fn set_swallow(&self, share: f64) {
        self.shared.hub.set_swallow(share);
    }

    /// Sends this share (0 to 1) of the market data frames twice.
    pub fn set_duplicate(&self, share: f64) {
        self.shared.hub.set_duplicate(share);
    }

    /// What happened so far.
    pub fn counters(&self) -> SimCounters {
        self.shared.counts.read()
    }
}
