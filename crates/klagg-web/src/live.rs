//! `/ws/kline/live`: history and live klines over one websocket.
//!
//! # What a client sends
//!
//! Text frames of at most 4 KiB, JSON, nothing but these:
//!
//! ```json
//! {"subscribe":"BTCUSDT"}
//! {"subscribe":"BTCUSDT","periods":["1m"],"history":1000}
//! {"subscribe":["BTCUSDT","ETHUSDT"],"periods":["1m","1h"],"history":500}
//! {"unsubscribe":["ETHUSDT"],"periods":["1h"]}
//! ```
//!
//! One name (a string) replaces all earlier subscriptions; a list adds to them. Without `periods`
//! all are meant; `history` is 500 unless given, 0 to 1500. Subscribing to what is subscribed
//! already asks for a fresh snapshot. A name means the contract that bears it now: if it is listed
//! anew, as another contract, an earlier subscription stays with the one that has ended.
//!
//! # What the server sends
//!
//! First, once:
//!
//! ```json
//! {"type":"welcome","periods":["1m","5m"],"columns":["open_time","open", … ,"revision"]}
//! ```
//!
//! Then, per command, `subscribed` or `unsubscribed` with the number of pairs of symbol and
//! period that the connection has now, or an `error`; of an erroneous command nothing is done,
//! and the third one ends the connection with code 1008:
//!
//! ```json
//! {"type":"subscribed","subscriptions":2}
//! {"type":"error","code":"unknown_symbol","message":"symbol 1 of the list is not known"}
//! ```
//!
//! Then, per pair, a `snapshot`: closed klines, oldest first, and the open one last. After it,
//! `kline` messages, each one kline's whole new state. Rows hold what `columns` says: the
//! exchange's eleven columns, then the status (`open`; `broken`: open, and trades of it are missing
//! or may be; `provisional`, `closed`, `confirmed`) and the revision:
//!
//! ```json
//! {"type":"snapshot","sequence":812,"symbol":"BTCUSDT","period":"1m","price_precision":2,
//!  "quantity_precision":3,"klines":[[1791460860000,"82410.00","82433.20","82401.50","82418.70",
//!  "40.118",1791460919999,"3306421.55310",1986,"21.904","1805302.11870","confirmed",0], … ]}
//! {"type":"kline","sequence":813,"symbol":"BTCUSDT","period":"1m","kline":[1791460920000, … ]}
//! ```
//!
//! A client keeps, per open time, the row with the higher revision or status, or among open and
//! broken ones the one with the higher `sequence`. A `snapshot` replaces all that came before it.
//! `sequence` numbers the published states of the market. It never falls while the server runs,
//! and it leaps: states that a newer one replaced before they could be sent are skipped. A closed
//! kline is never skipped: if too many wait, a fresh `snapshot` comes instead of them.
//!
//! Every second a `heartbeat` says where the data stand and which of the client's symbols are
//! stale, because a worker is late or their feed is silent, and since when (times in milliseconds;
//! `now` is the server's clock):
//!
//! ```json
//! {"type":"heartbeat","sequence":820,"published_at":1791460933100,
//!  "exchange_time":1791460933010,"now":1791460933120,"stale":[["BTCUSDT",1791460920000]]}
//! ```
//!
//! # When the server hangs up
//!
//! 1008 after three wrong commands, more than 100 messages in a minute, or no pong for a minute;
//! 1009 after a message too long; 1013 when what is sent is not read for 10 s: reconnect, and a
//! snapshot makes you whole; 1001 when the server stops.

pub(crate) mod command;
pub(crate) mod encode;
pub(crate) mod socket;
