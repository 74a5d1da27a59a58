//! Which connection carries which symbol. Pure.
//!
//! Always true here: a symbol is on at most one connection, and keeps it; no connection holds
//! more than its capacity; the number of connections is bounded.

use klagg_kline::SymbolId;

use crate::BinanceError;

/// The number of a connection; also the number of its feed into the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u16);

impl ConnectionId {
    /// For indexing a table with a row a connection.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A symbol and the connection that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The symbol.
    pub symbol: SymbolId,
    /// Its connection.
    pub connection: ConnectionId,
}

/// The assignment of symbols to connections.
#[derive(Debug)]
pub(crate) struct FeedPlan {
    capacity: usize,
    connections_max: u16,
    /// Symbols on each connection.
    loads: Vec<usize>,
    /// By symbol number; grows to the highest assigned.
    owners: Vec<Option<ConnectionId>>,
}

impl FeedPlan {
    pub(crate) fn new(capacity: usize, connections_max: u16) -> Self {
        debug_assert!(capacity > 0 && connections_max > 0);
        Self { capacity, connections_max, loads: Vec::new(), owners: Vec::new() }
    }

    /// How many connections are in use.
    pub(crate) fn connections(&self) -> usize {
        self.loads.len()
    }

    /// Assigns each symbol that has no connection yet to the least loaded one, opening as many as
    /// needed first, so that the old heavy symbols do not gather on the first.
    ///
    /// Gives an assignment for each of `symbols`, new or old, in the same order. On error nothing
    /// is changed.
    pub(crate) fn assign(&mut self, symbols: &[SymbolId]) -> Result<Vec<Assignment>, BinanceError> {
        let mut fresh: Vec<SymbolId> =
            symbols.iter().copied().filter(|&symbol| self.owner(symbol).is_none()).collect();
        fresh.sort_unstable();
        fresh.dedup();
        let total = self.loads.iter().sum::<usize>() + fresh.len();
        let connections = total.div_ceil(self.capacity).max(self.loads.len());
        if connections > usize::from(self.connections_max) {
            return Err(BinanceError::NoRoom { connections_max: self.connections_max });
        }
        self.loads.resize(connections, 0);
        for symbol in fresh {
            let (index, _) =
                self.loads.iter().enumerate().min_by_key(|&(_, load)| *load).unwrap_or((0, &0));
            let connection = u16::try_from(index)
                .map_err(|_| BinanceError::NoRoom { connections_max: self.connections_max })?;
            self.loads[index] += 1;
            if self.owners.len() <= symbol.index() {
                self.owners.resize(symbol.index() + 1, None);
            }
            self.owners[symbol.index()] = Some(ConnectionId(connection));
        }
        Ok(symbols
            .iter()
            .filter_map(|&symbol| {
                self.owner(symbol).map(|connection| Assignment { symbol, connection })
            })
            .collect())
    }

    /// Frees the place of `symbol`; gives where it was.
    pub(crate) fn release(&mut self, symbol: SymbolId) -> Option<ConnectionId> {
        let connection = self.owners.get_mut(symbol.index())?.take()?;
        self.loads[connection.index()] -= 1;
        Some(connection)
    }

    pub(crate) fn owner(&self, symbol: SymbolId) -> Option<ConnectionId> {
        self.owners.get(symbol.index()).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_spread_and_keep_their_connection() {
        let symbols: Vec<SymbolId> = (0..450).map(SymbolId).collect();
        let mut plan = FeedPlan::new(200, 4);
        let assigned = plan.assign(&symbols).unwrap();
        assert_eq!(plan.connections(), 3);
        assert_eq!(plan.loads, [150, 150, 150]);
        assert_eq!(assigned[0].connection, ConnectionId(0));
        assert_eq!(assigned[1].connection, ConnectionId(1), "neighbours are heavy together");
        assert_eq!(plan.assign(&symbols).unwrap(), assigned, "nothing moves");
        assert_eq!(plan.release(SymbolId(4)), Some(ConnectionId(1)));
        assert_eq!(plan.release(SymbolId(4)), None);
        let newest = plan.assign(&[SymbolId(9_000)]).unwrap();
        assert_eq!(newest[0].connection, ConnectionId(1), "the free place is taken");
    }

    #[test]
    fn more_symbols_than_all_connections_hold_are_refused_whole() {
        let mut plan = FeedPlan::new(2, 2);
        let symbols: Vec<SymbolId> = (0..5).map(SymbolId).collect();
        assert!(matches!(plan.assign(&symbols), Err(BinanceError::NoRoom { .. })));
        assert_eq!(plan.connections(), 0);
        assert_eq!(plan.assign(&symbols[..4]).unwrap().len(), 4);
        assert!(plan.assign(&symbols[4..]).is_err());
    }
}
