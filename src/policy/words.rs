//! Words as Python's `shlex.split(text, comments=False, posix=True)` makes them, and the
//! quoting that it takes apart again.

use super::characters;
use super::unreadable::{Unreadable, Why};
use std::iter::Peekable;
use std::str::CharIndices;

/// One word of a command line.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// The byte at which it begins in the text.
    pub(super) at: usize,
    /// Whether a quote or a backslash helped to write it.
    pub(super) quoted: bool,
}

/// Splits a command line into words.
///
/// Stricter than shlex where a line could be read in two ways: control characters, white space
/// of Unicode and invisible characters outside quotes, a line end between words or after a
/// backslash.
pub(super) fn read(text: &str) -> Result<Vec<Word>, Unreadable> {
    let mut chars = text.char_indices().peekable();
    let mut words = Vec::new();
    let mut line_end = None;
    while let Some(&(at, next)) = chars.peek() {
        match next {
            ' ' | '\t' => {
                chars.next();
            }
            '\r' | '\n' => {
                // Line ends around the command are no second line.
                if !words.is_empty() {
                    line_end.get_or_insert(at);
                }
                chars.next();
            }
            _ => match line_end {
                Some(at) => return Err(Why::SecondLine.at(at)),
                None => words.push(word(at, &mut chars)?),
            },
        }
    }
    Ok(words)
}

/// The texts of the words alone.
#[cfg(test)]
pub(super) fn split(text: &str) -> Result<Vec<String>, Unreadable> {
    Ok(read(text)?.into_iter().map(|word| word.text).collect())
}

/// Takes one word, up to white space or the end.
fn word(at: usize, chars: &mut Peekable<CharIndices<'_>>) -> Result<Word, Unreadable> {
    let mut word = Word {
        text: String::new(),
        at,
        quoted: false,
    };
    while let Some((at, next)) =
        chars.next_if(|(_, next)| !matches!(next, ' ' | '\t' | '\r' | '\n'))
    {
        word.quoted |= matches!(next, '\'' | '"' | '\\');
        match next {
            '\'' => single(at, chars, &mut word.text)?,
            '"' => double(at, chars, &mut word.text)?,
            '\\' => match chars.next() {
                None => return Err(Why::LastBackslash.at(at)),
                Some((_, '\r' | '\n')) => return Err(Why::JoinedLines.at(at)),
                Some((_, taken @ (' ' | '\t'))) => word.text.push(taken),
                Some((at, taken)) => word.text.push(bare(at, taken)?),
            },
            other => word.text.push(bare(at, other)?),
        }
    }
    Ok(word)
}

/// Takes what stands up to the closing single quote, as it is.
fn single(
    opened: usize,
    chars: &mut Peekable<CharIndices<'_>>,
    text: &mut String,
) -> Result<(), Unreadable> {
    while let Some((at, next)) = chars.next() {
        if next == '\'' {
            return Ok(());
        }
        text.push(quoted(at, next, chars)?);
    }
    Err(Why::OpenQuote.at(opened))
}

/// Takes what stands up to the closing double quote. A backslash is special before a double
/// quote and another backslash only.
fn double(
    opened: usize,
    chars: &mut Peekable<CharIndices<'_>>,
    text: &mut String,
) -> Result<(), Unreadable> {
    while let Some((at, next)) = chars.next() {
        match next {
            '"' => return Ok(()),
            '\\' => match chars.peek() {
                Some(&(_, taken @ ('"' | '\\'))) => {
                    chars.next();
                    text.push(taken);
                }
                Some((_, '\r' | '\n')) => return Err(Why::JoinedLines.at(at)),
                Some(_) | None => text.push('\\'),
            },
            other => text.push(quoted(at, other, chars)?),
        }
    }
    Err(Why::OpenQuote.at(opened))
}

/// The character, if it may stand outside quotes.
fn bare(at: usize, c: char) -> Result<char, Unreadable> {
    characters::bare(c).map_or(Ok(c), |why| Err(why.at(at)))
}

/// The character, if it may stand between quotes.
fn quoted(
    at: usize,
    c: char,
    chars: &mut Peekable<CharIndices<'_>>,
) -> Result<char, Unreadable> {
    let next = chars.peek().map(|(_, next)| *next);
    characters::quoted(c, next).map_or(Ok(c), |why| Err(why.at(at)))
}

/// Joins words so that [`read`] and Python's shlex give exactly these words again.
///
/// Plain words stay bare; all others stand in double quotes, where `"` and `\` are escaped:
/// the form that MWAA's web server is known to take.
pub(super) fn join(words: &[String]) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        if is_plain(word) {
            line.push_str(word);
            continue;
        }
        line.push('"');
        for c in word.chars() {
            if matches!(c, '"' | '\\') {
                line.push('\\');
            }
            line.push(c);
        }
        line.push('"');
    }
    line
}

/// Whether no splitter and no shell reads anything into the word (the set of Python's
/// `shlex.quote`).
fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(
                    b,
                    b'_' | b'@' | b'%' | b'+' | b'=' | b':' | b',' | b'.' | b'/' | b'-'
                )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn our_splitter_reads_our_quoting_back(
            words in proptest::collection::vec("[^\\p{Cc}]*|[\\n\\t \"'\\\\$a]*", 1..6)
        ) {
            prop_assert_eq!(split(&join(&words)), Ok(words));
        }

        #[test]
        fn no_text_makes_it_fall_over(line in ".*") {
            if let Err(unreadable) = split(&line) {
                prop_assert!(line.is_char_boundary(unreadable.at));
            }
        }
    }

    #[test]
    fn refuses_what_can_be_read_in_two_ways_and_says_where() {
        let cases = [
            ("a\nb", Why::SecondLine.at(1)),
            ("é a\r\n\nb", Why::SecondLine.at(4)),
            ("a \\\n b", Why::JoinedLines.at(2)),
            ("a \"b\\\n\"", Why::JoinedLines.at(4)),
            ("a \"b\\\r\n\"", Why::JoinedLines.at(4)),
            ("a x\"b", Why::OpenQuote.at(3)),
            ("a 'b", Why::OpenQuote.at(2)),
            ("a \"b\\", Why::OpenQuote.at(2)),
            ("a b\\", Why::LastBackslash.at(3)),
            ("a\0b", Why::Control('\0').at(1)),
            ("a\u{b}b", Why::Control('\u{b}').at(1)),
            ("a \"\\\u{1b}\"", Why::Control('\u{1b}').at(4)),
            ("a '\u{85}'", Why::Control('\u{85}').at(3)),
            ("a 'b\rc'", Why::Control('\r').at(4)),
            ("a \\\u{7}", Why::Control('\u{7}').at(3)),
            ("\n \u{feff}a", Why::Invisible('\u{feff}').at(2)),
            ("a\u{200b}", Why::Invisible('\u{200b}').at(1)),
            ("\u{202e}a", Why::Invisible('\u{202e}').at(0)),
            ("a\u{a0}b", Why::Space('\u{a0}').at(1)),
            ("a \\\u{2003}b", Why::Space('\u{2003}').at(3)),
            ("a \u{2028}", Why::Space('\u{2028}').at(2)),
        ];
        for (line, unreadable) in cases {
            assert_eq!(split(line), Err(unreadable), "{line:?}");
        }
        assert_eq!(
            split("\r\n a 'b\nc' \"\r\n\u{a0}\" \n"),
            Ok(vec!["a".into(), "b\nc".into(), "\r\n\u{a0}".into()])
        );
    }

    #[test]
    fn tells_where_a_word_begins_and_how_it_was_written() {
        let words = read(" a\t'b'c é\\ \n").expect("words");
        let seen: Vec<_> = words
            .iter()
            .map(|w| (w.text.as_str(), w.at, w.quoted))
            .collect();
        assert_eq!(seen, [("a", 1, false), ("bc", 3, true), ("é ", 8, true)]);
    }
}
