//! A command line that was read: its words, its name, its canonical form.

use super::Refusal;
use super::entry::Entry;
use super::release::Release;
use super::table::table;
use super::unreadable::{Unreadable, Why};
use super::words;
use std::fmt;

/// One Airflow command as the client wrote it, taken apart into words.
///
/// `Debug` shows the name only: arguments carry secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    words: Vec<String>,
    /// The byte at which the second word begins in the body, for a refusal.
    second_at: usize,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.known_name().unwrap_or("other");
        f.debug_tuple("Command").field(&name).finish()
    }
}

/// What the first words of a command name, as a release's web server reads them.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// Airflow's own help: `--help`.
    Help,
    /// A group and nothing else, or its help: prints usage.
    Group(&'static str),
    /// A command of the table, which this release may or may not run.
    Known(&'static Entry, &'a [String]),
    /// An option where the command's second word should stand.
    OptionFirst,
    /// Nothing that any release knows.
    Unknown,
}

/// Whether the word is argparse's own help option.
pub(super) fn is_help(word: &str) -> bool {
    matches!(word, "-h" | "--help")
}

impl Command {
    /// Reads a request body: UTF-8, one line, words as Python's `shlex.split` makes them. A
    /// leading `airflow` is dropped.
    ///
    /// Nothing may stand before the command's name, and the name must be written bare: its
    /// first word, and its second where the first is a group at any release. What needs quotes
    /// there names no command of Airflow's.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|e| Why::NotUtf8.at(e.valid_up_to()))?;
        let mut words = words::read(text)?;
        if words
            .first()
            .is_some_and(|word| word.text == "airflow" && !word.quoted)
        {
            words.remove(0);
        }
        let Some(first) = words.first() else {
            return Err(Why::Empty.at(text.len()).into());
        };
        if first.text.starts_with('-') && !(words.len() == 1 && is_help(&first.text)) {
            return Err(Why::OptionFirst.at(first.at).into());
        }
        if is_assignment(&first.text) {
            return Err(Why::Assignment.at(first.at).into());
        }
        let named = if table().group(&first.text).is_some() {
            2
        } else {
            1
        };
        if let Some(word) = words.iter().take(named).find(|word| word.quoted) {
            return Err(Why::QuotedName.at(word.at).into());
        }
        Ok(Self {
            second_at: words.get(1).map_or(text.len(), |word| word.at),
            words: words.into_iter().map(|word| word.text).collect(),
        })
    }

    /// The refusal of an option where the second word of the command's name should stand.
    pub(super) fn option_first(&self) -> Unreadable {
        Why::OptionFirst.at(self.second_at)
    }

    /// Takes words that a shell has already made, as a program's arguments are; they are judged
    /// as if they had come as [`canonical`](Self::canonical) text.
    pub fn from_words(words: &[String]) -> Result<Self, Refusal> {
        Self::read(words::join(words).as_bytes())
    }

    /// The words, without a leading `airflow`.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The command line that is sent: our own quoting of [`words`](Self::words), which Python's
    /// shlex takes apart into exactly these words.
    pub fn canonical(&self) -> String {
        words::join(&self.words)
    }

    /// The name for logs and metrics: a command of the table (`dags trigger`), a group, `help`,
    /// or `other`. Never text of the client's own.
    pub fn name(&self, release: &Release) -> &'static str {
        match self.path(release) {
            Path::Help => "help",
            Path::Group(group) => group,
            Path::Known(entry, _) => entry.command,
            Path::OptionFirst | Path::Unknown => "other",
        }
    }

    /// The name that any release knows it by. Never text of the client's own.
    pub fn known_name(&self) -> Option<&'static str> {
        let pair = self.pair().and_then(|pair| table().entry(&pair));
        let single = self.words.first().and_then(|word| table().single(word));
        pair.or(single).map(|entry| entry.command)
    }

    /// The first two words as one name.
    pub(super) fn pair(&self) -> Option<String> {
        match self.words.as_slice() {
            [first, second, ..] => Some(format!("{first} {second}")),
            [] | [_] => None,
        }
    }

    /// The words before the first option: all that can name a command.
    pub(super) fn leading(&self) -> &[String] {
        let end = self.words.iter().position(|word| word.starts_with('-'));
        self.words
            .get(..end.unwrap_or(self.words.len()))
            .unwrap_or_default()
    }

    /// Finds what the first words name.
    pub(super) fn path(&self, release: &Release) -> Path<'_> {
        let (first, rest) = match self.words.as_slice() {
            [] => return Path::Unknown,
            [only] if is_help(only) => return Path::Help,
            [first, rest @ ..] => (first.as_str(), rest),
        };
        let pair = self.pair().and_then(|pair| table().entry(&pair));
        let single = table().single(first);
        if let Some(entry) = single.filter(|entry| entry.covers(release)) {
            // `variables get` means 2.x's command also where `variables` is one of its own.
            let two_words = pair.filter(|pair| pair.span(2).is_some());
            return match (two_words, rest) {
                (Some(pair), [_, rest @ ..]) => Path::Known(pair, rest),
                _ => Path::Known(entry, rest),
            };
        }
        if let (Some(pair), [_, rest @ ..]) = (pair, rest) {
            return Path::Known(pair, rest);
        }
        let group = table()
            .group(first)
            .filter(|group| table().members(group).any(|entry| entry.covers(release)));
        match (group, rest) {
            (Some(group), []) => Path::Group(group),
            (Some(group), [only]) if is_help(only) => Path::Group(group),
            (Some(_), [second, ..]) if second.starts_with('-') => Path::OptionFirst,
            _ => single.map_or(Path::Unknown, |entry| Path::Known(entry, rest)),
        }
    }
}

/// Whether a shell would read the word as a variable assignment.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::release_for;

    fn read(line: &str) -> Command {
        Command::read(line.as_bytes()).expect("a readable command")
    }

    #[test]
    fn drops_one_leading_airflow() {
        assert_eq!(read("airflow dags list").canonical(), "dags list");
        assert_eq!(read("airflow airflow dags").canonical(), "airflow dags");
        assert!(Command::read(b"airflow").is_err());
    }

    #[test]
    fn names_by_release_and_never_by_the_clients_text() {
        let name = |line: &str, version: &str| {
            read(line).name(release_for(version.parse().expect("a version")).0)
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
