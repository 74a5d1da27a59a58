//! Raw frames with arrival times on disk, and readers for the exchange's own dump files.
