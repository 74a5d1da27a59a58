//! Everything spoken to people: page, live websocket, compatible API, health, metrics.
