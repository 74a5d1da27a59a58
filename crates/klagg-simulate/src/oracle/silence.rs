//! Symbols that trade without us, as far as anybody can know: by their tickers, which tell a price
//! other than that of the newest trade that was handed over.
//!
//! A symbol whose lost trades all had the price of the last one that came is not among them, nor
//! one of which no ticker came: of those nobody could know.

use klagg_gateway::GlobalKlines;
use klagg_kline::{KlineStatus, SymbolId};

use crate::agenda::Millis;
use crate::exchange::MiniTickers;
use crate::market::MINUTE;
use crate::oracle::Oracle;
use crate::oracle::closed::GRACE;
use crate::oracle::shown::LAG_MAX;
use crate::outcome::Rule;
use crate::process::Process;
use crate::scenario::Scenario;

/// So long must two tickers that say so lie apart before a symbol is to be named.
const NAMED_AFTER: Millis = 5_000;
/// A symbol that is to be named is subscribed anew within this, where nothing is wrong: the ticker
/// is on its way for a moment, and the requests wait for their turn among the messages of a second.
const RENEWED_WITHIN: Millis = 3_000;

/// Tickers say that a symbol trades and nothing comes of it.
#[derive(Debug, Clone, Copy)]
struct Sign {
    /// Times of the first ticker that said so, and of the newest.
    since: Millis,
    newest: Millis,
    /// Time of the first ticker after which the symbol is to be named.
    named_at: Option<Millis>,
    /// The place in the order of all that came at which tickers had said so for long enough.
    due_at: Option<u64>,
}

impl Sign {
    const fn new(time: Millis) -> Self {
        Self { since: time, newest: time, named_at: None, due_at: None }
    }

    const fn is_to_be_named(&self) -> bool {
        self.newest - self.since >= NAMED_AFTER
    }
}

/// What tickers told this process.
#[derive(Debug)]
pub(super) struct Signs {
    time: Millis,
    /// By listing: the price of the newest trade that was handed over, and when it was sent.
    came: Vec<Option<(i64, Millis)>>,
    /// By listing: the first price that a ticker told while nothing had come.
    first: Vec<Option<i64>>,
    told: Vec<Option<Sign>>,
}

impl Signs {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let count = scenario.listings.len();
        let (came, first, told) = (vec![None; count], vec![None; count], vec![None; count]);
        Self { time: Millis::MIN, came, first, told }
    }

    pub(super) fn forget(&mut self) {
        self.time = Millis::MIN;
        self.came.fill(None);
        self.first.fill(None);
        self.told.fill(None);
    }

    fn trade(&mut self, listing: usize, price: i64, sent: Millis) {
        if self.came[listing].is_some_and(|(_, newest)| newest > sent) {
            return;
        }
        self.came[listing] = Some((price, sent));
        (self.first[listing], self.told[listing]) = (None, None);
    }

    fn ticker(&mut self, listing: usize, price: i64, time: Millis) {
        self.time = self.time.max(time);
        let differs = match self.came[listing] {
            Some((_, sent)) if sent >= time => false,
            Some((came, _)) => came != price,
            // The price itself has changed.
            None => *self.first[listing].get_or_insert(price) != price,
        };
        let knows_nothing = self.came[listing].is_none();
        let sign = &mut self.told[listing];
        match sign {
            Some(sign) if differs => {
                sign.newest = time;
                if sign.is_to_be_named() {
                    sign.named_at.get_or_insert(time);
                }
            }
            None if differs => *sign = Some(Sign::new(time)),
            Some(_) if knows_nothing => {}
            _ => *sign = None,
        }
    }

    /// Whether tickers have said of a listing for so long that it trades without us that its
    /// stream should be there again.
    pub(super) fn is_to_be_renewed(&self, listing: u16, now: Millis) -> bool {
        let named_at = self.told[usize::from(listing)].and_then(|sign| sign.named_at);
        named_at.is_some_and(|at| now - at > RENEWED_WITHIN)
    }
}

impl Oracle {
    /// A trade was handed over as one of `symbol`, whatever became of it.
    ///
    /// Until a look has seen that its name was listed anew, that may be one of the new listing: who
    /// hears it cannot know, and takes it for a sign that the symbol is heard again
    /// (`a_trade_of_a_name_listed_anew_is_heard_as_one_of_the_number_before_it`).
    pub(crate) fn heard(&mut self, symbol: SymbolId, price: i64, sent: Millis) {
        if let Some(&listing) = self.listings.get(symbol.index()) {
            self.signs.trade(usize::from(listing), price, sent);
        }
    }

    /// A frame of tickers was read. Symbols that are not watched are silent for another reason.
    pub(crate) fn tickers(&mut self, of: &MiniTickers, is_watched: impl Fn(SymbolId) -> bool) {
        for (number, &listing) in (0..).map(SymbolId).zip(&self.listings) {
            if !is_watched(number) {
                let listing = usize::from(listing);
                (self.signs.first[listing], self.signs.told[listing]) = (None, None);
            }
        }
        for &(listing, price) in &of.rows {
            let number = self.listings.iter().position(|&of| of == listing);
            let number = number.and_then(|number| u32::try_from(number).ok());
            if number.is_some_and(|number| is_watched(SymbolId(number))) {
                self.signs.ticker(usize::from(listing), price, of.event_time);
            }
        }
        let place = self.arrivals.next_place();
        for sign in self.signs.told.iter_mut().flatten() {
            if self.signs.time - sign.since > LAG_MAX {
                sign.due_at.get_or_insert(place);
            }
        }
    }

    /// What tickers have said for long enough is said: the symbol is named, and none of its
    /// minutes counts as whole from then on.
    pub(super) fn silent_symbol(
        &mut self,
        klines: &GlobalKlines,
        process: &Process,
        symbol: SymbolId,
    ) {
        let Some(&listing) = self.listings.get(symbol.index()) else { return };
        let Some(sign) = self.signs.told[usize::from(listing)] else { return };
        let Some(due_at) = sign.due_at else { return };
        let behind = self.signs.time - sign.since;
        if sign.is_to_be_named() && !process.silence.is_mute(symbol) {
            let what = format!("{symbol} trades without us for {behind} ms and is not named");
            return self.violated(Rule::O6, what);
        }
        let last = klines.slot(symbol, 0).and_then(|slot| slot.last_closed.copied());
        let Some(last) = last.filter(|last| last.status == KlineStatus::Closed) else { return };
        let feed = process.connection_of(symbol);
        let end = last.kline.open_time.0 + MINUTE;
        let is_later = end > sign.since && self.arrivals.reached(feed, end + GRACE) > due_at;
        if is_later {
            let open = last.kline.open_time;
            let what = format!(
                "minute {open} of {symbol} counts as whole: it trades without us for {behind} ms"
            );
            self.violated(Rule::O6, what);
        }
    }
}
