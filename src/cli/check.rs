//! `check`: prints one line for each result, `ok`, `warn` or `fail`; or all of them as JSON.

use crate::config_args::{ConfigArgs, config_flags, load_external_inputs};
use crate::output::{OutputArgs, OutputFormat};
use crate::sanitize::sanitize;
use crate::serve::block_on;
use crate::terminal::{GREEN, RED, Terminal, YELLOW, wrap_text};
use crate::{ExitStatus, RunResult};
use clap::Args;
use mwaa_app::{CheckLevel, CheckResult};
use mwaa_config::Diagnostics;
use mwaa_model::error_chain;

/// The options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs<CheckFlags>,
    /// Check only the configuration, without calls to AWS and the web servers
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    print: OutputArgs,
}

config_flags! {
    struct CheckFlags;
    Environments: "Check only this environment (repeatable): a local name, or a name in MWAA",
    Region: "The AWS region of environments that have none in the file",
    Profile: "The AWS profile of environments that have none in the file",
    Listen: "Check this listener address instead of the file's; it is not opened",
    Management: "Check this management address instead of the file's; it is not opened",
}

pub(crate) fn run(args: &CheckArgs, terminal: &Terminal) -> RunResult {
    let mut report = CheckReport {
        format: args.print.output,
        results: Vec::new(),
        terminal,
    };
    // the results are printed also where the check ends early
    let exit = run_checks(args, &mut report, terminal).unwrap_or_else(|exit| exit);
    report.finish()?;
    Ok(exit)
}

fn run_checks(
    args: &CheckArgs,
    report: &mut CheckReport<'_>,
    terminal: &Terminal,
) -> RunResult {
    let config = args.config.read().map_err(|problems| {
        report.add_problems(&problems);
        ExitStatus::Configuration
    })?;

    let source = config.source.as_ref().map_or_else(
        || "no file; defaults and options apply".to_owned(),
        |file| file.display().to_string(),
    );
    report.add(CheckResult::new(CheckLevel::Ok, CONFIGURATION, source));
    let warnings = config.warnings().into_iter();
    for warning in warnings.chain(args.config.find_unused_variable()) {
        report.add(CheckResult::new(CheckLevel::Warn, CONFIGURATION, warning));
    }

    // `serve` refuses to start without one
    if config.environments.is_empty() && !config.discovers() {
        let text =
            "no environment is configured; use --environment NAME or [environments.NAME]";
        report.add(CheckResult::new(
            CheckLevel::Fail,
            CONFIGURATION,
            text.to_owned(),
        ));
        return Err(ExitStatus::Configuration);
    }

    let inputs = load_external_inputs(terminal)?;

    // files before AWS: their problems need no credentials to be found
    let results = mwaa_app::check_files(&config).unwrap_or_else(|error| {
        let text = error_chain(&error);
        vec![CheckResult::new(CheckLevel::Fail, CONFIGURATION, text)]
    });
    for result in results {
        report.add(result);
    }
    if report.worst() == CheckLevel::Fail {
        return Err(ExitStatus::Configuration);
    }

    if args.offline {
        return Ok(ExitStatus::Success);
    }
    Ok(block_on(terminal, async {
        mwaa_app::check_environments(&config, &inputs, |result| report.add(result)).await?;
        Ok(match report.worst() {
            CheckLevel::Fail => ExitStatus::Unavailable,
            CheckLevel::Ok | CheckLevel::Warn => ExitStatus::Success,
        })
    }))
}

/// The results, and the form in which they are printed.
struct CheckReport<'a> {
    format: OutputFormat,
    results: Vec<CheckResult>,
    terminal: &'a Terminal,
}

impl CheckReport<'_> {
    /// Adds a result; people see it at once.
    fn add(&mut self, result: CheckResult) {
        // a check may take a while, so people see each line when it is known
        if self.format == OutputFormat::Table {
            let (word, style) = match result.level {
                CheckLevel::Ok => ("ok", GREEN),
                CheckLevel::Warn => ("warn", YELLOW),
                CheckLevel::Fail => ("fail", RED),
            };
            let text = match Terminal::stdout_width() {
                Some(width) => wrap_result(&result, width),
                None => sanitize(&result.to_string()).into_owned(),
            };
            self.terminal
                .print(format_args!("{style}{word:4}{style:#}  {text}\n"));
        }
        self.results.push(result);
    }

    /// Adds the problems of a configuration that can't be read: a message for people, results in
    /// JSON.
    fn add_problems(&mut self, problems: &Diagnostics) {
        if self.format == OutputFormat::Table {
            self.terminal.error(problems);
            return;
        }
        self.results
            .extend(problems.iter().map(|problem| CheckResult {
                hint: problem.hint.clone(),
                ..CheckResult::new(CheckLevel::Fail, CONFIGURATION, problem.headline())
            }));
    }

    fn worst(&self) -> CheckLevel {
        let levels = self.results.iter().map(|result| result.level);
        levels.max().unwrap_or(CheckLevel::Ok)
    }

    /// Prints the results as JSON, if that is the form.
    fn finish(self) -> Result<(), ExitStatus> {
        match self.format {
            OutputFormat::Table => Ok(()),
            OutputFormat::Json => self.terminal.print_json(&self.results),
        }
    }
}

/// Formats a result in lines of a terminal's width, below its first word; the hint gets lines of
/// its own.
fn wrap_result(result: &CheckResult, width: usize) -> String {
    let mut result = result.clone();
    let hint = result.hint.take();
    let hint = hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
    let text = format!("{result}{hint}");
    // wrapping counts only the last two of the six columns of a result's level
    wrap_text(&sanitize(&text), 2, width.saturating_sub(4)).replace('\n', "\n    ")
}

/// The subject of a result that needs no AWS.
const CONFIGURATION: &str = "configuration";
