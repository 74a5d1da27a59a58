//! The laws of the order, on random markets whose watchers change their minds.

use std::collections::BTreeSet;

use klagg_kline::Period;
use proptest::prelude::*;

use super::*;

type Slot = (u32, usize);

#[test]
fn what_is_needed_goes_first_and_the_rest_of_those_symbols_before_others() {
    let periods = PeriodSet::default();
    let all = Indexes::all(&periods);
    let half_hours = Indexes::NONE.with_sources(&periods, 2);
    let needs = |symbol: SymbolId| match symbol.0 {
        1 => Indexes::NONE.with(0),
        3 => half_hours,
        _ => Indexes::NONE,
    };
    let mut waiting = Waiting::default();
    for symbol in (0..4).map(SymbolId) {
        waiting.push(symbol, all, needs(symbol));
    }
    let mut order = Vec::new();
    while let Some(Turn { symbol, now, later }) = waiting.pop(needs) {
        order.push((symbol.0, now.in_order(Indexes::NONE).collect::<Vec<_>>()));
        if !later.is_empty() {
            waiting.push(symbol, later, needs(symbol));
        }
    }
    let expected = [
        (1, vec![0]),
        (3, vec![0, 1, 2]),
        (1, vec![1, 2, 3, 4, 5]),
        (3, vec![3, 4, 5]),
        (0, vec![0, 1, 2, 3, 4, 5]),
        (2, vec![0, 1, 2, 3, 4, 5]),
    ];
    assert_eq!(order, expected);
}

#[test]
fn a_period_is_needed_with_all_that_it_is_folded_from_and_nothing_else() {
    let periods = PeriodSet::new(&[Period::M1, Period::M3, Period::M5, Period::H1]).unwrap();
    let needs = Indexes::NONE.with_sources(&periods, 2);
    assert_eq!(needs, Indexes::NONE.with(0).with(2), "5m is not folded from 3m");
    let all = Indexes::all(&periods).in_order(needs).collect::<Vec<_>>();
    assert_eq!(all, [0, 2, 1, 3]);
}

/// Who looks at what, written down without the code under test: a slot is needed if a walk from a
/// watched one down to the minute comes across it.
fn is_needed(watched: &BTreeSet<Slot>, periods: &PeriodSet, (symbol, index): Slot) -> bool {
    watched.iter().filter(|slot| slot.0 == symbol).any(|&(_, mut at)| {
        while at > index {
            let Some(source) = periods.source(at) else { return false };
            at = source;
        }
        at == index
    })
}

#[derive(Debug, Clone)]
enum Step {
    /// The next one's turn.
    Pop,
    /// All that was planned for one of those in hand has come.
    Finish(usize),
    /// People look at these now.
    Watch(Vec<(u32, usize)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let watch = prop::collection::vec((0_u32..8, 0_usize..15), 0..6);
    let step = prop_oneof![
        4 => Just(Step::Pop),
        4 => any::<usize>().prop_map(Step::Finish),
        1 => watch.prop_map(Step::Watch),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn nothing_goes_before_what_is_needed_and_everything_goes_once(
        chosen in prop::collection::btree_set(0_usize..15, 0..8),
        symbols in 1_u32..8,
        steps in steps(),
    ) {
        let mut of_set = vec![Period::M1];
        let longer = chosen.into_iter().map(|at| Period::ALL[at]);
        of_set.extend(longer.filter(|&period| period != Period::M1));
        let periods = PeriodSet::new(&of_set).unwrap();
        let all = Indexes::all(&periods);
        let mut watched: BTreeSet<Slot> = BTreeSet::new();
        let needs_of = |watched: &BTreeSet<Slot>, symbol: SymbolId| {
            let mine = watched.iter().filter(|slot| slot.0 == symbol.0);
            mine.fold(Indexes::NONE, |needs, slot| needs.with_sources(&periods, slot.1))
        };
        let mut queue = Waiting::default();
        let mut waiting: BTreeSet<Slot> = BTreeSet::new();
        for symbol in 0..symbols {
            queue.push(SymbolId(symbol), all, Indexes::NONE);
            waiting.extend((0..periods.len()).map(|index| (symbol, index)));
        }
        let mut in_hand: Vec<Turn> = Vec::new();
        let mut come: BTreeSet<Slot> = BTreeSet::new();
        // In the end whatever is left goes, one after the other.
        let rest = (0..1_000).flat_map(|_| [Step::Pop, Step::Finish(0)]);
        for step in steps.into_iter().chain(rest) {
            match step {
                Step::Watch(slots) => {
                    watched = slots.into_iter().filter(|slot| slot.1 < periods.len()).collect();
                    queue.rearrange(|symbol| needs_of(&watched, symbol));
                }
                Step::Finish(which) if !in_hand.is_empty() => {
                    let turn = in_hand.swap_remove(which % in_hand.len());
                    come.extend(turn.now.in_order(Indexes::NONE).map(|at| (turn.symbol.0, at)));
                    if !turn.later.is_empty() {
                        let needs = needs_of(&watched, turn.symbol);
                        queue.push(turn.symbol, turn.later, needs);
                        let later = turn.later.in_order(Indexes::NONE);
                        waiting.extend(later.map(|at| (turn.symbol.0, at)));
                    }
                }
                Step::Finish(_) => {}
                Step::Pop => {
                    let Some(turn) = queue.pop(|symbol| needs_of(&watched, symbol)) else {
                        prop_assert!(waiting.is_empty(), "left out: {:?}", waiting);
                        continue;
                    };
                    prop_assert!(!turn.now.is_empty());
                    let handed: Vec<Slot> =
                        turn.now.in_order(Indexes::NONE).map(|at| (turn.symbol.0, at)).collect();
                    for &slot in &handed {
                        prop_assert!(waiting.remove(&slot), "{:?} was not waiting", slot);
                        let source = periods.source(slot.1).map(|at| (slot.0, at));
                        prop_assert!(source.is_none_or(|of| {
                            come.contains(&of) || handed.contains(&of)
                        }), "{:?} goes before what it is folded from", slot);
                    }
                    waiting.retain(|slot| {
                        slot.0 != turn.symbol.0 || !turn.later.contains(slot.1)
                    });
                    let unneeded = handed.iter().any(|&slot| !is_needed(&watched, &periods, slot));
                    let passed = waiting.iter().find(|&&of| is_needed(&watched, &periods, of));
                    prop_assert!(!unneeded || passed.is_none(), "{:?} waits: {:?}", passed, turn);
                    let is_looked_at = |id: u32| watched.iter().any(|slot| slot.0 == id);
                    let passed = waiting.iter().find(|slot| is_looked_at(slot.0));
                    prop_assert!(is_looked_at(turn.symbol.0) || passed.is_none(), "{:?}", passed);
                    in_hand.push(turn);
                }
            }
        }
        prop_assert!(queue.is_empty());
        prop_assert_eq!(come.len(), symbols as usize * periods.len(), "each once");
    }
}
