//! Words as Python's `shlex.split(text, comments=False, posix=True)` makes them, and the
//! quoting that it takes apart again.

use super::refusal::Unreadable;

/// Where the splitter stands.
enum State {
    Between,
    Word,
    Single,
    Double,
}

/// Splits a command line into words.
///
/// Stricter than shlex where a line could be read in two ways: control characters and a line
/// end between words (or after a backslash) are refused.
pub(super) fn split(text: &str) -> Result<Vec<String>, Unreadable> {
    let text = text.trim_start_matches([' ', '\t', '\r', '\n']);
    if text.starts_with('\u{feff}') {
        return Err(Unreadable::ByteOrderMark);
    }
    let mut words = Vec::new();
    let mut word = String::new();
    let mut state = State::Between;
    let mut line_ended = false;
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        if next.is_control() && !matches!(next, '\t' | '\r' | '\n') {
            return Err(Unreadable::Control);
        }
        match state {
            State::Between | State::Word => match next {
                ' ' | '\t' | '\r' | '\n' => {
                    line_ended |= matches!(next, '\r' | '\n');
                    if matches!(state, State::Word) {
                        words.push(std::mem::take(&mut word));
                        state = State::Between;
                    }
                }
                _ if line_ended => return Err(Unreadable::SecondLine),
                '\'' => state = State::Single,
                '"' => state = State::Double,
                '\\' => {
                    word.push(escaped(&mut chars)?);
                    state = State::Word;
                }
                other => {
                    word.push(other);
                    state = State::Word;
                }
            },
            State::Single => match next {
                '\'' => state = State::Word,
                other => word.push(other),
            },
            State::Double => match next {
                '"' => state = State::Word,
                '\\' => match chars.next() {
                    Some(taken @ ('"' | '\\')) => word.push(taken),
                    Some(other)
                        if other.is_control() && !matches!(other, '\t' | '\r' | '\n') =>
                    {
                        return Err(Unreadable::Control);
                    }
                    Some(other) => word.extend(['\\', other]),
                    None => return Err(Unreadable::OpenQuote),
                },
                other => word.push(other),
            },
        }
    }
    match state {
        State::Between => {}
        State::Word => words.push(word),
        State::Single | State::Double => return Err(Unreadable::OpenQuote),
    }
    Ok(words)
}

/// The character after a backslash that stands outside quotes.
fn escaped(chars: &mut std::str::Chars<'_>) -> Result<char, Unreadable> {
    match chars.next() {
        None => Err(Unreadable::LastBackslash),
        // A shell would join the lines, shlex keeps the line end as text.
        Some('\r' | '\n') => Err(Unreadable::SecondLine),
        Some(other) if other.is_control() && other != '\t' => Err(Unreadable::Control),
        Some(other) => Ok(other),
    }
}

/// Joins words so that [`split`] and Python's shlex give exactly these words again.
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
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// What CPython's shlex makes of each line; `None` where it raises.
    pub(in crate::policy) fn python_split(lines: &[String]) -> Vec<Option<Vec<String>>> {
        const PROGRAM: &str = "
import json, shlex, sys
def words(line):
    try:
        return shlex.split(line, comments=False, posix=True)
    except ValueError:
        return None
json.dump([words(line) for line in json.load(sys.stdin)], sys.stdout)
";
        let mut python = Command::new("python3")
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed by the tests");
        let input = serde_json::to_vec(lines).expect("JSON");
        let mut stdin = python.stdin.take().expect("a pipe");
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = python.wait_with_output().expect("python3 ends");
        writer.join().expect("the writer").expect("python3 reads");
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).expect("JSON from python3")
    }

    /// Random text, rich in what splitters disagree about.
    pub(in crate::policy) fn random_line(
        random: &mut fastrand::Rng,
        alphabet: &[&str],
    ) -> String {
        (0..random.usize(0..24))
            .map(|_| *random.choice(alphabet).expect("not empty"))
            .collect()
    }

    const AWKWARD: &[&str] = &[
        " ", " ", "\t", "\n", "\r", "\"", "\"", "'", "'", "\\", "\\", "#", "$", "`", "a", "b",
        "-", "=", ";", "|", "&", "é", "\u{a0}", "\u{2028}", "\u{3000}", "😀", "{", "}", "~",
        "*",
    ];

    #[test]
    fn splits_as_cpython_does() {
        let mut random = fastrand::Rng::with_seed(7);
        let lines: Vec<_> = (0..20_000)
            .map(|_| random_line(&mut random, AWKWARD))
            .collect();
        let mut compared = 0;
        for (line, theirs) in lines.iter().zip(python_split(&lines)) {
            match split(line) {
                Ok(ours) => {
                    assert_eq!(Some(ours), theirs, "{line:?}");
                    compared += 1;
                }
                Err(Unreadable::SecondLine) => assert!(line.contains(['\n', '\r']), "{line:?}"),
                Err(_) => assert_eq!(None, theirs, "{line:?}"),
            }
        }
        assert!(compared > 2_000, "only {compared} lines were comparable");
    }

    #[test]
    fn cpython_reads_our_quoting_back() {
        let mut random = fastrand::Rng::with_seed(11);
        let words: Vec<Vec<String>> = (0..5_000)
            .map(|_| {
                (0..random.usize(1..6))
                    .map(|_| random_line(&mut random, AWKWARD))
                    .collect()
            })
            .collect();
        let lines: Vec<_> = words.iter().map(|words| join(words)).collect();
        for ((words, line), theirs) in words.iter().zip(&lines).zip(python_split(&lines)) {
            assert_eq!(Some(words), theirs.as_ref(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn our_splitter_reads_our_quoting_back(
            words in proptest::collection::vec("[^\\p{Cc}]*|[\\n\\r\\t \"'\\\\$a]*", 1..6)
        ) {
            prop_assert_eq!(split(&join(&words)), Ok(words));
        }
    }

    #[test]
    fn refuses_what_can_be_read_in_two_ways() {
        let cases = [
            ("a\nb", Unreadable::SecondLine),
            ("a\rb", Unreadable::SecondLine),
            ("a \\\n b", Unreadable::SecondLine),
            ("a \"b", Unreadable::OpenQuote),
            ("a 'b", Unreadable::OpenQuote),
            ("a \"b\\", Unreadable::OpenQuote),
            ("a b\\", Unreadable::LastBackslash),
            ("a\0b", Unreadable::Control),
            ("a \"\\\u{1b}\"", Unreadable::Control),
            ("a \\\u{7}", Unreadable::Control),
            ("\u{feff}a", Unreadable::ByteOrderMark),
        ];
        for (line, why) in cases {
            assert_eq!(split(line), Err(why), "{line:?}");
        }
        assert_eq!(
            split("\r\n a 'b\nc' \n"),
            Ok(vec!["a".into(), "b\nc".into()])
        );
    }
}
