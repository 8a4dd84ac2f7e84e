//! `commands`: which Airflow commands pass, which do not, what each takes, and why.

use super::judge::RulesOption;
use super::output::{Output, OutputOption};
use super::terminal::Terminal;
use super::{Exit, explain};
use crate::policy::{Row, Signature, Takes, Verdict};
use clap::Args;
use std::error::Error;
use std::fmt::Write as _;

/// The options of `commands`.
#[derive(Args)]
pub(super) struct Options {
    /// Show what this command, or each command of this group, takes
    #[arg(value_name = "COMMAND", conflicts_with = "line")]
    command: Vec<String>,
    #[command(flatten)]
    judge: RulesOption,
    /// The same as `explain LINE`
    #[arg(long = "try", value_name = "LINE", allow_hyphen_values = true)]
    line: Option<String>,
    #[command(flatten)]
    print: OutputOption,
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let bench = match options.judge.bench(terminal) {
        Ok(bench) => bench,
        Err(exit) => return exit,
    };
    let (version, output) = (bench.version, options.print.output);
    if let Some(line) = &options.line {
        return explain::lines(line, &bench, output, terminal);
    }
    if options.command.is_empty() {
        let rows = bench.rules().listing(version);
        return print(terminal, output, &rows, || table(&rows));
    }
    let found = bench.rules().signatures(&options.command, version);
    if found.is_empty() {
        let asked = options.command.join(" ");
        let unknown: Box<dyn Error> =
            format!("Airflow {version} has no command `{asked}`").into();
        let hint = "`mwaa-gateway commands` lists all";
        return terminal.fail(Exit::Failed, unknown.as_ref(), Some(hint));
    }
    print(terminal, output, &found, || {
        found.iter().map(describe).collect::<Vec<_>>().join("\n")
    })
}

fn print(
    terminal: &Terminal,
    output: Output,
    data: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> Exit {
    match output {
        Output::Table => terminal.data(text()),
        Output::Json => match serde_json::to_string_pretty(data) {
            Ok(json) => terminal.data(format_args!("{json}\n")),
            Err(error) => return terminal.fail(Exit::Failed, &error, None),
        },
    }
    Exit::Done
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.command.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  {:8}  WHY\n", "COMMAND", "VERDICT");
    for row in rows {
        let verdict = verdict(row.verdict);
        // writing to a String does not fail
        let _infallible = writeln!(text, "{:width$}  {verdict:8}  {}", row.command, why(row));
    }
    text
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => "passes",
        Verdict::Conditional => "may fail",
        Verdict::Unsupported => "refused",
    }
}

fn why(row: &Row) -> String {
    let why = [row.reason.as_str(), row.note].join("; ");
    why.trim_end_matches("; ").to_owned()
}

/// One command and a line for each of its arguments.
fn describe(signature: &Signature) -> String {
    let row = &signature.command;
    let mut text = format!("{}: {}: {}\n", row.command, verdict(row.verdict), why(row));
    let names = signature.arguments.iter().map(|a| a.spellings.join("/"));
    let names: Vec<_> = names.collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for (argument, name) in signature.arguments.iter().zip(&names) {
        let takes = match argument.takes {
            Takes::Flag => "",
            Takes::Optional => "[VALUE]",
            Takes::Several => "VALUE...",
            Takes::Value => "VALUE",
        };
        let (takes, verdict) = if name.starts_with('-') {
            (takes, verdict(argument.verdict))
        } else {
            ("", "")
        };
        let needed = if argument.required { "needed" } else { "" };
        let line = format!(
            "  {name:width$}  {takes:8}  {needed:6}  {verdict:8}  {}",
            argument.reason
        );
        // writing to a String does not fail
        let _infallible = writeln!(text, "{}", line.trim_end());
    }
    text
}
