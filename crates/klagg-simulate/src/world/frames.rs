//! What frames hold: trades to their workers, times behind them, names that point to a change.

use klagg_binance::{CopyId, Event as StreamEvent, LastPrice, Source};
use klagg_kline::{Price, SymbolId, UnixMillis};

use crate::agenda::Millis;
use crate::exchange::rest::trade;
use crate::exchange::{Frame, MiniTickers};
use crate::market::Aggregate;
use crate::process::streams::{source, stream_of};
use crate::process::workers::{Command, Item};
use crate::world::World;
use crate::world::fills::{MARKET, OFF_MARKET, as_read};

impl World {
    /// Reads a frame of one socket.
    pub(super) fn read(&mut self, connection: usize, copy: CopyId, frame: &Frame) {
        let Some((event_time, from)) = self.time_of(frame) else { return };
        let Some(process) = &mut self.process else { return };
        let line = &mut process.connections[connection].lines[copy.index()];
        if !line.times.take(UnixMillis(event_time)) {
            return;
        }
        line.event_time = line.event_time.max(Some(UnixMillis(event_time)));
        self.oracle.read(connection, self.now);
        if from == Source::Canary || connection >= process.carriers {
            self.oracle.socket_heard(connection, copy.index(), process.clock.elapsed(self.now));
        }
        match frame {
            Frame::Trade { listing, at } => {
                let of = self.scenario.listings[usize::from(*listing)].aggregates[*at as usize];
                self.trade(connection, *listing, (of, MARKET));
            }
            Frame::OffMarket { listing, at } => {
                let of = self.scenario.listings[usize::from(*listing)].off_market[*at as usize];
                self.trade(connection, *listing, (of, OFF_MARKET));
            }
            Frame::MiniTickers(tickers) => {
                self.cross_check(tickers);
                tickers.rows.iter().for_each(|&(listing, _)| self.hear(listing, false));
                self.look_if_due();
            }
            Frame::ContractInfo { listing, .. } => {
                self.hear(*listing, true);
                self.look_if_due();
            }
            Frame::Ack(_) | Frame::Pong => {}
        }
        self.stream_event(connection, copy, StreamEvent::Data(from));
        self.tell_time(connection, copy, UnixMillis(event_time));
    }

    fn time_of(&self, frame: &Frame) -> Option<(Millis, Source)> {
        match frame {
            Frame::Trade { listing, at } => {
                let listing = &self.scenario.listings[usize::from(*listing)];
                let sent = listing.aggregates[*at as usize].sent;
                Some((sent, source(&listing.terms.name)))
            }
            Frame::OffMarket { listing, at } => {
                let listing = &self.scenario.listings[usize::from(*listing)];
                let sent = listing.off_market[*at as usize].sent;
                Some((sent, source(&listing.terms.name)))
            }
            Frame::MiniTickers(tickers) => Some((tickers.event_time, Source::Other)),
            Frame::ContractInfo { event_time, .. } => Some((*event_time, Source::Other)),
            Frame::Ack(_) | Frame::Pong => None,
        }
    }

    /// `told` comes with its origin.
    fn trade(&mut self, connection: usize, number: u16, (told, origin): (Aggregate, &str)) {
        let Some(process) = &mut self.process else { return };
        let listing = &self.scenario.listings[usize::from(number)];
        let trade = if self.scenario.is_raw {
            as_read(&mut process.decoder, &listing.terms.name, (&told, origin))
        } else {
            Some(trade(&told))
        };
        let Some(trade) = trade else { return };
        let symbol = process.index.load().get(&listing.terms.name);
        let owned = &process.connections[connection].owned;
        if let Some(symbol) = symbol.filter(|symbol| owned.contains(symbol)) {
            let item = Item::Trade(symbol, trade);
            process.silence.received(symbol, trade.price, UnixMillis(told.sent));
            self.oracle.heard(symbol, told.price, told.sent);
            if process.worker_of(symbol).push(self.now, item) {
                self.oracle.delivered(symbol, number, told.id, self.now);
            }
        }
    }

    /// Holds tickers against what was handed on. Symbols of connections that are down are left out.
    fn cross_check(&mut self, tickers: &MiniTickers) {
        let Some(process) = &mut self.process else { return };
        let table = process.index.load();
        let event_time = UnixMillis(tickers.event_time);
        let row = |&(listing, price): &(u16, i64)| {
            let name = &self.scenario.listings[usize::from(listing)].terms.name;
            let (symbol, price) = (table.get_listed(name)?, Price::from_scaled(price));
            Some(LastPrice { symbol, price, event_time })
        };
        let rows = tickers.rows.iter().filter_map(row).collect();
        let watched: Vec<_> =
            process.followed.iter().filter(|&&symbol| process.delivers(symbol)).copied().collect();
        let is_watched = |symbol: SymbolId| watched.contains(&symbol);
        self.oracle.tickers(tickers, is_watched);
        let (doubted, suspected) = process.silence.on_tickers(rows, is_watched);
        for symbol in doubted {
            self.oracle.doubted(symbol, self.now);
            let heard = process.silence.heard_at(symbol);
            process.worker_of(symbol).command(self.now, Command::Doubt(symbol, heard));
        }
        for symbol in suspected {
            let Some(entry) = table.entry(symbol) else { continue };
            let connection = symbol.index() % self.scenario.connections;
            let names = vec![stream_of(&entry.name, self.scenario.is_raw)];
            self.stream_event_for_all(connection, &StreamEvent::Renew(names));
        }
    }

    /// The watermark after what was read.
    fn tell_time(&mut self, connection: usize, copy: CopyId, time: UnixMillis) {
        self.decide(connection, |copies, now, _, steps| {
            copies.on_event_time(now, copy, time, steps);
        });
        let Some(process) = &mut self.process else { return };
        let of = &mut process.connections[connection];
        if of.copies.is_trusted(copy) {
            of.event_time = of.event_time.max(Some(time));
            self.oracle.whole(usize::from(of.feed.0), self.now);
        }
        if let Some(time) = of.event_time {
            let feed = of.feed;
            self.oracle.told_time(usize::from(feed.0), time);
            for worker in &mut process.workers {
                worker.push(self.now, Item::Watermark(feed, time));
            }
        }
    }
}
