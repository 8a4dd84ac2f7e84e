//! The four formats of `-o`: table, json, yaml and plain, as Airflow's console renders them.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::answers::Answer;
use super::{python, table};

/// The value of `-o/--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Json,
    Yaml,
    Plain,
}

impl Format {
    /// Reads a name; the default is the table.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "json" => Self::Json,
            "yaml" => Self::Yaml,
            "plain" => Self::Plain,
            _ => Self::Table,
        }
    }
}

/// Rows under named columns.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    /// No rows yet under these columns, which are separated by commas.
    pub(super) fn new(columns: &str) -> Self {
        let columns = columns.split(',').filter(|name| !name.is_empty());
        Self {
            columns: columns.map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// Appends a row, its values in the order of the columns.
    pub(super) fn push(&mut self, row: Vec<Value>) {
        self.rows.push(row);
    }

    /// A command that works and prints the rows.
    pub(super) fn print(&self, format: Format) -> Answer {
        Answer::stdout(self.render(format))
    }

    /// Renders the rows.
    pub(super) fn render(&self, format: Format) -> String {
        let normal =
            |row: &Vec<Value>| row.iter().map(|value| normalize(value, format)).collect();
        let rows: Vec<Vec<Value>> = self.rows.iter().map(normal).collect();
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        match format {
            Format::Json => {
                let objects = rows
                    .iter()
                    .map(|row| python::json_object(columns.iter().copied().zip(row)));
                format!("[{}]\n", objects.collect::<Vec<_>>().join(", "))
            }
            Format::Yaml => yaml(&columns, &rows),
            Format::Table | Format::Plain if rows.is_empty() => "No data found\n".to_owned(),
            Format::Table if columns.is_empty() => "\n".to_owned(),
            Format::Table => table::boxed(&columns, &rows),
            Format::Plain => table::plain(&columns, &rows),
        }
    }
}

/// Turns all scalars but `None` into strings, and in a table lists and objects too.
fn normalize(value: &Value, format: Format) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Array(items) if format == Format::Table => {
            let items: Vec<String> = items.iter().map(python::str).collect();
            Value::from(items.join(","))
        }
        Value::Array(items) => items.iter().map(|item| normalize(item, format)).collect(),
        Value::Object(map) if format != Format::Table => map
            .iter()
            .map(|(key, item)| (key.clone(), normalize(item, format)))
            .collect(),
        other => Value::from(python::str(other)),
    }
}

/// Renders a list of maps like PyYAML: keys sorted, block style, scalars quoted where they must be.
fn yaml(columns: &[&str], rows: &[Vec<Value>]) -> String {
    if rows.is_empty() {
        return "[]\n\n".to_owned();
    }
    let mut out = String::new();
    for row in rows {
        let mut members: Vec<(&str, &Value)> = columns.iter().copied().zip(row).collect();
        members.sort_by_key(|(key, _)| *key);
        for (position, (key, value)) in members.into_iter().enumerate() {
            out.push_str(if position == 0 { "- " } else { "  " });
            yaml_member(&mut out, key, value, 2);
        }
    }
    out.push('\n');
    out
}

fn yaml_member(out: &mut String, key: &str, value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    // writing to a string cannot fail
    let _ = match value {
        Value::Array(items) if !items.is_empty() => {
            let items = items
                .iter()
                .map(|item| format!("{pad}- {}\n", yaml_scalar(item)));
            writeln!(out, "{key}:").and_then(|()| out.write_str(&items.collect::<String>()))
        }
        Value::Object(map) if !map.is_empty() => {
            let _ = writeln!(out, "{key}:");
            for (name, item) in map {
                let _ = write!(out, "{pad}  ");
                let name = yaml_scalar(&Value::from(name.as_str()));
                yaml_member(out, &name, item, indent + 2);
            }
            Ok(())
        }
        other => writeln!(out, "{key}: {}", yaml_scalar(other)),
    };
}

/// A scalar, in quotes if it would otherwise be read as something else than text.
fn yaml_scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        return python::json_dumps(value);
    };
    if text
        .chars()
        .any(|letter| letter.is_control() || !letter.is_ascii())
    {
        return python::json_dumps(value);
    }
    let lower = text.to_ascii_lowercase();
    let words = ["true", "false", "null", "yes", "no", "on", "off", "~", ""];
    let number = |c: char| c.is_ascii_digit() || "+-._:eETZ ".contains(c);
    let like_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.chars().all(number);
    let first = text.chars().next().unwrap_or(' ');
    let indicator = "!&*{}[],#|>@`\"'%=".contains(first)
        || (matches!(first, '-' | '?' | ':') && (text.len() == 1 || text.contains(' ')));
    let inside = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let edges = text.trim() != text;
    if words.contains(&lower.as_str()) || like_number || indicator || inside || edges {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        text.clone()
    }
}
