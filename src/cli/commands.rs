//! `commands`: lists which Airflow commands pass, which do not and why, and the arguments of each.

use crate::explain::{self, RulesArgs};
use crate::output::{OutputArgs, OutputFormat, format_table, format_with_headings};
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use clap::Args;
use mwaa_model::AirflowVersion;
use mwaa_policy::{ArgumentInfo, CommandInfo, Signature, SupportStatus, ValueKind};
use serde::Serialize;

/// The options of `commands`.
#[derive(Args)]
pub(crate) struct CommandsArgs {
    /// Show the arguments of this command, or of the commands in this group
    #[arg(value_name = "COMMAND", conflicts_with = "line")]
    command: Vec<String>,
    #[command(flatten)]
    rules: RulesArgs,
    /// The same as `explain LINE`
    #[arg(long = "try", value_name = "LINE", allow_hyphen_values = true)]
    line: Option<String>,
    #[command(flatten)]
    print: OutputArgs,
}

pub(crate) fn run(args: &CommandsArgs, terminal: &Terminal) -> RunResult {
    let context = args.rules.load(terminal)?;
    let version = context.version;
    let format = args.print.output;
    // `--try` is the old spelling of `explain`
    if let Some(line) = &args.line {
        return explain::explain_lines(line, &context, format, terminal);
    }
    if args.command.is_empty() {
        let rows = context.rules().list_commands(version);
        return print(&rows, format_rows(&rows), format, terminal);
    }

    let signatures = context.rules().find_signatures(&args.command, version);
    if signatures.is_empty() {
        let name = args.command.join(" ");
        let error = UnknownCommandError { version, name };
        let hint = "`mwaa-gateway commands` lists all commands";
        return Err(terminal.fail(ExitStatus::Failure, &error, Some(hint)));
    }
    let texts: Vec<_> = signatures.iter().map(format_signature).collect();
    print(&signatures, texts.join("\n"), format, terminal)
}

fn print(
    data: &impl Serialize,
    text: String,
    format: OutputFormat,
    terminal: &Terminal,
) -> RunResult {
    match format {
        OutputFormat::Table => terminal.print(text),
        OutputFormat::Json => terminal.print_json(data)?,
    }
    Ok(ExitStatus::Success)
}

fn format_rows(rows: &[CommandInfo]) -> String {
    let lines = rows.iter().map(|row| {
        let verdict = format!("{:8}", verdict_word(row.verdict));
        [row.command.to_owned(), verdict, format_reason(row)]
    });
    format_with_headings(["COMMAND", "RESULT", "WHY"], lines)
}

/// Formats a command, and a line for each of its arguments.
fn format_signature(signature: &Signature) -> String {
    let row = &signature.command;
    let verdict = verdict_word(row.verdict);
    let reason = format_reason(row);
    let lines: Vec<_> = signature.arguments.iter().map(format_argument).collect();
    let table = format_table(&lines);
    format!("{}: {verdict}, {reason}\n{table}", row.command)
}

fn format_argument(argument: &ArgumentInfo) -> [String; 5] {
    let name = argument.spellings.join("/");
    let is_option = name.starts_with('-');
    // a positional argument is its value
    let value = match argument.takes {
        _ if !is_option => "",
        ValueKind::Flag => "",
        ValueKind::Optional => "[VALUE]",
        ValueKind::Several => "VALUE...",
        ValueKind::Value => "VALUE",
    };

    let needed = if argument.required { "needed" } else { "" };
    let verdict = if is_option {
        verdict_word(argument.verdict)
    } else {
        ""
    };
    // all commands get the same widths, so that those of a group can be compared
    [
        format!("  {name}"),
        format!("{value:8}"),
        format!("{needed:6}"),
        format!("{verdict:8}"),
        argument.reason.to_owned(),
    ]
}

const fn verdict_word(verdict: SupportStatus) -> &'static str {
    match verdict {
        SupportStatus::Supported => "passes",
        SupportStatus::Conditional => "may fail",
        SupportStatus::Unsupported => "refused",
    }
}

fn format_reason(row: &CommandInfo) -> String {
    let reason = [row.reason.as_str(), row.note].join("; ");
    reason.trim_end_matches("; ").to_owned()
}

/// Airflow has no such command.
#[derive(Debug, thiserror::Error)]
#[error("Airflow {version} has no command `{name}`")]
struct UnknownCommandError {
    version: AirflowVersion,
    name: String,
}
