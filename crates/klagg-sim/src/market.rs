//! The market: which contracts there are, and what happens to them. Pure but for the list.

pub(crate) mod activity;
pub(crate) mod calendar;
pub(crate) mod listing;
pub(crate) mod names;
pub(crate) mod plan;
pub(crate) mod price;
pub(crate) mod symbol;
pub(crate) mod tape;
pub(crate) mod ticker;
pub(crate) mod view;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use klagg_kline::UnixMillis;

use self::listing::{Genesis, new_listing};
use self::symbol::{MINUTE, Symbol};
use self::view::Listed;
use crate::random::mix;
use crate::{SimConfig, SimError};

/// All contracts, in the order of their listing here.
#[derive(Debug)]
pub(crate) struct Market {
    config: SimConfig,
    contracts: RwLock<Contracts>,
}

#[derive(Debug, Default)]
struct Contracts {
    list: Vec<Arc<Listed>>,
    places: HashMap<Arc<str>, usize>,
}

impl Market {
    /// The market as it stands at `start`.
    pub(crate) fn new(config: &SimConfig, start: UnixMillis) -> Self {
        let mut contracts = Contracts::default();
        for symbol in Genesis::new(config, start).symbols() {
            contracts.places.insert(Arc::clone(&symbol.name), contracts.list.len());
            contracts.list.push(Arc::new(Listed::new(symbol)));
        }
        Self { config: config.clone(), contracts: RwLock::new(contracts) }
    }

    /// A contract by its name, upper case.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Listed>> {
        let contracts = self.contracts.read().unwrap_or_else(PoisonError::into_inner);
        contracts.places.get(name).map(|&place| Arc::clone(&contracts.list[place]))
    }

    /// One of a name's listings, the first being 0: the newest if there are fewer.
    pub(crate) fn listing(&self, name: &str, place: usize) -> Option<Arc<Listed>> {
        let contracts = self.contracts.read().unwrap_or_else(PoisonError::into_inner);
        let of_name = contracts.list.iter().filter(|listed| &*listed.symbol.name == name);
        of_name.take(place.saturating_add(1)).last().cloned()
    }

    /// The contract of a pair and a type of contract.
    pub(crate) fn continuous(&self, pair: &str, contract_type: &str) -> Option<Arc<Listed>> {
        let contracts = self.contracts.read().unwrap_or_else(PoisonError::into_inner);
        let is_it = |listed: &&Arc<Listed>| {
            &*listed.symbol.pair == pair && listed.symbol.contract.as_str() == contract_type
        };
        contracts.list.iter().rfind(is_it).cloned()
    }

    /// All contracts. A contract keeps its place; new ones come behind.
    pub(crate) fn all(&self) -> Vec<Arc<Listed>> {
        self.contracts.read().unwrap_or_else(PoisonError::into_inner).list.clone()
    }

    /// The newest contract of each name.
    pub(crate) fn newest(&self) -> Vec<Arc<Listed>> {
        let contracts = self.contracts.read().unwrap_or_else(PoisonError::into_inner);
        let is_newest = |(place, listed): &(usize, &Arc<Listed>)| {
            contracts.places.get(&listed.symbol.name) == Some(place)
        };
        let places = contracts.list.iter().enumerate().filter(is_newest);
        places.map(|(_, listed)| Arc::clone(listed)).collect()
    }

    /// Lists a perpetual that trades from `onboard` on. A name that has settled by then is listed
    /// anew: another contract, with trades and ids of its own.
    pub(crate) fn list(
        &self,
        name: &str,
        trades_per_second: f64,
        onboard: UnixMillis,
    ) -> Result<Arc<Listed>, SimError> {
        let mut contracts = self.contracts.write().unwrap_or_else(PoisonError::into_inner);
        let before = contracts.places.get(name).map(|&place| &contracts.list[place].symbol);
        let is_over = |symbol: &Symbol| symbol.delivery.is_some_and(|end| end <= onboard);
        if before.is_some_and(|before| !is_over(before)) {
            return Err(SimError::AlreadyListed(name.to_owned()));
        }
        let is_again = before.is_some();
        if contracts.list.len() >= SimConfig::SYMBOLS_MAX {
            return Err(SimError::TooManySymbols(SimConfig::SYMBOLS_MAX));
        }
        let mut symbol = new_listing(&self.config, name, trades_per_second, onboard)?;
        if is_again {
            symbol.set_listing(mix(symbol.seed ^ onboard.0.unsigned_abs()), onboard);
        }
        let place = contracts.list.len();
        contracts.places.insert(Arc::clone(&symbol.name), place);
        let listed = Arc::new(Listed::new(symbol));
        contracts.list.push(Arc::clone(&listed));
        Ok(listed)
    }

    /// Settles a contract at the end of the minute of `now`, or of the one it is listed in.
    pub(crate) fn delist(&self, name: &str, now: UnixMillis) -> Result<Arc<Listed>, SimError> {
        let mut contracts = self.contracts.write().unwrap_or_else(PoisonError::into_inner);
        let place =
            *contracts.places.get(name).ok_or_else(|| SimError::UnknownSymbol(name.to_owned()))?;
        let mut symbol = contracts.list[place].symbol.clone();
        let last = now.max(symbol.onboard).0.div_euclid(MINUTE);
        // One more minute: what the current one has already told of the next stays true.
        symbol.delivery = Some(UnixMillis((last + 2) * MINUTE));
        contracts.list[place] = Arc::new(Listed::new(symbol));
        Ok(Arc::clone(&contracts.list[place]))
    }
}
