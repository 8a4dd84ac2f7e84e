//! The words of a refusal: what does not pass, where it works, what to send instead.

use super::command::Command;
use super::entry::{Class, Entry};
use super::judge::Whose;
use super::option_advice::instead;
use super::refusal::Refusal;
use super::release::Release;
use super::table::table;
use crate::names::{AirflowVersion, Policy};

/// The refusal of a command on the deny list.
pub(super) fn denied(name: &str, whose: Whose<'_>) -> Refusal {
    let shown = if table().entry(name).is_some() || table().group(name).is_some() {
        format!("`{name}`")
    } else {
        name.to_owned()
    };
    let (list, place) = match whose {
        Whose::Environment => ("this environment's deny list".to_owned(), place(whose)),
        Whose::Listener(table) => (format!("the deny list of [{table}]"), place(whose)),
    };
    Refusal::Forbidden {
        detail: format!("{shown} is on {list}"),
        hint: format!("take it from deny {place} if it should pass"),
    }
}

/// Where the rules are changed.
fn place(whose: Whose<'_>) -> String {
    match whose {
        Whose::Environment => "for this environment".to_owned(),
        Whose::Listener(table) => format!("in [{table}]"),
    }
}

/// The refusal of a command that the policy of an environment or listener does not grant.
pub(super) fn forbidden(entry: &Entry, policy: Policy, whose: Whose<'_>) -> Refusal {
    let command = entry.command;
    let word = policy.word();
    let does = match entry.class {
        Class::Admin => "administers Airflow",
        Class::Read => "reads",
        Class::Run => "runs or pauses work",
        Class::Secret => "reads secrets",
        Class::Write => "changes what Airflow stores",
    };
    let of = match whose {
        Whose::Environment => String::new(),
        Whose::Listener(table) => format!(" of [{table}]"),
    };
    Refusal::Forbidden {
        detail: format!("`{command}` {does}, which policy \"{word}\"{of} forbids"),
        hint: format!(
            "set allow = [\"{command}\"] {} if it should pass",
            place(whose)
        ),
    }
}

/// The refusal of a command that MWAA does not run at the environment's version.
pub(super) fn unsupported(
    command: &Command,
    entry: Option<&Entry>,
    version: AirflowVersion,
    release: &Release,
) -> Refusal {
    match entry {
        Some(entry) => {
            let verb = if entry.covers(release) || entry.listed {
                "is not a command that MWAA runs on"
            } else {
                "is not a command of"
            };
            Refusal::Unsupported {
                detail: format!("`{}` {verb} Airflow {version}", entry.command),
                hint: known_hint(entry, release),
            }
        }
        None => Refusal::Unsupported {
            detail: format!(
                "{} is not a command that MWAA runs on Airflow {version}",
                shown(command)
            ),
            hint: unknown_hint(command, release),
        },
    }
}

/// Where a command of the table works, and its other spelling.
fn known_hint(entry: &Entry, release: &Release) -> String {
    if let Some(hint) = instead(entry.command).filter(|_| entry.covers(release)) {
        return hint.to_owned();
    }
    let other = other_spelling(entry.command, release);
    if let Some(new) = other.filter(|new| runs(new, release)) {
        return format!("send `{new}` instead{}", works(entry));
    }
    if let Some(group) = other.and_then(|new| table().group(new)) {
        return format!(
            "it is `{group}` now, and {}{}",
            members_hint(group, release),
            works(entry)
        );
    }
    let leaf = entry.command.split_once(' ').map(|(group, _)| group);
    if let Some(leaf) = leaf.filter(|leaf| runs(leaf, release)) {
        return format!("send `{leaf}` with options instead{}", works(entry));
    }
    if entry.listed {
        return works(entry).trim_start_matches("; ").to_owned();
    }
    let renamed = other.and_then(|new| table().entry(new));
    renamed.map_or_else(|| allow(entry), renamed_hint)
}

/// What a command is called now that MWAA does not list under that name either.
fn renamed_hint(entry: &Entry) -> String {
    format!("it is `{}` now, but {}", entry.command, allow(entry))
}

/// Why MWAA does not list a command, and how to send it all the same.
fn allow(entry: &Entry) -> String {
    format!(
        "{}; if your environment does run it, set allow = [\"{}\"]",
        reason(entry.why),
        entry.command
    )
}

/// The releases at which MWAA runs a command, as a clause; empty for commands that it never runs.
fn works(entry: &Entry) -> String {
    if !entry.listed {
        return String::new();
    }
    let spans: Vec<_> = entry
        .spans
        .iter()
        .map(|span| {
            if span.first == span.last {
                span.first.to_string()
            } else {
                format!("{} to {}", span.first, span.last)
            }
        })
        .collect();
    format!(
        "; MWAA runs `{}` on Airflow {}",
        entry.command,
        spans.join(" and ")
    )
}

/// Why MWAA keeps a kind of command to itself.
pub(super) fn reason(why: &str) -> &'static str {
    match why {
        "db-admin" => "MWAA manages the database itself",
        "file-io" => "it reads or writes files on the web server",
        "identity" => "MWAA takes users and roles from IAM",
        "kubernetes" => "MWAA runs no Kubernetes executor",
        "pools" => "it is not on MWAA's list, though some environments run it",
        "removed" => "MWAA ran it at no release",
        "secrets-or-config" => "it shows secrets or configuration",
        "service" => "MWAA runs Airflow's services itself",
        _ => "it is not on MWAA's list",
    }
}

fn runs(command: &str, release: &Release) -> bool {
    table()
        .entry(command)
        .is_some_and(|entry| entry.runs(release))
}

/// What a command of another major is called at this release: the newest spelling that it
/// knows, else the oldest.
pub(super) fn other_spelling(command: &str, release: &Release) -> Option<&'static str> {
    let exists = |name: &str| {
        let covered = table()
            .entry(name)
            .is_some_and(|entry| entry.covers(release));
        covered || table().group(name).is_some() && table().entry(name).is_none()
    };
    let mut newer = None;
    let mut at = table().successor(command);
    while let Some(next) = at {
        if runs(next, release) {
            return Some(next);
        }
        if exists(next) {
            newer = Some(next);
        }
        at = table().successor(next);
    }
    let older = table()
        .predecessors(command)
        .flat_map(|old| table().predecessors(old).chain([old]))
        .find(|old| runs(old, release));
    older.or(newer)
}

/// The most similar command that passes here, or what the group offers.
fn unknown_hint(command: &Command, release: &Release) -> String {
    let see = "see `mwaa-gateway commands` for those that pass";
    let Some(first) = command.words().first() else {
        return see.to_owned();
    };
    if let Some(new) = other_spelling(first, release) {
        return match table().group(new) {
            Some(group) => format!("it is `{group}` now, and {}", members_hint(group, release)),
            None => match table().entry(new).filter(|entry| !entry.runs(release)) {
                Some(unlisted) => renamed_hint(unlisted),
                None => format!("send `{new}` instead"),
            },
        };
    }
    if let Some(near) = nearest(command, release) {
        return format!("did you mean `{near}`?");
    }
    match table().group(first) {
        Some(group) => members_hint(group, release),
        None => see.to_owned(),
    }
}

/// The commands of a group that pass at a release.
fn members_hint(group: &'static str, release: &Release) -> String {
    let names: Vec<_> = table()
        .members(group)
        .filter(|entry| entry.runs(release))
        .map(|entry| format!("`{}`", entry.command))
        .collect();
    if names.is_empty() {
        let why = table().members(group).next().map_or("", |entry| entry.why);
        format!("no command of `{group}` runs here: {}", reason(why))
    } else {
        format!("MWAA runs {}", names.join(", "))
    }
}

/// The supported command whose name is most like the first words, if one is much alike.
fn nearest(command: &Command, release: &Release) -> Option<&'static str> {
    let single = command.words().first()?.to_lowercase();
    let pair = command.pair().map(|pair| pair.to_lowercase());
    let likeness = |entry: &Entry| {
        let asked = match &pair {
            Some(pair) if entry.command.contains(' ') => pair,
            Some(_) | None => &single,
        };
        strsim::normalized_damerau_levenshtein(asked, entry.command)
    };
    let candidates = table().entries().filter(|entry| entry.runs(release));
    candidates
        .map(|entry| (likeness(entry), entry.command))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// The first words of an unknown command, as far as they can't be a value by mistake.
fn shown(command: &Command) -> String {
    let wordlike = |word: &str| {
        word.len() <= 40
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let known = |word: &str| {
        table()
            .entries()
            .any(|entry| entry.command.split_once(' ').is_some_and(|p| p.1 == word))
    };
    match command.words() {
        [first, second, ..]
            if wordlike(first)
                && wordlike(second)
                && (table().group(&first.to_lowercase()).is_some()
                    || known(&second.to_lowercase())) =>
        {
            format!("`{first} {second}`")
        }
        [first, ..] if wordlike(first) => format!("`{first}`"),
        _ => "the first word".to_owned(),
    }
}
