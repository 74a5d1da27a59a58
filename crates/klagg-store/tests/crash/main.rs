//! What survives: killed processes, power cuts, disks that are full or refuse to write.
//!
//! Every test writes the batches of [`model`], which follow from a seed alone, and holds what is
//! found afterwards against the same batches applied to a map. What must be found is not "most
//! of it" but exactly what some number of whole batches leave, none acknowledged missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
#![expect(clippy::print_stdout, reason = "a test names its seed, and says what it skips")]

mod images;
mod kill;
mod model;
mod power;
#[expect(dead_code, reason = "shared with tests that use other parts of it")]
#[path = "../disk/shim.rs"]
mod shim;
mod threaded;
