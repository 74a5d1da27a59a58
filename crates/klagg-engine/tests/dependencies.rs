//! What an embedder of the engine takes in with it.

use std::process::Command;

#[test]
fn the_engine_stays_small_and_free_of_runtimes() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "klagg-engine", "--edges", "normal", "--prefix", "none"])
        .args(["--offline", "--no-dedupe", "--format", "{lib}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let mut crates: Vec<&str> =
        tree.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    crates.sort_unstable();
    crates.dedup();
    assert!(crates.contains(&"crossbeam_channel"), "{crates:?}");
    assert!(crates.len() <= 10, "{crates:?}");
    for banned in ["tokio", "serde", "reqwest", "core_affinity"] {
        assert!(!crates.contains(&banned), "{banned} among {crates:?}");
    }
}
