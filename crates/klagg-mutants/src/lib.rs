//! Seeded bugs, one of which may be switched on for the thread that runs a simulation.
//!
//! Always true here: no other build than the simulation's has any of it. The crates that hold a
//! mutant depend on this one behind their feature `mutants`, which nothing switches on but
//! `cargo xtask simulate --mutants`.
//!
//! A mutant that no oracle finds names a fault or an oracle that is missing.

use std::cell::Cell;

macro_rules! mutants {
    ($($name:ident $words:literal,)*) => {
        /// A bug that a machine has while its mutant is switched on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $(#[doc = $words] $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it does wrong.
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }
        }
    };
}

mutants! {
    NoGapDetection "a trade is folded although ids before it are missing",
    NoDedupe "a trade is folded as often as it comes",
    NoGrace "a minute is closed before its last trades can be here",
    CleanMidMinuteStart "the minute in which a feed began counts as whole",
    GapMinuteClean "the minute that a hole spans counts as whole",
    HoleUntold "an open minute with a hole is shown as whole",
    InterruptionIgnored "what a cut feed left out counts as quiet",
    StatusMayFall "a kline in memory is replaced by one of which less is proven",
    DeltaForgotten "changes are forgotten when handed out, not when acknowledged",
    HeldForever "a hole that nobody fills is waited for without end",
    QuietUnheard "a hole is waited for by the feed's time alone, which stands where nothing comes",
    LateAnswerDropped "what a late worker answers is thrown away",
    StaleUntold "a worker that does not answer is shown as if it did",
    NoWeightBudget "requests do not wait for their weight",
    RefusalIgnored "requests go on after 429 and 418",
    NoSettleMargin "a kline is taken for final as soon as its time is over",
    PageUnchecked "a page is taken over whatever it holds",
    WrongMinute "confirmed klines are handed on one place late",
    CoverageAhead "more counts as held than a page has brought",
    FoldedFromParts "a longer kline is folded although a shorter one is missing",
    FailedForgotten "what did not come once is not asked for again",
    NameReusesNumber "a name that is listed again gets its old number",
    SilenceUnseen "nothing is concluded from tickers that tell of trades which did not come",
    ConfirmedAmended "a late trade is folded into a confirmed kline",
    RestartBelieved "after a worker broke, its open minutes count as whole",
    ClosedTooEarly "the time of one connection closes the minutes of all",
    SeamUnjoined "trades from history are folded one place off, whatever their ids",
    NotSubscribedAnew "a socket that is opened again is not told what it is to carry",
    MessagesUnpaced "messages are sent as fast as they come up",
    RotationBreaks "an old socket is closed before the new one delivers",
    CursorSkips "a reader of changes that was overtaken is not told",
    OtherMarketTaken "contracts of the other market are followed as well",
    OffMarketFolded "fills of no order book are folded like those of the market",
    RawIdsJudged "ids that fills leave out count as holes",
    MetTooEarly "history and live are said to have met before the minute between them is there",
    StoredForgotten "what the store holds is not shown after a start",
    AllProvisional "no minute counts as whole before its official kline is there",
    GraceTooLong "a minute in which nothing follows stays open for long after its end",
    SilenceForever "a socket over which nothing comes is kept",
    BufferStale "a snapshot lacks what the one before it changed of closed klines",
    RevisionStays "a kline is replaced by other values, and its revision stays",
    FailedCommitForgotten "rows of a failed commit are dropped",
    ListingNotFollowed "what is listed while it runs gets a number and is not followed",
    NewsUnheard "what is listed is found when the list is looked at next, whatever is told of it",
    SettledUnpaid "confirmation of settled minutes spends what is for everything",
    LastMinutesForgotten "the last minutes of a symbol that has ended are not confirmed",
}

thread_local! {
    static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Switches a mutant on for this thread, and the one before off.
pub fn activate(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}

/// Whether this mutant is switched on.
pub fn is_active(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mutant_at_a_time_is_on_and_at_first_none() {
        let on = || Mutant::ALL.iter().filter(|&&mutant| is_active(mutant)).count();
        assert_eq!(on(), 0);
        activate(Some(Mutant::NoDedupe));
        assert!(is_active(Mutant::NoDedupe) && on() == 1);
        activate(None);
        assert_eq!(on(), 0);
    }
}
