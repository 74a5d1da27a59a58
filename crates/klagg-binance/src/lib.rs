//! REST and stream client of the exchange: weight budget, connections, liveness.
