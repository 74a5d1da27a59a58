//! The store from outside: files, rows, coverage, views, the writer.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod coverage;
mod files;
mod inspect;
mod older;
mod quarantine;
mod retention;
mod rows;
mod support;
mod views;
mod writer;
