//! Airflow 1.10 named some commands by an option (`variables --set`). Since 2.0 they are commands of
//! two words (`variables set`). The data is `flag_style.csv`: its options are those of
//! `airflow/bin/cli.py` in 1.10, and for `users` and `roles` those that 2.0's development had.

use super::command::Command;
use super::judge::{Rules, judge};
use super::refusal::Refusal;
use crate::names::{AirflowVersion, Fault as _};

/// One row of `flag_style.csv`.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// The old command, as the client wrote it.
    command: &'static str,
    /// All spellings of the option, separated by `/`; the last one is the longest.
    options: &'static str,
    /// The command since 2.0, with placeholders for its arguments.
    successor: &'static str,
}

/// The refusal of a command in the style of 1.10, for a later version; `None` for any other
/// command. It names the successor, and never a value, which may be a secret.
pub(super) fn refusal(
    command: &Command,
    version: AirflowVersion,
    rules: &Rules<'_>,
) -> Option<Refusal> {
    if version.major < 2 {
        return None;
    }
    let row = find(command.words())?;
    let option = row.options.rsplit('/').next().unwrap_or_default();
    let (major, new) = (version.major, row.successor);
    let judged = Command::read(new.as_bytes()).and_then(|new| judge(&new, version, rules));
    Some(Refusal::Unsupported {
        detail: format!(
            "`{} {option}` is a spelling of Airflow 1.10 and not a command of Airflow {version}",
            row.command
        ),
        hint: match judged {
            Ok(_) => format!("on Airflow {major}, send `{new}`"),
            Err(refusal) => {
                format!("on Airflow {major} it is `{new}`, but: {}", refusal.hint())
            }
        },
    })
}

/// Finds the option that names the command. Long spellings go first: a short one may be a value,
/// or belong to another option (`users -l NAME --create`).
fn find(words: &[String]) -> Option<Row> {
    let (first, arguments) = words.split_first()?;
    let given = |spells: fn(&str, &str) -> bool| {
        arguments.iter().find_map(|word| {
            rows_of(first).find(|row| row.options.split('/').any(|option| spells(option, word)))
        })
    };
    given(is_long).or_else(|| given(is_short))
}

/// Whether the word is a long option, perhaps with its value or abbreviated (`--del`).
fn is_long(option: &str, word: &str) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    option.starts_with("--") && name.len() >= SHORTEST && option.starts_with(name)
}

/// Whether the word is a short option, perhaps with its value (`-gKEY`).
fn is_short(option: &str, word: &str) -> bool {
    !option.starts_with("--") && word.starts_with(option)
}

fn rows_of(command: &str) -> impl Iterator<Item = Row> {
    let lines = include_str!("flag_style.csv").lines().skip(1);
    lines.filter_map(move |line| {
        let mut fields = line.splitn(3, ',');
        let command = fields.next()?.split('/').find(|name| *name == command)?;
        Some(Row {
            command,
            options: fields.next()?,
            successor: fields.next()?,
        })
    })
}

/// Shorter abbreviations name several options: `--de` is `--delete` or `--default`.
const SHORTEST: usize = "--del".len();
