//! Values as Python prints them: `repr`, `str` and `json.dumps`.

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
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            letter if letter == quote => {
                out.push('\\');
                out.push(letter);
            }
            letter => out.push(letter),
        }
    }
    out.push(quote);
    out
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn repr_is_python() {
        let value = json!({"a": [1, null, true], "b": "it's", "c": "say \"x\""});
        assert_eq!(
            super::repr(&value),
            r#"{'a': [1, None, True], 'b': "it's", 'c': 'say "x"'}"#
        );
        assert_eq!(super::str(&json!("plain")), "plain");
        assert_eq!(super::quoted("a'\"\n"), r#"'a\'"\n'"#);
    }

    #[test]
    fn json_has_spaces_and_is_ascii() {
        let value = json!({"a": [1, 2], "b": "é😀"});
        assert_eq!(
            super::json_dumps(&value),
            r#"{"a": [1, 2], "b": "\u00e9\ud83d\ude00"}"#
        );
    }
}
