//! The bounds on what is read. Beyond one of them the input is refused, never cut.

/// Deepest nesting of arrays and objects. The deepest honest one has five levels.
pub const DEPTH_MAX: usize = 32;

/// Longest frame of a stream, in bytes. `!miniTicker@arr` with 1,500 rows stays below 400 KiB.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Longest request of a client, in bytes: 1,024 stream names fit.
pub const REQUEST_BYTES_MAX: usize = 128 << 10;

/// Longest reply of `exchangeInfo`, in bytes. About 1.15 MB with 924 symbols (measured).
pub const EXCHANGE_INFO_BYTES_MAX: usize = 16 << 20;

/// Longest of all other REST replies, in bytes: 1,500 klines or 1,000 trades fit well.
pub const REPLY_BYTES_MAX: usize = 2 << 20;

/// Longest symbol name, in bytes. The longest seen has 17 characters (measured).
pub const SYMBOL_BYTES_MAX: usize = 64;

/// Latest instant that is read: the end of the year 9999.
pub const TIME_MAX: i64 = 253_402_300_799_999;

/// Highest trade id that is read: 2^62 - 1, so that sums and differences of ids fit.
pub const ID_MAX: i64 = (1 << 62) - 1;
