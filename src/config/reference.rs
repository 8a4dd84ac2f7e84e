//! Documents that are made from the table of keys: the annotated `config.toml`, the documents'
//! tables, and the JSON Schema.

use super::effective::to_toml;
use super::env::{VARIABLES, Variable};
use super::keys::{self, DefaultValue, Key, Kind, TABLES, Table};
use super::values::{format_duration, format_size};
use serde_json::{Map, Value, json};
use toml::de::DeValue;

/// Returns the annotated `config.toml`: every key, with its default. Reading it changes nothing.
pub fn annotated_file() -> String {
    let mut lines: Vec<String> = HEAD.lines().map(str::to_owned).collect();
    for table in TABLES {
        let (heading, off) = match table.name {
            // tables with a meaning by being there
            "listener.tls" => ("listener.tls", "# "),
            "listeners.*" => ("listeners.agents", "# "),
            "environments.*" => ("environments.prod", "# "),
            name => (name, ""),
        };
        lines.push(String::new());
        lines.extend(comment(table.doc));
        lines.push(format!("{off}[{heading}]"));

        for key in table.keys {
            lines.extend(comment(key.doc));
            lines.extend(range(&key.kind).iter().flat_map(|range| comment(range)));
            let value = to_toml(&key.example());
            // a key without a default is off, so that reading the file changes nothing
            lines.push(match key.effect() {
                None => format!("{off}{} = {value}", key.name),
                Some(effect) => format!("# {} = {value}  # default: {effect}", key.name),
            });
        }
    }

    // the file ends with a line feed
    lines.push(String::new());
    lines.join("\n")
}

/// Returns the documents' table of options, in Markdown.
pub fn options_table() -> String {
    let mut rows = vec!["| key | default | meaning |\n| --- | --- | --- |\n".to_owned()];
    for (table, key) in keys::all() {
        let path = path(table, key).replace('*', "NAME");
        let default = match key.effect() {
            None => format!("`{}`", to_toml(&key.example())),
            Some(effect) => effect.to_owned(),
        };
        rows.push(format!("| `{path}` | {default} | {} |\n", description(key)));
    }
    rows.concat()
}

/// Returns the documents' table of environment variables, in Markdown.
pub fn variables_table() -> String {
    let row = |variable: &Variable| format!("| `{}` | {} |\n", variable.name, variable.doc);
    let rows: String = VARIABLES.iter().map(row).collect();
    format!("| variable | meaning |\n| --- | --- |\n{rows}")
}

/// Returns the paths of all keys, with `*` for a name of the user's own.
pub fn key_paths() -> impl Iterator<Item = String> {
    keys::all().map(|(table, key)| path(table, key))
}

fn path(table: &Table, key: &Key) -> String {
    format!("{}.{}", table.name, key.name)
}

/// Returns a JSON Schema of the configuration (draft 2020-12), for editors. It knows names, types
/// and ranges; `mwaa-gateway check` knows more.
pub fn schema() -> Value {
    let properties = TABLES.iter().filter_map(|table| {
        let schema = match table.name.split_once('.') {
            None => table_schema(table),
            Some((_, "*")) => json!({
                "type": "object",
                "description": table.doc,
                "propertyNames": { "pattern": DNS_LABEL },
                "additionalProperties": table_schema(table),
            }),
            // a part of its outer table
            Some(_) => return None,
        };
        Some((table.group().to_owned(), schema))
    });

    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of mwaa-gateway",
        "type": "object",
        "properties": properties.collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

fn table_schema(table: &Table) -> Value {
    let keys = table
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), key_schema(key)));
    let inner = TABLES.iter().filter_map(|inner| {
        let name = inner.name.strip_prefix(table.name)?.strip_prefix('.')?;
        Some((name.to_owned(), table_schema(inner)))
    });

    let is_required = |key: &&Key| matches!(key.default, DefaultValue::Required(_));
    let required = table.keys.iter().filter(is_required).map(|key| key.name);
    json!({
        "type": "object",
        "description": table.doc,
        "properties": keys.chain(inner).collect::<Map<_, _>>(),
        "required": required.collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}

fn key_schema(key: &Key) -> Value {
    let mut schema = match &key.kind {
        // patterns for them would only be the gateway's parsers once more
        Kind::Text | Kind::Address | Kind::Path => json!({ "type": "string" }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count(range) => json!({
            "type": "integer",
            "minimum": range.start(),
            "maximum": range.end(),
        }),
        Kind::Duration(_) => json!({ "type": "string", "pattern": DURATION }),
        // a pattern is for texts alone, minimum and maximum are for numbers
        Kind::Size(range) => json!({
            "type": ["string", "integer"],
            "pattern": SIZE,
            "minimum": range.start(),
            "maximum": range.end(),
        }),
        Kind::List | Kind::Program => json!({ "type": "array", "items": { "type": "string" } }),
    };

    let example = to_json(&key.example());
    let more = match key.effect() {
        None => json!({ "description": description(key), "default": example }),
        Some(_) => json!({ "description": description(key), "examples": [example] }),
    };
    if let (Value::Object(schema), Value::Object(more)) = (&mut schema, more) {
        schema.extend(more);
    }
    schema
}

/// Returns the meaning of a key, with its range if it has one.
fn description(key: &Key) -> String {
    match range(&key.kind) {
        Some(range) => format!("{} {range}", key.doc),
        None => key.doc.to_owned(),
    }
}

/// Returns a value of a key as JSON.
fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        // the others are whole numbers, which both languages write alike
        other => serde_json::from_str(&to_toml(other)).unwrap_or_default(),
    }
}

/// Returns the values that a number, duration or size may have.
fn range(kind: &Kind) -> Option<String> {
    let (least, most) = match kind {
        Kind::Count(range) => (range.start().to_string(), range.end().to_string()),
        Kind::Duration(range) => (
            format_duration(*range.start()),
            format_duration(*range.end()),
        ),
        Kind::Size(range) => (format_size(*range.start()), format_size(*range.end())),
        Kind::Text
        | Kind::Address
        | Kind::Choice(_)
        | Kind::Path
        | Kind::Flag
        | Kind::List
        | Kind::Program => return None,
    };
    Some(format!("From {least} to {most}."))
}

/// Returns the text as a comment, broken into lines of at most 96 characters.
fn comment(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::from("#");
    for word in text.split(' ') {
        if current.chars().count() + 1 + word.chars().count() > 96 {
            lines.push(std::mem::replace(&mut current, String::from("#")));
        }
        current.push(' ');
        current.push_str(word);
    }
    lines.push(current);
    lines
}

const HEAD: &str = "\
# mwaa-gateway: every key, with its default.
#
# One file is read: --config or MWAA_GATEWAY_CONFIG, else the first that exists of
# ./mwaa-gateway.toml, ~/.config/mwaa-gateway/config.toml, /etc/mwaa-gateway/config.toml. Options
# and environment variables take precedence over it. Relative paths are resolved against its folder.
# `mwaa-gateway check` lists the problems of a file. A running gateway reads a file that has changed.
";

/// Names that become the first label of a host name (RFC 1123).
const DNS_LABEL: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// Text that begins with a number and ends with a unit.
const DURATION: &str = r"^\s*[0-9].*[A-Za-z]\s*$|^0$";
/// A number and a unit.
const SIZE: &str = r"^[0-9]+\s*([KkMmGg][Ii]?)?[Bb]\s*$";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{nowhere, repository};
    use crate::{Config, EffectiveConfig, Overrides, SearchPath, env, load};

    #[test]
    fn the_committed_file_is_the_generated_one() {
        let path = repository().join("config.toml");
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
    fn the_annotated_file_equals_the_defaults() {
        let folder = tempfile::tempdir().expect("folder");
        let search = SearchPath {
            folder: folder.path().to_owned(),
            ..nowhere()
        };
        let without = load(None, &Overrides::default(), &search).expect("defaults");
        std::fs::write(search.folder.join("mwaa-gateway.toml"), annotated_file())
            .expect("file");
        let with = load(None, &Overrides::default(), &search).expect("a good file");
        assert!(with.source.is_some() && without.source.is_none());
        let without_source = |config: Config| Config {
            source: None,
            // they name the file too
            values: EffectiveConfig::default(),
            ..config
        };
        assert_eq!(
            format!("{:?}", without_source(with)),
            format!("{:?}", without_source(without))
        );
    }

    #[test]
    fn every_key_is_documented_once() {
        let (file, table) = (annotated_file(), options_table());
        for (of, key) in keys::all() {
            let cell = format!("| `{}.{}` |", of.name.replace('*', "NAME"), key.name);
            assert_eq!(table.matches(&cell).count(), 1, "{cell}");
            assert!(file.contains(&format!("{} = ", key.name)), "{}", key.name);
        }
        assert!(variables_table().contains("| `NO_COLOR` |"));
        assert!(file.lines().all(|line| line.chars().count() <= 110));
    }
}
