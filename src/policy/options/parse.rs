//! The options among the words of a command, as Python's argparse finds them, and those of them
//! that are forbidden.
//!
//! Every form counts that argparse of any Python takes: exact, glued (`-S/x`), clustered (`-vS/x`,
//! `-v=S/x`), joined (`--subdir=/x`) and abbreviated (`--s /x`). `tests/real/test_options.py`
//! compares the result with the parsers of real Airflows.

use super::rules::{find_option_rule, find_universal_rule};
use crate::tables::arguments::{ArgumentEntry, ValueKind, find_arguments};
use crate::tables::releases::Release;
use std::sync::LazyLock;

/// The options in a command's arguments.
#[derive(Debug, Default)]
pub(crate) struct ParsedOptions {
    /// The options that are given, by name, each once.
    pub(crate) given: Vec<&'static str>,
    /// The options that are forbidden. An abbreviation of several options counts as each of them.
    pub(crate) forbidden: Vec<ForbiddenOption>,
    /// True if Python versions differ in the value of an option (`-vo=json`, `--conf=--`).
    pub(crate) ambiguous: bool,
}

/// An option that is forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForbiddenOption {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
}

/// Finds the options in the words after a command's name.
///
/// A word counts as an option by itself, even after an option that takes a value: argparse sorts
/// the words before it assigns values. Words after `--` are values.
pub(crate) fn parse_options(
    command: &'static str,
    arguments: &[String],
    release: &Release,
) -> ParsedOptions {
    let mut words = arguments
        .iter()
        .take_while(|word| *word != "--")
        .filter(|word| word.starts_with('-'))
        .peekable();
    // Most commands have no options, and then the table is not needed.
    if words.peek().is_none() {
        return ParsedOptions::default();
    }

    let own = find_arguments(command).options.iter();
    let known = own.filter(|entry| entry.is_in(release)).chain([&*HELP]);
    let mut parser = OptionParser {
        command,
        release,
        known: known.collect(),
        parsed: ParsedOptions::default(),
    };
    for word in words {
        parser.parse_word(word);
    }
    parser.parsed
}

/// The options of one command at one release, and the result so far.
struct OptionParser<'a> {
    command: &'static str,
    release: &'a Release,
    known: Vec<&'static ArgumentEntry>,
    parsed: ParsedOptions,
}

impl OptionParser<'_> {
    /// Adds every option that argparse could take one word for (`_parse_optional`,
    /// `_get_option_tuples` and the clusters of `consume_optional` in CPython's `argparse.py`).
    fn parse_word(&mut self, word: &str) {
        // argparse takes a lone dash for a value.
        if word == "-" {
            return;
        }
        if let Some(entry) = self.find_exact(word) {
            return self.add(entry);
        }

        // The option is the part before the equals sign, if a parser knows that part.
        let (head, value) = word.split_once('=').unwrap_or((word, ""));
        // Older Pythons drop a value of two dashes.
        self.parsed.ambiguous |= value == "--";
        if let Some(entry) = self.find_exact(head) {
            self.add(entry);
            if !head.starts_with("--") && entry.takes == ValueKind::Flag {
                // A flag takes no value: older Pythons read one as more flags (`-v=S/x`), newer
                // ones refuse it.
                self.parsed.ambiguous = true;
                self.parse_cluster(value, entry);
            }
            return;
        }

        self.parse_prefix(word, head);
    }

    /// Adds the options that a word could be an abbreviation of, or that begin with its first
    /// letter. `head` is the word up to its equals sign.
    fn parse_prefix(&mut self, word: &str, head: &str) {
        // A short option with its value (`-S/x`) or with further flags (`-vS/x`).
        let (letter, glued) = split_letter(word);
        let short = self.find_exact(letter).filter(|_| !word.starts_with("--"));
        // A word of one dash may also abbreviate: 1.10 has `-sd`, which `-s` is short for.
        let mut long = self.known.iter().flat_map(|entry| {
            let is_abbreviated = |s: &&&str| **s != letter && s.starts_with(head);
            entry
                .spellings
                .iter()
                .filter(is_abbreviated)
                .map(|_| *entry)
        });

        match (short, long.next(), long.next()) {
            (None, None, _) => self.parse_unknown(word, head, letter),
            (None, Some(entry), None) => self.add(entry),
            (Some(entry), None, _) => {
                self.add(entry);
                self.parse_cluster(glued, entry);
            }
            // Several options: this release's argparse fails, so none is given. Each is checked
            // nevertheless, because the web server's parser may have only one of them.
            (short, Some(_), _) => {
                let is_abbreviated = |entry: &&ArgumentEntry| {
                    entry.spellings.iter().any(|s| s.starts_with(head))
                };
                let long: Vec<_> = self.known.iter().copied().filter(is_abbreviated).collect();
                for entry in short.into_iter().chain(long) {
                    self.check_rule(entry);
                }
            }
        }
    }

    /// Adds the flags that are glued to a flag of one dash, up to the first option that takes the
    /// rest as its value.
    fn parse_cluster(&mut self, glued: &str, flag: &ArgumentEntry) {
        let mut takes = flag.takes;
        for (at, letter) in glued.char_indices() {
            if takes != ValueKind::Flag {
                // Older Pythons keep the equals sign in the value, newer ones do not.
                self.parsed.ambiguous |= at > 0 && letter == '=';
                self.parsed.ambiguous |= glued.get(at..) == Some("--");
                return;
            }

            let spelling = format!("-{letter}");
            let Some(entry) = self.find_exact(&spelling) else {
                return self.parse_unknown(&spelling, &spelling, &spelling);
            };
            self.add(entry);
            takes = entry.takes;
        }
    }

    /// Adds the forbidden option that an unknown word could be: the web server may be newer than
    /// the table.
    fn parse_unknown(&mut self, word: &str, head: &str, letter: &str) {
        // With a space it is a value. Otherwise argparse fails, if the table is right.
        if word.contains(' ') {
            return;
        }

        if head.starts_with("--") {
            if let Some((name, rule)) = find_universal_rule(head) {
                self.add_forbidden(name, rule.reason);
            }
            return;
        }
        let is_short = |option: &&&str| **option == letter || word.starts_with(**option);
        if let Some(name) = SUBDIR_SHORT.iter().find(is_short)
            && let Some((_, rule)) = find_universal_rule("--subdir")
        {
            self.add_forbidden(name, rule.reason);
        }
    }

    fn find_exact(&self, spelling: &str) -> Option<&'static ArgumentEntry> {
        let mut known = self.known.iter().copied();
        known.find(|entry| entry.is_spelled(spelling))
    }

    /// Adds an option that is given.
    fn add(&mut self, entry: &'static ArgumentEntry) {
        if !self.parsed.given.contains(&entry.name) {
            self.parsed.given.push(entry.name);
        }
        self.check_rule(entry);
    }

    /// Adds an option to the forbidden ones if its rule forbids it.
    fn check_rule(&mut self, entry: &'static ArgumentEntry) {
        let rule = find_option_rule(self.command, entry.name, self.release);
        if let Some(rule) = rule.filter(|rule| rule.forbidden) {
            self.add_forbidden(entry.name, rule.reason);
        }
    }

    fn add_forbidden(&mut self, name: &'static str, reason: &'static str) {
        self.parsed.forbidden.push(ForbiddenOption { name, reason });
    }
}

/// Cuts `-Sx` into `-S` and `x`.
fn split_letter(word: &str) -> (&str, &str) {
    let end = word.char_indices().nth(2).map_or(word.len(), |(at, _)| at);
    word.split_at_checked(end).unwrap_or((word, ""))
}

/// The short spellings of `--subdir`, which is forbidden even for a command that does not take it
/// by the table.
const SUBDIR_SHORT: &[&str] = &["-S", "-sd"];

/// The option that every parser of Airflow's has besides those of its command.
static HELP: LazyLock<ArgumentEntry> = LazyLock::new(ArgumentEntry::help);
