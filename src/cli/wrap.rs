//! Long texts on a terminal: broken between words, at its width.

/// The text in lines of at most `width` columns where its words allow that. `before` columns stand
/// before its first line; the lines that are made begin with two spaces, and lines that are there
/// keep their own beginning. What stands between backticks stays in one piece, to be copied.
pub(super) fn wrapped(text: &str, before: usize, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut column = before;
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
            column = 0;
        }
        let words = line.trim_start_matches(' ');
        let indent = line.len() - words.len();
        out.push_str(&" ".repeat(indent));
        column += indent;
        let mut is_first = true;
        for word in pieces(words) {
            let length = word.chars().count();
            if !is_first {
                if column + 1 + length > width {
                    out.push_str("\n  ");
                    column = 2;
                } else {
                    out.push(' ');
                    column += 1;
                }
            }
            out.push_str(word);
            column += length;
            is_first = false;
        }
    }
    out
}

/// The words, and what stands between backticks as one of them.
fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    let mut is_quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '`' => is_quoted = !is_quoted,
            ' ' if !is_quoted => {
                pieces.extend(line.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    pieces.extend(line.get(begin..));
    pieces
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words_and_never_within_commands() {
        let text = "the login is over: run `aws sso login --profile dev` and try again";
        assert_eq!(
            wrapped(text, 7, 30),
            "the login is over: run\n  `aws sso login --profile dev`\n  and try again"
        );
        assert_eq!(wrapped(text, 7, 200), text);
    }

    #[test]
    fn nothing_is_lost() {
        for text in [
            "",
            "a  b",
            "one\n  two three\n\nfour",
            "`open",
            "x".repeat(90).as_str(),
        ] {
            for width in [0, 1, 5, 40] {
                let squeezed =
                    |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert_eq!(
                    squeezed(&wrapped(text, 7, width)),
                    squeezed(text),
                    "{text:?} {width}"
                );
            }
        }
        assert_eq!(wrapped("one\n  two", 7, 40), "one\n  two");
    }
}
