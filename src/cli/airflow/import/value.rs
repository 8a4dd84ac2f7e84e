//! JSON as Python reads it and writes it: the order of keys is kept, and numbers look the same.

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::HashMap;
use std::fmt::{self, Write as _};

/// A JSON value with its keys in their order.
#[derive(Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// The text that Python's `json.dumps` makes; with `indent`, that of `indent=2`.
    pub(super) fn dumps(&self, indent: bool) -> String {
        let mut text = String::new();
        self.write(&mut text, indent.then_some(0));
        text
    }

    fn write(&self, text: &mut String, depth: Option<usize>) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(true) => text.push_str("true"),
            Self::Bool(false) => text.push_str("false"),
            Self::Integer(number) => push(text, format_args!("{number}")),
            Self::Float(number) => text.push_str(&python_float(*number)),
            Self::Text(inner) => quote(text, inner),
            Self::List(items) => wrap(text, ['[', ']'], items, depth, |text, item, depth| {
                item.write(text, depth);
            }),
            Self::Object(items) => {
                wrap(
                    text,
                    ['{', '}'],
                    items,
                    depth,
                    |text, (key, item), depth| {
                        quote(text, key);
                        text.push_str(": ");
                        item.write(text, depth);
                    },
                );
            }
        }
    }

    /// The value of a key of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(items) => items
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether Python takes it for true.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Integer(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Object(items) => !items.is_empty(),
        }
    }
}

fn wrap<T>(
    text: &mut String,
    [open, close]: [char; 2],
    items: &[T],
    depth: Option<usize>,
    each: impl Fn(&mut String, &T, Option<usize>),
) {
    text.push(open);
    let inner = depth.map(|depth| depth + 1);
    for (number, item) in items.iter().enumerate() {
        match (number, inner) {
            (0, None) => {}
            (_, None) => text.push_str(", "),
            (number, Some(depth)) => {
                text.push_str(if number == 0 { "\n" } else { ",\n" });
                push(text, format_args!("{:1$}", "", depth * 2));
            }
        }
        each(text, item, inner);
    }
    if let (Some(depth), false) = (depth, items.is_empty()) {
        push(text, format_args!("\n{:1$}", "", depth * 2));
    }
    text.push(close);
}

/// A string as Python writes it: in ASCII.
fn quote(text: &mut String, inner: &str) {
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
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    push(text, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    text.push('"');
}

/// A float as Python's `repr` writes it.
fn python_float(number: f64) -> String {
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

impl fmt::Debug for Json {
    /// Values are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Seen)
    }
}

struct Seen;

impl<'de> Visitor<'de> for Seen {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        // a long integer comes as a float too, and would be another number then
        if value.abs() >= 9e18 {
            return Err(E::custom(
                "a number is too large to be kept as it is: write it as text",
            ));
        }
        Ok(Json::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut object: Vec<(String, Json)> = Vec::new();
        let mut places = HashMap::new();
        while let Some((key, value)) = items.next_entry::<String, Json>()? {
            // as in Python: the last of a key's values, at the place of the first
            let place = *places.entry(key.clone()).or_insert(object.len());
            match object.get_mut(place) {
                Some((_, old)) => *old = value,
                None => object.push((key, value)),
            }
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_python_does() {
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
            assert_eq!(read.dumps(false), compact);
        }
        let read: Json = serde_json::from_str(r#"{"a": [1, {}], "b": {"c": "d"}}"#).unwrap();
        let indented =
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": \"d\"\n  }\n}";
        assert_eq!(read.dumps(true), indented);
        assert!(serde_json::from_str::<Json>("123456789012345678901234").is_err());
    }

    #[test]
    fn many_keys_cost_little() {
        let text = (0..200_000).map(|key| format!("\"{key}\":{key}"));
        let text = format!("{{{},\"0\":1}}", text.collect::<Vec<_>>().join(","));
        let Json::Object(read) = serde_json::from_str(&text).unwrap() else {
            panic!("no object")
        };
        assert_eq!(read.len(), 200_000);
        assert!(read[0] == ("0".to_owned(), Json::Integer(1)));
    }
}
