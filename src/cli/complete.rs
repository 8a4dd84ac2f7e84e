//! `complete`: what only the program knows of a line that is being typed. The scripts of
//! `completions` ask it; it asks the running gateway or the configuration, never AWS.

use super::Exit;
use super::arguments::Arguments;
use super::inputs::{Flag, Inputs, Purpose};
use super::known::Known;
use super::terminal::Terminal;
use crate::names::AirflowVersion;
use crate::policy::{Verdict, listing};
use clap::{Args, CommandFactory as _, Parser};
use std::collections::BTreeSet;
use std::time::Duration;

/// The options of `complete`.
#[derive(Args)]
pub(super) struct Options {
    /// The line so far; its last word, which may be empty, is the one to complete
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    line: Vec<String>,
}

/// What stands where the cursor is.
#[derive(Debug, PartialEq, Eq)]
enum Wanted<'a> {
    /// The name of an environment.
    Environment,
    /// A word of an Airflow command, after these.
    Command(&'a [String]),
}

/// Prints what may stand there, a line each. Fails in silence where others know more.
pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let Some((typed, line)) = options.line.split_last() else {
        return Exit::Failed;
    };
    let Some(wanted) = wanted(line) else {
        return Exit::Failed;
    };
    let found = match wanted {
        // an option of the program's own, which the generated script knows
        Wanted::Command([])
            if typed.starts_with('-') && line.last().is_none_or(|word| word != "--") =>
        {
            return Exit::Failed;
        }
        Wanted::Environment => environments(line, typed),
        Wanted::Command(words) => commands(words),
    };
    for word in found.iter().filter(|word| word.starts_with(typed)) {
        terminal.data(format_args!("{word}\n"));
    }
    Exit::Done
}

/// Reads the line before the cursor, its first word the program's own name.
fn wanted(line: &[String]) -> Option<Wanted<'_>> {
    let program = Arguments::command();
    let mut rest = line.get(1..)?;
    let mut current = &program;
    let mut value_of: Option<&str> = None;
    let mut begun = false;
    while let [word, after @ ..] = rest {
        // bash takes `--environment=x` for three words
        if value_of.is_some() && word == "=" {
            rest = after;
            continue;
        }
        if value_of.take().is_some() {
            rest = after;
            continue;
        }
        if word == "--" {
            return (current.get_name() == "airflow").then_some(Wanted::Command(after));
        }
        if word.starts_with('-') {
            value_of = option(current, &program, word);
        } else if let Some(found) = current.find_subcommand(word) {
            current = found;
        } else if current.get_name() == "airflow" {
            return Some(Wanted::Command(rest));
        } else {
            begun = true;
        }
        rest = after;
    }
    match (value_of, current.get_name()) {
        (Some("environment"), _) => Some(Wanted::Environment),
        (None, "airflow") => Some(Wanted::Command(rest)),
        (None, "open") if !begun => Some(Wanted::Environment),
        (Some(_) | None, _) => None,
    }
}

/// The option that this word is, if its value is still to come.
fn option<'a>(
    current: &'a clap::Command,
    program: &'a clap::Command,
    word: &str,
) -> Option<&'a str> {
    let mut known = current.get_arguments().chain(program.get_arguments());
    let found = known.find(|argument| match word.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument
            .get_short()
            .is_some_and(|short| word == format!("-{short}")),
    })?;
    let takes_value = found.get_action().takes_values();
    takes_value.then(|| found.get_id().as_str())
}

/// The options of the line that say where the gateway and the configuration are.
#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    inputs: Inputs<ToComplete>,
}

#[derive(Debug)]
struct ToComplete;

impl Purpose for ToComplete {
    const FLAGS: &'static [(Flag, &'static str)] =
        &[(Flag::Management, "Where the running gateway is asked")];
}

/// The local names; MWAA's where what is typed begins none of those.
fn environments(line: &[String], typed: &str) -> BTreeSet<String> {
    let mut arguments = vec!["mwaa-gateway".to_owned()];
    for option in ["--config", "--management"] {
        let joined = line
            .iter()
            .filter(|word| word.starts_with(&format!("{option}=")));
        arguments.extend(joined.cloned());
        let pairs = line.windows(2);
        let given = pairs.filter(|pair| pair.first().is_some_and(|word| word == option));
        arguments.extend(given.flatten().cloned());
    }
    let known = Line::try_parse_from(arguments)
        .ok()
        .and_then(|line| line.inputs.read().ok())
        .map(|config| {
            Known::running(&config, QUICK).unwrap_or_else(|| Known::configured(&config))
        });
    let Some(known) = known else {
        return BTreeSet::new();
    };
    let plain = |name: &String| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let names = |pick: fn(&crate::app::Configured) -> &String| -> BTreeSet<String> {
        let picked = known.environments.iter().map(pick);
        picked.filter(|name| plain(name)).cloned().collect()
    };
    let locals = names(|one| &one.local);
    if locals.iter().any(|name| name.starts_with(typed)) {
        locals
    } else {
        names(|one| &one.name)
    }
}

/// The next words of commands that pass at any version since Airflow 2.
fn commands(words: &[String]) -> BTreeSet<String> {
    let latest = [2, 3].map(|major| AirflowVersion::new(major, u16::MAX, u16::MAX));
    let rows = latest.into_iter().flat_map(listing);
    rows.filter(|row| row.verdict != Verdict::Unsupported)
        .filter_map(|row| {
            let mut rest = row.command.split(' ');
            let fits = words.iter().all(|word| rest.next() == Some(word));
            fits.then(|| rest.next())?.map(str::to_owned)
        })
        .collect()
}

/// A person who presses a key waits no longer for a gateway.
const QUICK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_place_of_the_cursor_is_known() {
        let environment = Some(Wanted::Environment);
        for line in [
            "mwaa-gateway airflow -e",
            "mwaa-gateway --log debug airflow --environment",
            "mwaa-gateway airflow --environment =",
            "mwaa-gateway airflow --output raw -e",
            "mwaa-gateway serve --environment",
            "mwaa-gateway open",
            "mwaa-gateway open --print",
        ] {
            assert_eq!(wanted(&words(line)), environment, "{line}");
        }
        for (line, command) in [
            ("mwaa-gateway airflow", &[][..]),
            ("mwaa-gateway airflow --", &[]),
            ("mwaa-gateway airflow -e prod -- dags", &["dags"]),
            ("mwaa-gateway airflow -e = prod dags", &["dags"]),
            (
                "mwaa-gateway airflow --config=x dags list -o",
                &["dags", "list", "-o"],
            ),
            ("mwaa-gateway airflow -- dags -e", &["dags", "-e"]),
        ] {
            let command: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(
                wanted(&words(line)),
                Some(Wanted::Command(&command)),
                "{line}"
            );
        }
        for line in [
            "mwaa-gateway",
            "mwaa-gateway airflow --config",
            "mwaa-gateway open prod",
            "mwaa-gateway serve",
            "mwaa-gateway check --",
        ] {
            assert_eq!(wanted(&words(line)), None, "{line}");
        }
    }

    #[test]
    fn words_of_commands_that_pass() {
        let first = commands(&[]);
        assert!(
            first.contains("dags") && first.contains("version"),
            "{first:?}"
        );
        assert!(!first.contains("users"), "{first:?}");
        let dags = commands(&words("dags"));
        assert!(
            dags.contains("trigger") && dags.contains("list-runs"),
            "{dags:?}"
        );
        assert!(commands(&words("dags list")).is_empty());
        assert!(commands(&words("nonsense")).is_empty());
    }
}
