//! What goes wrong on purpose between the exchange and its clients.

use std::collections::HashMap;

use klagg_wire::stream_name::StreamName;

use super::{Client, Fate, Hub, Silence, State};

impl Hub {
    pub(crate) fn set_swallow(&self, share: f64) {
        self.state().swallow = share;
    }

    pub(crate) fn set_duplicate(&self, share: f64) {
        self.state().duplicate = share;
    }

    pub(crate) fn silence(&self, symbol: &str) {
        self.state().silent.symbols.insert(symbol.to_owned());
    }

    pub(crate) fn silence_all(&self) {
        self.state().silent.all = true;
    }

    pub(crate) fn unsilence(&self) {
        self.state().silent = Silence::default();
    }

    pub(crate) fn end_oldest(&self, fate: Fate) {
        if let Some(client) = self.state().oldest() {
            client.fate.send_replace(fate);
        }
    }

    pub(crate) fn silence_oldest(&self) {
        if let Some(client) = self.state().oldest() {
            client.is_silent = true;
        }
    }

    /// Makes all connections half-open; those that come later are not.
    pub(crate) fn freeze_all(&self) {
        for client in self.state().clients.values() {
            client.fate.send_if_modified(|fate| {
                let is_live = *fate == Fate::Live;
                *fate = if is_live { Fate::Frozen } else { *fate };
                is_live
            });
        }
    }

    /// Forgets who subscribed to a symbol's trades, though clients still believe they did.
    pub(crate) fn kill_streams(&self, symbol: &str) {
        for stream in self.state().streams.iter_mut().flat_map(HashMap::values_mut) {
            if let Some(StreamName::AggTrade(of) | StreamName::Trade(of)) = &stream.name
                && of == symbol
            {
                stream.clients.clear();
            }
        }
    }
}

impl State {
    /// The client that has been here longest, of those that subscribed to something.
    fn oldest(&mut self) -> Option<&mut Client> {
        let clients = self.clients.iter_mut().filter(|(_, client)| !client.streams.is_empty());
        clients.min_by_key(|(id, _)| **id).map(|(_, client)| client)
    }
}
