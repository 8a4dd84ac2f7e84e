//! An Airflow command: reading it from a request body, the check against the rules, and the
//! permit to send it.
//!
//! The command line is split as Python's `shlex` does it, and refused if it could be read in two ways.

use crate::error::PolicyError;
use crate::tables::commands::{CommandEntry, Release, command_table};
use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

pub(crate) mod check;
pub(crate) mod hints;
pub(crate) mod listing;
pub(crate) mod permit;

/// One Airflow command as the client wrote it, split into words.
///
/// `Debug` shows the name only, because arguments may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    words: Vec<String>,
    /// The byte at which the second word begins in the body, for an error.
    second_at: usize,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.known_name().unwrap_or("other");
        f.debug_tuple("Command").field(&name).finish()
    }
}

impl Command {
    /// Reads a request body: UTF-8, one line, words as Python's `shlex.split` makes them. A
    /// leading `airflow` is dropped.
    ///
    /// Fails if the line can be read in two ways, or if anything is before the command's name.
    /// The name must be written without quotes and backslashes: its first word, and its second
    /// word if the first is a group at any release. No name in Airflow needs them, so they could
    /// only hide a name from a careless reader.
    pub fn read(body: &[u8]) -> Result<Self, PolicyError> {
        let text = std::str::from_utf8(body)
            .map_err(|error| ParseErrorKind::NotUtf8.at(error.valid_up_to()))?;

        // People copy `airflow dags list` from a shell. Once only: `airflow airflow` is no command
        // of any release.
        let mut words = split_words(text)?;
        if matches!(words.first(), Some(word) if word.text == "airflow" && !word.quoted) {
            words.remove(0);
        }
        check_name(&words, text.len())?;

        Ok(Self {
            second_at: words.get(1).map_or(text.len(), |word| word.at),
            words: words.into_iter().map(|word| word.text).collect(),
        })
    }

    /// Creates a command from words that a shell has already split, such as a program's
    /// arguments. They are checked as if they had been sent as [`to_line`](Self::to_line).
    pub fn from_words(words: &[String]) -> Result<Self, PolicyError> {
        Self::read(join_words(words).as_bytes())
    }

    /// Returns the words, without a leading `airflow`.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns the command line that is sent. It is the gateway's own quoting of
    /// [`words`](Self::words), which Python's shlex splits into exactly these words.
    pub fn to_line(&self) -> String {
        join_words(&self.words)
    }

    /// Returns the name of the command if any release has it, otherwise `None`. Never text of the
    /// client's own.
    pub fn known_name(&self) -> Option<&'static str> {
        let pair = self
            .first_two_words()
            .and_then(|pair| command_table().get(&pair));
        let single = self
            .words
            .first()
            .and_then(|word| command_table().get_single(word));
        pair.or(single).map(|entry| entry.command)
    }

    /// Returns the first two words as one name.
    fn first_two_words(&self) -> Option<String> {
        match self.words.as_slice() {
            [first, second, ..] => Some(format!("{first} {second}")),
            [] | [_] => None,
        }
    }

    /// Returns the words before the first option: only these can name a command.
    fn words_before_options(&self) -> &[String] {
        let end = self.words.iter().position(|word| word.starts_with('-'));
        self.words
            .get(..end.unwrap_or(self.words.len()))
            .unwrap_or_default()
    }

    /// Returns the error for an option in place of the second word of the command's name.
    fn option_first_error(&self) -> ParseError {
        ParseErrorKind::OptionFirst.at(self.second_at)
    }

    /// Returns what the first words name, as the web server of a release reads them.
    fn resolve(&self, release: &Release) -> ResolvedCommand<'_> {
        let (first, rest) = match self.words.as_slice() {
            [] => return ResolvedCommand::Unknown,
            [only] if is_help(only) => return ResolvedCommand::Help,
            [first, rest @ ..] => (first.as_str(), rest),
        };
        let table = command_table();
        let single = table.get_single(first);
        let pair = self.first_two_words().and_then(|pair| table.get(&pair));

        if let Some(entry) = single.filter(|entry| entry.is_in(release)) {
            // At 1.10 `variables` is a command of its own, and yet `variables get` is the
            // command of 2.x, so that the error can name it.
            let two_words = pair.filter(|pair| pair.get_span(2).is_some());
            return match (two_words, rest) {
                (Some(pair), [_, arguments @ ..]) => ResolvedCommand::Known(pair, arguments),
                _ => ResolvedCommand::Known(entry, rest),
            };
        }
        // A command of two words, also of another release, so that the error can name it.
        if let (Some(pair), [_, arguments @ ..]) = (pair, rest) {
            return ResolvedCommand::Known(pair, arguments);
        }

        // Only a group of this release prints its usage.
        let group = table.get_group(first).filter(|group| {
            let mut entries = table.group_entries(group);
            entries.any(|entry| entry.is_in(release))
        });
        match (group, rest) {
            (Some(group), []) => ResolvedCommand::Group(group),
            (Some(group), [only]) if is_help(only) => ResolvedCommand::Group(group),
            (Some(_), [second, ..]) if second.starts_with('-') => ResolvedCommand::OptionFirst,
            // A command of one word of another release, or a name that no release has.
            _ => single.map_or(ResolvedCommand::Unknown, |entry| {
                ResolvedCommand::Known(entry, rest)
            }),
        }
    }
}

/// The meaning of a command's first words at one release.
#[derive(Clone, Copy)]
enum ResolvedCommand<'a> {
    /// Airflow's own help: `--help`.
    Help,
    /// A group and nothing else, or with `--help`: it prints its usage.
    Group(&'static str),
    /// A command of the table, with its arguments. The release may or may not run it.
    Known(&'static CommandEntry, &'a [String]),
    /// An option in place of the command's second word.
    OptionFirst,
    /// A name that no release knows.
    Unknown,
}

/// Returns true if the word is argparse's own help option.
fn is_help(word: &str) -> bool {
    matches!(word, "-h" | "--help")
}

/// Fails if the words do not begin with the bare name of a command. `end` is the length of the
/// text.
fn check_name(words: &[Word], end: usize) -> Result<(), ParseError> {
    let Some(first) = words.first() else {
        return Err(ParseErrorKind::Empty.at(end));
    };
    if first.text.starts_with('-') && !(words.len() == 1 && is_help(&first.text)) {
        return Err(ParseErrorKind::OptionFirst.at(first.at));
    }
    // A shell would set the variable and run the rest: `AIRFLOW__CORE__X=1 dags list`.
    if is_assignment(&first.text) {
        return Err(ParseErrorKind::Assignment.at(first.at));
    }

    // A group's name is two words. Quotes are for values, which begin after the name.
    let is_group = command_table().get_group(&first.text).is_some();
    let name_length = if is_group { 2 } else { 1 };
    match words.iter().take(name_length).find(|word| word.quoted) {
        Some(word) => Err(ParseErrorKind::QuotedName.at(word.at)),
        None => Ok(()),
    }
}

/// Returns true if a shell would read the word as a variable assignment.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// A body that is no command line with exactly one reading. Contains no text of the client's
/// but characters that are invisible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}, {kind}")]
pub struct ParseError {
    /// The byte of the error in the body as it was sent, from 0.
    pub(crate) at: usize,
    pub(crate) kind: ParseErrorKind,
}

impl ParseError {
    /// Returns how to write the command so that it can be read.
    pub(crate) const fn hint(self) -> &'static str {
        // Each hint says how to keep what the client may have meant.
        match self.kind {
            ParseErrorKind::ByteOrderMark => {
                "save or send the text as UTF-8 without a byte order mark"
            }
            ParseErrorKind::Control(_) => {
                "send printable text; tabs and line ends (LF or CR LF) are only allowed inside \
                 quotes"
            }
            ParseErrorKind::Invisible(_) => {
                "remove the character; if it belongs to a value, put the value in quotes"
            }
            ParseErrorKind::NotUtf8 => "send the command in UTF-8",
            ParseErrorKind::Space(_) => {
                "separate words with plain spaces; if it belongs to a value, put the value in quotes"
            }

            ParseErrorKind::JoinedLines => {
                "write the command on one line; in a value, double the backslash before the line end"
            }
            ParseErrorKind::LastBackslash => {
                "double the backslash, or put the word in single quotes"
            }
            ParseErrorKind::OpenQuote => {
                "close the quote; inside double quotes write \\\" for a quote"
            }
            ParseErrorKind::SecondLine => {
                "send one command, on one line; a line end is only allowed inside quotes"
            }

            ParseErrorKind::Assignment => {
                "start with the command's name: the line is not run by a shell"
            }
            ParseErrorKind::Empty => {
                "give an Airflow command such as `dags list`; in HTTP it is the request body"
            }
            ParseErrorKind::OptionFirst => {
                "write the command first, then its options: `dags list --verbose`"
            }
            ParseErrorKind::QuotedName => {
                "write the command's name without quotes and backslashes: `dags list`"
            }
        }
    }
}

/// The kinds of [`ParseError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseErrorKind {
    #[error("there is a variable assignment before the command")]
    Assignment,
    #[error("there is a byte order mark (U+FEFF) outside quotes")]
    ByteOrderMark,
    #[error("there is a control character (U+{:04X})", u32::from(*.0))]
    Control(char),
    #[error("the text ends without a command")]
    Empty,
    #[error("there is an invisible character (U+{:04X}) outside quotes", u32::from(*.0))]
    Invisible(char),
    #[error("there is a backslash before a line end: a shell joins the lines, Python does not")]
    JoinedLines,
    #[error("the text ends with a lone backslash")]
    LastBackslash,
    #[error("the text is not UTF-8")]
    NotUtf8,
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("there is an option before the command's name")]
    OptionFirst,
    #[error("the command's name contains quotes or backslashes")]
    QuotedName,
    #[error("there is a second line")]
    SecondLine,
    #[error("there is white space (U+{:04X}) that some programs do not treat as a separator", u32::from(*.0))]
    Space(char),
}

impl ParseErrorKind {
    /// Returns the error of this kind at a byte.
    pub(crate) const fn at(self, at: usize) -> ParseError {
        ParseError { at, kind: self }
    }
}

/// One word of a command line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// The byte at which it begins in the text.
    pub(crate) at: usize,
    /// True if it was written with a quote or a backslash.
    pub(crate) quoted: bool,
}

/// Splits a command line into words. Fails if the line can be read in two ways.
pub(crate) fn split_words(text: &str) -> Result<Vec<Word>, ParseError> {
    let mut chars = text.char_indices().peekable();
    let mut words = Vec::new();
    // The first line end after a word: an error only if another word follows.
    let mut line_end = None;

    while let Some(&(at, next)) = chars.peek() {
        match next {
            // shlex takes no other characters for white space, in a text without line ends.
            ' ' | '\t' => {
                chars.next();
            }
            '\r' | '\n' => {
                // Line ends before and after the command make no second line.
                if !words.is_empty() {
                    line_end.get_or_insert(at);
                }
                chars.next();
            }
            _ => match line_end {
                Some(at) => return Err(ParseErrorKind::SecondLine.at(at)),
                None => words.push(parse_word(at, &mut chars)?),
            },
        }
    }
    Ok(words)
}

/// The rest of the text, each character with its byte.
type Chars<'a> = Peekable<CharIndices<'a>>;

/// Reads one word, up to white space or the end.
fn parse_word(at: usize, chars: &mut Chars<'_>) -> Result<Word, ParseError> {
    let mut word = Word {
        text: String::new(),
        at,
        quoted: false,
    };

    while let Some((at, next)) =
        chars.next_if(|(_, next)| !matches!(next, ' ' | '\t' | '\r' | '\n'))
    {
        // A word may mix quoted and bare parts: `us""ers`.
        word.quoted |= matches!(next, '\'' | '"' | '\\');
        match next {
            '\'' => parse_single_quoted(at, chars, &mut word.text)?,
            '"' => parse_double_quoted(at, chars, &mut word.text)?,
            '\\' => match chars.next() {
                None => return Err(ParseErrorKind::LastBackslash.at(at)),
                // A shell removes both, Python keeps the line end in the word.
                Some((_, '\r' | '\n')) => return Err(ParseErrorKind::JoinedLines.at(at)),
                Some((_, escaped @ (' ' | '\t'))) => word.text.push(escaped),
                Some((at, escaped)) => word.text.push(check_bare(at, escaped)?),
            },
            other => word.text.push(check_bare(at, other)?),
        }
    }
    Ok(word)
}

/// Reads up to the closing single quote. Nothing is special in between.
fn parse_single_quoted(
    opened: usize,
    chars: &mut Chars<'_>,
    text: &mut String,
) -> Result<(), ParseError> {
    while let Some((at, next)) = chars.next() {
        if next == '\'' {
            return Ok(());
        }
        text.push(check_quoted(at, next, chars)?);
    }
    Err(ParseErrorKind::OpenQuote.at(opened))
}

/// Reads up to the closing double quote. A backslash is special only before a double quote and
/// before another backslash.
fn parse_double_quoted(
    opened: usize,
    chars: &mut Chars<'_>,
    text: &mut String,
) -> Result<(), ParseError> {
    // POSIX shells also read `$` and a backquote here, but no shell reads this line.
    while let Some((at, next)) = chars.next() {
        match next {
            '"' => return Ok(()),
            '\\' => match chars.peek() {
                Some(&(_, escaped @ ('"' | '\\'))) => {
                    chars.next();
                    text.push(escaped);
                }
                Some((_, '\r' | '\n')) => return Err(ParseErrorKind::JoinedLines.at(at)),
                // Before any other character it is itself, as in Python and in a shell.
                Some(_) | None => text.push('\\'),
            },
            other => text.push(check_quoted(at, other, chars)?),
        }
    }

    Err(ParseErrorKind::OpenQuote.at(opened))
}

/// Returns the character if it may stand outside quotes. Space, tab and line ends are for the
/// caller to handle.
fn check_bare(at: usize, c: char) -> Result<char, ParseError> {
    let kind = match c {
        // Most characters by far, so they are decided first.
        '!'..='~' => return Ok(c),
        '\u{feff}' => ParseErrorKind::ByteOrderMark,
        c if c.is_control() => ParseErrorKind::Control(c),
        c if c.is_whitespace() => ParseErrorKind::Space(c),
        c if is_invisible(c) => ParseErrorKind::Invisible(c),
        _ => return Ok(c),
    };
    Err(kind.at(at))
}

/// Returns the character if it may stand between quotes: all but control characters, of which
/// tab, LF and CR LF may. Readers that open a text as lines turn a lone CR into something else.
fn check_quoted(at: usize, c: char, chars: &mut Chars<'_>) -> Result<char, ParseError> {
    match c {
        '\t' | '\n' => Ok(c),
        '\r' if chars.peek().is_some_and(|(_, next)| *next == '\n') => Ok(c),
        c if c.is_control() => Err(ParseErrorKind::Control(c).at(at)),
        _ => Ok(c),
    }
}

/// Returns true if a character shows nothing or only changes how others look: Unicode's general
/// category Cf, the property Default_Ignorable_Code_Point (Unicode 16), and the blank of Braille.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Joins words into a line that [`split_words`] and Python's shlex split into exactly these words.
///
/// Plain words stay bare. All others are put in double quotes with `"` and `\` escaped, which is
/// the form that MWAA's web server is known to accept.
pub(crate) fn join_words(words: &[String]) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        if is_plain(word) {
            line.push_str(word);
            continue;
        }

        // Nothing else is special in double quotes, to shlex and to the gateway.
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

/// Returns true if the word has no character that is special to a shell: the safe set of Python's
/// `shlex.quote`.
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

/// Splits a command line into the texts of its words.
#[cfg(test)]
pub(crate) fn split(text: &str) -> Result<Vec<String>, ParseError> {
    Ok(split_words(text)?
        .into_iter()
        .map(|word| word.text)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::check::Rules;
    use super::*;
    use mwaa_model::Policy;

    fn read(line: &str) -> Command {
        Command::read(line.as_bytes()).expect("a readable command")
    }

    #[test]
    fn drops_one_leading_airflow() {
        assert_eq!(read("airflow dags list").to_line(), "dags list");
        assert_eq!(read("airflow airflow dags").to_line(), "airflow dags");
        assert!(Command::read(b"airflow").is_err());
    }

    #[test]
    fn the_name_comes_from_the_table_and_not_from_the_client() {
        let rules = Rules {
            policy: Policy::All,
            ..Rules::default()
        };
        let name = |line: &str, version: &str| {
            let allowed = rules.check(&read(line), version.parse().expect("a version"));
            allowed.expect(line).name()
        };
        assert_eq!(name("dags trigger x", "2.10.3"), "dags trigger");
        assert_eq!(name("trigger_dag x", "2.10.3"), "trigger_dag");
        assert_eq!(name("variables --get k", "1.10.12"), "variables");
        assert_eq!(name("variables get k", "1.10.12"), "variables get");
        assert_eq!(name("variables", "2.10.3"), "variables");
        assert_eq!(name("backfill create", "1.10.12"), "backfill");
        assert_eq!(name("backfill create", "3.0.6"), "backfill create");
        assert_eq!(name("dags --help", "2.10.3"), "dags");
        assert_eq!(name("-h", "2.10.3"), "help");
        assert_eq!(name("hunter2 list", "2.10.3"), "other");
        assert_eq!(name("dags hunter2", "2.10.3"), "other");
    }

    #[test]
    fn words_from_a_shell_are_kept_unchanged() {
        for words in [
            &["dags", "trigger", "x", "--conf", r#"{"a b": "it's $1\\"}"#][..],
            &["variables", "set", "", "é \" '"],
        ] {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            let command = Command::from_words(&words).expect("a readable command");
            assert_eq!(command.words(), words);
        }
        assert!(Command::from_words(&[]).is_err());
        assert!(Command::from_words(&["a\0".to_owned()]).is_err());
    }

    #[test]
    fn debug_hides_arguments() {
        let shown = format!("{:?}", read("variables set key hunter2"));
        assert_eq!(shown, "Command(\"variables set\")");
        assert_eq!(format!("{:?}", read("hunter2")), "Command(\"other\")");
    }
}

#[cfg(test)]
mod words_tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    proptest! {
        #[test]
        fn splitting_reverses_quoting(
            words in proptest::collection::vec("[^\\p{Cc}]*|[\\n\\t \"'\\\\$a]*", 1..6)
        ) {
            prop_assert_eq!(split(&join_words(&words)), Ok(words));
        }

        #[test]
        fn splitting_any_text_does_not_panic(line in ".*") {
            if let Err(error) = split(&line) {
                prop_assert!(line.is_char_boundary(error.at));
            }
        }
    }

    #[test]
    fn ambiguous_lines_are_refused_with_the_position() {
        let cases = [
            ("a\nb", ParseErrorKind::SecondLine.at(1)),
            ("é a\r\n\nb", ParseErrorKind::SecondLine.at(4)),
            ("a \\\n b", ParseErrorKind::JoinedLines.at(2)),
            ("a \"b\\\n\"", ParseErrorKind::JoinedLines.at(4)),
            ("a \"b\\\r\n\"", ParseErrorKind::JoinedLines.at(4)),
            ("a x\"b", ParseErrorKind::OpenQuote.at(3)),
            ("a 'b", ParseErrorKind::OpenQuote.at(2)),
            ("a \"b\\", ParseErrorKind::OpenQuote.at(2)),
            ("a b\\", ParseErrorKind::LastBackslash.at(3)),
            ("a\0b", ParseErrorKind::Control('\0').at(1)),
            ("a\u{b}b", ParseErrorKind::Control('\u{b}').at(1)),
            ("a \"\\\u{1b}\"", ParseErrorKind::Control('\u{1b}').at(4)),
            ("a '\u{85}'", ParseErrorKind::Control('\u{85}').at(3)),
            ("a 'b\rc'", ParseErrorKind::Control('\r').at(4)),
            ("a \\\u{7}", ParseErrorKind::Control('\u{7}').at(3)),
            ("\n \u{feff}a", ParseErrorKind::ByteOrderMark.at(2)),
            ("a\u{200b}", ParseErrorKind::Invisible('\u{200b}').at(1)),
            ("\u{202e}a", ParseErrorKind::Invisible('\u{202e}').at(0)),
            ("a\u{a0}b", ParseErrorKind::Space('\u{a0}').at(1)),
            ("a \\\u{2003}b", ParseErrorKind::Space('\u{2003}').at(3)),
            ("a \u{2028}", ParseErrorKind::Space('\u{2028}').at(2)),
        ];
        for (line, error) in cases {
            assert_eq!(split(line), Err(error), "{line:?}");
        }
        assert_eq!(
            split("\r\n a 'b\nc' \"\r\n\u{a0}\" \n"),
            Ok(vec!["a".into(), "b\nc".into(), "\r\n\u{a0}".into()])
        );
    }

    #[test]
    fn each_word_has_its_position_and_whether_it_was_quoted() {
        let words = split_words(" a\t'b'c é\\ \n").expect("words");
        let seen: Vec<_> = words
            .iter()
            .map(|w| (w.text.as_str(), w.at, w.quoted))
            .collect();
        assert_eq!(seen, [("a", 1, false), ("bc", 3, true), ("é ", 8, true)]);
    }

    #[test]
    fn every_unicode_space_and_format_character_is_refused() {
        // Control, format, and the three kinds of separators, as CPython's own tables have them.
        const PROGRAM: &str = "
import sys, unicodedata
for code in range(sys.maxunicode + 1):
    if unicodedata.category(chr(code)) in ('Cc', 'Cf', 'Zs', 'Zl', 'Zp'):
        print(code)
";
        let output = Command::new("python3")
            .args(["-c", PROGRAM])
            .output()
            .expect("python3 is needed by the tests");
        let listed = String::from_utf8(output.stdout).expect("digits");
        let mut seen = 0;
        for line in listed.lines() {
            let code: u32 = line.parse().expect("a number");
            let c = char::from_u32(code).expect("no surrogate is in these categories");
            if c != ' ' {
                assert!(
                    check_bare(0, c).is_err(),
                    "U+{code:04X} passes outside quotes"
                );
                seen += 1;
            }
        }
        assert!(seen > 200, "Python named only {seen}");
    }

    #[test]
    fn letters_symbols_and_quoted_characters_are_accepted() {
        let quoted = |c, rest: &str| check_quoted(0, c, &mut rest.char_indices().peekable());
        for c in ['a', '~', '#', ';', 'é', 'ß', '日', '😀', '\u{301}'] {
            assert_eq!(check_bare(0, c), Ok(c), "{c:?}");
        }
        for c in [
            '\t', '\n', ' ', '\u{a0}', '\u{200d}', '\u{fe0f}', '\u{2028}',
        ] {
            assert_eq!(quoted(c, ""), Ok(c), "{c:?}");
        }

        let control = |c| Err(ParseErrorKind::Control(c).at(0));
        assert_eq!(quoted('\r', "\n"), Ok('\r'));
        assert_eq!(quoted('\r', "x"), control('\r'));
        assert_eq!(quoted('\u{85}', ""), control('\u{85}'));
        assert_eq!(check_bare(0, '\u{7f}'), control('\u{7f}'));
        let space = ParseErrorKind::Space('\u{3000}').at(0);
        assert_eq!(check_bare(0, '\u{3000}'), Err(space));
        let invisible = ParseErrorKind::Invisible('\u{200b}').at(0);
        assert_eq!(check_bare(0, '\u{200b}'), Err(invisible));
    }
}
