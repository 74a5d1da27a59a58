//! The exchange's JSON, in both directions.
