//! What the gateway is told at its start, and which of it is refused.

use std::time::Duration;

use klagg_kline::PeriodSet;

/// The numbers of a gateway. No default: who composes decides.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use klagg_gateway::{GatewayConfig, GatewayError};
/// use klagg_kline::PeriodSet;
///
/// let config = GatewayConfig {
///     cadence: Duration::from_millis(100),
///     worker_timeout: Duration::from_millis(50),
///     alarm_threshold: 5,
///     symbols_max: 10_000,
///     periods: PeriodSet::default(),
/// };
/// assert_eq!(config.validate(), Ok(()));
/// let refused = GatewayConfig { alarm_threshold: 0, ..config }.validate();
/// assert_eq!(refused, Err(GatewayError::ThresholdZero));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// How often the workers are asked and a snapshot is published.
    pub cadence: Duration,
    /// How long a tick waits for a worker. At most the cadence.
    pub worker_timeout: Duration,
    /// From how many timeouts in a row a worker raises the alarm.
    pub alarm_threshold: u32,
    /// Symbols with a number below this have slots; others are refused and counted.
    pub symbols_max: usize,
    /// The periods of each symbol.
    pub periods: PeriodSet,
}

impl GatewayConfig {
    /// Checks that the numbers can hold together.
    ///
    /// # Errors
    /// [`GatewayError`] names the first rule that does not hold.
    pub fn validate(&self) -> Result<(), GatewayError> {
        if self.cadence.is_zero() {
            return Err(GatewayError::CadenceZero);
        }
        if self.worker_timeout.is_zero() {
            return Err(GatewayError::TimeoutZero);
        }
        if self.worker_timeout > self.cadence {
            return Err(GatewayError::TimeoutAboveCadence {
                worker_timeout: self.worker_timeout,
                cadence: self.cadence,
            });
        }
        if self.alarm_threshold == 0 {
            return Err(GatewayError::ThresholdZero);
        }
        if !(1..=SYMBOLS_LIMIT).contains(&self.symbols_max) {
            return Err(GatewayError::SymbolsMax { symbols_max: self.symbols_max });
        }
        Ok(())
    }

    /// How many slots there can be.
    pub(crate) fn slots_max(&self) -> usize {
        self.symbols_max * self.periods.len()
    }
}

/// Most symbols a gateway can be made for: with fifteen periods, slots still count in 32 bits.
const SYMBOLS_LIMIT: usize = 1 << 24;
const _: () = assert!(SYMBOLS_LIMIT * 15 <= u32::MAX as usize, "a slot's number fits 32 bits");

/// Why a gateway cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A cadence of nothing would never sleep.
    #[error("the gateway's cadence is 0; it must be above")]
    CadenceZero,
    /// A timeout of nothing would call every worker late.
    #[error("the worker timeout is 0; it must be above, and at most the cadence")]
    TimeoutZero,
    /// A tick that waits longer than the cadence makes the next one late.
    #[error(
        "the worker timeout of {worker_timeout:?} is longer than the cadence of {cadence:?}; \
         it must be at most the cadence"
    )]
    TimeoutAboveCadence {
        /// The timeout asked for.
        worker_timeout: Duration,
        /// The cadence asked for.
        cadence: Duration,
    },
    /// A threshold of 0 would be an alarm without a timeout.
    #[error("the alarm threshold is 0; it must be at least 1 timeout in a row")]
    ThresholdZero,
    /// No symbol at all, or more than slots can be counted for.
    #[error("symbols_max is {symbols_max}; it must be from 1 to {SYMBOLS_LIMIT}")]
    SymbolsMax {
        /// The number asked for.
        symbols_max: usize,
    },
    /// Nobody to pull from.
    #[error("there is no worker to pull from; at least 1 is needed")]
    NoWorkers,
    /// More workers than can be numbered.
    #[error("there are {workers} workers; at most 65535 can be told apart")]
    TooManyWorkers {
        /// How many there are.
        workers: usize,
    },
    /// The workers' handles are not numbered 0, 1, 2 ….
    #[error("the handle at place {place} is that of worker {worker}; they must be in order")]
    WorkersOutOfOrder {
        /// Where the handle stands.
        place: usize,
        /// Whose it is.
        worker: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_hold_together_are_refused_with_a_sentence() {
        let good = GatewayConfig {
            cadence: Duration::from_millis(100),
            worker_timeout: Duration::from_millis(100),
            alarm_threshold: 1,
            symbols_max: 1,
            periods: PeriodSet::default(),
        };
        let check = |change: fn(&mut GatewayConfig), sentence: &str| {
            let mut config = good.clone();
            change(&mut config);
            let refused = config.validate().map_err(|error| error.to_string());
            assert_eq!(refused, Err(sentence.to_owned()));
        };
        assert_eq!(good.validate(), Ok(()));
        check(|c| c.cadence = Duration::ZERO, "the gateway's cadence is 0; it must be above");
        check(
            |c| c.worker_timeout = Duration::ZERO,
            "the worker timeout is 0; it must be above, and at most the cadence",
        );
        check(
            |c| c.worker_timeout = Duration::from_millis(101),
            "the worker timeout of 101ms is longer than the cadence of 100ms; \
             it must be at most the cadence",
        );
        check(
            |c| c.alarm_threshold = 0,
            "the alarm threshold is 0; it must be at least 1 timeout in a row",
        );
        check(|c| c.symbols_max = 0, "symbols_max is 0; it must be from 1 to 16777216");
    }
}
