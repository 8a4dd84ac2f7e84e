//! JSON that arrives in arguments, with the errors of Python's decoder.

use serde_json::Value;

/// Parses a document. Fails with the message of `json.loads`.
///
/// The position is serde's. The messages cover the common cases: no value, a key without double
/// quotes, something after the end.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| {
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
            || error.to_string().starts_with("expected ident")
                && at > 0
                && text.as_bytes().get(at - 1).is_some_and(is_word)
        {
            at -= 1;
        }
        let said = error.to_string();
        let what = if said.starts_with("key must be a string") {
            "Expecting property name enclosed in double quotes"
        } else if said.starts_with("trailing characters") {
            "Extra data"
        } else if said.starts_with("expected `:`") {
            "Expecting ':' delimiter"
        } else if said.starts_with("expected `,`") {
            "Expecting ',' delimiter"
        } else if said.starts_with("EOF while parsing a string") {
            "Unterminated string"
        } else {
            "Expecting value"
        };
        let column = text.get(before..at).map_or(0, |line| line.chars().count()) + 1;
        let letters = text.get(..at).map_or(0, |head| head.chars().count());
        format!(
            "{what}: line {} column {column} (char {letters})",
            error.line()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn errors_are_pythons() {
        let cases = [
            (
                "{bad",
                "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            ),
            ("bad", "Expecting value: line 1 column 1 (char 0)"),
            ("{\"a\": 1} x", "Extra data: line 1 column 10 (char 9)"),
            (
                "{\"a\" 1}",
                "Expecting ':' delimiter: line 1 column 6 (char 5)",
            ),
            (
                "{\"é\" 1}",
                "Expecting ':' delimiter: line 1 column 6 (char 5)",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text).unwrap_err(), message, "{text}");
        }
        assert_eq!(parse("{\"a\": 1}").unwrap()["a"], 1);
    }
}
