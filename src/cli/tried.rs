//! `commands --try`: how a command line is read, and whether it would pass. Sends nothing.

use super::Exit;
use super::commands::Output;
use super::terminal::Terminal;
use crate::names::{AirflowVersion, Fault as _};
use crate::policy::{Command, Rules, judge};
use std::io::BufRead as _;

/// What would become of a command line.
#[derive(serde::Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
enum Judgement {
    Passes {
        /// The command's name.
        command: &'static str,
        /// The options it is given, without values.
        options: Vec<&'static str>,
        /// The line that would be sent.
        line: String,
    },
    Refused {
        code: &'static str,
        detail: String,
        hint: String,
    },
}

/// Judges one line, or with `-` each line of stdin, by policy "supported". Fails if a line
/// would be refused.
pub(super) fn run(
    line: &str,
    version: AirflowVersion,
    output: Output,
    terminal: &Terminal,
) -> Exit {
    if line != "-" {
        return one(line.as_bytes(), version, output, terminal);
    }
    let mut exit = Exit::Done;
    for line in std::io::stdin().lock().split(b'\n') {
        match line {
            Ok(line) => {
                if one(&line, version, output, terminal) != Exit::Done {
                    exit = Exit::Failed;
                }
            }
            Err(error) => return terminal.fail(Exit::Failed, &error, None),
        }
    }
    exit
}

fn one(line: &[u8], version: AirflowVersion, output: Output, terminal: &Terminal) -> Exit {
    let judgement = judged(line, version);
    match output {
        Output::Json => match serde_json::to_string(&judgement) {
            Ok(json) => terminal.data(format_args!("{json}\n")),
            Err(error) => return terminal.fail(Exit::Failed, &error, None),
        },
        Output::Table => match &judgement {
            Judgement::Passes { line, .. } => terminal.data(format_args!("passes   {line}\n")),
            Judgement::Refused { code, detail, hint } => {
                terminal.data(format_args!("refused  {code}: {detail}; {hint}\n"));
            }
        },
    }
    match judgement {
        Judgement::Passes { .. } => Exit::Done,
        Judgement::Refused { .. } => Exit::Failed,
    }
}

fn judged(line: &[u8], version: AirflowVersion) -> Judgement {
    let command = Command::read(line);
    match command.and_then(|command| judge(&command, version, &Rules::default())) {
        Ok(permit) => Judgement::Passes {
            command: permit.name(),
            options: permit.options().to_vec(),
            line: String::from_utf8_lossy(permit.line()).into_owned(),
        },
        Err(refusal) => Judgement::Refused {
            code: refusal.code().text,
            detail: refusal.to_string(),
            hint: refusal.hint().into_owned(),
        },
    }
}
