//! What a trade, a period and a kline are; the fold, the merge and exact decimals.
//!
//! Always true here:
//! - Pure: no clock, no socket, no log, no allocation but where a caller asks for a `String`.
//! - No float stands between the wire and the disk. A decimal that does not fit is an error.
//! - A fold cannot overflow: [`Trade::new`] refuses what could make it (see [`MAX_NOTIONAL`]).
//!
//! Deliberately absent: JSON, SQL, symbol names, the notion of "now".
//!
//! # Examples
//!
//! ```
//! use klagg_kline::{Kline, Period, Precision, Price, Quantity, Side, Trade, TradeId, UnixMillis};
//!
//! let trade = Trade::new(
//!     TradeId(7),
//!     UnixMillis(1_700_000_061_500),
//!     Price::parse("100.50")?,
//!     Quantity::parse("0.250")?,
//!     1,
//!     Side::Buy,
//! )?;
//! let open_time = Period::M1.open_time(trade.time);
//! let kline = Kline::of_trade(open_time, &trade);
//! let precision = Precision::new(2, 3)?;
//! assert_eq!(kline.close.display(precision.price()).to_string(), "100.50");
//! assert_eq!(kline.quote_volume.display(precision.quote()).to_string(), "25.12500");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decimal;
mod kline;
mod period;
mod period_set;
mod record;
mod symbol;
mod time;
mod trade;

pub use decimal::{DecimalError, DisplayDecimal, Precision, Price, Quantity, QuoteVolume, Volume};
pub use kline::{Kline, KlineError};
pub use period::{Period, UnknownPeriod};
pub use period_set::{PeriodSet, PeriodSetError};
pub use record::{KlineRecord, KlineStatus};
pub use symbol::SymbolId;
pub use time::UnixMillis;
pub use trade::{MAX_NOTIONAL, Side, Trade, TradeError, TradeId};
