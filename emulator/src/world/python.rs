//! Values as Python prints and reads them: `repr`, `str`, `json.dumps` and `json.loads`.

use std::fmt::Write as _;

use serde_json::Value;

/// Renders like `str(value)`: text bare, `None`, `True`, and the rest as `repr`.
pub(super) fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// Renders like `repr(value)`: `{'a': 1, 'b': [None, True]}`.
pub(super) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let items: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), repr(value)))
                .collect();
            format!("{{{}}}", items.join(", "))
        }
    }
}

/// A string literal: single quotes, unless the text holds one and no double quote.
pub(super) fn quoted(text: &str) -> String {
    let double = text.contains('\'') && !text.contains('"');
    let quote = if double { "\"" } else { "'" };
    let text = text
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r");
    let text = text
        .replace('\t', "\\t")
        .replace(quote, &format!("\\{quote}"));
    format!("{quote}{text}{quote}")
}

/// Renders like `json.dumps(value)`: a space after each comma and colon, ASCII only.
pub(super) fn json_dumps(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json_dumps).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => json_object(map.iter().map(|(key, value)| (key.as_str(), value))),
        Value::String(text) => json_string(text),
        other => other.to_string(),
    }
}

/// Renders a JSON object whose members keep the order given.
pub(super) fn json_object<'a>(members: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let members: Vec<String> = members
        .map(|(key, value)| format!("{}: {}", json_string(key), json_dumps(value)))
        .collect();
    format!("{{{}}}", members.join(", "))
}

fn json_string(text: &str) -> String {
    let mut out = String::new();
    for letter in Value::from(text).to_string().chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// Parses a document. Fails with the message of `json.loads`.
///
/// The position is serde's. The messages cover the common cases: no value, a key without double
/// quotes, something after the end.
pub(super) fn json_loads(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        // serde counts columns in bytes, of the character it stopped at
        let before: usize = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let mut at = (before + error.column().saturating_sub(1)).min(text.len());
        // Python counts from the beginning of a word that is no value
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric();
        while !text.is_char_boundary(at)
            || said.starts_with("expected ident")
                && at > 0
                && text.as_bytes().get(at - 1).is_some_and(is_word)
        {
            at -= 1;
        }
        let kinds = [
            (
                "key must be a string",
                "Expecting property name enclosed in double quotes",
            ),
            ("trailing characters", "Extra data"),
            ("expected `:`", "Expecting ':' delimiter"),
            ("expected `,`", "Expecting ',' delimiter"),
            ("EOF while parsing a string", "Unterminated string"),
        ];
        let kind = kinds.iter().find(|(begin, _)| said.starts_with(begin));
        let what = kind.map_or("Expecting value", |(_, what)| what);
        let column = text.get(before..at).map_or(0, |line| line.chars().count()) + 1;
        let letters = text.get(..at).map_or(0, |head| head.chars().count());
        format!(
            "{what}: line {} column {column} (char {letters})",
            error.line()
        )
    })
}
