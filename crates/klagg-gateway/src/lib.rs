//! Pull, degrade, publish; and the read scheduler.
