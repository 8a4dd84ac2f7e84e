//! Whether a command was asked for its output as JSON.

/// Reads `-o json`, `-ojson`, `--output json` and `--output=json`, and argparse's abbreviations
/// of them; the last one counts. Nothing is decided by it but how the output is read.
pub(super) fn wants_json(words: &[String]) -> bool {
    let mut json = false;
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let value = match word.split_once('=') {
            _ if word == "--" => break,
            Some((name, value)) if is_long(name) => Some(value),
            None if word == "-o" || is_long(word) => words.peek().copied(),
            _ => word.strip_prefix("-o"),
        };
        json = value.map_or(json, |value| value == "json");
    }
    json
}

/// `--output` or its beginning; `--o` alone is short for no other option that takes `json`.
fn is_long(name: &str) -> bool {
    name.len() > "--".len() && "--output".starts_with(name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn argparse_s_spellings_are_known() {
        for (line, json) in [
            ("dags list -o json", true),
            ("dags list -ojson", true),
            ("dags list --output json", true),
            ("dags list --output=json", true),
            ("dags list --out json", true),
            ("dags list --outp=json -v", true),
            ("dags list -o json -o yaml", false),
            ("dags list -o yaml -o json", true),
            ("dags list", false),
            ("dags list -o", false),
            ("dags list --outputs json", false),
            ("variables set key -- -o json", false),
            ("variables set key json", false),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(super::wants_json(&words), json, "{line}");
        }
    }
}
