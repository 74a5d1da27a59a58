//! What a shard has to say: closed klines nobody has acknowledged yet, and its counters.

use std::collections::VecDeque;

use klagg_kline::{KlineRecord, SymbolId};

use crate::fill::Hole;
use crate::levels::Closing;
use crate::{KlineData, WorkerCounters};

/// Holes that wait to be told of; more are left to the klines that repair them anyway.
const HOLES_MAX: usize = 1_024;

/// Closed klines in the order in which they closed, each kept until the delta that carried it is
/// acknowledged. Bounded: when full, the oldest is dropped and counted.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Each with the number of the first delta that carries it.
    closed: VecDeque<(u64, KlineData)>,
    closed_max: usize,
    closed_dropped: u64,
    /// Symbols that are folded no more, each with the number of the first delta that says so. As
    /// many as were retired between two deltas.
    ended: Vec<(u64, SymbolId)>,
    /// Holes that were given up, each with the number of the first delta that tells of it.
    holes: VecDeque<(u64, Hole)>,
    /// Number of the delta that will carry what happens now.
    pub(crate) epoch: u64,
    pub(crate) counters: WorkerCounters,
}

impl Outgoing {
    pub(crate) fn new(closed_max: usize) -> Self {
        Self {
            closed: VecDeque::new(),
            closed_max,
            closed_dropped: 0,
            ended: Vec::new(),
            holes: VecDeque::new(),
            epoch: 1,
            counters: WorkerCounters::default(),
        }
    }

    /// Takes over what was said and not acknowledged, and the counters; `epoch` comes next.
    pub(crate) fn take_over(&mut self, broken: &mut Self, epoch: u64) {
        self.closed = std::mem::take(&mut broken.closed);
        self.ended = std::mem::take(&mut broken.ended);
        self.holes = std::mem::take(&mut broken.holes);
        self.closed_dropped = broken.closed_dropped;
        self.counters = broken.counters;
        self.epoch = epoch;
    }

    #[inline]
    pub(crate) fn emit(&mut self, symbol: SymbolId, period_index: usize, record: &KlineRecord) {
        self.make_room();
        self.closed.push_back((self.epoch, KlineData::new(symbol, period_index, record)));
    }

    /// The same for a kline that closes just now, in parts: see [`Closing`].
    #[inline]
    fn emit_closing(&mut self, symbol: SymbolId, period_index: usize, closing: &Closing<'_>) {
        self.make_room();
        let Closing { kline, revision, status, .. } = *closing;
        let period_index = u8::try_from(period_index).unwrap_or(u8::MAX);
        let record = KlineRecord { kline: *kline, revision, status };
        self.closed.push_back((self.epoch, KlineData { symbol, period_index, record }));
    }

    #[inline]
    fn make_room(&mut self) {
        if self.closed.len() >= self.closed_max {
            self.closed.pop_front();
            self.closed_dropped += 1;
        }
    }

    /// Says that a symbol is folded no more.
    pub(crate) fn end(&mut self, symbol: SymbolId) {
        self.ended.push((self.epoch, symbol));
    }

    pub(crate) fn ended(&self) -> impl Iterator<Item = SymbolId> {
        self.ended.iter().map(|&(_, symbol)| symbol)
    }

    /// Tells of a hole; when there are too many, the oldest is dropped and counted.
    pub(crate) fn tell_hole(&mut self, hole: Hole) {
        if self.holes.len() >= HOLES_MAX {
            self.holes.pop_front();
            self.counters.holes_dropped += 1;
        }
        self.holes.push_back((self.epoch, hole));
    }

    pub(crate) fn holes(&self) -> impl Iterator<Item = Hole> {
        self.holes.iter().map(|&(_, hole)| hole)
    }

    /// Forgets what deltas up to `sequence` carried.
    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        let delivered = self.closed.partition_point(|&(epoch, _)| epoch <= sequence);
        self.closed.drain(..delivered);
        self.ended.retain(|&(epoch, _)| epoch > sequence);
        self.holes.retain(|&(epoch, _)| epoch > sequence);
    }

    pub(crate) fn closed(&self) -> impl Iterator<Item = &KlineData> {
        self.closed.iter().map(|(_, data)| data)
    }

    pub(crate) fn drain_closed(&mut self) -> impl Iterator<Item = KlineData> + '_ {
        self.closed.drain(..).map(|(_, data)| data)
    }

    pub(crate) const fn closed_dropped(&self) -> u64 {
        self.closed_dropped
    }
}

/// Where a symbol's closed klines go.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) plan: &'a crate::levels::Plan,
    pub(crate) out: &'a mut Outgoing,
    pub(crate) symbol: SymbolId,
}

impl Scope<'_> {
    #[inline]
    pub(crate) fn emit(&mut self, period_index: usize, record: &KlineRecord) {
        self.out.emit(self.symbol, period_index, record);
    }

    #[inline]
    pub(crate) fn emit_closing(&mut self, period_index: usize, closing: &Closing<'_>) {
        self.out.emit_closing(self.symbol, period_index, closing);
    }
}
