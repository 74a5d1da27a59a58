//! What is known of all slots, by number.

use klagg_kline::Period;

use crate::coverage::{Slot, SlotKey};

/// A slot for each period and symbol, as many symbols as were ever written.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    periods: [Vec<Slot>; Period::ALL.len()],
}

impl Slots {
    /// What is known of a slot: nothing, if it was never set.
    pub(crate) fn get(&self, (symbol, period): SlotKey) -> Slot {
        self.periods[period as usize].get(symbol.index()).copied().unwrap_or_default()
    }

    /// The slot to be changed. Whoever asks has seen that the symbol has a number.
    pub(crate) fn get_mut(&mut self, (symbol, period): SlotKey) -> &mut Slot {
        let slots = &mut self.periods[period as usize];
        if slots.len() <= symbol.index() {
            slots.resize(symbol.index() + 1, Slot::default());
        }
        &mut slots[symbol.index()]
    }
}
