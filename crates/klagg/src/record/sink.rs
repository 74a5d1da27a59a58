//! The tape that all connections write to, and the end of a connection that does.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::Context;
use klagg_binance::{FeedSink, SinkRefusal};
use klagg_kline::{SymbolId, Trade, UnixMillis};
use klagg_tape::{TapeError, TapeHeader, TapeWriter};

/// A tape shared by the connections. One lock a frame: frames come by the thousand a second, and
/// a copy into the compressor takes about a microsecond.
#[derive(Debug, Clone)]
pub(crate) struct Tape {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// `None` once it is finished.
    writer: Option<TapeWriter>,
    /// Why nothing more is written.
    broken: Option<TapeError>,
    too_long: u64,
}

impl Tape {
    /// Begins a tape in a new file.
    ///
    /// # Errors
    /// If the file exists or cannot be created.
    pub(crate) fn create(path: &Path, header: &TapeHeader) -> anyhow::Result<Self> {
        let writer = Some(TapeWriter::create(path, header)?);
        let state = State { writer, broken: None, too_long: 0 };
        Ok(Self { shared: Arc::new(Mutex::new(state)) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that could panic.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, frame: &[u8]) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(writer) = state.writer.as_mut().filter(|_| state.broken.is_none()) else { return };
        match writer.write(wall_clock_ns(), frame) {
            Ok(()) => {}
            Err(TapeError::FrameTooLong { .. }) => state.too_long += 1,
            Err(error) => state.broken = Some(error),
        }
    }

    fn is_broken(&self) -> bool {
        self.state().broken.is_some()
    }

    /// Hands what was written to the system.
    ///
    /// # Errors
    /// If the tape could not be written, now or since the last call.
    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        if let Some(error) = state.broken.take() {
            // Kept broken: nothing behind a hole is written.
            state.writer = None;
            return Err(error).context("recording ends");
        }
        match &mut state.writer {
            Some(writer) => Ok(writer.flush()?),
            None => Ok(()),
        }
    }

    /// Ends the tape; returns its frames.
    ///
    /// # Errors
    /// If the tape could not be written.
    pub(crate) fn finish(&self) -> anyhow::Result<u64> {
        let mut state = self.state();
        if let Some(error) = state.broken.take() {
            return Err(error).context("the tape has no end");
        }
        if state.too_long > 0 {
            let count = state.too_long;
            crate::logs::say(&format!("warning: {count} frames were too long for a tape"));
        }
        match state.writer.take() {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(0),
        }
    }
}

/// The recorder's end of one connection: takes frames as they are, and no trades.
#[derive(Debug)]
pub(crate) struct TapeSink {
    tape: Tape,
}

impl TapeSink {
    pub(crate) fn new(tape: Tape) -> Self {
        Self { tape }
    }
}

impl FeedSink for TapeSink {
    fn on_frame(&mut self, frame: &[u8]) {
        self.tape.write(frame);
    }

    fn on_trade(&mut self, _: SymbolId, _: Trade) -> Result<(), SinkRefusal> {
        Ok(())
    }

    fn on_event_time(&mut self, _: UnixMillis) {}

    fn on_interrupted(&mut self) {}

    fn flush(&mut self) -> Result<(), SinkRefusal> {
        if self.tape.is_broken() { Err(SinkRefusal::Closed) } else { Ok(()) }
    }
}

/// Nanoseconds since 1970 by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "the rim: when a frame arrived")]
pub(crate) fn wall_clock_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
