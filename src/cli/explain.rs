//! `explain`: how a command line is read, and whether it would pass. Sends nothing.

use super::Exit;
use super::judge::{Bench, RulesOption};
use super::output::{Output, OutputOption};
use super::terminal::Terminal;
use crate::names::Fault as _;
use crate::policy::{Command, Refusal};
use clap::Args;
use std::io::BufRead as _;

/// The options of `explain`.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    judge: RulesOption,
    #[command(flatten)]
    print: OutputOption,
    /// The command line, as one word (`-`: each line of stdin)
    #[arg(value_name = "LINE", allow_hyphen_values = true)]
    line: String,
}

/// What would become of a command line.
#[derive(serde::Serialize)]
struct Judgement {
    #[serde(flatten)]
    verdict: Verdict,
    /// Further listeners that refuse what the first one lets pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused_at: Vec<Elsewhere>,
}

#[derive(serde::Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
enum Verdict {
    Passes {
        /// The command's name.
        command: &'static str,
        /// The options it is given, without values.
        options: Vec<&'static str>,
        /// The line that would be sent.
        line: String,
    },
    Refused(Refused),
}

#[derive(serde::Serialize)]
struct Refused {
    code: &'static str,
    detail: String,
    hint: String,
}

#[derive(serde::Serialize)]
struct Elsewhere {
    /// The listener's table in the configuration.
    listener: String,
    #[serde(flatten)]
    refused: Refused,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code().text,
            detail: refusal.to_string(),
            hint: refusal.hint().into_owned(),
        }
    }
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    match options.judge.bench(terminal) {
        Ok(bench) => lines(&options.line, &bench, options.print.output, terminal),
        Err(exit) => exit,
    }
}

/// Judges one line, or with `-` each line of stdin. Fails if a line would be refused.
pub(super) fn lines(line: &str, bench: &Bench, output: Output, terminal: &Terminal) -> Exit {
    if line != "-" {
        return one(line.as_bytes(), bench, output, terminal);
    }
    let mut exit = Exit::Done;
    for line in std::io::stdin().lock().split(b'\n') {
        match line {
            Ok(line) => {
                if one(&line, bench, output, terminal) != Exit::Done {
                    exit = Exit::Failed;
                }
            }
            Err(error) => return terminal.fail(Exit::Failed, &error, None),
        }
    }
    exit
}

fn one(line: &[u8], bench: &Bench, output: Output, terminal: &Terminal) -> Exit {
    let judgement = judged(line, bench);
    match output {
        Output::Json => match serde_json::to_string(&judgement) {
            Ok(json) => terminal.data(format_args!("{json}\n")),
            Err(error) => return terminal.fail(Exit::Failed, &error, None),
        },
        Output::Table => {
            match &judgement.verdict {
                Verdict::Passes { line, .. } => {
                    terminal.data(format_args!("passes   {line}\n"));
                }
                Verdict::Refused(Refused { code, detail, hint }) => {
                    terminal.data(format_args!("refused  {code}: {detail}; {hint}\n"));
                }
            }
            for elsewhere in &judgement.refused_at {
                let Refused { code, detail, hint } = &elsewhere.refused;
                terminal.data(format_args!(
                    "         but refused at {}: {code}: {detail}; {hint}\n",
                    elsewhere.listener
                ));
            }
        }
    }
    match judgement.verdict {
        Verdict::Passes { .. } => Exit::Done,
        Verdict::Refused(_) => Exit::Failed,
    }
}

fn judged(line: &[u8], bench: &Bench) -> Judgement {
    let command = match Command::read(line) {
        Ok(command) => command,
        Err(refusal) => return Judgement::refused(refusal),
    };
    let permit = match bench.rules().judge(&command, bench.version) {
        Ok(permit) => permit,
        Err(refusal) => return Judgement::refused(refusal),
    };
    let refused_at = bench.others.iter().filter_map(|own| {
        let refusal = bench.at(own).judge(&command, bench.version).err()?;
        Some(Elsewhere {
            listener: own.table.clone(),
            refused: refusal.into(),
        })
    });
    Judgement {
        refused_at: refused_at.collect(),
        verdict: Verdict::Passes {
            command: permit.name(),
            options: permit.options().to_vec(),
            line: String::from_utf8_lossy(permit.line()).into_owned(),
        },
    }
}

impl Judgement {
    fn refused(refusal: Refusal) -> Self {
        Self {
            verdict: Verdict::Refused(refusal.into()),
            refused_at: Vec::new(),
        }
    }
}
