//! One symbol: what every trade touches, and what only the slow path touches.

use std::collections::VecDeque;

use klagg_kline::{Kline, KlineStatus, Price, SymbolId, Trade, TradeId, UnixMillis};

use crate::fill::Gaps;
use crate::levels::{Closing, Levels};
use crate::outgoing::Scope;
use crate::{FeedId, NewSymbolSpec};

pub(crate) const MINUTE_MS: i64 = 60_000;

/// The minute that holds `time`: what `Period::M1.open_time` says, but with a divisor that the
/// compiler knows. A closing minute asks for it.
#[inline]
pub(crate) fn minute_of(time: UnixMillis) -> UnixMillis {
    let minute = UnixMillis(time.0 - time.0.rem_euclid(MINUTE_MS));
    debug_assert_eq!(minute, klagg_kline::Period::M1.open_time(time));
    minute
}

/// What every trade touches. A trade that passes the two comparisons with `span` and `next_id`
/// is folded at once; everything else is decided in [`crate::sequencer`].
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    /// The open minute; a placeholder while the symbol has no levels.
    pub(crate) open: Kline,
    /// The id that the next trade must have.
    pub(crate) next_id: TradeId,
    /// Milliseconds after `open.open_time` in which the next trade may simply be folded: a minute,
    /// or 0 where anything about the symbol is not plain.
    pub(crate) span: u64,
    /// Number of the delta that carries, or first carried, the latest change.
    pub(crate) epoch: u64,
    /// Minutes up to this one are spanned by a hole in the ids: provisional.
    pub(crate) broken_until: UnixMillis,
    pub(crate) symbol: SymbolId,
}

const _: () = assert!(size_of::<Slot>() == 192, "three cache lines, the kline in the first two");

impl Slot {
    pub(crate) const fn vacant() -> Self {
        Self {
            open: Kline::flat(UnixMillis(0), Price::ZERO),
            next_id: TradeId(0),
            span: 0,
            epoch: 0,
            broken_until: UnixMillis(i64::MIN),
            symbol: SymbolId(0),
        }
    }

    /// Closes the open minute; another one is to be opened at the time returned.
    #[inline]
    pub(crate) fn close(
        &mut self,
        levels: &mut Levels,
        scope: &mut Scope<'_>,
        coverage: Coverage,
    ) -> UnixMillis {
        let minute = self.open.open_time;
        let whole = minute > self.broken_until && coverage != Coverage::Unknown;
        let unproven = whole && coverage == Coverage::Interrupted;
        let closed = whole && !unproven && !mutated!(AllProvisional);
        let status = if closed { KlineStatus::Closed } else { KlineStatus::Provisional };
        let end = minute.plus(MINUTE_MS);
        let closing = Closing { kline: &self.open, revision: 0, status, unproven, end };
        levels.close(scope, 0, &closing);
        end
    }

    /// Closes minutes before the next trade of a symbol about which all is plain, and opens its.
    #[inline]
    pub(crate) fn close_plainly(
        &mut self,
        levels: &mut Levels,
        scope: &mut Scope<'_>,
        trade: &Trade,
    ) {
        let minute = minute_of(trade.time);
        while self.close(levels, scope, Coverage::Proven) < minute {
            self.open = Kline::flat(self.open.open_time.plus(MINUTE_MS), self.open.close);
        }
        self.open = Kline::of_trade(minute, trade);
        self.next_id = trade.id.next();
        scope.out.counters.trades += 1;
    }
}

/// Whether a symbol's minutes may be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Nothing was seen of it on its feed: minutes that pass are told of once something is.
    Seeding,
    /// Its minutes close one after the other.
    Live,
}

/// What the ids prove about the trades up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// No id is known.
    Unknown,
    /// No trade can be missing since the last one folded, as far as the feed has come.
    Proven,
    /// The feed was cut off, or never heard: the next trade will show whether one is missing.
    Interrupted,
}

/// How many copies of a symbol's feed deliver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Copies {
    /// Nobody said: holes are held as the rules want it.
    #[default]
    Untold,
    /// Nobody else could fill a hole: it is given up at once.
    One,
    /// Another copy may fill a hole, and may be behind.
    Several,
}

/// A trade behind a hole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) trade: Trade,
    /// Exchange time at which it came.
    pub(crate) since: UnixMillis,
}

/// What neither a trade nor a plain close touches.
#[derive(Debug)]
pub(crate) struct Cold {
    pub(crate) feed: FeedId,
    pub(crate) copies: Copies,
    pub(crate) life: Life,
    /// The minute from which on it is to be told of.
    pub(crate) told_from: Option<UnixMillis>,
    pub(crate) coverage: Coverage,
    /// Trades no later than this do not show that none is missing.
    pub(crate) doubted_until: UnixMillis,
    /// Since which minute its trades are another listing's, as far as their ids tell.
    pub(crate) another_since: Option<UnixMillis>,
    /// The last traded price, while no minute is open.
    pub(crate) previous_close: Option<Price>,
    /// Until when the price is known that a flat open minute stands at, while no id is known.
    pub(crate) close_known_at: UnixMillis,
    /// Whether minutes were closed that the next trade may still prove.
    pub(crate) has_unproven: bool,
    /// Trades behind a hole that may still be filled, ascending by id.
    pub(crate) held: VecDeque<Held>,
    /// Exchange time at which the first hole is given up.
    pub(crate) held_until: UnixMillis,
    /// Holes that were given up.
    pub(crate) gaps: Gaps,
}

impl Cold {
    pub(crate) fn new(spec: &NewSymbolSpec) -> Self {
        let coverage = match spec.next_id {
            Some(_) => Coverage::Interrupted,
            None => Coverage::Unknown,
        };
        Self {
            feed: spec.feed,
            copies: Copies::Untold,
            life: Life::Seeding,
            told_from: spec.since.map(minute_of),
            coverage,
            doubted_until: UnixMillis(i64::MIN),
            another_since: None,
            previous_close: spec.previous_close,
            close_known_at: UnixMillis(i64::MIN),
            has_unproven: false,
            held: VecDeque::new(),
            held_until: UnixMillis(i64::MAX),
            gaps: Gaps::default(),
        }
    }
}
