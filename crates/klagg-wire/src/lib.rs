//! The exchange's JSON, in both directions.
//!
//! Always true here:
//! - No bytes make it panic. What cannot be read exactly is a [`WireError`], never a guess.
//! - Decimals go from text to integers at 1e-8 (or 1e-16) without a float between.
//! - A key that is read and stands twice in its object is refused. Unknown keys are ignored, any
//!   order of keys is read, escapes are resolved.
//! - Every size is bounded: see [`limits`]. JSON nests at most [`limits::DEPTH_MAX`] deep.
//! - A frame decoded on the hot path equals the frame decoded by the general parser: a property
//!   test holds both against each other.
//!
//! Deliberately absent: sockets, clocks, symbol numbers, logs, our own JSON.
//!
//! Facts about the exchange carry their source: "docs" is a page of
//! <https://developers.binance.com> (USD-M futures) and its name, "measured" was seen on the wire.
//!
//! # Examples
//!
//! ```
//! use klagg_wire::{Decoder, StreamEvent};
//!
//! let frame = br#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1791460920015,
//!     "a":3481200418,"s":"BTCUSDT","p":"82418.80","q":"0.250","nq":"0.240","f":8162300556,
//!     "l":8162300561,"T":1791460919932,"m":false,"st":1}}"#;
//! let mut decoder = Decoder::new();
//! let StreamEvent::Trade(event) = decoder.decode(frame)? else { panic!("an aggregate trade") };
//! assert_eq!(event.symbol, "BTCUSDT");
//! assert_eq!(event.trade.price.to_string(), "82418.8");
//! assert_eq!((event.trade.fill_count, event.precision.quantity()), (6, 3));
//! # Ok::<(), klagg_wire::WireError>(())
//! ```

/// Whether a seeded bug is switched on: never, but in the simulation's own build.
#[cfg(feature = "mutants")]
macro_rules! mutated {
    ($mutant:ident) => {
        klagg_mutants::is_active(klagg_mutants::Mutant::$mutant)
    };
}
#[cfg(not(feature = "mutants"))]
macro_rules! mutated {
    ($mutant:ident) => {
        false
    };
}

mod decoder;
pub mod encode;
mod error;
mod event;
mod general;
mod json;
pub mod limits;
pub mod request;
pub mod rest;
mod scan;
pub mod stream_name;

pub use decoder::Decoder;
pub use error::{Row, WireError};
pub use event::{ContractInfo, KlineEvent, MiniTicker, StreamEvent, TradeEvent, TradeKind};
