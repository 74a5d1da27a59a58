//! The server on loopback, port 0, behind a real pipeline that is fed by hand.

#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "a test may")]

mod admin;
mod client;
mod exchange_rest;
mod exchange_streams;
mod live;
mod names;
mod page;
mod pipeline;
mod safety;
mod slow;
