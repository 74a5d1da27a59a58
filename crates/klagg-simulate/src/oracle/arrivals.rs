//! What was handed to the engine, in which order: what anybody could know.

use crate::agenda::Millis;
use crate::market::Listing;
use crate::scenario::Scenario;

/// A frame that was on its way when its feed was cut.
const CUT_SLACK: Millis = 1_000;
/// Never handed over.
pub(super) const NEVER: u64 = u64::MAX;

/// The order in which trades and times were handed to the engine of this process.
#[derive(Debug)]
pub(crate) struct Arrivals {
    next: u64,
    /// By listing: the ids of its aggregates.
    ids: Vec<Vec<i64>>,
    /// Their times.
    times: Vec<Vec<Millis>>,
    /// By listing and aggregate: its place in the order.
    trades: Vec<Vec<u64>>,
    /// By listing and aggregate: whether it was sent while no socket that lived was to carry it.
    unwanted: Vec<Vec<bool>>,
    /// By listing and aggregate: whether a dead stream left it out of which nobody could know.
    withheld: Vec<Vec<bool>>,
    /// By listing: the newest id handed over, and when.
    pub(crate) newest: Vec<(i64, Millis)>,
    /// By listing: official minutes that went to the engine: the place in the order of what came
    /// next, which rises, and the end of the minute.
    official: Vec<Vec<(u64, Millis)>>,
    /// By feed: when anything last came, known already or not, or waited for us to read it.
    pub(crate) came: Vec<Millis>,
    /// By feed: until when it was last interrupted; the end of time while it is.
    interrupted: Vec<Millis>,
    /// By feed: the places of its cuts in the order, rising.
    cuts: Vec<Vec<u64>>,
    /// By worker: until when it last rested after it broke.
    broken: Vec<Millis>,
    /// By feed: places and times, both rising.
    watermarks: Vec<Vec<(u64, Millis)>>,
}

impl Arrivals {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let ids = |of: &Listing| of.aggregates.iter().map(|of| of.id).collect();
        let times = |of: &Listing| of.aggregates.iter().map(|of| of.time).collect();
        let trades = scenario.listings.iter().map(|of| vec![NEVER; of.aggregates.len()]);
        let none = scenario.listings.iter().map(|of| vec![false; of.aggregates.len()]);
        Self {
            next: 0,
            times: scenario.listings.iter().map(times).collect(),
            ids: scenario.listings.iter().map(ids).collect(),
            unwanted: none.clone().collect(),
            withheld: none.collect(),
            trades: trades.collect(),
            newest: vec![(0, 0); scenario.listings.len()],
            official: vec![Vec::new(); scenario.listings.len()],
            came: vec![0; scenario.all_connections()],
            interrupted: vec![Millis::MAX; scenario.all_connections()],
            cuts: vec![Vec::new(); scenario.all_connections()],
            broken: vec![0; scenario.workers],
            watermarks: vec![Vec::new(); scenario.all_connections()],
        }
    }

    pub(crate) fn forget(&mut self) {
        self.trades.iter_mut().for_each(|of| of.fill(NEVER));
        self.newest.fill((0, 0));
        self.official.iter_mut().for_each(Vec::clear);
        self.came.fill(0);
        self.interrupted.fill(Millis::MAX);
        self.cuts.iter_mut().for_each(Vec::clear);
        self.broken.fill(0);
        self.watermarks.iter_mut().for_each(Vec::clear);
    }

    /// A trade came. If it had not come before, gives where it stands among all, and its time.
    pub(crate) fn trade(&mut self, listing: u16, id: i64, now: Millis) -> Option<(usize, Millis)> {
        self.next += 1;
        // What is no trade of the market has no place.
        let place = self.at(listing, id)?;
        let listing = usize::from(listing);
        let at = &mut self.trades[listing][place];
        let is_new = *at == NEVER;
        *at = (*at).min(self.next);
        if id > self.newest[listing].0 {
            self.newest[listing] = (id, now);
        }
        is_new.then_some((place, self.times[listing][place]))
    }

    /// A feed was cut off.
    pub(crate) fn cut(&mut self, feed: usize) {
        self.next += 1;
        self.cuts[feed].push(self.next);
        self.interrupted[feed] = Millis::MAX;
    }

    /// Whether a feed was said to be cut between two places in the order. A cut before the first
    /// is over for a symbol whose trade has that place: its id showed that nothing was missed. One
    /// behind the second says nothing of a minute that closed there.
    pub(crate) fn was_cut_between(&self, feed: usize, (from, until): (u64, u64)) -> bool {
        self.cuts[feed].iter().any(|&cut| from < cut && cut < until)
    }

    /// Where an aggregate stands among all of its listing.
    fn at(&self, listing: u16, id: i64) -> Option<usize> {
        self.ids[usize::from(listing)].binary_search(&id).ok()
    }

    /// Whether a worker rested at `at` or later, after it broke.
    pub(crate) fn rested_after(&self, worker: usize, at: Millis) -> bool {
        self.broken[worker] >= at
    }

    /// Whether a worker may have lost what was sent at `sent`.
    pub(crate) fn was_broken(&self, worker: usize, sent: Millis) -> bool {
        self.broken[worker] >= sent - CUT_SLACK
    }

    /// A feed is whole.
    pub(crate) fn whole(&mut self, feed: usize, now: Millis) {
        if self.interrupted[feed] == Millis::MAX {
            self.interrupted[feed] = now;
        }
    }

    /// A worker broke, and rests.
    pub(crate) fn broke(&mut self, worker: usize, until: Millis) {
        self.broken[worker] = until;
    }

    /// Whether what was sent at `sent` may have been lost on a feed that was said to be cut, or in
    /// a worker that broke.
    pub(crate) fn was_cut(&self, feed: usize, worker: usize, sent: Millis) -> bool {
        self.interrupted[feed] >= sent - CUT_SLACK || self.broken[worker] >= sent - CUT_SLACK
    }

    pub(crate) fn watermark(&mut self, feed: usize, time: Millis) {
        self.next += 1;
        let of = &mut self.watermarks[feed];
        if of.last().is_none_or(|&(_, before)| time > before) {
            of.push((self.next, time));
        }
    }

    /// The official minute of a listing until `end` goes to the engine.
    pub(crate) fn official(&mut self, listing: u16, end: Millis) {
        let place = self.next_place();
        self.official[usize::from(listing)].push((place, end));
    }

    /// The end of the newest official minute of a listing, up to `until`, that went to the engine
    /// before what has that place in the order.
    pub(crate) fn official_until(&self, listing: u16, until: Millis, place: u64) -> Option<Millis> {
        let of = self.official[usize::from(listing)].iter();
        of.filter(|&&(at, end)| at <= place && end <= until).map(|&(_, end)| end).max()
    }

    /// The places at which official minutes of a listing went to the engine, from one on.
    pub(crate) fn official_since(
        &self,
        listing: u16,
        place: u64,
    ) -> impl Iterator<Item = u64> + '_ {
        let of = self.official[usize::from(listing)].iter();
        of.map(|&(at, _)| at).filter(move |&at| at >= place)
    }

    /// The place of what comes next.
    pub(crate) const fn next_place(&self) -> u64 {
        self.next + 1
    }

    /// The place of an aggregate in the order.
    pub(crate) fn place(&self, listing: u16, id: i64) -> u64 {
        self.at(listing, id).map_or(NEVER, |at| self.trades[usize::from(listing)][at])
    }

    /// Nobody was there for an aggregate.
    pub(crate) fn unwanted(&mut self, listing: u16, at: u32) {
        self.unwanted[usize::from(listing)][at as usize] = true;
    }

    /// Whether nobody was there for an aggregate: we know that ourselves.
    pub(crate) fn is_unwanted(&self, listing: u16, id: i64) -> bool {
        self.at(listing, id).is_some_and(|at| self.unwanted[usize::from(listing)][at])
    }

    /// A stream that nobody could know to be dead left an aggregate out.
    pub(crate) fn withheld(&mut self, listing: u16, at: u32) {
        self.withheld[usize::from(listing)][at as usize] = true;
    }

    /// Whether a stream left an aggregate out that nobody could know to be dead.
    pub(crate) fn is_withheld(&self, listing: u16, id: i64) -> bool {
        self.at(listing, id).is_some_and(|at| self.withheld[usize::from(listing)][at])
    }

    /// Whether an aggregate was never handed over.
    pub(crate) fn is_lost(&self, listing: u16, id: i64) -> bool {
        self.place(listing, id) == NEVER
    }

    /// The newest time that a feed has told.
    pub(crate) fn told(&self, feed: usize) -> Millis {
        self.watermarks[feed].last().map_or(0, |&(_, time)| time)
    }

    /// The newest time that a feed had told at a place in the order.
    pub(crate) fn told_at(&self, feed: usize, place: u64) -> Millis {
        let of = &self.watermarks[feed];
        let at = of.partition_point(|&(told, _)| told < place);
        at.checked_sub(1).map_or(0, |at| of[at].1)
    }

    /// The place at which a feed was first known to have reached `time`.
    pub(crate) fn reached(&self, feed: usize, time: Millis) -> u64 {
        let of = &self.watermarks[feed];
        let at = of.partition_point(|&(_, reached)| reached < time);
        of.get(at).map_or(NEVER, |&(place, _)| place)
    }
}
