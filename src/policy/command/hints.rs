//! The errors of commands that are refused: each says what is refused, at which release the
//! command works, and what to send instead. No text repeats an argument.

use super::check::CheckContext;
use super::check::{RuleOwner, Rules};
use super::{Command, Word};
use crate::error::PolicyError;
use crate::tables::commands::Release;
use crate::tables::commands::{CommandClass, CommandEntry, command_table};
use crate::tables::{find_alternative, read_rows};
use mwaa_model::Fault as _;

/// Returns the error for a command on the deny list.
pub(super) fn denied_error(name: &str, owner: RuleOwner<'_>) -> PolicyError {
    let table = command_table();
    // Only a name of the table is quoted, as text that can be sent.
    let shown = if table.get(name).is_some() || table.get_group(name).is_some() {
        format!("`{name}`")
    } else {
        name.to_owned()
    };
    let list = match owner {
        RuleOwner::Environment => "this environment's deny list".to_owned(),
        RuleOwner::Listener(table) => format!("the deny list of [{table}]"),
    };

    PolicyError::ForbiddenCommand {
        detail: format!("{shown} is on {list}"),
        hint: format!("to allow it, remove it from deny {}", format_place(owner)),
    }
}

/// Returns the error for a command that the policy does not grant.
pub(super) fn forbidden_error(entry: &CommandEntry, rules: &Rules<'_>) -> PolicyError {
    let command = entry.command;
    let effect = match entry.class {
        CommandClass::Admin => "administers Airflow",
        CommandClass::Read => "reads",
        CommandClass::Run => "runs or pauses work",
        CommandClass::Secret => "reads secrets",
        CommandClass::Write => "changes what Airflow stores",
    };
    let policy = rules.policy.as_str();
    let of_listener = match rules.owner {
        RuleOwner::Environment => String::new(),
        RuleOwner::Listener(table) => format!(" of [{table}]"),
    };

    PolicyError::ForbiddenCommand {
        detail: format!("`{command}` {effect}, which policy \"{policy}\"{of_listener} forbids"),
        hint: format!(
            "to allow it, set allow = [\"{command}\"] {}",
            format_place(rules.owner)
        ),
    }
}

/// Returns the place of the rules in the configuration, for a hint.
fn format_place(owner: RuleOwner<'_>) -> String {
    match owner {
        RuleOwner::Environment => "for this environment".to_owned(),
        RuleOwner::Listener(table) => format!("in [{table}]"),
    }
}

/// Returns the error for a command that MWAA does not run at the environment's version.
pub(super) fn unsupported_error(
    context: CheckContext<'_>,
    entry: Option<&CommandEntry>,
) -> PolicyError {
    let CheckContext {
        command,
        version,
        release,
        ..
    } = context;

    // A name that no table has: the error repeats only words that look like names.
    let Some(entry) = entry else {
        let name = format_unknown_name(command);
        return PolicyError::Unsupported {
            detail: format!("{name} is not supported by MWAA on Airflow {version}"),
            hint: unknown_hint(command, release),
        };
    };
    // Airflow may have a command that MWAA does not run.
    let verb = if entry.is_in(release) || entry.listed {
        "is not supported by MWAA on"
    } else {
        "is not a command of"
    };
    PolicyError::Unsupported {
        detail: format!("`{}` {verb} Airflow {version}", entry.command),
        hint: known_hint(entry, release),
    }
}

/// Returns the hint for a command of the table: its other name at the release, or the releases at
/// which MWAA runs it, or the way to allow it.
fn known_hint(entry: &CommandEntry, release: &Release) -> String {
    // A command about a file works at no release, so its other names are of no use.
    let alternative = find_alternative(entry.command).filter(|_| entry.is_in(release));
    if let Some(hint) = alternative {
        return hint.to_owned();
    }

    // A command that was renamed, or became a group.
    let other = find_other_name(entry.command, release);
    if let Some(new) = other.filter(|new| is_supported(new, release)) {
        return format!("send `{new}` instead{}", format_releases(entry));
    }
    if let Some(group) = other.and_then(|new| command_table().get_group(new)) {
        return format!(
            "it is now `{group}`; {}{}",
            group_hint(group, release),
            format_releases(entry)
        );
    }

    // A command of two words that 1.10 named by an option: `variables get`.
    let first_word = entry.command.split_once(' ').map(|(first, _)| first);
    if let Some(single) = first_word.filter(|word| is_supported(word, release)) {
        return format!(
            "send `{single}` with options instead{}",
            format_releases(entry)
        );
    }

    // The sentence begins with the releases here, so without the semicolon.
    if entry.listed {
        return format_releases(entry).trim_start_matches("; ").to_owned();
    }
    let renamed = other.and_then(|new| command_table().get(new));
    renamed.map_or_else(|| allow_hint(entry), renamed_hint)
}

/// Returns the hint for a renamed command that MWAA does not list under its new name either.
fn renamed_hint(entry: &CommandEntry) -> String {
    format!(
        "it is now `{}`, which MWAA does not support either: {}",
        entry.command,
        allow_hint(entry)
    )
}

/// Returns the reason why MWAA does not list a command, and how to send it nevertheless.
fn allow_hint(entry: &CommandEntry) -> String {
    format!(
        "{}; if your environment runs it, set allow = [\"{}\"]",
        unlisted_reason(entry.unlisted_kind),
        entry.command
    )
}

/// Returns the releases at which MWAA runs a command, as a clause with its semicolon. Empty for a
/// command that MWAA runs at no release.
fn format_releases(entry: &CommandEntry) -> String {
    if !entry.listed {
        return String::new();
    }

    let spans = entry.spans.iter().map(|span| {
        if span.first == span.last {
            span.first.to_string()
        } else {
            format!("{} to {}", span.first, span.last)
        }
    });
    format!(
        "; MWAA supports `{}` on Airflow {}",
        entry.command,
        spans.collect::<Vec<_>>().join(" and ")
    )
}

/// Returns the reason why MWAA does not run a kind of command for its users.
pub(super) fn unlisted_reason(kind: &str) -> &'static str {
    match kind {
        "db-admin" => "MWAA manages the database itself",
        "file-io" => "it reads or writes files on the web server",
        "identity" => "MWAA takes users and roles from IAM",
        "kubernetes" => "MWAA does not use the Kubernetes executor",
        "pools" => "it is not on MWAA's list, but some environments run it",
        "removed" => "MWAA has never supported it",
        "secrets-or-config" => "it shows secrets or the configuration",
        "service" => "MWAA runs Airflow's services itself",
        _ => "it is not on MWAA's list",
    }
}

fn is_supported(command: &str, release: &Release) -> bool {
    command_table()
        .get(command)
        .is_some_and(|entry| entry.is_supported(release))
}

/// Returns the name at this release of a command that has other names at other releases: a newer
/// name that MWAA runs here, otherwise an older one that it runs, otherwise the newest that the
/// release has.
pub(super) fn find_other_name(command: &str, release: &Release) -> Option<&'static str> {
    let table = command_table();
    let exists = |name: &str| match table.get(name) {
        Some(entry) => entry.is_in(release),
        None => table.get_group(name).is_some(),
    };

    // Newer names first: clients should move to them.
    let mut newer = None;
    let mut next = table.find_successor(command);
    while let Some(name) = next {
        if is_supported(name, release) {
            return Some(name);
        }
        if exists(name) {
            newer = Some(name);
        }
        next = table.find_successor(name);
    }

    // No command was renamed more than twice.
    let older = table
        .find_predecessors(command)
        .flat_map(|old| table.find_predecessors(old).chain([old]))
        .find(|old| is_supported(old, release));
    older.or(newer)
}

/// Returns the hint for a name that no table has: its new name, the most similar command that
/// MWAA runs here, or the commands of its group.
fn unknown_hint(command: &Command<'_>, release: &Release) -> String {
    let see_all = || "`mwaa-gateway commands` lists the supported commands".to_owned();
    let table = command_table();
    let Some(first) = command.words().first() else {
        return see_all();
    };

    // `list_dag` is in no release's table, but has a successor.
    if let Some(new) = find_other_name(&first.text, release) {
        if let Some(group) = table.get_group(new) {
            return format!("it is now `{group}`; {}", group_hint(group, release));
        }
        return match table.get(new).filter(|entry| !entry.is_supported(release)) {
            Some(unlisted) => renamed_hint(unlisted),
            None => format!("send `{new}` instead"),
        };
    }
    if let Some(similar) = find_similar(command, release) {
        return format!("did you mean `{similar}`?");
    }
    match table.get_group(&first.text) {
        Some(group) => group_hint(group, release),
        None => see_all(),
    }
}

/// Returns the commands of a group that MWAA runs at a release, as a clause.
fn group_hint(group: &'static str, release: &Release) -> String {
    let entries = || command_table().group_entries(group);
    let supported: Vec<_> = entries()
        .filter(|entry| entry.is_supported(release))
        .map(|entry| format!("`{}`", entry.command))
        .collect();

    if supported.is_empty() {
        let kind = entries().next().map_or("", |entry| entry.unlisted_kind);
        format!(
            "MWAA supports no command of `{group}`: {}",
            unlisted_reason(kind)
        )
    } else {
        format!("MWAA supports {}", supported.join(", "))
    }
}

/// Returns the command that MWAA runs here whose name is most similar to the first words. `None`
/// if none is similar enough to be a typing error.
fn find_similar(command: &Command<'_>, release: &Release) -> Option<&'static str> {
    let (single, pair) = match command.words() {
        [] => return None,
        [only] => (only.text.to_lowercase(), None),
        [first, second, ..] => {
            let pair = format!("{} {}", first.text, second.text);
            (first.text.to_lowercase(), Some(pair.to_lowercase()))
        }
    };
    // Names of two words are compared with two words, so that an argument does not count.
    let similarity = |entry: &CommandEntry| {
        let written = match &pair {
            Some(pair) if entry.command.contains(' ') => pair,
            Some(_) | None => &single,
        };
        strsim::normalized_damerau_levenshtein(written, entry.command)
    };

    command_table()
        .entries()
        .filter(|entry| entry.is_supported(release))
        .map(|entry| (similarity(entry), entry.command))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Returns the first words of an unknown command, but only words that cannot be a value by
/// mistake: the second only if the first is a group, or it is the second word of a command.
fn format_unknown_name(command: &Command<'_>) -> String {
    let table = command_table();
    // No name is longer than 40 bytes, but a token or a password in the wrong place may be.
    let is_wordlike = |word: &str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        word.len() <= 40 && word.bytes().all(is_plain)
    };
    let is_second_word = |word: &str| {
        let mut pairs = table
            .entries()
            .filter_map(|entry| entry.command.split_once(' '));
        pairs.any(|(_, second)| second == word)
    };

    let mut words = command.words().iter().map(|word| &*word.text);
    match (words.next(), words.next()) {
        (Some(first), Some(second))
            if is_wordlike(first)
                && is_wordlike(second)
                && (table.get_group(&first.to_lowercase()).is_some()
                    || is_second_word(&second.to_lowercase())) =>
        {
            format!("`{first} {second}`")
        }
        (Some(first), _) if is_wordlike(first) => format!("`{first}`"),
        _ => "the first word".to_owned(),
    }
}

/// Returns the error for a command in the style of Airflow 1.10, which named some commands by an
/// option (`variables --set`), at a later version. `None` for any other command.
///
/// It names the command since 2.0, and never a value, which may be a secret.
pub(super) fn flag_style_error(context: CheckContext<'_>) -> Option<PolicyError> {
    let version = context.version;
    let major = version.major;
    if major < 2 {
        return None;
    }
    let FlagStyleEntry {
        command,
        options,
        successor,
    } = find_flag_style(context.command.words())?;

    // The placeholders in the successor are plain words, so it can be checked as it is.
    let hint = Command::read(successor.as_bytes())
        .and_then(|new| context.rules.check(&new, version))
        .map_or_else(
            |error| {
                format!(
                    "on Airflow {major} it is `{successor}`, which is refused too: {}",
                    error.hint()
                )
            },
            |_| format!("on Airflow {major}, send `{successor}`"),
        );
    let option = options.rsplit('/').next().unwrap_or_default();
    Some(PolicyError::Unsupported {
        detail: format!(
            "`{command} {option}` is Airflow 1.10 syntax and does not exist in Airflow {version}"
        ),
        hint,
    })
}

/// One row of `flag_style.csv`. The options are those of `airflow/bin/cli.py` in 1.10; those of
/// `users` and `roles` existed only while 2.0 was developed.
#[derive(Debug, Clone, Copy)]
struct FlagStyleEntry {
    /// The old command, as the client wrote it.
    command: &'static str,
    /// All spellings of the option, separated by `/`, the longest last.
    options: &'static str,
    /// The command since 2.0, with placeholders for its arguments.
    successor: &'static str,
}

/// Returns the row of the option that names the command. Long spellings are tried first: a short
/// one may be a value, or belong to another option (`users -l NAME --create`).
fn find_flag_style(words: &[Word<'_>]) -> Option<FlagStyleEntry> {
    let (first, arguments) = words.split_first()?;
    let rows: Vec<_> = read_rows(include_str!("../tables/flag_style.csv"))
        .filter_map(|[commands, options, successor]| {
            let command = commands.split('/').find(|command| *command == first.text)?;
            Some(FlagStyleEntry {
                command,
                options,
                successor,
            })
        })
        .collect();

    let find = |is_given: fn(&str, &str) -> bool| {
        arguments.iter().find_map(|word| {
            let has_option =
                |row: &&FlagStyleEntry| row.options.split('/').any(|o| is_given(o, &word.text));
            rows.iter().find(has_option).copied()
        })
    };
    find(is_long_option).or_else(|| find(is_short_option))
}

/// Returns true if the word is this long option, with or without a value (`--delete=KEY`), or an
/// abbreviation of it (`--del`).
fn is_long_option(option: &str, word: &str) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    option.starts_with("--") && name.len() >= SHORTEST_ABBREVIATION && option.starts_with(name)
}

/// Returns true if the word is this short option, with or without a value (`-gKEY`).
fn is_short_option(option: &str, word: &str) -> bool {
    !option.starts_with("--") && word.starts_with(option)
}

/// Shorter abbreviations stand for several options: `--de` is `--delete` or `--default`.
const SHORTEST_ABBREVIATION: usize = "--del".len();

/// The similarity (0 to 1) from which a name counts as a typing error of another one.
const SIMILAR: f64 = 0.7;
