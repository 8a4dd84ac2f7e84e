//! JSON as Python reads it and writes it: the order of keys is kept, and numbers look the same.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Number;
use std::fmt::{self, Write as _};

/// A JSON value with its keys in their order. As in Python, the last of a key's values counts, at
/// the place of the first.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "a number is too large to be kept exactly: write it as a string"
)]
pub(super) enum Json {
    Null,
    Bool(bool),
    #[serde(deserialize_with = "read_number")]
    Number(Number),
    Text(String),
    List(Vec<Self>),
    Object(IndexMap<String, Self>),
}

/// Reads a number. A long integer comes as a float, and would be another number then.
fn read_number<'de, D: Deserializer<'de>>(value: D) -> Result<Number, D::Error> {
    let number = Number::deserialize(value)?;
    if number.is_f64() && number.as_f64().is_none_or(|number| number.abs() >= 9e18) {
        return Err(D::Error::custom("too large"));
    }
    Ok(number)
}

impl Json {
    /// Returns the text of Python's `json.dumps`; with `indent`, that of `indent=2`.
    pub(super) fn to_python(&self, indent: bool) -> String {
        let mut text = String::new();
        self.write(&mut text, indent.then_some(0));
        text
    }

    fn write(&self, text: &mut String, depth: Option<usize>) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(value) => push(text, format_args!("{value}")),
            Self::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(number) => text.push_str(&format_float(number)),
                None => push(text, format_args!("{number}")),
            },
            Self::Text(inner) => write_string(text, inner),

            Self::List(items) => {
                write_items(text, ['[', ']'], depth, items, |text, item, depth| {
                    item.write(text, depth);
                });
            }
            Self::Object(items) => {
                write_items(
                    text,
                    ['{', '}'],
                    depth,
                    items,
                    |text, (key, item), depth| {
                        write_string(text, key);
                        text.push_str(": ");
                        item.write(text, depth);
                    },
                );
            }
        }
    }

    /// Returns the value of a key; `None` also means that this is no object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(items) => items.get(key),
            _ => None,
        }
    }

    /// Returns true if the value is true to Python.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(number) => number.as_f64() != Some(0.0),
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Object(items) => !items.is_empty(),
        }
    }
}

impl fmt::Debug for Json {
    /// Values are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
}

/// Writes the items of a list or an object, on lines of their own where `depth` is given.
fn write_items<T>(
    text: &mut String,
    [open, close]: [char; 2],
    depth: Option<usize>,
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(&mut String, T, Option<usize>),
) {
    text.push(open);
    let inner = depth.map(|depth| depth + 1);
    let mut is_empty = true;
    for item in items {
        if !is_empty {
            text.push_str(if inner.is_some() { "," } else { ", " });
        }
        is_empty = false;
        write_line_end(text, inner);
        write_item(text, item, inner);
    }

    if !is_empty {
        write_line_end(text, depth);
    }
    text.push(close);
}

/// Begins a line with the indent of this depth.
fn write_line_end(text: &mut String, depth: Option<usize>) {
    if let Some(depth) = depth {
        push(text, format_args!("\n{:1$}", "", depth * 2));
    }
}

/// Writes a string as Python does: in ASCII.
fn write_string(text: &mut String, inner: &str) {
    text.push('"');

    for c in inner.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='~' => text.push(c),
            // as UTF-16, so that a character may take two escapes
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    push(text, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }

    text.push('"');
}

/// Formats a float as Python's `repr` does.
fn format_float(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        // Rust's `1e-7` is Python's `1e-07`
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        format!("{digits}e{sign}{exponent:0>2}")
    } else {
        format!("{number:?}")
    }
}

fn push(text: &mut String, arguments: fmt::Arguments<'_>) {
    // writing to a string can't fail
    let _infallible = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_formatted_as_by_python() {
        // the right-hand sides are what json.dumps of CPython 3.11 gives
        for (json, compact) in [
            (
                r#"{"b": 1, "a": [true, null], "b": 2}"#,
                r#"{"b": 2, "a": [true, null]}"#,
            ),
            (
                r#"["é😀\u0000\/\u007f"]"#,
                r#"["\u00e9\ud83d\ude00\u0000/\u007f"]"#,
            ),
            (
                "[1.0, 1e5, 1e16, 1e-7, 0.0001, -0.0, 1.5e-10]",
                "[1.0, 100000.0, 1e+16, 1e-07, 0.0001, -0.0, 1.5e-10]",
            ),
            ("[18446744073709551615, -5]", "[18446744073709551615, -5]"),
            ("[[], {}]", "[[], {}]"),
        ] {
            let read: Json = serde_json::from_str(json).unwrap();
            assert_eq!(read.to_python(false), compact);
        }
        let read: Json = serde_json::from_str(r#"{"a": [1, {}], "b": {"c": "d"}}"#).unwrap();
        let indented =
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": \"d\"\n  }\n}";
        assert_eq!(read.to_python(true), indented);
        assert!(serde_json::from_str::<Json>("123456789012345678901234").is_err());
    }

    #[test]
    fn many_keys_take_linear_time() {
        let text = (0..200_000).map(|key| format!("\"{key}\":{key}"));
        let text = format!("{{{},\"0\":1}}", text.collect::<Vec<_>>().join(","));
        let Json::Object(read) = serde_json::from_str(&text).unwrap() else {
            panic!("no object")
        };
        assert_eq!(read.len(), 200_000);
        let (key, value) = read.get_index(0).unwrap();
        assert_eq!(
            (key.as_str(), value.to_python(false)),
            ("0", "1".to_owned())
        );
    }
}
