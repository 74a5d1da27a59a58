//! The exchange: its sockets, and what it sends over them. REST is in `rest`.
//!
//! It keeps its own rules and notes who breaks them: messages a second, streams a connection, an
//! age at which it cuts, weights, bans. What a fault does to a frame is decided by a hash of the
//! frame, so that the other faults of a plan do not change it.

mod frame;
pub(crate) mod rest;
mod trouble;
pub(crate) mod weights;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::agenda::Millis;
use crate::exchange::frame::Print;
pub(crate) use crate::exchange::frame::{Delivery, Frame, MiniTickers};
use crate::exchange::rest::Rest;
pub(crate) use crate::exchange::trouble::Troubles;
use crate::market::{Aggregate, Listing};
use crate::plan::Kind;
use crate::random::at as chance_at;
use crate::scenario::Scenario;

/// Age at which the exchange cuts a connection: its 24 hours, scaled to a run.
pub(crate) const CUT_AGE: Millis = 300_000;
/// Messages that a client may send in a second: the exchange's ten, scaled to the few streams of a
/// run.
const MESSAGES_PER_SECOND: usize = 5;
/// Streams that a connection may carry.
pub(crate) const STREAMS_MAX: usize = 64;

/// The number of a socket: never used twice in a run.
pub(crate) type SocketId = u32;

#[derive(Debug)]
struct Socket {
    names: Vec<String>,
    /// Acknowledged, and silent for ever.
    silent_names: Vec<String>,
    market: bool,
    opened_at: Millis,
    latency: Millis,
    last_arrival: Millis,
    dead: bool,
    messages: Vec<Millis>,
}

impl Socket {
    /// Whether it lives and is to carry a symbol.
    fn wants(&self, name: &str) -> bool {
        let of = |names: &[String]| names.iter().any(|of| of == name);
        !self.dead && (of(&self.names) || of(&self.silent_names))
    }

    /// Whether it lives and carries a symbol.
    fn sends(&self, name: &str) -> bool {
        !self.dead && self.names.iter().any(|of| of == name)
    }
}

/// The exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    seed: u64,
    pub(crate) troubles: Troubles,
    pub(crate) rest: Rest,
    sockets: BTreeMap<SocketId, Socket>,
    next_socket: SocketId,
    /// All that streams carry in the order in which it is sent.
    emissions: Vec<(Millis, u16, Print)>,
    emitted: usize,
    last_prices: Vec<i64>,
    told_prices: Vec<i64>,
    /// Aggregates that were sent while no socket that lives was subscribed to them: who reads that
    /// list takes them out.
    pub(crate) unwanted: Vec<(u16, u32)>,
    /// The same of those that no socket which was subscribed to them carried: its stream is dead.
    pub(crate) withheld: Vec<(u16, u32)>,
    /// Rules that a client of ours has broken.
    pub(crate) broken: Vec<String>,
}

impl Exchange {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut emissions = Vec::new();
        for (number, listing) in scenario.listings.iter().enumerate() {
            let number = u16::try_from(number).expect("few listings");
            let is_due = |(_, of): &(u32, &Aggregate)| of.sent > scenario.start;
            let sent = (0..).zip(&listing.aggregates).filter(is_due);
            emissions.extend(sent.map(|(at, of)| (of.sent, number, Print::Trade(at))));
            let sent = (0..).zip(&listing.off_market).filter(is_due);
            emissions.extend(sent.map(|(at, of)| (of.sent, number, Print::OffMarket(at))));
        }
        emissions.sort_unstable();
        let count = scenario.listings.len();
        Self {
            seed: scenario.seed,
            troubles: Troubles::default(),
            rest: Rest::new(scenario.weight_limit),
            sockets: BTreeMap::new(),
            next_socket: 1,
            emissions,
            emitted: 0,
            last_prices: vec![0; count],
            told_prices: vec![0; count],
            unwanted: Vec::new(),
            withheld: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// When the next aggregate is to be sent.
    pub(crate) fn next_emission(&self) -> Option<Millis> {
        self.emissions.get(self.emitted).map(|emission| emission.0)
    }

    /// Opens a socket, if it can be opened now.
    pub(crate) fn open(&mut self, now: Millis) -> Option<SocketId> {
        if self.troubles.is_on(Kind::NoConnect, now) {
            return None;
        }
        let id = self.next_socket;
        self.next_socket += 1;
        let latency = 3 + (chance_at(self.seed, 0x1a7e, u64::from(id)) % 40).cast_signed();
        let socket = Socket {
            names: Vec::new(),
            silent_names: Vec::new(),
            market: false,
            opened_at: now,
            latency,
            last_arrival: now,
            dead: false,
            messages: Vec::new(),
        };
        self.sockets.insert(id, socket);
        Some(id)
    }

    /// The client has dropped its socket.
    pub(crate) fn forget(&mut self, id: SocketId) {
        self.sockets.remove(&id);
    }

    /// A message of the client; the answer arrives at the time given.
    fn message(&mut self, now: Millis, id: SocketId) -> Option<&mut Socket> {
        let socket = self.sockets.get_mut(&id)?;
        socket.messages.retain(|&at| at + 1_000 > now);
        socket.messages.push(now);
        if socket.messages.len() > MESSAGES_PER_SECOND {
            self.broken.push(format!("more than {MESSAGES_PER_SECOND} messages in a second"));
        }
        (!socket.dead).then_some(socket)
    }

    pub(crate) fn subscribe(
        &mut self,
        now: Millis,
        id: SocketId,
        (request, streams): (u64, &[String]),
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        let silent = self.troubles.is_on(Kind::SilentPath, now);
        let Some(socket) = self.message(now, id) else { return };
        for stream in streams {
            if stream.starts_with('!') {
                socket.market |= !silent;
                continue;
            }
            let name = stream.split('@').next().unwrap_or_default().to_ascii_uppercase();
            let list = if silent { &mut socket.silent_names } else { &mut socket.names };
            if !list.contains(&name) {
                list.push(name);
            }
        }
        let carried = socket.names.len() + socket.silent_names.len() + 2;
        let arrival = now + 2 * socket.latency;
        if carried > STREAMS_MAX {
            self.broken.push(format!("{carried} streams on a connection"));
        }
        out.push((arrival, id, Delivery::Frame(Frame::Ack(request))));
    }

    pub(crate) fn unsubscribe(
        &mut self,
        now: Millis,
        id: SocketId,
        (request, streams): (u64, &[String]),
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        let Some(socket) = self.message(now, id) else { return };
        out.push((now + 2 * socket.latency, id, Delivery::Frame(Frame::Ack(request))));
        for stream in streams {
            let name = stream.split('@').next().unwrap_or_default().to_ascii_uppercase();
            socket.names.retain(|of| *of != name);
            socket.silent_names.retain(|of| *of != name);
        }
    }

    pub(crate) fn ping(
        &mut self,
        now: Millis,
        id: SocketId,
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        let held = self.troubles.until(Kind::Held, now);
        if let Some(socket) = self.message(now, id) {
            let arrival = (now + 2 * socket.latency).max(held.unwrap_or(now));
            out.push((arrival, id, Delivery::Frame(Frame::Pong)));
        }
    }

    /// Sends the aggregate that is due.
    pub(crate) fn emit(
        &mut self,
        now: Millis,
        listings: &[Listing],
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        let Some(&(_, listing, print)) = self.emissions.get(self.emitted) else { return };
        self.emitted += 1;
        let of = &listings[usize::from(listing)];
        let at = match print {
            Print::Trade(at) => at,
            Print::OffMarket(at) => return self.emit_off_market(now, (listing, at), of, out),
        };
        self.last_prices[usize::from(listing)] = of.aggregates[at as usize].price;
        if !self.sockets.values().any(|socket| socket.wants(&of.terms.name)) {
            self.unwanted.push((listing, at));
        } else if !self.sockets.values().any(|socket| socket.sends(&of.terms.name)) {
            self.withheld.push((listing, at));
        }
        if self.troubles.is_on_for(Kind::SilentSymbol, now, u32::from(listing)) {
            return;
        }
        let frame = Frame::Trade { listing, at };
        let place = u64::from(listing) << 32 | u64::from(at);
        self.send(now, &frame, place, |socket| socket.names.contains(&of.terms.name), out);
    }

    fn emit_off_market(
        &mut self,
        now: Millis,
        (listing, at): (u16, u32),
        of: &Listing,
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        if self.troubles.is_on_for(Kind::SilentSymbol, now, u32::from(listing)) {
            return;
        }
        let frame = Frame::OffMarket { listing, at };
        let place = 1 << 63 | u64::from(listing) << 32 | u64::from(at);
        self.send(now, &frame, place, |socket| socket.names.contains(&of.terms.name), out);
    }

    /// Once a second, the last prices that changed.
    pub(crate) fn mini_tickers(
        &mut self,
        now: Millis,
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        let mut rows = Vec::new();
        for (number, (&last, told)) in
            self.last_prices.iter().zip(&mut self.told_prices).enumerate()
        {
            if last != *told {
                *told = last;
                rows.push((u16::try_from(number).expect("few listings"), last));
            }
        }
        if !rows.is_empty() {
            let frame = Frame::MiniTickers(Rc::new(MiniTickers { event_time: now, rows }));
            self.send(now, &frame, now.unsigned_abs(), |socket| socket.market, out);
        }
    }

    /// Tells that a contract was listed or settled.
    pub(crate) fn contract_info(
        &mut self,
        now: Millis,
        listing: u16,
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        let frame = Frame::ContractInfo { listing, event_time: now };
        self.send(now, &frame, now.unsigned_abs(), |socket| socket.market, out);
    }

    fn send(
        &mut self,
        now: Millis,
        frame: &Frame,
        place: u64,
        carries: impl Fn(&Socket) -> bool,
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        if self.troubles.is_on(Kind::SilentAll, now) {
            return;
        }
        let held = self.troubles.until(Kind::Held, now);
        for (&id, socket) in &mut self.sockets {
            let silent = self.troubles.is_on_for(Kind::SilentSocket, now, id);
            if socket.dead || silent || !carries(socket) {
                continue;
            }
            let dice = |kind: Kind, per_mille: u64| {
                let tag = u64::from(id) << 8 | kind as u64;
                self.troubles.is_on(kind, now)
                    && chance_at(self.seed, tag, place) % 1_000 < per_mille
            };
            if dice(Kind::Lost, 60) {
                continue;
            }
            let in_order = (now + socket.latency).max(socket.last_arrival);
            let in_order = in_order.max(held.unwrap_or(in_order));
            socket.last_arrival = in_order;
            let arrival = if dice(Kind::Late, 30) {
                in_order + 600 + (chance_at(self.seed, 0x1a7e, place) % 5_000).cast_signed()
            } else if dice(Kind::Reordered, 250) {
                in_order + 20 + (chance_at(self.seed, 0x0dde, place) % 200).cast_signed()
            } else {
                in_order
            };
            let lagging = match *frame {
                Frame::Trade { listing, .. } | Frame::OffMarket { listing, .. } => {
                    self.troubles.until_for(Kind::HeldSymbol, now, u32::from(listing))
                }
                _ => None,
            };
            let arrival = arrival.max(lagging.unwrap_or(arrival));
            out.push((arrival, id, Delivery::Frame(frame.clone())));
            if dice(Kind::Duplicates, 300) {
                out.push((arrival + 5, id, Delivery::Frame(frame.clone())));
            }
        }
    }

    /// Closes the `target`-th socket.
    pub(crate) fn disconnect(
        &mut self,
        now: Millis,
        target: u32,
        out: &mut Vec<(Millis, SocketId, Delivery)>,
    ) {
        if let Some(id) = self.nth(target) {
            self.sockets.remove(&id);
            out.push((now + 1, id, Delivery::Closed));
        }
    }

    /// The `target`-th socket is dead from now on, and nobody says so.
    pub(crate) fn half_open(&mut self, target: u32) {
        if let Some(socket) = self.nth(target).and_then(|id| self.sockets.get_mut(&id)) {
            socket.dead = true;
        }
    }

    /// The `target`-th socket delivers one of its symbols no more, until it is subscribed anew. The
    /// first one of a socket is its canary, which stops for nobody.
    pub(crate) fn end_stream(&mut self, target: u32) {
        let Some(socket) = self.nth(target).and_then(|id| self.sockets.get_mut(&id)) else {
            return;
        };
        if let Some(others @ 1..) = socket.names.len().checked_sub(1) {
            let name = socket.names.remove(1 + (target >> 8) as usize % others);
            socket.silent_names.push(name);
        }
    }

    /// The number of the `target`-th socket, counted round.
    pub(crate) fn nth(&self, target: u32) -> Option<SocketId> {
        let count = self.sockets.len();
        self.sockets.keys().copied().nth((target as usize).checked_rem(count)?)
    }

    /// Cuts what is too old.
    pub(crate) fn cut_old(&mut self, now: Millis, out: &mut Vec<(Millis, SocketId, Delivery)>) {
        let old = |socket: &Socket| now - socket.opened_at >= CUT_AGE;
        let cut: Vec<_> =
            self.sockets.iter().filter(|(_, of)| old(of)).map(|(id, _)| *id).collect();
        for id in cut {
            self.sockets.remove(&id);
            out.push((now + 1, id, Delivery::Closed));
        }
    }
}
