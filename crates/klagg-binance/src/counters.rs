//! What is counted: nothing that is dropped, refused or repeated goes without a number.
//!
//! All counters are relaxed atomics: each is a number of its own and publishes nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::BinanceError;

/// One number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $counts:ident, $(#[$shared_doc:meta])* $counters:ident, $inner:ident {
        $($(#[$field_doc:meta])* $field:ident),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $counts { $($(#[$field_doc])* pub $field: u64,)* }

        #[derive(Debug, Default)]
        pub(crate) struct $inner { $(pub(crate) $field: Counter,)* }

        $(#[$shared_doc])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $counters(Arc<$inner>);

        impl $counters {
            pub(crate) fn read(&self) -> $counts {
                $counts { $($field: self.0.$field.read(),)* }
            }
        }

        impl std::ops::Deref for $counters {
            type Target = $inner;

            fn deref(&self) -> &$inner {
                &self.0
            }
        }
    };
}

counters! {
    /// What the REST client counted since it was made.
    RestCounts,
    /// The counters behind [`RestCounts`]. Clones share them.
    RestCounters, RestCounterSet {
        /// Requests sent, repetitions included.
        requests,
        /// Bytes of bodies, unpacked.
        bytes,
        /// No answer, or one that was cut off or late.
        transport_errors,
        /// Answers 408 and 5xx.
        unavailable,
        /// Answers 429, 418 and 403.
        limited,
        /// Other answers that refuse the request.
        refused,
        /// Answers that could not be read or were not what was asked.
        pages_rejected,
    }
}

impl RestCounterSet {
    pub(crate) fn count_error(&self, error: &BinanceError) {
        match error {
            BinanceError::Transport { .. } => self.transport_errors.add(1),
            BinanceError::Unavailable { .. } => self.unavailable.add(1),
            BinanceError::Limited { .. } => self.limited.add(1),
            BinanceError::Refused { .. } => self.refused.add(1),
            BinanceError::Decode { .. }
            | BinanceError::Page { .. }
            | BinanceError::BodyTooLong { .. } => self.pages_rejected.add(1),
            _ => {}
        }
    }
}

counters! {
    /// What all connections of a feed counted since it was started.
    FeedCounts,
    /// The counters behind [`FeedCounts`]. Clones share them.
    FeedCounters, FeedCounterSet {
        /// Text frames received.
        frames,
        /// Their bytes.
        bytes,
        /// Trades handed to a sink.
        trades,
        /// Trades of the canary on connections that do not own it: a sign of life, not handed on.
        canary_trades,
        /// Trades of symbols that another connection owns, other than the canary.
        foreign_trades,
        /// Trades of symbols that the index does not hold.
        unknown_symbols,
        /// Trades of COIN-M contracts.
        coin_margined,
        /// Fills outside of the order book (insurance fund, auto-deleveraging).
        off_market,
        /// Frames far ahead in time of all others; their trades were dropped.
        times_doubted,
        /// Frames that cannot be read, and rows of mini tickers that cannot.
        malformed,
        /// Frames of streams that are not used, and binary frames.
        unused,
        /// Requests that the exchange acknowledged, which proves nothing.
        acknowledged,
        /// Requests that the exchange refused.
        refused,
        /// Sockets opened.
        connects,
        /// Sockets that could not be opened.
        connect_failures,
        /// Sockets that ended, were silent, or reached their age without a replacement.
        disconnects,
        /// Sockets that were replaced by another, opened before.
        rotations,
        /// Sockets that were to replace another and failed.
        rotations_failed,
        /// Streams that were subscribed anew because nothing came of them.
        renewals,
        /// Disconnects because of silence.
        silences,
        /// Times that a full sink held up reading.
        stalls,
        /// Milliseconds for which it did.
        stall_ms,
        /// Notices dropped because nobody took them.
        notices_dropped,
        /// Trades given up because the sink did not take them before the shutdown's deadline.
        dropped_at_shutdown,
    }
}

impl FeedCounterSet {
    pub(crate) fn stalled(&self, millis: u128) {
        self.stalls.add(1);
        self.stall_ms.add(u64::try_from(millis).unwrap_or(u64::MAX));
    }
}
