//! The permanent numbering of the market, lock-free to read.
