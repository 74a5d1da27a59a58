//! The public API of the crates that others embed, as a list in the repository: it changes on
//! purpose or not at all, and the version says so.
//!
//! Always true here: a crate's list is what `rustdoc` finds in it, one item a line. What is
//! missing from it, or written differently, breaks those who used it; so does a new field or
//! variant where the type is not `#[non_exhaustive]`, and a new method of a trait.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::workspace::{cargo, root, step};

/// The crates made to be embedded: the engine, and the nouns in its signatures.
const CRATES: &[&str] = &["klagg-kline", "klagg-engine"];

/// Traits of the compiler's own that nobody can name.
const INNER: &[&str] =
    &["core::marker::Freeze", "core::marker::StructuralPartialEq", "core::marker::UnsafeUnpin"];

/// Compares each crate with its list, or writes the lists anew.
///
/// # Errors
/// If an API is not as its list says; with `accept`, if the version does not allow the change.
#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
pub(crate) fn run(accept: bool) -> anyhow::Result<()> {
    for name in CRATES {
        let path = root().join("crates").join(name).join("public-api.txt");
        let listed = list(name)?;
        let found: BTreeSet<String> = listed.iter().cloned().collect();
        let held = match std::fs::read_to_string(&path) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(_) if accept => BTreeSet::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let change = Change::between(&held, &found);
        if change.is_empty() {
            eprintln!("{name}: the API is as listed ({} items)", found.len());
            continue;
        }
        eprint!("{}", change.describe(name));
        if !accept {
            bail!(
                "the API of {name} is not as listed. If that is meant, run `cargo xtask api \
                 --accept` and commit the list; if not, the lines above say what to restore"
            );
        }
        let log = std::fs::read_to_string(root().join("CHANGELOG.md")).context("CHANGELOG.md")?;
        allow(change.kind(), env!("CARGO_PKG_VERSION"), last_release(&log))?;
        let lines: String = listed.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        std::fs::write(&path, lines).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// What `rustdoc` says that a crate offers, item by item.
fn list(name: &str) -> anyhow::Result<Vec<String>> {
    // A folder of its own: the flags would make every other build start anew.
    let target = root().join("target/api");
    let mut document = cargo();
    document.args(["rustdoc", "--quiet", "--package", name, "--lib", "--all-features"]);
    document.arg("--target-dir").arg(&target);
    document.args(["--", "-Zunstable-options", "--output-format", "json"]);
    // The list as data is no stable output yet; the compiler is the stable one all the same.
    step("public API", document.env("RUSTC_BOOTSTRAP", "1"))?;
    let json: PathBuf = target.join("doc").join(format!("{}.json", name.replace('-', "_")));
    let api = public_api::Builder::from_rustdoc_json(&json).omit_blanket_impls(true).build();
    let api = api.with_context(|| {
        format!(
            "{} is not understood: if the compiler is a new one, raise `public-api` in Cargo.toml \
             to the release that reads its format",
            json.display()
        )
    })?;
    let is_inner = |line: &String| INNER.iter().any(|inner| line.contains(inner));
    Ok(api.items().map(ToString::to_string).filter(|line| !is_inner(line)).collect())
}

/// What a change of the API means for those who use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// They may not compile any more.
    Breaking,
    /// There is more to use.
    Additive,
}

/// The lines by which an API differs from its list.
#[derive(Debug, Default)]
struct Change {
    gone: Vec<String>,
    added: Vec<String>,
    /// Of `added`, what those notice who name all fields, match all variants, or implement a trait.
    noticed: Vec<String>,
}

impl Change {
    fn between(held: &BTreeSet<String>, found: &BTreeSet<String>) -> Self {
        let added: Vec<_> = found.difference(held).cloned().collect();
        let noticed = added.iter().filter(|line| is_noticed(line, held)).cloned().collect();
        Self { gone: held.difference(found).cloned().collect(), added, noticed }
    }

    fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.added.is_empty()
    }

    fn kind(&self) -> Kind {
        let breaks = !self.gone.is_empty() || !self.noticed.is_empty();
        if breaks { Kind::Breaking } else { Kind::Additive }
    }

    fn describe(&self, name: &str) -> String {
        let mut words = match self.kind() {
            Kind::Breaking => {
                format!("{name}: a breaking change, for 0.x the next minor version\n")
            }
            Kind::Additive => format!("{name}: additions only, for 0.x the next patch version\n"),
        };
        let lines = |sign, lines: &[String]| -> String {
            lines.iter().flat_map(|line| [sign, line.as_str(), "\n"]).collect()
        };
        words += &lines("  - ", &self.gone);
        words += &lines("  + ", &self.added);
        if !self.noticed.is_empty() {
            words += "  of these, in types that are not #[non_exhaustive], or in traits:\n";
            words += &lines("  ! ", &self.noticed);
        }
        words
    }
}

/// Whether a new line adds to something whose parts are all promised.
fn is_noticed(line: &str, held: &BTreeSet<String>) -> bool {
    let Some((path, is_function)) = part(line) else { return false };
    let Some((owner, _)) = path.rsplit_once("::") else { return false };
    held.iter().any(|line| {
        let words = if is_function {
            line.strip_prefix("pub trait ")
        } else {
            // A type, or a variant whose fields are listed by themselves.
            let item = line.strip_prefix("pub ");
            item.map(|item| item.strip_prefix("struct ").unwrap_or(item))
                .map(|item| item.strip_prefix("enum ").unwrap_or(item))
        };
        words.is_some_and(|words| path_of(words) == owner)
    })
}

/// The path of a field, a variant or a function, and whether it is a function.
fn part(line: &str) -> Option<(&str, bool)> {
    let item = line.strip_prefix("#[non_exhaustive] ").unwrap_or(line).strip_prefix("pub ")?;
    match item.strip_prefix("fn ") {
        Some(function) => Some((path_of(function), true)),
        None => Some((path_of(item), false)).filter(|(path, _)| path.contains("::")),
    }
}

/// The path at the start of `words`.
fn path_of(words: &str) -> &str {
    let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let end = words.find(|letter| !is_path(letter)).unwrap_or(words.len());
    words[..end].trim_end_matches(':')
}

/// The newest version that the change log has a section of.
fn last_release(log: &str) -> Option<&str> {
    let titles = log.lines().filter_map(|line| line.strip_prefix("## "));
    titles.map(str::trim).find(|title| title.starts_with(|first: char| first.is_ascii_digit()))
}

/// Whether the version may be published with this change since the last release.
fn allow(kind: Kind, version: &str, released: Option<&str>) -> anyhow::Result<()> {
    let Some(released) = released else { return Ok(()) };
    // Two versions promise the same if they agree up to the first number that is not zero.
    let promise = |version: &str| -> Vec<u64> {
        let numbers: Vec<u64> =
            version.split(['.', '-']).take(3).map(|part| part.parse().unwrap_or(0)).collect();
        let first = numbers.iter().position(|&number| number != 0).unwrap_or(2);
        numbers[..=first.min(numbers.len() - 1)].to_vec()
    };
    match kind {
        Kind::Breaking if promise(version) == promise(released) => bail!(
            "{released} is released and {version} promises the same API: raise the version to the \
             next that does not, or take the breaking change back"
        ),
        Kind::Additive if version == released => {
            bail!("{version} is released: raise the version before its API grows")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> BTreeSet<String> {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn a_change_breaks_if_something_is_gone_or_a_closed_type_grows() {
        let held = "
            pub struct engine::Config
            pub engine::Config::workers: usize
            #[non_exhaustive] pub struct engine::Counters
            pub engine::Counters::trades: u64
            pub enum engine::Side
            pub engine::Side::Buy
            #[non_exhaustive] pub enum engine::Error
            pub trait engine::Source
            pub fn engine::Engine::start(config: engine::Config) -> engine::Engine";
        let check = |gone: &str, added: &str, expected: Kind| {
            let mut found = lines(held);
            found.retain(|line| line != gone);
            found.extend(lines(added));
            let change = Change::between(&lines(held), &found);
            assert_eq!(change.kind(), expected, "without `{gone}`, with `{added}`");
            assert!(!change.is_empty());
        };
        check("", "pub fn engine::Engine::stop(self)", Kind::Additive);
        check("", "pub struct engine::New\npub engine::New::field: u8", Kind::Additive);
        check("", "pub engine::Counters::late: u64", Kind::Additive);
        check("", "pub engine::Error::Closed", Kind::Additive);
        check("", "impl core::clone::Clone for engine::Config", Kind::Additive);
        check("", "pub engine::Config::queue: usize", Kind::Breaking);
        check("", "pub engine::Side::Sell", Kind::Breaking);
        check("", "pub fn engine::Source::next(&mut self)", Kind::Breaking);
        check("pub engine::Counters::trades: u64", "", Kind::Breaking);
        let start = "pub fn engine::Engine::start(config: engine::Config) -> engine::Engine";
        check(start, "pub fn engine::Engine::start() -> engine::Engine", Kind::Breaking);
    }

    #[test]
    fn nothing_changed_is_no_change() {
        let held = lines("pub struct engine::Config");
        assert!(Change::between(&held, &held.clone()).is_empty());
    }

    #[test]
    fn a_released_version_does_not_change_its_promise() {
        let check = |kind: Kind, version: &str, released: Option<&str>, expected: bool| {
            let allowed = allow(kind, version, released).is_ok();
            assert_eq!(allowed, expected, "{kind:?} in {version} after {released:?}");
        };
        check(Kind::Breaking, "0.1.0", None, true);
        check(Kind::Breaking, "0.1.1", Some("0.1.0"), false);
        check(Kind::Breaking, "0.2.0", Some("0.1.3"), true);
        check(Kind::Breaking, "1.3.0", Some("1.2.0"), false);
        check(Kind::Breaking, "2.0.0", Some("1.2.0"), true);
        check(Kind::Additive, "0.1.0", Some("0.1.0"), false);
        check(Kind::Additive, "0.1.1", Some("0.1.0"), true);
    }

    #[test]
    fn the_last_release_is_the_first_section_with_a_number() {
        assert_eq!(last_release("# Changelog\n\n## Unreleased\n\nFirst version.\n"), None);
        let log = "## Unreleased\n\n- more\n\n## 0.2.0\n\n## 0.1.0\n";
        assert_eq!(last_release(log), Some("0.2.0"));
    }
}
