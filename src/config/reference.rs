//! Writes what is documented from the table of keys: the annotated `config.toml` and the README's
//! table of options.

use super::keys::{self, KEYS, Key, Kind, Shown, TABLES};
use super::values;
use std::fmt::Write;

/// The annotated `config.toml`: every key, with its default. Reading it changes nothing.
pub fn annotated_file() -> String {
    let mut text = String::from(HEAD);
    for (table, about) in TABLES {
        let off = if keys::is_optional(table) { "# " } else { "" };
        text.push('\n');
        comment(&mut text, about);
        let example = if *table == keys::LISTENERS_TABLE {
            "agents"
        } else {
            "prod"
        };
        let heading = table.replace('*', example);
        line(&mut text, &format!("{off}[{heading}]"));
        for key in keys::of(table) {
            comment(&mut text, key.doc);
            if let Some(range) = range(&key.kind) {
                comment(&mut text, &range);
            }
            match key.shown {
                Shown::Default(value) => {
                    line(&mut text, &format!("{off}{} = {value}", key.name));
                }
                Shown::Example { value, absent } => {
                    line(
                        &mut text,
                        &format!("# {} = {value}  # default: {absent}", key.name),
                    );
                }
            }
        }
    }
    text
}

/// The README's table of options, in Markdown.
pub fn options_table() -> String {
    let mut text = String::from("| key | default | meaning |\n| --- | --- | --- |\n");
    for key in KEYS {
        let table = key.table.replace('*', "NAME");
        let default = match key.shown {
            Shown::Default(value) => format!("`{value}`"),
            Shown::Example { absent, .. } => absent.to_owned(),
        };
        let meaning = match range(&key.kind) {
            Some(range) => format!("{} {range}", key.doc),
            None => key.doc.to_owned(),
        };
        let row = format!("| `{table}.{}` | {default} | {meaning} |", key.name);
        line(&mut text, &row);
    }
    text
}

/// The README's table of environment variables, in Markdown.
pub fn variables_table() -> String {
    let mut text = String::from("| variable | meaning |\n| --- | --- |\n");
    for variable in super::env::VARIABLES {
        line(
            &mut text,
            &format!("| `{}` | {} |", variable.name, variable.doc),
        );
    }
    text
}

/// The paths of all keys, with `*` for an environment's local name.
pub fn key_paths() -> impl Iterator<Item = String> {
    KEYS.iter().map(path)
}

fn path(key: &Key) -> String {
    format!("{}.{}", key.table, key.name)
}

const HEAD: &str = "\
# mwaa-gateway: every key, with its default. Generated from the table of keys; a test compares.
#
# The first of these files is read, alone: --config or MWAA_GATEWAY_CONFIG, ./mwaa-gateway.toml,
# ~/.config/mwaa-gateway/config.toml, /etc/mwaa-gateway/config.toml. Flags and variables beat it.
# Relative paths start at this file's folder. `mwaa-gateway check` tells what is wrong with a file.
";

/// The values that a number, duration or size may have.
fn range(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Count { least, most, .. } => Some(format!("From {least} to {most}.")),
        Kind::Duration { least, most, .. } => Some(format!(
            "From {} to {}.",
            humantime::format_duration(*least),
            humantime::format_duration(*most)
        )),
        Kind::Size { least, most, .. } => Some(format!(
            "From {} to {}.",
            values::show_size(*least),
            values::show_size(*most)
        )),
        Kind::Text(_) | Kind::Choice(_) | Kind::Path(_) | Kind::Flag(_) | Kind::List { .. } => {
            None
        }
    }
}

/// Adds a comment, broken into lines of at most 96 characters.
fn comment(text: &mut String, about: &str) {
    let mut current = String::from("#");
    for word in about.split(' ') {
        if current.chars().count() + 1 + word.chars().count() > 96 {
            line(text, &current);
            current = String::from("#");
        }
        current.push(' ');
        current.push_str(word);
    }
    line(text, &current);
}

fn line(text: &mut String, content: &str) {
    // writing to a String can't fail
    writeln!(text, "{content}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, Search, env, load};
    use std::path::Path;

    #[test]
    fn the_committed_file_is_the_generated_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        if env::update_expected() {
            std::fs::write(&path, annotated_file()).expect("config.toml");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == annotated_file(),
            "config.toml is stale: run the tests with UPDATE_EXPECTED=1"
        );
    }

    #[test]
    fn the_annotated_file_changes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let search = Search {
            folder: folder.path().to_owned(),
            user: Vec::new(),
            system: folder.path().to_owned(),
        };
        let without = load(None, &Overrides::default(), &search).expect("defaults");
        std::fs::write(search.folder.join("mwaa-gateway.toml"), annotated_file())
            .expect("file");
        let with = load(None, &Overrides::default(), &search).expect("a good file");
        assert!(with.source.is_some() && without.source.is_none());
        let plain = |config: crate::config::Config| {
            format!(
                "{:?}",
                crate::config::Config {
                    source: None,
                    ..config
                }
            )
        };
        assert_eq!(plain(with), plain(without));
    }

    #[test]
    fn every_key_is_documented_once() {
        let (file, table) = (annotated_file(), options_table());
        for key in KEYS {
            let cell = format!("| `{}.{}` |", key.table.replace('*', "NAME"), key.name);
            assert_eq!(table.matches(&cell).count(), 1, "{cell}");
            assert!(file.contains(&format!("{} = ", key.name)), "{}", key.name);
        }
        assert!(variables_table().contains("| `NO_COLOR` |"));
        assert!(file.lines().all(|line| line.chars().count() <= 110));
    }
}
