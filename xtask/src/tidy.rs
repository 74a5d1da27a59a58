//! Rules about the workspace that no compiler knows, each printed with the place that breaks it.

use std::path::Path;

use anyhow::{Context, bail};
use toml::Table;

use crate::arrows::{ARROWS, OWNERS, TEST_ONLY};
use crate::{fixtures, sources, workspace};

/// Runs every rule.
///
/// # Errors
/// Lists every violation.
#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
pub(crate) fn run() -> anyhow::Result<()> {
    let violations = violations()?;
    for violation in &violations {
        eprintln!("tidy: {violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations of the rules of the house", violations.len());
    }
    eprintln!("tidy: no violations");
    Ok(())
}

fn violations() -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for package in workspace::packages()? {
        let path = package.join("Cargo.toml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let manifest: Table = text.parse().with_context(|| format!("parse {}", path.display()))?;
        check_manifest(&package, &manifest, &mut violations);
    }
    for file in workspace::rust_files()? {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        sources::check(&workspace::relative(&file), &text, &mut violations);
    }
    check_architecture(&mut violations)?;
    fixtures::check(&mut violations)?;
    Ok(violations)
}

fn check_manifest(package: &Path, manifest: &Table, violations: &mut Vec<String>) {
    let place = workspace::relative(&package.join("Cargo.toml"));
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(|name| name.as_str())
        .unwrap_or_default();
    let folder = package.file_name().unwrap_or_default().to_string_lossy();
    if name != folder && name != "klagg-bench" {
        violations.push(format!("{place}: package `{name}` is not named as its folder"));
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(owner, _)| *owner == name) else {
        violations.push(format!("{place}: `{name}` has no row in the table of arrows"));
        return;
    };
    if manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&true.into()) {
        violations.push(format!("{place}: does not inherit the workspace's lints"));
    }
    for (section, for_tests) in
        [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
    {
        let Some(dependencies) = manifest.get(section).and_then(|section| section.as_table())
        else {
            continue;
        };
        for (dependency, how) in dependencies {
            if how.get("workspace") != Some(&true.into()) {
                violations.push(format!(
                    "{place}: `{dependency}` does not take its version from the workspace"
                ));
            }
            let ours = dependency.starts_with("klagg");
            let known = allowed.contains(&dependency.as_str())
                || (for_tests && TEST_ONLY.contains(&dependency.as_str()));
            if ours && !known {
                violations.push(format!("{place}: the arrow {name} → {dependency} is not allowed"));
            }
            let owners = OWNERS.iter().find(|(owned, _)| owned == dependency);
            if let Some((_, owners)) = owners
                && !for_tests
                && name != "klagg-bench"
                && !owners.contains(&name)
            {
                violations.push(format!("{place}: `{dependency}` belongs to {owners:?} alone"));
            }
        }
    }
}

/// Every crate has its line in the map of the house.
fn check_architecture(violations: &mut Vec<String>) -> anyhow::Result<()> {
    let path = workspace::root().join("docs/ARCHITECTURE.md");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    for (name, _) in ARROWS {
        if !text.contains(&format!("`{name}`")) {
            violations.push(format!("docs/ARCHITECTURE.md: does not speak of `{name}`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_obeys_its_rules() {
        let violations = violations().unwrap();
        assert!(violations.is_empty(), "\n{}", violations.join("\n"));
    }

    #[test]
    fn arrows_point_down_only() {
        for (at, (name, imports)) in ARROWS.iter().enumerate() {
            for import in *imports {
                let below = ARROWS[..at].iter().any(|(lower, _)| lower == import);
                assert!(below, "{name} → {import} points up");
            }
        }
    }

    #[test]
    fn a_forbidden_arrow_an_alien_version_and_a_stolen_dependency_are_named() {
        let manifest: Table = r#"
            package.name = "klagg-kline"
            [dependencies]
            klagg-engine = { workspace = true }
            serde = "1"
            axum = { workspace = true }
        "#
        .parse()
        .unwrap();
        let mut violations = Vec::new();
        check_manifest(Path::new("crates/klagg-kline"), &manifest, &mut violations);
        let expect = |words: &str| {
            assert!(violations.iter().any(|line| line.contains(words)), "{words}: {violations:?}");
        };
        expect("inherit the workspace's lints");
        expect("klagg-kline → klagg-engine");
        expect("`serde` does not take its version");
        expect("`axum` belongs to");
        assert_eq!(violations.len(), 4, "{violations:?}");
    }
}
