//! The real backfill with what its shell keeps.

use std::collections::VecDeque;
use std::time::Duration;

use klagg_backfill::{Action, BackfillConfig, BackfillCore, Confirmation};
use klagg_engine::HistoryReader;

use crate::agenda::Alarm;
use crate::scenario::Scenario;

/// No name is listed anew so soon: less than the plans leave, more than the lookout's cadence.
const RELISTING: i64 = 90_000;

#[derive(Debug)]
pub(crate) struct Backfill {
    pub(crate) core: BackfillCore,
    /// What is still to be carried out.
    pub(crate) actions: VecDeque<Action>,
    pub(crate) alarm: Alarm,
}

impl Backfill {
    pub(crate) fn new(scenario: &Scenario, history: HistoryReader) -> Self {
        let seconds = Duration::from_secs;
        let config = BackfillConfig {
            periods: scenario.periods.clone(),
            capacity: scenario.capacity.clone(),
            gap_klines_max: 1_000,
            concurrency: scenario.concurrency,
            settle_ms: 2_500,
            relisting_ms: RELISTING,
            confirmation: Confirmation::Everything { wait_ms: scenario.confirm_wait },
            watched: scenario.watched.clone(),
            tick: seconds(1),
            live_patience: seconds(10),
            retry_pause: seconds(5),
            audit_cadence: seconds(60),
            archive: None,
        };
        let core = BackfillCore::new(config, history).expect("the numbers hold");
        Self { core, actions: VecDeque::new(), alarm: Alarm::default() }
    }
}
