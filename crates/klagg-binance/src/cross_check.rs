//! Whether a symbol's trades really come: what its ticker says, held against what we received.
//!
//! A subscription may die alone, on a connection that delivers everything else, and a symbol that
//! is silent proves nothing: most are, now and then. But a symbol whose last price has changed
//! while nothing of it came is not silent.
//!
//! Always true here: nobody is suspected whose trades come, however late; two tickers of different
//! moments must say so. By exchange time alone: no clock of ours is asked.
//!
//! Sans-io: tickers and the newest trades in, findings out.

use std::collections::BTreeMap;

use klagg_kline::{Price, SymbolId, UnixMillis};

use crate::received::LastTrade;

/// The numbers of the cross-check, in milliseconds of exchange time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossCheckRules {
    /// After so long a difference, what was folded of the symbol counts as unproven.
    pub doubt_after_ms: i64,
    /// After so long a difference, told by two tickers, its subscription counts as dead.
    pub suspect_after_ms: i64,
    /// While that goes on, it is subscribed anew so often.
    pub renew_after_ms: i64,
}

/// The last price of one symbol, as its ticker tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastPrice {
    /// Whose.
    pub symbol: SymbolId,
    /// Which.
    pub price: Price,
    /// When it was sent.
    pub event_time: UnixMillis,
}

/// What was found out about a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Trades of it may be missing: what was folded since the last one is unproven.
    Doubted(SymbolId),
    /// Nothing comes of it although it trades: it is to be subscribed anew. Told again as long as
    /// that does not help.
    Suspected(SymbolId),
    /// Something came of a symbol that was suspected.
    Recovered(SymbolId),
}

/// A symbol that is looked at.
#[derive(Debug, Clone, Copy)]
struct Watch {
    /// What we had received when it began.
    ours: Option<LastTrade>,
    /// The price that the ticker told first.
    price: Price,
    /// Times of the first ticker that differed from ours, and of the newest.
    differs: Option<(UnixMillis, UnixMillis)>,
    is_doubted: bool,
    renewed_at: Option<UnixMillis>,
}

/// Holds tickers against trades.
#[derive(Debug)]
pub struct CrossCheck {
    rules: CrossCheckRules,
    /// Symbols whose tickers differ, or of which nothing came yet: at most as many as there are.
    watches: BTreeMap<SymbolId, Watch>,
    time: UnixMillis,
}

impl CrossCheck {
    /// A check that has seen nothing.
    pub const fn new(rules: CrossCheckRules) -> Self {
        Self { rules, watches: BTreeMap::new(), time: UnixMillis(i64::MIN) }
    }

    /// Takes the rows of one ticker frame, of symbols that are subscribed on connections that
    /// deliver. `last` tells the newest trade received of a symbol.
    pub fn on_tickers(
        &mut self,
        rows: &[LastPrice],
        last: impl Fn(SymbolId) -> Option<LastTrade>,
        findings: &mut Vec<Finding>,
    ) {
        if mutated!(SilenceUnseen) {
            return;
        }
        for row in rows {
            self.time = self.time.max(row.event_time);
            self.take(row, last(row.symbol), findings);
        }
        let (rules, time) = (self.rules, self.time);
        self.watches.retain(|&symbol, watch| {
            if last(symbol) != watch.ours {
                findings.extend(watch.renewed_at.map(|_| Finding::Recovered(symbol)));
                return false;
            }
            let Some((since, newest)) = watch.differs else { return true };
            if !watch.is_doubted && time.since(since) >= rules.doubt_after_ms {
                watch.is_doubted = true;
                findings.push(Finding::Doubted(symbol));
            }
            let is_due = watch.renewed_at.is_none_or(|at| time.since(at) >= rules.renew_after_ms);
            if newest.since(since) >= rules.suspect_after_ms && is_due {
                watch.renewed_at = Some(time);
                findings.push(Finding::Suspected(symbol));
            }
            true
        });
    }

    /// Forgets a symbol, or all of a connection that is down: their silence has another cause.
    pub fn forget(&mut self, forgotten: impl Fn(SymbolId) -> bool, findings: &mut Vec<Finding>) {
        self.watches.retain(|&symbol, watch| {
            let is_kept = !forgotten(symbol);
            if !is_kept && watch.renewed_at.is_some() {
                findings.push(Finding::Recovered(symbol));
            }
            is_kept
        });
    }

    fn take(&mut self, row: &LastPrice, ours: Option<LastTrade>, findings: &mut Vec<Finding>) {
        let known = match ours {
            // What we have is newer than what the ticker knew, or the same.
            Some(ours) if ours.event_time >= row.event_time || ours.price == row.price => {
                let watch = self.watches.remove(&row.symbol);
                let was_suspected = watch.is_some_and(|watch| watch.renewed_at.is_some());
                findings.extend(was_suspected.then_some(Finding::Recovered(row.symbol)));
                return;
            }
            Some(ours) => Some(ours.price),
            None => None,
        };
        let anew =
            Watch { ours, price: row.price, differs: None, is_doubted: false, renewed_at: None };
        let watch = self.watches.entry(row.symbol).or_insert(anew);
        if watch.ours != ours {
            // Something came meanwhile. This ticker may be the only one that tells of what did not
            // come behind it: it begins anew.
            findings.extend(watch.renewed_at.map(|_| Finding::Recovered(row.symbol)));
            *watch = anew;
        }
        // Of a symbol of which nothing ever came, a change of the ticker's own price is the sign.
        if known.unwrap_or(watch.price) != row.price {
            let since = watch.differs.map_or(row.event_time, |(since, _)| since);
            watch.differs = Some((since, row.event_time));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CrossCheckRules =
        CrossCheckRules { doubt_after_ms: 2_000, suspect_after_ms: 5_000, renew_after_ms: 30_000 };
    const SYMBOL: SymbolId = SymbolId(3);

    /// A check, told of one symbol's ticker second by second.
    struct Bench {
        check: CrossCheck,
        ours: Option<LastTrade>,
        second: i64,
    }

    impl Bench {
        fn new(ours: Option<(i64, i64)>) -> Self {
            let mut bench = Self { check: CrossCheck::new(RULES), ours: None, second: 0 };
            if let Some((price, second)) = ours {
                bench.receive(price, second);
            }
            bench
        }

        fn receive(&mut self, price: i64, second: i64) {
            let event_time = UnixMillis(second * 1_000);
            self.ours = Some(LastTrade { price: Price::from_scaled(price), event_time });
        }

        /// A frame a second until `second`, each with a row at this price; what was found when.
        fn tick(&mut self, price: i64, second: i64) -> Vec<(i64, Finding)> {
            self.run(Some(price), second)
        }

        /// A frame a second in which the symbol is not named.
        fn pass(&mut self, second: i64) -> Vec<(i64, Finding)> {
            self.run(None, second)
        }

        fn run(&mut self, price: Option<i64>, second: i64) -> Vec<(i64, Finding)> {
            let mut found = Vec::new();
            while self.second < second {
                self.second += 1;
                let event_time = UnixMillis(self.second * 1_000);
                let row = |symbol, price| {
                    let price = Price::from_scaled(price);
                    LastPrice { symbol, price, event_time }
                };
                let mut rows = vec![row(SymbolId(9), 1)];
                rows.extend(price.map(|price| row(SYMBOL, price)));
                let ours = self.ours;
                let last = |symbol| if symbol == SYMBOL { ours } else { None };
                let mut findings = Vec::new();
                self.check.on_tickers(&rows, last, &mut findings);
                found.extend(findings.into_iter().map(|finding| (self.second, finding)));
            }
            found
        }
    }

    #[test]
    fn a_symbol_that_trades_without_us_is_doubted_then_suspected_within_fifteen_seconds() {
        let mut bench = Bench::new(Some((100, 0)));
        let found = bench.tick(101, 15);
        assert_eq!(found, [(3, Finding::Doubted(SYMBOL)), (6, Finding::Suspected(SYMBOL))]);
        let found = bench.tick(102, 70);
        assert_eq!(found, [(36, Finding::Suspected(SYMBOL)), (66, Finding::Suspected(SYMBOL))]);
        bench.receive(102, 70);
        assert_eq!(bench.tick(102, 72), [(71, Finding::Recovered(SYMBOL))]);
        assert_eq!(bench.tick(103, 74), [], "a new difference begins anew");
    }

    #[test]
    fn trades_that_come_late_raise_no_suspicion() {
        let mut bench = Bench::new(Some((100, 0)));
        for second in 1..200 {
            // The ticker is always one price ahead of what has arrived.
            assert_eq!(bench.tick(100 + second, second), [], "at {second}");
            bench.receive(99 + second, second);
        }
        // Newer than the ticker, whatever it says.
        bench.receive(7, 1_000);
        assert_eq!(bench.tick(500, 300), []);
    }

    #[test]
    fn a_ticker_that_differs_from_what_came_since_the_last_one_begins_anew() {
        let mut bench = Bench::new(Some((100, 0)));
        assert_eq!(bench.tick(101, 1), []);
        bench.receive(101, 1);
        assert_eq!(bench.tick(102, 2), []);
        assert_eq!(bench.pass(60), [(4, Finding::Doubted(SYMBOL))], "102 is told once only");
    }

    #[test]
    fn one_ticker_alone_makes_doubtful_but_not_suspect() {
        let mut bench = Bench::new(Some((100, 0)));
        assert_eq!(bench.tick(101, 1), []);
        assert_eq!(bench.pass(120), [(3, Finding::Doubted(SYMBOL))]);
        assert_eq!(bench.tick(101, 121), [(121, Finding::Suspected(SYMBOL))]);
    }

    #[test]
    fn of_a_symbol_never_received_a_change_of_its_ticker_is_the_sign() {
        let mut bench = Bench::new(None);
        assert_eq!(bench.tick(100, 60), [], "it may simply not trade");
        let found = bench.tick(101, 70);
        assert_eq!(found, [(63, Finding::Doubted(SYMBOL)), (66, Finding::Suspected(SYMBOL))]);
        let mut findings = Vec::new();
        bench.check.forget(|symbol| symbol == SYMBOL, &mut findings);
        assert_eq!(findings, [Finding::Recovered(SYMBOL)]);
        assert_eq!(bench.tick(101, 80), []);
    }
}
