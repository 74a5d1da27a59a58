//! The layers of the configuration: file, environment, flags; the later one wins.

use std::path::Path;

use anyhow::{Context, bail};
use toml::{Table, Value};

use super::keys::{self, KEYS, Kind};

/// Prefix of the environment variables: `KLAGG_SECTION__KEY`.
const PREFIX: &str = "KLAGG_";

/// What was set, in the order in which it counts, each with where it came from.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    set: Vec<Setting>,
}

#[derive(Debug)]
struct Setting {
    path: String,
    value: Value,
    origin: String,
}

impl Layers {
    /// Adds the keys of a TOML file.
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML.
    pub(crate) fn add_file(&mut self, file: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the configuration file {}", file.display()))?;
        let table: Table = text
            .parse()
            .with_context(|| format!("the configuration file {} is no TOML", file.display()))?;
        for (section, value) in table {
            let origin = file.display().to_string();
            match value {
                Value::Table(section_table) => {
                    for (name, value) in section_table {
                        let path = format!("{section}.{name}");
                        self.set.push(Setting { path, value, origin: origin.clone() });
                    }
                }
                value => self.set.push(Setting { path: section, value, origin }),
            }
        }
        Ok(())
    }

    /// Adds environment variables `KLAGG_SECTION__KEY`; others are not looked at.
    pub(crate) fn add_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        let mut found: Vec<_> = variables
            .filter_map(|(name, value)| {
                let path = name.strip_prefix(PREFIX)?;
                let (section, key) = path.split_once("__")?;
                let path = format!("{}.{}", section.to_lowercase(), key.to_lowercase());
                Some((path, value, name))
            })
            .collect();
        found.sort();
        for (path, value, name) in found {
            self.set(&path, &value, &name);
        }
    }

    /// Adds one key from text: TOML where the key wants more than a text, else the text itself.
    pub(crate) fn set(&mut self, path: &str, text: &str, origin: &str) {
        let value = match keys::find(path).map(|key| key.kind) {
            Some(Kind::TextList | Kind::Periods | Kind::PeriodDays)
                if !text.trim_start().starts_with('[') =>
            {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                Value::Array(names.map(|name| Value::String(name.to_owned())).collect())
            }
            Some(
                Kind::Bool
                | Kind::Integer(..)
                | Kind::Float(..)
                | Kind::TextList
                | Kind::Periods
                | Kind::PeriodDays,
            ) => parse_value(text),
            _ => Value::String(text.to_owned()),
        };
        self.set.push(Setting { path: path.to_owned(), value, origin: origin.to_owned() });
    }

    /// Every key with its value, defaults filled in.
    ///
    /// # Errors
    /// Names the first key that is unknown or whose value is not allowed.
    pub(super) fn merged(&self) -> anyhow::Result<Table> {
        let mut merged = Table::new();
        for key in KEYS {
            insert(&mut merged, key.path, parse_value(key.default));
        }
        for Setting { path, value, origin } in &self.set {
            let Some(key) = keys::find(path) else {
                let near = nearest(path);
                bail!("{origin}: unknown key `{path}`; the nearest one is `{near}`");
            };
            let value = match (key.kind, value) {
                #[expect(clippy::cast_precision_loss, reason = "a configured number is small")]
                (Kind::Float(..), Value::Integer(number)) => Value::Float(*number as f64),
                _ => value.clone(),
            };
            if let Err(why) = key.kind.check(&value) {
                let shown = match &value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let allowed = why.unwrap_or_else(|| format!("allowed: {}", key.kind.allowed()));
                bail!("{origin}: `{path}` is `{shown}`; {allowed}");
            }
            insert(&mut merged, path, value);
        }
        Ok(merged)
    }
}

fn insert(table: &mut Table, path: &str, value: Value) {
    let (section, name) = path.split_once('.').unwrap_or(("", path));
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert(name.to_owned(), value);
    }
}

/// `text` as a TOML value, or as a plain text where it is none.
fn parse_value(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// The known key that is most like `path`.
fn nearest(path: &str) -> &'static str {
    KEYS.iter().map(|key| key.path).min_by_key(|known| distance(known, path)).unwrap_or_default()
}

/// How many letters must be put in, taken out or changed to turn one into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, wanted) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_layer_wins_and_other_variables_are_left_alone() {
        let mut layers = Layers::default();
        let variables = [
            ("KLAGG_ENGINE__WORKERS", "3"),
            ("KLAGG_ENGINE__PERIODS", "1m, 1h"),
            ("KLAGG", "x"),
            ("KLAGG_UNRELATED", "x"),
            ("PATH", "x"),
        ];
        layers.add_environment(variables.iter().map(|(k, v)| ((*k).into(), (*v).into())));
        layers.set("engine.workers", "4", "--set");
        let merged = layers.merged().unwrap();
        assert_eq!(merged["engine"]["workers"].as_integer(), Some(4));
        assert_eq!(merged["engine"]["periods"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_file_that_is_missing_broken_or_has_an_unknown_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("klagg.toml");
        let error = Layers::default().add_file(&file).unwrap_err().to_string();
        assert!(error.contains("klagg.toml"), "{error}");
        std::fs::write(&file, "[engine\n").unwrap();
        let error = Layers::default().add_file(&file).unwrap_err().to_string();
        assert!(error.contains("no TOML"), "{error}");
        std::fs::write(&file, "api_key = \"x\"\n").unwrap();
        let mut layers = Layers::default();
        layers.add_file(&file).unwrap();
        let error = layers.merged().unwrap_err().to_string();
        assert!(error.contains("klagg.toml") && error.contains("`api_key`"), "{error}");
    }
}
