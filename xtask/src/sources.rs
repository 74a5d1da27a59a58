//! Rules about one source file.

/// Lines a file may have, its tests included.
const LINES_MAX: usize = 400;
/// Columns a line may have, counted in characters; rustfmt cannot break strings and comments.
const COLUMNS_MAX: usize = 100;

/// What must not stand in a source file, with the reason. Spelled in halves here, so that this
/// file does not accuse itself.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("todo", "!(", "unfinished work is not committed"),
    ("unimplemented", "!(", "unfinished work is not committed"),
    ("#[ign", "ore", "a test that does not run proves nothing"),
    ("#[should", "_panic", "test the error instead"),
    ("unbounded", "_channel(", "every queue has a bound"),
    ("crossbeam_channel::unbound", "ed", "every queue has a bound"),
    ("dbg", "!(", "left over from debugging"),
    ("thread::sl", "eep(Duration::from_secs", "wait on a condition, not on time"),
];

/// Module names that say nothing.
const EMPTY_NAMES: &[&str] =
    &["common.rs", "utils.rs", "util.rs", "types.rs", "prelude.rs", "mod.rs"];

/// Adds what `text`, the file at `place`, breaks.
pub(crate) fn check(place: &str, text: &str, violations: &mut Vec<String>) {
    if !text.starts_with("//!") {
        violations.push(format!("{place}:1: does not open with `//!`"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        violations.push(format!("{place}: {lines} lines, more than {LINES_MAX}: split it"));
    }
    if let Some(name) = place.rsplit('/').next()
        && EMPTY_NAMES.contains(&name)
    {
        violations.push(format!("{place}: a name that says nothing; name its one concept"));
    }
    for (at, line) in text.lines().enumerate() {
        let at = at + 1;
        if line.chars().count() > COLUMNS_MAX {
            violations.push(format!("{place}:{at}: more than {COLUMNS_MAX} columns"));
        }
        for (head, tail, reason) in FORBIDDEN {
            if line.contains(&format!("{head}{tail}")) {
                violations.push(format!("{place}:{at}: `{head}{tail}`: {reason}"));
            }
        }
        if ["home", "root", "Users"].iter().any(|root| line.contains(&format!("\"/{root}/"))) {
            violations.push(format!("{place}:{at}: a path of one machine"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_names_the_line_that_breaks_it() {
        let breaks = |place: &str, text: &str, words: &str| {
            let mut violations = Vec::new();
            check(place, text, &mut violations);
            assert_eq!(violations.len(), 1, "{violations:?}");
            assert!(violations[0].contains(words), "{violations:?}");
        };
        breaks("a.rs", "fn main() {}\n", "a.rs:1: does not open");
        breaks("a.rs", &format!("//! A.\n// {}\n", "x".repeat(100)), "a.rs:2: more than 100");
        breaks("a.rs", &format!("//! A.\n{}", "\n".repeat(400)), "401 lines");
        breaks("src/utils.rs", "//! A.\n", "a name that says nothing");
        breaks("a.rs", concat!("//! A.\n#[ign", "ore]\n"), "a.rs:2");
    }

    #[test]
    fn wide_characters_count_once() {
        let mut violations = Vec::new();
        check("a.rs", &format!("//! {}\n", "线".repeat(96)), &mut violations);
        assert!(violations.is_empty(), "{violations:?}");
    }
}
