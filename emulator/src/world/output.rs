//! The four formats of `-o`: table, json, yaml and plain, as Airflow's console renders them.

use std::fmt::Write as _;

use serde_json::Value;

use super::reply::CommandResult;
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
    /// The formats' names, in the order of Airflow's help.
    pub(super) const NAMES: [&'static str; 4] = ["table", "json", "yaml", "plain"];

    /// Reads a name; the default is the table.
    pub(super) fn named(name: Option<&str>) -> Self {
        match name {
            Some("json") => Self::Json,
            Some("yaml") => Self::Yaml,
            Some("plain") => Self::Plain,
            _ => Self::Table,
        }
    }
}

/// Rows under named columns.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    /// No rows yet under these columns.
    pub(super) fn new(columns: &[&'static str]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Appends a row, its values in the order of the columns.
    pub(super) fn push(&mut self, row: Vec<Value>) {
        self.rows.push(row);
    }

    /// Prints the rows and ends well.
    pub(super) fn print(&self, format: Format) -> CommandResult {
        CommandResult::printed(self.render(format))
    }

    /// Renders the rows.
    pub(super) fn render(&self, format: Format) -> String {
        let normal =
            |row: &Vec<Value>| row.iter().map(|value| normalize(value, format)).collect();
        let rows: Vec<Vec<Value>> = self.rows.iter().map(normal).collect();
        match format {
            Format::Json => json(&self.columns, &rows),
            Format::Yaml => yaml(&self.columns, &rows),
            Format::Table | Format::Plain if rows.is_empty() => "No data found\n".to_owned(),
            Format::Table => table::boxed(&self.columns, &texts(&rows)),
            Format::Plain => table::plain(&self.columns, &rows),
        }
    }
}

fn texts(rows: &[Vec<Value>]) -> Vec<Vec<String>> {
    rows.iter()
        .map(|row| row.iter().map(python::str).collect())
        .collect()
}

/// Makes strings of all scalars but `None`; in a table, of lists and objects too.
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

fn json(columns: &[&'static str], rows: &[Vec<Value>]) -> String {
    let objects: Vec<String> = rows
        .iter()
        .map(|row| python::json_object(columns.iter().copied().zip(row)))
        .collect();
    format!("[{}]\n", objects.join(", "))
}

/// Renders a list of maps like PyYAML: keys sorted, block style, scalars quoted where they must be.
fn yaml(columns: &[&'static str], rows: &[Vec<Value>]) -> String {
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
    match value {
        Value::Array(items) if !items.is_empty() => {
            let _ = writeln!(out, "{key}:");
            for item in items {
                let _ = writeln!(out, "{pad}- {}", yaml_scalar(item));
            }
        }
        Value::Object(map) if !map.is_empty() => {
            let _ = writeln!(out, "{key}:");
            for (name, item) in map {
                let _ = write!(out, "{pad}  ");
                yaml_member(
                    out,
                    &yaml_scalar(&Value::from(name.as_str())),
                    item,
                    indent + 2,
                );
            }
        }
        other => {
            let _ = writeln!(out, "{key}: {}", yaml_scalar(other));
        }
    }
}

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
    let word = ["true", "false", "null", "yes", "no", "on", "off", "~", ""];
    let like_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "+-._:eETZ ".contains(c));
    let first = text.chars().next().unwrap_or(' ');
    let indicator = "!&*{}[],#|>@`\"'%=".contains(first)
        || (matches!(first, '-' | '?' | ':') && (text.len() == 1 || text.contains(' ')));
    let inside = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let edges = text.trim() != text;
    if word.contains(&lower.as_str()) || like_number || indicator || inside || edges {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        text.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Format, Rows};

    fn sample() -> Rows {
        let mut rows = Rows::new(&["dag_id", "fileloc", "owners", "is_paused"]);
        rows.push(vec![
            json!("example_etl"),
            json!("/d/e.py"),
            json!(["data-team"]),
            json!(true),
        ]);
        rows.push(vec![
            json!("lab"),
            json!(null),
            json!(["a", "b"]),
            json!(false),
        ]);
        rows
    }

    #[test]
    fn table_is_as_airflow_draws_it() {
        let expected = [
            "dag_id      | fileloc | owners    | is_paused",
            "============+=========+===========+==========",
            "example_etl | /d/e.py | data-team | True     ",
            "lab         | None    | a,b       | False    ",
            "                                             ",
            "",
        ];
        assert_eq!(sample().render(Format::Table), expected.join("\n"));
    }

    #[test]
    fn json_is_one_line_of_strings() {
        assert_eq!(
            sample().render(Format::Json),
            concat!(
                r#"[{"dag_id": "example_etl", "fileloc": "/d/e.py", "owners": ["data-team"], "is_paused": "True"}, "#,
                r#"{"dag_id": "lab", "fileloc": null, "owners": ["a", "b"], "is_paused": "False"}]"#,
                "\n"
            )
        );
    }

    #[test]
    fn yaml_sorts_keys_and_quotes_what_is_not_text() {
        let expected = "- dag_id: example_etl\n  fileloc: /d/e.py\n  is_paused: 'True'\n  owners:\n  - data-team\n\
                        - dag_id: lab\n  fileloc: null\n  is_paused: 'False'\n  owners:\n  - a\n  - b\n\n";
        assert_eq!(sample().render(Format::Yaml), expected);
        let mut rows = Rows::new(&["conf", "note"]);
        rows.push(vec![json!({"a": 1, "b": {}}), json!("x: y")]);
        rows.push(vec![json!({}), json!("2026-11-22T02:30:00+00:00")]);
        assert_eq!(
            rows.render(Format::Yaml),
            "- conf:\n    a: '1'\n    b: {}\n  note: 'x: y'\n- conf: {}\n  note: '2026-11-22T02:30:00+00:00'\n\n"
        );
    }

    #[test]
    fn plain_is_as_tabulate_aligns_it() {
        let mut rows = Rows::new(&["pool", "slots", "description", "include_deferred"]);
        rows.push(vec![
            json!("default_pool"),
            json!(128),
            json!("Default pool"),
            json!(false),
        ]);
        assert_eq!(
            rows.render(Format::Plain),
            "pool            slots  description    include_deferred\n\
             default_pool      128  Default pool   False\n"
        );
        assert!(
            sample()
                .render(Format::Plain)
                .contains("['data-team']  True\n")
        );
    }

    #[test]
    fn no_rows_say_so_only_in_the_formats_for_people() {
        let rows = Rows::new(&["key"]);
        assert_eq!(rows.render(Format::Table), "No data found\n");
        assert_eq!(rows.render(Format::Plain), "No data found\n");
        assert_eq!(rows.render(Format::Json), "[]\n");
        assert_eq!(rows.render(Format::Yaml), "[]\n\n");
    }
}
