//! How many connections there are, and how many requests each address makes.
//!
//! An address is an IPv4 address or an IPv6 /64. Its entry lives while it has connections, and
//! after that until its bucket would be full again, so that reconnecting buys no requests. The
//! table is bounded: entries without connections go first, and with all in use there are no more
//! than connections.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Entries without connections above which the table is swept.
const IDLE_MAX: usize = 4096;

/// What the gate has counted.
#[derive(Debug, Default)]
pub(crate) struct GateCounters {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused_total: AtomicU64,
    pub(crate) refused_per_ip: AtomicU64,
    pub(crate) requests_limited: AtomicU64,
}

/// Counts connections and requests by address.
#[derive(Debug)]
pub(crate) struct Gate {
    total_max: usize,
    per_ip_max: usize,
    requests_per_second: u32,
    table: Mutex<Table>,
    emptied: Notify,
    pub(crate) counters: GateCounters,
}

#[derive(Debug, Default)]
struct Table {
    total: usize,
    by_ip: HashMap<IpAddr, Entry>,
}

#[derive(Debug)]
struct Entry {
    connections: usize,
    bucket: Bucket,
}

/// A token bucket: `burst` at first, `rate` more a second.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: f64,
    rate: f64,
    burst: f64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { tokens: burst, rate, burst, filled_at: now }
    }

    /// Fills up to `now` and says how much there is.
    pub(crate) fn available(&mut self, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.rate).min(self.burst);
        self.filled_at = now;
        self.tokens
    }

    /// Takes `amount`, or nothing if there is less.
    pub(crate) fn take(&mut self, amount: f64, now: Instant) -> bool {
        let enough = self.available(now) >= amount;
        if enough {
            self.tokens -= amount;
        }
        enough
    }

    /// Takes what was used already; what is missing is owed.
    pub(crate) fn spend(&mut self, amount: f64) {
        self.tokens -= amount;
    }

    /// How long until there is `amount`.
    pub(crate) fn wait_for(&mut self, amount: f64, now: Instant) -> Duration {
        let missing = amount - self.available(now);
        Duration::from_secs_f64((missing / self.rate).max(0.0))
    }
}

/// A connection's place; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    ip: IpAddr,
}

impl Gate {
    pub(crate) fn new(total_max: usize, per_ip_max: usize, requests_per_second: u32) -> Arc<Self> {
        Arc::new(Self {
            total_max,
            per_ip_max,
            requests_per_second,
            table: Mutex::default(),
            emptied: Notify::new(),
            counters: GateCounters::default(),
        })
    }

    /// A place for a new connection, unless there are too many.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Pass> {
        let ip = group(ip);
        let now = Instant::now();
        let mut table = self.table();
        if table.total >= self.total_max {
            self.counters.refused_total.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if table.by_ip.len() >= IDLE_MAX.max(self.total_max) {
            let burst = self.burst();
            table
                .by_ip
                .retain(|_, held| held.connections > 0 || held.bucket.available(now) < burst);
            // Still full of addresses that owe: those are forgiven rather than kept without end.
            if table.by_ip.len() >= IDLE_MAX.max(self.total_max) {
                table.by_ip.retain(|_, held| held.connections > 0);
            }
        }
        let bucket = || Bucket::new(f64::from(self.requests_per_second), self.burst(), now);
        let entry = table.by_ip.entry(ip);
        let entry = entry.or_insert_with(|| Entry { connections: 0, bucket: bucket() });
        if entry.connections >= self.per_ip_max {
            self.counters.refused_per_ip.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        entry.connections += 1;
        table.total += 1;
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        Some(Pass { gate: Arc::clone(self), ip })
    }

    /// Whether `ip` may make one more request now.
    pub(crate) fn request(&self, ip: IpAddr) -> bool {
        let now = Instant::now();
        let allowed =
            self.table().by_ip.get_mut(&group(ip)).is_none_or(|entry| entry.bucket.take(1.0, now));
        if !allowed {
            self.counters.requests_limited.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }

    /// Connections now.
    pub(crate) fn connections(&self) -> usize {
        self.table().total
    }

    /// Completes when there is no connection.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.connections() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn burst(&self) -> f64 {
        f64::from(self.requests_per_second) * 2.0
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut table = self.gate.table();
        table.total -= 1;
        if let Some(entry) = table.by_ip.get_mut(&self.ip) {
            entry.connections -= 1;
        }
        if table.total == 0 {
            self.gate.emptied.notify_waiters();
        }
    }
}

/// The address that counts: an IPv6 network of /64 belongs to one subscriber.
fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_cannot_take_the_places_of_the_others() {
        let gate = Gate::new(3, 2, 10);
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let there: IpAddr = "2001:db8::1".parse().unwrap();
        let same_network: IpAddr = "2001:db8::ffff".parse().unwrap();
        let first = gate.admit(here).unwrap();
        let _second = gate.admit(here).unwrap();
        assert!(gate.admit(here).is_none(), "two of one address");
        let _third = gate.admit(there).unwrap();
        assert!(gate.admit(same_network).is_none(), "three in all");
        drop(first);
        assert_eq!(gate.connections(), 2);
        let _fourth = gate.admit(same_network).unwrap();
        assert!(gate.admit(here).is_none(), "three in all again");
        assert_eq!(gate.counters.refused_per_ip.load(Ordering::Relaxed), 1);
        assert_eq!(gate.counters.refused_total.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn reconnecting_buys_no_requests() {
        let gate = Gate::new(3, 3, 2);
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        let pass = gate.admit(ip).unwrap();
        assert!((0..4).all(|_| gate.request(ip)), "a burst of two seconds");
        assert!(!gate.request(ip));
        drop(pass);
        let _again = gate.admit(ip).unwrap();
        assert!(!gate.request(ip));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(gate.request(ip) && !gate.request(ip));
    }
}
