//! The JSON document of `-o json`, in output that may have other text before and after it.

use serde::de::IgnoredAny;
use serde_json::Deserializer;

/// Returns the document that Airflow printed: an array or object that begins at the start of a
/// line. The first one that reaches to the end of the text counts; if there is none, the last one
/// that ends at the end of a line. `None` means that there is no document.
pub(super) fn find_document(text: &str) -> Option<&str> {
    let mut last = None;
    let mut from = 0;
    // a hostile text cannot cause more than a few passes
    let mut budget = text.len().saturating_mul(4);

    while let Some(start) = find_start(text, from) {
        let rest = text.get(start..)?;
        let mut documents = Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match documents.next() {
            Some(Ok(IgnoredAny)) => {
                let end = start + documents.byte_offset();
                let after = text.get(end..)?;
                // trimmed from its start only: a long blank end would be read again for each
                // document
                if after.trim_start().is_empty() {
                    return text.get(start..end);
                }
                let line = after.split('\n').next().unwrap_or_default();
                if line.trim().is_empty() {
                    last = text.get(start..end);
                }
                from = end;
            }
            Some(Err(error)) => {
                budget = budget.checked_sub(count_parsed(rest, &error))?;
                from = start + 1;
            }
            None => return last,
        }
    }
    last
}

/// Returns the start of the next line that begins with `[` or `{`.
fn find_start(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_start = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        matches!(bytes.get(at), Some(b'[' | b'{')) && matches!(before, None | Some(b'\n'))
    };
    if is_start(from) {
        return Some(from);
    }
    memchr::memchr_iter(b'\n', bytes.get(from..)?)
        .map(|at| from + at + 1)
        .find(|at| is_start(*at))
}

/// Returns the number of bytes up to the end of the line of the parser's error.
fn count_parsed(text: &str, error: &serde_json::Error) -> usize {
    text.split_inclusive('\n')
        .take(error.line())
        .map(str::len)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_json_document_is_found_within_other_text() {
        for (text, found) in [
            ("[]", Some("[]")),
            ("[{\"a\": \"]\"}]\n\n", Some("[{\"a\": \"]\"}]")),
            ("other [1]\n[{\"a\": 1}]\n", Some("[{\"a\": 1}]")),
            ("[1]\n[{\"a\": 1}]\n", Some("[{\"a\": 1}]")),
            ("[2026-11-22] x\n[2]\nbye\n", Some("[2]")),
            ("[open\n{\"a\": [1,\n2]}\n", Some("{\"a\": [1,\n2]}")),
            ("[1] and more\n", None),
            ("{} []\n[3]\nend", Some("[3]")),
            ("\"text\"\n12\nnull\n", None),
            ("", None),
            ("No data found\n", None),
        ] {
            assert_eq!(find_document(text), found, "{text:?}");
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for line in ["[\n", "[1,\n", "{\"a\":\n", "[\"\n", "[[],\n", "[]\n"] {
            let text = line.repeat(200_000);
            let _found = find_document(&text);
            let _found = find_document(&(text + &"\n".repeat(1 << 20) + "x"));
            let text = line.repeat(200_000) + "x" + &" ".repeat(1 << 20);
            let _found = find_document(&text);
        }
    }

    proptest! {
        #[test]
        fn the_last_printed_document_is_found(
            lines in proptest::collection::vec("[\\[\\]{}a-z\":, 0-9]{0,20}", 0..8),
            values in proptest::collection::vec(("[a-z\\[\\]{}\"\\\\\n]{0,10}", any::<i64>()), 0..5),
        ) {
            let printed = serde_json::to_string(&values).unwrap();
            let mut text: String = [lines.join("\n"), String::new()].join("\n");
            // a line that opens a document and never ends it could swallow what follows
            prop_assume!(find_document(&format!("{text}\"end\"")).is_none_or(|d| !d.contains("\"end\"")));
            prop_assume!(!lines.iter().any(|line| line.starts_with(['[', '{'])));
            text.push_str(&printed);
            text.push('\n');
            prop_assert_eq!(find_document(&text), Some(printed.as_str()));
        }
    }
}
