//! The effective configuration as TOML with comments: valid input for `--config`.

use std::fmt::Write;

use super::Layers;
use super::keys::KEYS;

/// The effective configuration, each key with what it means and what it allows.
///
/// # Errors
/// As [`super::Config::from_layers`].
pub(crate) fn print(layers: &Layers) -> anyhow::Result<String> {
    super::Config::from_layers(layers)?.warn();
    let merged = layers.merged()?;
    let mut text = String::new();
    let mut current = "";
    for key in KEYS {
        let (section, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if section != current {
            let gap = if current.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{section}]");
            current = section;
        }
        let value = &merged[section][name];
        let default = if value.to_string() == key.default {
            String::new()
        } else {
            format!(" Default: {}.", key.default)
        };
        let _ = writeln!(text, "# {} Allowed: {}.{default}", key.meaning, key.kind.allowed());
        let _ = writeln!(text, "{name} = {value}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_printed_is_accepted_and_gives_the_same() {
        let mut layers = Layers::default();
        layers.set("engine.workers", "5", "--set");
        let printed = print(&layers).unwrap();
        assert!(printed.contains("workers = 5") && printed.contains("Default: 2."), "{printed}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("klagg.toml");
        std::fs::write(&file, &printed).unwrap();
        let mut again = Layers::default();
        again.add_file(&file).unwrap();
        assert_eq!(print(&again).unwrap(), printed);
        assert_eq!(Config::from_layers(&again).unwrap().engine.workers, 5);
    }
}
