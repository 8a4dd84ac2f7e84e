//! The options that a command may be given: those that reach into the web server are refused, and
//! so is a command that would ask a question there. [`parse`] finds the options among the words,
//! [`rules`] says which of them reach too far.

pub(crate) mod parse;
pub(crate) mod rules;

use crate::command::rules::Rules;
use crate::error::PolicyError;
use crate::tables::arguments::find_arguments;
use crate::tables::commands::command_table;
use crate::tables::releases::Release;
use crate::tables::{find_alternative, read_rows};
use parse::{ForbiddenOption, ParsedOptions, parse_options};
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
        None if command_table().get(command).is_none() => format!("leave {name} out"),
        None => format!(
            "leave {name} out, or set allow = [\"{command} {name}\"] for this environment"
        ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::arguments::all_options;

    #[test]
    fn every_command_with_an_answer_has_its_question() {
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
