//! `check`: one line a finding, `ok`, `warn` or `fail`; or all of them as JSON.

use super::Exit;
use super::inputs::{Flag, Inputs, Purpose, extras};
use super::neutral::neutral;
use super::output::{Output, OutputOption};
use super::serve::control;
use super::terminal::{DOUBTFUL, ERROR, GOOD, Terminal};
use super::wrap::wrapped;
use crate::app::{self, Finding, Level};
use crate::config::Problems;
use clap::Args;

/// The options of `check`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    inputs: Inputs<ToCheck>,
    /// Look at the configuration only; ask nobody
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    print: OutputOption,
}

#[derive(Debug)]
struct ToCheck;

impl Purpose for ToCheck {
    const FLAGS: &'static [(Flag, &'static str)] = &[
        (
            Flag::Environments,
            "Check only this environment (may be given several times): a name of the file, or MWAA's",
        ),
        (
            Flag::Region,
            "Ask in this AWS region, where the file names none for an environment",
        ),
        (
            Flag::Profile,
            "Ask as this AWS profile, where the file names none for an environment",
        ),
        (
            Flag::Listen,
            "Check this address to listen on in place of the file's; nothing listens there",
        ),
        (
            Flag::Management,
            "Check this management address in place of the file's; nothing listens there",
        ),
    ];
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let mut report = Report {
        output: options.print.output,
        findings: Vec::new(),
        terminal,
    };
    let exit = look(options, &mut report, terminal);
    report.end(exit)
}

fn look(options: &Options, report: &mut Report<'_>, terminal: &Terminal) -> Exit {
    let config = match options.inputs.read() {
        Ok(config) => config,
        Err(problems) => {
            report.problems(&problems);
            return Exit::Configuration;
        }
    };
    let source = config.source.as_ref().map_or_else(
        || "no file: defaults and options".to_owned(),
        |file| file.display().to_string(),
    );
    report.tell(Finding::new(Level::Ok, CONFIGURATION, source));
    let warnings = config.warnings().into_iter();
    for warning in warnings.chain(options.inputs.idle_variable()) {
        report.tell(Finding::new(Level::Warn, CONFIGURATION, warning));
    }
    if config.environments.is_empty() && !config.discovers() {
        let text = "no environment is named; use --environment NAME or [environments.NAME]";
        report.tell(Finding::new(Level::Fail, CONFIGURATION, text.to_owned()));
        return Exit::Configuration;
    }
    let extras = match extras(terminal) {
        Ok(extras) => extras,
        Err(exit) => return exit,
    };
    let findings = app::check_files(&config).unwrap_or_else(|error| {
        let text = error.to_string();
        vec![Finding::new(Level::Fail, CONFIGURATION, text)]
    });
    for finding in findings {
        report.tell(finding);
    }
    if report.worst() == Level::Fail {
        return Exit::Configuration;
    }
    if options.offline {
        return Exit::Done;
    }
    control(terminal, async {
        app::probe(&config, &extras, |finding| report.tell(finding)).await?;
        Ok(if report.worst() == Level::Fail {
            Exit::Unavailable
        } else {
            Exit::Done
        })
    })
}

/// What was found, and how it is told.
struct Report<'a> {
    output: Output,
    findings: Vec<Finding>,
    terminal: &'a Terminal,
}

impl Report<'_> {
    /// Takes a finding; people see it at once.
    fn tell(&mut self, finding: Finding) {
        if self.output == Output::Table {
            let (word, style) = match finding.level {
                Level::Ok => ("ok", GOOD),
                Level::Warn => ("warn", DOUBTFUL),
                Level::Fail => ("fail", ERROR),
            };
            let said = match Terminal::data_width() {
                Some(width) => flowing(&finding, width),
                None => finding.to_string(),
            };
            self.terminal
                .data(format_args!("{style}{word:4}{style:#}  {said}\n"));
        }
        self.findings.push(finding);
    }

    /// Takes what keeps the configuration from being read: talk for people, findings in JSON.
    fn problems(&mut self, problems: &Problems) {
        if self.output == Output::Table {
            self.terminal.tell(problems);
            return;
        }
        self.findings.extend(problems.iter().map(|problem| Finding {
            hint: problem.hint.clone(),
            ..Finding::new(Level::Fail, CONFIGURATION, problem.headline())
        }));
    }

    fn worst(&self) -> Level {
        let levels = self.findings.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Ok)
    }

    /// Prints what programs read.
    fn end(self, exit: Exit) -> Exit {
        if self.output == Output::Table {
            return exit;
        }
        match serde_json::to_string_pretty(&self.findings) {
            Ok(json) => {
                self.terminal.data(format_args!("{json}\n"));
                exit
            }
            Err(error) => self.terminal.fail(Exit::Failed, &error, None),
        }
    }
}

/// The finding in lines of a terminal's width, below its first word; the hint on lines of its own.
fn flowing(finding: &Finding, width: usize) -> String {
    let mut finding = finding.clone();
    let hint = finding.hint.take();
    let hint = hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
    let text = format!("{finding}{hint}");
    // of the six columns of a finding's level, wrapping knows the last two
    wrapped(&neutral(&text), 2, width.saturating_sub(4)).replace('\n', "\n    ")
}

/// The subject of what is found without asking anybody.
const CONFIGURATION: &str = "configuration";
