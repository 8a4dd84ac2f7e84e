//! An Airflow command: reading it from a request body, the check against the rules, and the
//! permit to send it.
//!
//! The command line is split as Python's `shlex` does it, and refused if it could be read in two ways.

use crate::error::PolicyError;
use crate::tables::commands::{CommandEntry, FirstWord, Release, command_table};
use std::borrow::Cow;
use std::fmt;

pub(crate) mod check;
pub(crate) mod hints;
pub(crate) mod listing;
pub(crate) mod memory;
pub(crate) mod permit;

/// One Airflow command as the client wrote it, split into words.
///
/// `Debug` shows the name only, because arguments may be secrets.
#[derive(Clone)]
pub struct Command<'a> {
    words: Vec<Word<'a>>,
    /// The first word, if any release has a command that begins with it.
    first: Option<&'static FirstWord>,
    /// The command of two words that the first two words name at any release.
    pair: Option<&'static CommandEntry>,
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.known_name().unwrap_or("other");
        f.debug_tuple("Command").field(&name).finish()
    }
}

impl Command<'static> {
    /// Creates a command from words that a shell has already split, such as a program's
    /// arguments. They are checked as if they had been sent as [`to_line`](Self::to_line).
    pub fn from_words(words: &[String]) -> Result<Self, PolicyError> {
        let line = join_words(words.iter().map(String::as_str));
        let Command { words, first, pair } = Command::read(line.as_bytes())?;
        Ok(Self {
            words: words.into_iter().map(Word::into_owned).collect(),
            first,
            pair,
        })
    }
}

impl<'a> Command<'a> {
    /// Reads a request body: UTF-8, one line, words as Python's `shlex.split` makes them. A
    /// leading `airflow` is dropped.
    ///
    /// Fails if the line can be read in two ways, or if anything is before the command's name.
    /// The name must be written without quotes and backslashes: its first word, and its second
    /// word if the first is a group at any release. No name in Airflow needs them, so they could
    /// only hide a name from a careless reader.
    pub fn read(body: &'a [u8]) -> Result<Self, PolicyError> {
        let text = std::str::from_utf8(body)
            .map_err(|error| ParseErrorKind::NotUtf8.at(error.valid_up_to()))?;

        // People copy `airflow dags list` from a shell. Once only: `airflow airflow` is no command
        // of any release.
        let mut words = split_words(text)?;
        if matches!(words.first(), Some(word) if word.text == "airflow" && !word.quoted) {
            words.remove(0);
        }

        let first = check_name(&words, text.len())?;
        let second = words.get(1).map(|word| &*word.text);
        let pair = first
            .zip(second)
            .and_then(|(word, second)| word.get_pair(second));
        Ok(Self { words, first, pair })
    }

    /// Returns the words, without a leading `airflow`.
    pub(crate) fn words(&self) -> &[Word<'a>] {
        &self.words
    }

    /// Returns the command line that is sent. It is the gateway's own quoting of the words, which
    /// Python's shlex splits into exactly these words.
    pub fn to_line(&self) -> String {
        join_words(self.words.iter().map(|word| &*word.text))
    }

    /// Returns the name of the command if any release has it, otherwise `None`. Never text of the
    /// client's own.
    pub fn known_name(&self) -> Option<&'static str> {
        self.pair
            .or_else(|| self.single())
            .map(|entry| entry.command)
    }

    /// Returns the command that the first word names at any release.
    fn single(&self) -> Option<&'static CommandEntry> {
        self.first.and_then(|word| word.single.as_ref())
    }

    /// Returns the words before the first option: only these can name a command.
    fn words_before_options(&self) -> &[Word<'a>] {
        let end = self
            .words
            .iter()
            .position(|word| word.text.starts_with('-'));
        self.words
            .get(..end.unwrap_or(self.words.len()))
            .unwrap_or_default()
    }

    /// Returns what the first words name, as the web server of a release reads them.
    fn resolve(&self, release: &Release) -> ResolvedCommand<'_> {
        let rest = match self.words.as_slice() {
            [] => return ResolvedCommand::Unknown,
            [only] if is_help(&only.text) => return ResolvedCommand::Help,
            [_, rest @ ..] => rest,
        };
        let (single, pair) = (self.single(), self.pair);

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
        let group = self.first.and_then(FirstWord::as_group).filter(|group| {
            let mut entries = command_table().group_entries(group);
            entries.any(|entry| entry.is_in(release))
        });
        match (group, rest) {
            (Some(group), []) => ResolvedCommand::Group(group),
            (Some(group), [only]) if is_help(&only.text) => ResolvedCommand::Group(group),
            (Some(_), [second, ..]) if second.text.starts_with('-') => {
                ResolvedCommand::OptionFirst(second.at)
            }
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
    Known(&'static CommandEntry, &'a [Word<'a>]),
    /// An option in place of the command's second word, at this byte.
    OptionFirst(usize),
    /// A name that no release knows.
    Unknown,
}

/// Returns true if the word is argparse's own help option.
fn is_help(word: &str) -> bool {
    matches!(word, "-h" | "--help")
}

/// Fails if the words do not begin with the bare name of a command. `end` is the length of the
/// text. Returns the first word, if any release knows it.
fn check_name(
    words: &[Word<'_>],
    end: usize,
) -> Result<Option<&'static FirstWord>, ParseError> {
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
    let known = command_table().find_first_word(&first.text);
    let is_group = known.is_some_and(|word| word.as_group().is_some());
    let name_length = if is_group { 2 } else { 1 };
    match words.iter().take(name_length).find(|word| word.quoted) {
        Some(word) => Err(ParseErrorKind::QuotedName.at(word.at)),
        None => Ok(known),
    }
}

/// Returns true if a shell would read the word as a variable assignment.
fn is_assignment(word: &str) -> bool {
    let value = word.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    value.starts_with('=') && !word.starts_with(|c: char| c == '=' || c.is_ascii_digit())
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
#[derive(Clone)]
pub(crate) struct Word<'a> {
    /// A slice of the line, or a copy if it is made of several slices.
    pub(crate) text: Cow<'a, str>,
    /// The byte at which it begins in the line.
    pub(crate) at: usize,
    /// True if it was written with a quote or a backslash.
    pub(crate) quoted: bool,
}

impl Word<'_> {
    fn into_owned(self) -> Word<'static> {
        Word {
            text: Cow::Owned(self.text.into_owned()),
            ..self
        }
    }
}

/// Splits a command line into words. Fails if the line can be read in two ways.
pub(crate) fn split_words(text: &str) -> Result<Vec<Word<'_>>, ParseError> {
    let mut reader = Reader { text, at: 0 };
    // Few commands have more words.
    let mut words = Vec::with_capacity(12);
    // The first line end after a word: an error only if another word follows.
    let mut line_end = None;

    while let Some(next) = reader.peek() {
        match next {
            // shlex takes no other characters for white space, in a text without line ends.
            b' ' | b'\t' => reader.at += 1,
            b'\r' | b'\n' => {
                // Line ends before and after the command make no second line.
                if !words.is_empty() {
                    line_end.get_or_insert(reader.at);
                }
                reader.at += 1;
            }
            _ => match line_end {
                Some(at) => return Err(ParseErrorKind::SecondLine.at(at)),
                None => words.push(reader.read_word()?),
            },
        }
    }
    Ok(words)
}

/// A command line, and the byte up to which it is read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Returns the next byte.
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Returns the text that is not read yet.
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Reads one word, up to white space or the end.
    fn read_word(&mut self) -> Result<Word<'a>, ParseError> {
        let mut word = Word {
            at: self.at,
            text: Cow::Borrowed(self.read_bare()?),
            quoted: false,
        };

        // A word may mix quoted and bare parts: `us""ers`.
        while let Some(next) = self.peek() {
            match next {
                b'\'' => self.read_single_quoted(&mut word.text)?,
                b'"' => self.read_double_quoted(&mut word.text)?,
                b'\\' => self.read_escaped(&mut word.text)?,
                _ => break,
            }
            word.quoted = true;
            word.text += self.read_bare()?;
        }
        Ok(word)
    }

    /// Reads up to white space, a quote or a backslash.
    fn read_bare(&mut self) -> Result<&'a str, ParseError> {
        let is_special = |b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'\'' | b'"' | b'\\');
        self.read_until(is_special, 0, |at, c, _| check_bare(at, c))
    }

    /// Reads a backslash outside quotes and the character that it escapes.
    fn read_escaped(&mut self, text: &mut Cow<'a, str>) -> Result<(), ParseError> {
        let backslash = self.at;
        self.at += 1;
        let rest = self.rest();
        let size = match rest.chars().next() {
            None => return Err(ParseErrorKind::LastBackslash.at(backslash)),
            // A shell removes both, Python keeps the line end in the word.
            Some('\r' | '\n') => return Err(ParseErrorKind::JoinedLines.at(backslash)),
            Some(' ' | '\t') => 1,
            Some(other) => {
                check_bare(self.at, other)?;
                other.len_utf8()
            }
        };
        self.at += size;
        *text += rest.get(..size).unwrap_or_default();
        Ok(())
    }

    /// Reads up to the closing single quote. Nothing is special in between.
    fn read_single_quoted(&mut self, text: &mut Cow<'a, str>) -> Result<(), ParseError> {
        let opened = self.at;
        self.at += 1;
        *text += self.read_until(|b| b == b'\'', 0, check_quoted)?;
        if self.peek().is_none() {
            return Err(ParseErrorKind::OpenQuote.at(opened));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads up to the closing double quote. A backslash is special only before a double quote and
    /// before another backslash.
    fn read_double_quoted(&mut self, text: &mut Cow<'a, str>) -> Result<(), ParseError> {
        let opened = self.at;
        self.at += 1;
        let mut literal = 0;

        // POSIX shells also read `$` and a backquote here, but no shell reads this line.
        loop {
            *text += self.read_until(|b| matches!(b, b'"' | b'\\'), literal, check_quoted)?;
            match self.rest().as_bytes() {
                [] => return Err(ParseErrorKind::OpenQuote.at(opened)),
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(());
                }
                [_, b'\r' | b'\n', ..] => return Err(ParseErrorKind::JoinedLines.at(self.at)),
                [_, b'"' | b'\\', ..] => self.at += 1,
                // Before any other character it is itself, as in Python and in a shell.
                [_, ..] => {}
            }
            literal = 1;
        }
    }

    /// Reads up to the next byte that is `special`, or to the end, and returns the text. The first
    /// `literal` bytes are not looked at.
    ///
    /// `check` is given each character that is not printable ASCII, with its byte and the text
    /// that begins with it.
    fn read_until(
        &mut self,
        is_special: impl Fn(u8) -> bool,
        literal: usize,
        check: impl Fn(usize, char, &str) -> Result<(), ParseError>,
    ) -> Result<&'a str, ParseError> {
        let start = self.at;
        self.at += literal;

        while let Some(next) = self.peek()
            && !is_special(next)
        {
            if matches!(next, b' '..=b'~') {
                self.at += 1;
            } else if let Some(c) = self.rest().chars().next() {
                check(self.at, c, self.rest())?;
                self.at += c.len_utf8();
            }
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }
}

/// Fails for a character that may not be outside quotes. Space, tab and line ends are for the
/// caller to handle.
fn check_bare(at: usize, c: char) -> Result<(), ParseError> {
    let kind = match c {
        '!'..='~' => return Ok(()),
        '\u{feff}' => ParseErrorKind::ByteOrderMark,
        c if c.is_control() => ParseErrorKind::Control(c),
        c if c.is_whitespace() => ParseErrorKind::Space(c),
        c if is_invisible(c) => ParseErrorKind::Invisible(c),
        _ => return Ok(()),
    };
    Err(kind.at(at))
}

/// Fails for a character that may not be between quotes: a control character other than tab, LF
/// and CR LF. Readers that open a text as lines turn a lone CR into something else. `rest` begins
/// with the character.
fn check_quoted(at: usize, c: char, rest: &str) -> Result<(), ParseError> {
    match c {
        '\t' | '\n' => Ok(()),
        '\r' if rest.starts_with("\r\n") => Ok(()),
        c if c.is_control() => Err(ParseErrorKind::Control(c).at(at)),
        _ => Ok(()),
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
pub(crate) fn join_words<'a>(words: impl Iterator<Item = &'a str> + Clone) -> String {
    // A space and two quotes for each word: enough for most lines.
    let mut line = String::with_capacity(words.clone().map(|word| word.len() + 3).sum());

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
        let mut start = 0;
        let mut bytes = word.bytes().enumerate();
        while let Some((at, _)) = bytes.find(|(_, b)| matches!(b, b'"' | b'\\')) {
            line.push_str(word.get(start..at).unwrap_or_default());
            line.push('\\');
            start = at;
        }
        line.push_str(word.get(start..).unwrap_or_default());
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
    Ok(texts(&split_words(text)?))
}

/// Returns the texts of words.
#[cfg(test)]
pub(crate) fn texts(words: &[Word<'_>]) -> Vec<String> {
    words.iter().map(|word| word.text.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::check::Rules;
    use super::*;
    use mwaa_model::Policy;

    fn read(line: &str) -> Command<'_> {
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
            assert_eq!(texts(command.words()), words);
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
            let line = join_words(words.iter().map(String::as_str));
            prop_assert_eq!(split(&line), Ok(words));
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
        let seen: Vec<_> = words.iter().map(|w| (&*w.text, w.at, w.quoted)).collect();
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
        let quoted = |c: char, next: &str| check_quoted(0, c, &format!("{c}{next}"));
        for c in ['a', '~', '#', ';', 'é', 'ß', '日', '😀', '\u{301}'] {
            assert_eq!(check_bare(0, c), Ok(()), "{c:?}");
        }
        for c in [
            '\t', '\n', ' ', '\u{a0}', '\u{200d}', '\u{fe0f}', '\u{2028}',
        ] {
            assert_eq!(quoted(c, ""), Ok(()), "{c:?}");
        }

        let control = |c| Err(ParseErrorKind::Control(c).at(0));
        assert_eq!(quoted('\r', "\n"), Ok(()));
        assert_eq!(quoted('\r', "x"), control('\r'));
        assert_eq!(quoted('\u{85}', ""), control('\u{85}'));
        assert_eq!(check_bare(0, '\u{7f}'), control('\u{7f}'));
        let space = ParseErrorKind::Space('\u{3000}').at(0);
        assert_eq!(check_bare(0, '\u{3000}'), Err(space));
        let invisible = ParseErrorKind::Invisible('\u{200b}').at(0);
        assert_eq!(check_bare(0, '\u{200b}'), Err(invisible));
    }
}
