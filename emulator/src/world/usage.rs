//! Parsing a command line; usage errors and help in the words of Python's argparse.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::reply::CommandResult;
use super::{python, removed};

/// Parses a command line, or ends with a usage error (2) or the help that was asked for (0).
pub(super) fn parse(root: &Command, words: &[String]) -> Result<ArgMatches, CommandResult> {
    let strict = root
        .clone()
        .no_binary_name(true)
        .infer_long_args(true)
        .term_width(200);
    strict
        .try_get_matches_from(words)
        .map_err(|error| usage(root, words, &error))
}

/// The innermost command named by the words, with the path to it.
fn innermost<'a>(root: &'a Command, words: &[String]) -> (&'a Command, String) {
    let (mut command, mut path) = (root, root.get_name().to_owned());
    for word in words {
        let Some(inner) = command.find_subcommand(word) else {
            break;
        };
        command = inner;
        path = format!("{path} {word}");
    }
    (command, path)
}

fn usage(root: &Command, words: &[String], error: &clap::Error) -> CommandResult {
    let (mut command, mut path) = innermost(root, words);
    if error.kind() == ErrorKind::DisplayHelp {
        return CommandResult::printed(help(command, &path));
    }
    let message = message(command, error);
    if error.kind() == ErrorKind::UnknownArgument {
        // argparse finds out last, in the outermost parser
        (command, path) = (root, root.get_name().to_owned());
    }
    refuse(command, &path, &message)
}

/// Ends a command as argparse does: the help, then what was wrong, exit code 2.
fn refuse(command: &Command, path: &str, message: &str) -> CommandResult {
    CommandResult {
        stdout: help(command, path),
        stderr: format!("\n{path} command error: {message}, see help above.\n"),
        exit_code: 2,
    }
}

fn help(command: &Command, path: &str) -> String {
    let usage = synopsis(command, path);
    command
        .clone()
        .override_usage(usage)
        .term_width(200)
        .render_help()
        .to_string()
}

/// The usage line in argparse's notation: `airflow pools set [-h] [-v] NAME slots description`.
fn synopsis(command: &Command, path: &str) -> String {
    if command.has_subcommands() {
        let what = if path.contains(' ') {
            "COMMAND"
        } else {
            "GROUP_OR_COMMAND"
        };
        return format!("{path} [-h] {what} ...");
    }
    let mut parts = vec![path.to_owned(), "[-h]".to_owned()];
    for arg in command.get_opts() {
        let flag = match (arg.get_short(), arg.get_long()) {
            (Some(short), _) => format!("-{short}"),
            (None, long) => format!("--{}", long.unwrap_or_default()),
        };
        let value = if is_switch(arg) {
            String::new()
        } else {
            format!(" {}", metavar(arg))
        };
        let shown = format!("{flag}{value}");
        parts.push(if arg.is_required_set() {
            shown
        } else {
            format!("[{shown}]")
        });
    }
    for arg in command.get_positionals() {
        let name = metavar(arg);
        parts.push(if arg.is_required_set() {
            name
        } else {
            format!("[{name} ...]")
        });
    }
    parts.join(" ")
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn metavar(arg: &Arg) -> String {
    let id = arg.get_id().as_str();
    if arg.is_positional() {
        id.to_owned()
    } else {
        id.to_uppercase().replace('-', "_")
    }
}

/// Names an argument as argparse does: `-o/--output`, or `dag_id`.
fn display(arg: &Arg) -> String {
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}/--{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => arg.get_id().to_string(),
    }
}

/// Finds the argument clap shows as `--output <OUTPUT>` or `<dag_id>`, and names it argparse's way.
fn argument(command: &Command, shown: &str) -> String {
    let name = shown
        .split(' ')
        .next()
        .unwrap_or(shown)
        .trim_matches(|c| "<>[].".contains(c));
    let bare = name.trim_start_matches('-');
    let found = command.get_arguments().find(|arg| {
        arg.get_long() == Some(bare)
            || arg.get_id() == bare
            || (name.len() == 2 && arg.get_short() == bare.chars().next())
    });
    found.map_or_else(|| name.to_owned(), display)
}

fn context(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn message(command: &Command, error: &clap::Error) -> String {
    let first = |kind| context(error, kind).into_iter().next().unwrap_or_default();
    let shown = first(ContextKind::InvalidArg);
    let subject = argument(command, &shown);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let value = first(ContextKind::InvalidSubcommand);
            invalid_command(command, &value)
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!(
                "the following arguments are required: {}",
                subject_of_group(command)
            )
        }
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<String> = context(error, ContextKind::InvalidArg)
                .iter()
                .map(|shown| argument(command, shown))
                .collect();
            format!(
                "the following arguments are required: {}",
                missing.join(", ")
            )
        }
        ErrorKind::UnknownArgument => format!("unrecognized arguments: {shown}"),
        ErrorKind::InvalidValue if first(ContextKind::InvalidValue).is_empty() => {
            format!("argument {subject}: expected one argument")
        }
        ErrorKind::InvalidValue => {
            let choices: Vec<String> = context(error, ContextKind::ValidValue)
                .iter()
                .map(|choice| python::quoted(choice))
                .collect();
            let value = python::quoted(&first(ContextKind::InvalidValue));
            format!(
                "argument {subject}: invalid choice: {value} (choose from {})",
                choices.join(", ")
            )
        }
        ErrorKind::ValueValidation => {
            let value = python::quoted(&first(ContextKind::InvalidValue));
            // the parser of dates names itself; the other one is that of numbers
            let source = std::error::Error::source(error).map(ToString::to_string);
            let kind = if source.as_deref() == Some("parsedate") {
                "parsedate"
            } else {
                "int"
            };
            format!("argument {subject}: invalid {kind} value: {value}")
        }
        _ => error.kind().to_string(),
    }
}

fn subject_of_group(command: &Command) -> &'static str {
    if command.get_name() == "airflow" {
        "GROUP_OR_COMMAND"
    } else {
        "COMMAND"
    }
}

fn invalid_command(command: &Command, value: &str) -> String {
    let subject = subject_of_group(command);
    let path = match subject {
        "COMMAND" => format!("{} {value}", command.get_name()),
        _ => value.to_owned(),
    };
    if let Some(removed) = removed::removed(command, &path) {
        return format!("argument {subject}: {removed}");
    }
    let mut names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    names.sort_unstable();
    let names: Vec<String> = names.into_iter().map(python::quoted).collect();
    let value = python::quoted(value);
    format!(
        "argument {subject}: invalid choice: {value} (choose from {})",
        names.join(", ")
    )
}
