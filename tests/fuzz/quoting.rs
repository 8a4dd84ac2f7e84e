//! The gateway's own quoting, read and written by its description alone: plain words bare, all
//! others in double quotes with `"` and `\` escaped, one space between.

/// The words of a forwarded line; `None` if it is not exactly in this form.
pub(crate) fn take_apart(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let word;
        (word, rest) = if let Some(quoted) = rest.strip_prefix('"') {
            between_quotes(quoted)?
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            let (word, rest) = rest.split_at(end);
            if word.is_empty() || !word.chars().all(is_plain) {
                return None;
            }
            (word.to_owned(), rest)
        };
        words.push(word);
        if rest.is_empty() {
            return Some(words);
        }
        rest = rest.strip_prefix(' ')?;
    }
}

fn between_quotes(quoted: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((word, chars.as_str())),
            '\\' => word.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => word.push(other),
        }
    }
}

/// A line of this form.
pub(crate) fn put_together(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c)
}
