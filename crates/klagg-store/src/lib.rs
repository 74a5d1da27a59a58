//! Klines and the symbol table on disk, in SQLite.
