//! The exchange's own API for klines, so that clients written for it work unchanged.
//!
//! REST: `/fapi/v1/` `ping`, `time`, `exchangeInfo`, `klines`, `continuousKlines`,
//! `ticker/price` (also under `/fapi/v2/`). Streams: `<symbol>@kline_<period>` and
//! `<pair>_perpetual@continuousKline_<period>` on `/ws` and `/stream`, bare and under `/market`,
//! `/public`, `/private`. Other streams are acknowledged and stay silent, as the exchange does.

pub(crate) mod event;
pub(crate) mod rest;
pub(crate) mod socket;
pub(crate) mod streams;
