//! The options that a command may be given: those that reach into the web server are refused, and
//! so is a command that would ask a question there. The options are found among the words as Airflow's
//! parser does.

use crate::command::Word;
use crate::command::check::Rules;
use crate::error::PolicyError;
use crate::tables::arguments::{ArgumentEntry, ValueKind, find_universal_rule};
use crate::tables::commands::{CommandEntry, Release, command_table};
use crate::tables::{find_alternative, read_rows};
use std::sync::LazyLock;

/// Checks the options that a command of the table is given.
///
/// Fails for an option that reaches into the web server and that no allow rule names, for a value
/// that depends on the Python that reads it, and for a question that no one could answer.
pub(crate) fn check_options(
    entry: &CommandEntry,
    options: &ParsedOptions,
    release: &Release,
    rules: &Rules<'_>,
) -> Result<(), PolicyError> {
    let command = entry.command;

    // All of them are looked at: a rule may allow the first and not the second.
    let mut forbidden = options.forbidden.iter();
    if let Some(found) = forbidden.find(|found| !rules.is_option_allowed(command, found.name)) {
        return Err(forbidden_error(command, *found));
    }
    // The web server's Python could read another value than the one that was checked.
    if options.ambiguous {
        return Err(PolicyError::AmbiguousValue);
    }
    if let Some(answer) = find_missing_answer(entry, options, release) {
        return Err(PolicyError::Unconfirmed { command, answer });
    }
    Ok(())
}

/// Checks the words of a command that no table has, such as a plugin's: it may not be given an
/// option that is forbidden for all commands.
pub(crate) fn check_unknown_options(
    command: &'static str,
    words: &[Word<'_>],
    release: &Release,
) -> Result<(), PolicyError> {
    // No table has the options of the command, so that only `--help` is known of them.
    let options = parse_options(&[], words, release);
    match options.forbidden.first() {
        Some(found) => Err(forbidden_error(command, *found)),
        None => Ok(()),
    }
}

/// Returns the error for an option that reaches into the web server.
fn forbidden_error(command: &'static str, option: ForbiddenOption) -> PolicyError {
    let ForbiddenOption { name, reason } = option;
    let hint = match find_alternative(&format!("{command} {name}")) {
        Some(alternative) => alternative.to_owned(),
        // An option of an unknown command cannot be allowed: its meaning is unknown too.
        None if command_table().get(command).is_none() => format!("remove {name}"),
        None => {
            format!("remove {name}, or set allow = [\"{command} {name}\"] for this environment")
        }
    };

    PolicyError::ForbiddenOption {
        command,
        option: name,
        reason,
        hint,
    }
}

/// A command that asks before it acts: a row of `confirmations.csv`. MWAA gives it no terminal, so
/// no one can answer.
#[derive(Debug)]
struct ConfirmationRule {
    command: &'static str,
    /// The option that answers the question beforehand.
    answer: &'static str,
    /// The command asks only if this option is given; empty if it always asks.
    when: &'static str,
    /// The command does not ask if this option is given; empty if there is none.
    unless: &'static str,
}

/// Returns the option that must be added, if the command would ask a question.
fn find_missing_answer(
    entry: &CommandEntry,
    options: &ParsedOptions,
    release: &Release,
) -> Option<&'static str> {
    let mut rules = CONFIRMATIONS.iter();
    let rule = rules.find(|rule| rule.command == entry.command)?;
    // No option has an empty name, so an empty column is never given.
    let is_given = |name: &str| options.given.contains(&name);
    let asks = (rule.when.is_empty() || is_given(rule.when))
        && !is_given(rule.unless)
        && !is_given(rule.answer)
        && !is_given("--help");

    // At a release without the option there is nothing to advise.
    let mut known = entry.arguments.options.iter();
    let has_answer = known.any(|option| option.name == rule.answer && option.is_in(release));
    (asks && has_answer).then_some(rule.answer)
}

static CONFIRMATIONS: LazyLock<Vec<ConfirmationRule>> = LazyLock::new(|| {
    read_rows(include_str!("../tables/confirmations.csv"))
        .map(|[command, answer, when, unless]| ConfirmationRule {
            command,
            answer,
            when,
            unless,
        })
        .collect()
});

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

/// Finds the options in the words after a command's name. `known` are the command's own options
/// at all releases.
///
/// A word counts as an option by itself, even after an option that takes a value: argparse sorts
/// the words before it assigns values. Words after `--` are values.
pub(crate) fn parse_options(
    known: &'static [ArgumentEntry],
    arguments: &[Word<'_>],
    release: &Release,
) -> ParsedOptions {
    let mut parser = OptionParser {
        known,
        release,
        parsed: ParsedOptions::default(),
    };
    let words = arguments.iter().map(|word| &*word.text);
    for word in words.take_while(|word| *word != "--") {
        if word.starts_with('-') {
            parser.parse_word(word);
        }
    }
    parser.parsed
}

/// The options of one command, and the result so far.
struct OptionParser<'a> {
    known: &'static [ArgumentEntry],
    release: &'a Release,
    parsed: ParsedOptions,
}

impl<'a> OptionParser<'a> {
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
        let mut long = self.known().flat_map(|entry| {
            let is_abbreviated = |s: &&&str| **s != letter && s.starts_with(head);
            let spellings = entry.spellings.iter().filter(is_abbreviated);
            spellings.map(move |_| entry)
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
                let long: Vec<_> = self.known().filter(is_abbreviated).collect();
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
            if let Some((name, reason)) = find_universal_rule(head) {
                self.add_forbidden(name, reason);
            }
            return;
        }
        let is_short = |option: &&&str| **option == letter || word.starts_with(**option);
        if let Some(name) = SUBDIR_SHORT.iter().find(is_short)
            && let Some((_, reason)) = find_universal_rule("--subdir")
        {
            self.add_forbidden(name, reason);
        }
    }

    /// Returns the options of the command at the release.
    fn known(&self) -> impl Iterator<Item = &'static ArgumentEntry> + use<'a> {
        let release = self.release;
        let own = self.known.iter().filter(|entry| entry.is_in(release));
        own.chain([&*HELP])
    }

    fn find_exact(&self, spelling: &str) -> Option<&'static ArgumentEntry> {
        // The release last: few entries have the spelling.
        let mut all = self.known.iter().chain([&*HELP]);
        all.find(|entry| entry.is_spelled(spelling) && entry.is_in(self.release))
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
        let rule = entry.find_rule(self.release);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::arguments::all_options;

    #[test]
    fn each_command_with_a_confirmation_option_has_a_rule() {
        let lines = include_str!("../tables/confirmations.csv").lines();
        assert_eq!(CONFIRMATIONS.len() + 1, lines.count());
        for row in all_options().filter(|row| ["--yes", "--no_confirm"].contains(&row.name)) {
            let rule = CONFIRMATIONS
                .iter()
                .find(|rule| rule.command == row.command);
            assert_eq!(rule.map(|rule| rule.answer), Some(row.name), "{row:?}");
        }
        for rule in CONFIRMATIONS.iter() {
            let has = |name: &str| {
                let entry = command_table().get(rule.command).expect("a command");
                let mut options = entry.arguments.options.iter();
                name.is_empty() || options.any(|row| row.name == name)
            };
            let named = [rule.answer, rule.when, rule.unless];
            assert!(named.into_iter().all(has), "{rule:?}");
        }
    }
}
