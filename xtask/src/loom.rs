//! Runs the models of the lock-free hand-overs that are ours, and proves that they prove something.
//!
//! A model that passes could also be one that looks nowhere. So its orderings are taken away, a
//! few at a time, and it has to fail each time.

use anyhow::{Context, bail};

use crate::workspace::{cargo, root, step};

/// A model, and what it cannot do without.
struct Model {
    package: &'static str,
    test: &'static str,
    /// Sites of the package whose orderings are taken away together. Where two are named, each
    /// alone would be made up for by the other.
    weakenings: &'static [&'static str],
}

/// The path that the tests of all models have in common.
const COMMON: &str = "models::";

/// The variable in which a model is told which orderings to leave out.
const WEAKENED: &str = "KLAGG_WEAKENED";

const MODELS: &[Model] = &[
    Model {
        package: "klagg-engine",
        test: "history::models::a_cell_is_read_whole_and_never_back_in_time",
        weakenings: &["WriteFence", "WriteEven", "ReadFirst", "ReadFence"],
    },
    Model {
        package: "klagg-engine",
        test: "history::models::who_sees_a_change_in_the_log_finds_it_and_its_kline",
        weakenings: &[
            "HeadStore,WriteFence",
            "HeadStore,WriteEven",
            "HeadLoad,ReadFence",
            "HeadLoad,ReadFirst",
        ],
    },
    Model {
        package: "klagg-engine",
        test: "history::models::the_newest_kline_is_there_when_it_is_said_to_be",
        weakenings: &[
            "NewestStore,WriteFence",
            "NewestStore,WriteEven",
            "NewestLoad,ReadFence",
            "NewestLoad,ReadFirst",
        ],
    },
];

/// Tries every interleaving of each model, and every value that its orderings allow; then the
/// same without some of its orderings, which must go wrong.
///
/// # Errors
/// If a model breaks one of its assertions, or keeps them all without its orderings.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut packages: Vec<_> = MODELS.iter().map(|model| model.package).collect();
    packages.dedup();
    for package in packages {
        // Shown: how many interleavings there were.
        let arguments = ["--show-output", COMMON];
        step("models", tests(package).args(arguments))?;
    }
    for model in MODELS {
        for weakening in model.weakenings {
            must_fail(model, weakening)?;
        }
    }
    Ok(())
}

/// The tests of a package under the model checker; arguments of the tests follow.
fn tests(package: &str) -> std::process::Command {
    let mut tests = cargo();
    // Optimized: a model is run thousands of times.
    tests.args(["test", "--release", "--package", package, "--lib", "--"]).current_dir(root());
    // A folder of its own: the flag would make every other build start anew.
    tests.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", root().join("target/loom"));
    tests
}

#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
fn must_fail(model: &Model, weakening: &str) -> anyhow::Result<()> {
    let Model { package, test, .. } = model;
    let mut weakened = tests(package);
    weakened.args(["--exact", test]).env(WEAKENED, weakening);
    let outcome = weakened.output().context("could not start the models")?;
    let words = String::from_utf8_lossy(&outcome.stdout);
    // One test ran and it failed: a name that fits no test, or a broken build, is no failure.
    if !words.contains("test result: FAILED. 0 passed; 1 failed") {
        bail!("{test} does not fail without {weakening}: it shows nothing about that ordering");
    }
    eprintln!("{test}: fails without {weakening}, as it must");
    Ok(())
}
