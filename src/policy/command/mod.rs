//! An Airflow command: reading it from a request body, the check against the rules, and the
//! permit to send it.

pub(crate) mod check;
pub(crate) mod hints;
pub(crate) mod listing;
pub(crate) mod permit;
mod repeatable;
pub(crate) mod rules;
pub(crate) mod words;

use crate::error::PolicyError;
use crate::tables::commands::{CommandEntry, command_table};
use crate::tables::releases::Release;
use std::fmt;
use words::{ParseError, ParseErrorKind, Word, join_words, split_words};

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

#[cfg(test)]
mod tests {
    use super::rules::Rules;
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
    fn names_by_release_and_never_by_the_clients_text() {
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
    fn words_of_a_shell_stay_what_they_are() {
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
