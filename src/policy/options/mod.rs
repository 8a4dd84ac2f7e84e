//! The options that a command may be given: those that reach into the web server are refused, and
//! so is a command that would ask a question there. The options are found among the words as Airflow's
//! parser does; the rule for each option of every command is read from `option_rules.csv`.

use crate::command::check::Rules;
use crate::error::PolicyError;
use crate::tables::arguments::{ArgumentEntry, ValueKind, find_arguments};
use crate::tables::commands::{Release, command_table};
use crate::tables::{find_alternative, read_rows};
use mwaa_model::AirflowVersion;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Checks the arguments of a command of the table. Returns the options that are given, by name.
///
/// Fails for an option that reaches into the web server and that no allow rule names, for a value
/// that depends on the Python that reads it, and for a question that no one could answer.
pub(crate) fn check_options(
    command: &'static str,
    arguments: &[String],
    release: &Release,
    rules: &Rules<'_>,
) -> Result<Vec<&'static str>, PolicyError> {
    let options = parse_options(command, arguments, release);

    // All of them are looked at: a rule may allow the first and not the second.
    let mut forbidden = options.forbidden.iter();
    if let Some(found) = forbidden.find(|found| !rules.is_option_allowed(command, found.name)) {
        return Err(forbidden_error(command, *found));
    }
    // The web server's Python could read another value than the one that was checked.
    if options.ambiguous {
        return Err(PolicyError::AmbiguousValue);
    }
    if let Some(answer) = find_missing_answer(command, &options, release) {
        return Err(PolicyError::Unconfirmed { command, answer });
    }
    Ok(options.given)
}

/// Checks the words of a command that no table has, such as a plugin's: it may not be given an
/// option that is forbidden for all commands.
pub(crate) fn check_unknown_options(
    command: &'static str,
    words: &[String],
    release: &Release,
) -> Result<(), PolicyError> {
    // No table has the options of the command, so that only `--help` is known of them.
    let options = parse_options("", words, release);
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
    command: &str,
    options: &ParsedOptions,
    release: &Release,
) -> Option<&'static str> {
    let rule = CONFIRMATIONS.iter().find(|rule| rule.command == command)?;
    // No option has an empty name, so an empty column is never given.
    let is_given = |name: &str| options.given.contains(&name);
    let asks = (rule.when.is_empty() || is_given(rule.when))
        && !is_given(rule.unless)
        && !is_given(rule.answer)
        && !is_given("--help");

    // At a release without the option there is nothing to advise.
    let mut known = find_arguments(command).options.iter();
    let has_answer = known.any(|entry| entry.name == rule.answer && entry.is_in(release));
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

/// The rule for one option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OptionRule {
    /// The command that it applies to; `*` for all commands without a rule of their own.
    command: &'static str,
    /// The last release at which it applies; `None` if it applies at all.
    until: Option<AirflowVersion>,
    pub(crate) forbidden: bool,
    /// A description of what the option does. For a forbidden option the rest of a sentence:
    /// `it reads ...`.
    pub(crate) reason: &'static str,
}

impl OptionRule {
    /// Reads a row. Returns the rule and the names of its options, separated by `/`.
    fn from_row(row: [&'static str; 5]) -> Option<(&'static str, Self)> {
        let [options, command, until, verdict, reason] = row;
        let rule = Self {
            command,
            until: match until {
                "" => None,
                version => Some(version.parse().ok()?),
            },
            forbidden: match verdict {
                "forbidden" => true,
                "passes" => false,
                _ => return None,
            },
            reason,
        };
        Some((options, rule))
    }
}

/// Returns the rule for an option of a command. A test checks that each option of the tables has
/// one.
pub(crate) fn find_option_rule(
    command: &str,
    option: &str,
    release: &Release,
) -> Option<OptionRule> {
    // Airflow 1.10 writes `--cfg_path`, the rules have `--cfg-path`.
    let rules = if option.contains('_') {
        RULES.get(option.replace('_', "-").as_str())
    } else {
        RULES.get(option)
    };

    // A rule for the command is before the one for all, so the first that applies counts.
    let applies = |rule: &&OptionRule| {
        (rule.command == command || rule.command == "*")
            && rule.until.is_none_or(|until| release.version() <= until)
    };
    rules?.iter().find(applies).copied()
}

/// Returns the option that is forbidden for all commands and begins with these characters, with
/// its rule.
///
/// For words of two dashes that no table has: the web server may be newer than the tables.
pub(super) fn find_universal_rule(prefix: &str) -> Option<(&'static str, OptionRule)> {
    // argparse accepts abbreviations. One that fits several options is refused for the first.
    let prefix = prefix.replace('_', "-");
    let option = FORBIDDEN_FOR_ALL
        .iter()
        .find(|option| option.starts_with(&prefix))?;
    Some((option, *RULES.get(option)?.first()?))
}

fn read_rules() -> impl Iterator<Item = (&'static str, OptionRule)> {
    read_rows(include_str!("../tables/option_rules.csv")).filter_map(OptionRule::from_row)
}

/// The rules by the option's name. Rules for one command are before the rule for all.
static RULES: LazyLock<HashMap<&'static str, Vec<OptionRule>>> = LazyLock::new(|| {
    let mut rules: HashMap<_, Vec<_>> = HashMap::new();
    for (options, rule) in read_rules() {
        for option in options.split('/') {
            rules.entry(option).or_default().push(rule);
        }
    }
    rules
});

/// The options that no command may be given, sorted.
static FORBIDDEN_FOR_ALL: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let is_universal = |rule: &OptionRule| rule.forbidden && rule.command == "*";
    let mut names: Vec<_> = RULES
        .iter()
        .filter(|(_, rules)| rules.iter().all(is_universal))
        .map(|(name, _)| *name)
        .collect();
    names.sort_unstable();
    names
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
                let options = &find_arguments(rule.command).options;
                name.is_empty() || options.iter().any(|row| row.name == name)
            };
            let named = [rule.answer, rule.when, rule.unless];
            assert!(named.into_iter().all(has), "{rule:?}");
        }
    }
}

#[cfg(test)]
mod rule_tests {
    use super::*;
    use crate::tables::arguments::all_options;
    use crate::tables::commands::find_release;

    #[test]
    fn every_option_has_a_rule_and_every_rule_an_option() {
        let lines = include_str!("../tables/option_rules.csv").lines();
        assert_eq!(read_rules().count() + 1, lines.count());
        for row in all_options() {
            let release = find_release(row.first);
            let found = find_option_rule(row.command, row.name, release);
            assert!(found.is_some(), "{} {} has no rule", row.command, row.name);
        }
        for (option, rules) in RULES.iter() {
            let named = all_options().filter(|row| row.name.replace('_', "-") == *option);
            let rows: Vec<_> = named.collect();
            assert!(!rows.is_empty(), "{option} is no command's");
            for rule in rules {
                let has = rows.iter().any(|row| row.command == rule.command);
                assert!(rule.command == "*" || has, "{option} {rule:?}");
                assert_eq!(
                    rule.forbidden,
                    rule.reason.starts_with("it ") || rule.until.is_some()
                );
            }
            let general = rules.iter().position(|rule| rule.command == "*");
            assert!(general.is_none_or(|at| at + 1 == rules.len()), "{option}");
        }
    }
}
