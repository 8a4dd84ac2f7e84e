//! Splits a command line into words as Python's `shlex.split` does.
//!
//! Source: POSIX Shell Command Language 2.2 (quoting), without comments or expansion.

/// Splits a line into words; `None` if a quotation or an escape is not finished.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        literal => word.push(literal),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => {
                            let next = characters.next()?;
                            if !matches!(next, '"' | '\\') {
                                word.push('\\');
                            }
                            word.push(next);
                        }
                        literal => word.push(literal),
                    }
                }
            }
            '\\' => {
                let next = characters.next()?;
                word.get_or_insert_default().push(next);
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_as_from_shlex() {
        // the right-hand sides are what `shlex.split` of CPython 3.11 returns
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \t\r\n", &[]),
            ("dags  list\t-o json\n", &["dags", "list", "-o", "json"]),
            (
                r#"dags trigger d --conf '{"a": "b c"}'"#,
                &["dags", "trigger", "d", "--conf", r#"{"a": "b c"}"#],
            ),
            (r#"a"b c"'d e'f"#, &["ab cd ef"]),
            (r#"'' "" x"#, &["", "", "x"]),
            (r#""\"\\\n\$""#, &[r#""\\n\$"#]),
            (r"a\ b \' \\n", &["a b", "'", r"\n"]),
            (r"'it'\''s'", &["it's"]),
            ("a#b # c", &["a#b", "#", "c"]),
            ("x;y && $(z) | `w`", &["x;y", "&&", "$(z)", "|", "`w`"]),
            ("ä 'ö ü'", &["ä", "ö ü"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), *words, "{line}");
        }
        for line in ["'a", "a \"b", r#""a\""#, "a\\", "\"a\\"] {
            assert_eq!(split(line), None, "{line}");
        }
    }
}
