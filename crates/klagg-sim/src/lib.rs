//! An exchange on loopback that can be broken on purpose.
