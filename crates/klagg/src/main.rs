//! The klagg program: flags and config in, the composed pipeline out.
fn main() {}
