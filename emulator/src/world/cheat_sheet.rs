//! `cheat-sheet`: all commands in tables, one a group, from the grammar itself.

use std::fmt::Write as _;

use clap::Command;

use super::reply::CommandResult;

/// Prints the commands without a group first, then each group under what it is for.
pub(super) fn print(root: &Command) -> CommandResult {
    let mut text = String::new();
    let (groups, single): (Vec<&Command>, Vec<&Command>) = root
        .get_subcommands()
        .partition(|command| command.has_subcommands());
    let lines: Vec<(String, String)> = single
        .into_iter()
        .map(|command| line("airflow", command))
        .collect();
    section(&mut text, "Miscellaneous commands", lines);
    for group in groups {
        let path = format!("airflow {}", group.get_name());
        let lines = group
            .get_subcommands()
            .map(|command| line(&path, command))
            .collect();
        section(&mut text, &about(group), lines);
    }
    CommandResult::printed(text)
}

fn about(command: &Command) -> String {
    command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn line(path: &str, command: &Command) -> (String, String) {
    (format!("{path} {}", command.get_name()), about(command))
}

fn section(text: &mut String, title: &str, mut lines: Vec<(String, String)>) {
    lines.sort_unstable();
    let width = lines
        .iter()
        .map(|(_, about)| about.len())
        .max()
        .unwrap_or(0);
    let _ = writeln!(text, "{title:<total$}", total = width + 50);
    for (name, about) in lines {
        let _ = writeln!(text, "{name:<47} | {about:<width$}");
    }
    text.push_str(&" ".repeat(width + 50));
    text.push('\n');
}
