//! `commands`: which Airflow commands pass, which do not, and why.

use super::Exit;
use super::terminal::Terminal;
use crate::names::AirflowVersion;
use crate::policy::{Match, Row, Verdict, listing, release_for};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;

/// The options of `commands`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The Airflow version to list for
    #[arg(long, value_name = "VERSION", default_value = "2.10.3")]
    airflow_version: AirflowVersion,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// Aligned columns
    #[default]
    Table,
    /// A JSON array of objects
    Json,
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let (release, how) = release_for(options.airflow_version);
    if how != Match::Exact {
        terminal.say(format_args!(
            "MWAA has no list for Airflow {}; this is the one of {}",
            options.airflow_version,
            release.version()
        ));
    }
    let rows = listing(options.airflow_version);
    match options.output {
        Output::Table => terminal.data(table(&rows)),
        Output::Json => match serde_json::to_string_pretty(&rows) {
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
        let verdict = match row.verdict {
            Verdict::Supported => "passes",
            Verdict::Conditional => "may fail",
            Verdict::Unsupported => "refused",
        };
        let why = [row.reason.as_str(), row.note].join("; ");
        let why = why.trim_end_matches("; ");
        // writing to a String does not fail
        let _infallible = writeln!(text, "{:width$}  {verdict:8}  {why}", row.command);
    }
    text
}
