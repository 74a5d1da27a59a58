//! `klagg config`: what cannot hold is refused, what is hardly meant is warned of, in a sentence.

use crate::program::klagg;

#[test]
fn what_cannot_hold_is_refused_with_the_value_and_what_holds() {
    let check = |setting: &str, words: &[&str]| {
        let run = klagg(&["config", "--set", setting]);
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{setting}: {}", run.err);
        let errors: Vec<_> = run.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{setting}: {}", run.err);
        for word in words {
            assert!(errors[0].contains(word), "{setting} does not say `{word}`: {}", run.err);
        }
    };
    check("gateway.cadence_ms=0", &["gateway.cadence_ms", "`0`", "10 to 60000"]);
    check("gateway.alarm_threshold=0", &["gateway.alarm_threshold", "`0`", "1 to 1000"]);
    check("gateway.worker_timeout_ms=0", &["gateway.worker_timeout_ms", "1 to 60000"]);
    check(
        "gateway.worker_timeout_ms=101",
        &["101 is longer than gateway.cadence_ms = 100", "lower the first or raise the second"],
    );
    check("engine.workers=0", &["engine.workers", "`0`", "1 to 64"]);
    check("engine.workers=65", &["engine.workers", "1 to 64"]);
}

#[test]
fn more_workers_than_cores_are_warned_of() {
    let cores = std::thread::available_parallelism().map_or(64, usize::from);
    if cores >= 64 {
        return; // More than may be asked for.
    }
    let run = klagg(&["config", "--set", "engine.workers=64"]);
    assert_eq!(run.status, 0, "{}", run.err);
    let sentence = format!("warning: engine.workers = 64 is more than the {cores} cores");
    assert!(run.err.starts_with(&sentence), "{}", run.err);
    assert!(run.out.contains("workers = 64"));
    let run = klagg(&["config", "--set", "engine.workers=1"]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
}
