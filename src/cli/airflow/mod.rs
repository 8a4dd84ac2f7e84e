//! `airflow`: runs one Airflow command, through the running gateway or without one.

mod import;
mod watch;

use crate::client::{
    CommandError, CommandOptions, CommandOutput, CommandResult, GatewayClient, ProblemDetails,
    ResultFormat,
};
use crate::config_args::{ConfigArgs, config_flags};
use crate::sanitize::sanitize;
use crate::serve::block_on;
use crate::signals::Signals;
use crate::terminal::Terminal;
use crate::{ExitStatus, RunError, RunResult};
use clap::Args;
use http::StatusCode;
use import::{ImportError, ImportOptions, ImportRequest};
use mwaa_app::StartError;
use mwaa_model::{AirflowVersion, Fault as _};
use mwaa_output::{CliOutput, CommandFacts, SuccessStatus};
use mwaa_policy::Command;
use std::fmt;
use watch::{InterruptInfo, StatusLine, WatchError, run_watched};

/// The options of `airflow`.
#[derive(Args)]
pub(crate) struct AirflowArgs {
    #[command(flatten)]
    config: ConfigArgs<AirflowFlags>,
    /// Print the result as JSON instead of the command's stdout and stderr
    #[arg(short, long, value_enum)]
    output: Option<ResultFormat>,
    /// Retry a `dags trigger` with --run-id once if its outcome is unknown
    #[arg(long)]
    repeatable: bool,
    /// Resume an import that did not finish
    #[arg(long)]
    resume: bool,
    /// The Airflow command, without the word `airflow`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

config_flags! {
    struct AirflowFlags;
    Environment: "The environment: a local name, or a name in MWAA [default: the default \
                  environment]",
    Region: "The AWS region, if no gateway is running and the file has none",
    Profile: "The AWS profile, if no gateway is running and the file has none",
    Listen: "The address of the running gateway: IP:port or unix:/path",
    Management: "The management address of the running gateway; it resolves names in MWAA",
}

impl AirflowArgs {
    /// Returns the import that the command asks for, and its file's text.
    fn read_import(&self) -> Result<Option<(ImportRequest, String)>, ImportError> {
        let usage = |text: &str| Err(ImportError::Arguments(text.to_owned()));
        match ImportRequest::parse(&self.command) {
            // other commands leave no journal
            None if self.resume => {
                usage("--resume is only for variables, connections and pools import")
            }
            None => Ok(None),
            Some(_) if self.output == Some(ResultFormat::Raw) => {
                usage("an import runs many commands, so it has no raw output")
            }
            // now, so that a missing file is found before anything is sent
            Some(request) => {
                let request = request?;
                let text = request.read_text()?;
                Ok(Some((request, text)))
            }
        }
    }
}

pub(super) fn run(args: &AirflowArgs, terminal: &Terminal) -> RunResult {
    let command = Command::from_words(&args.command)
        .map_err(|error| terminal.fail(ExitStatus::Usage, &error, Some(&error.hint())))?;
    // the file of an import is on this machine: it is read before any call
    let import = args.read_import().map_err(|error| {
        let exit = match error {
            ImportError::Arguments(_) => ExitStatus::Usage,
            ImportError::Unreadable(..) | ImportError::Content(_) => ExitStatus::Failure,
        };
        terminal.fail(exit, &error, None)
    })?;

    let config = args.config.load(terminal)?;
    let name = args.config.environment();

    Ok(block_on(terminal, async {
        // before the first connection, so that a signal never leaves a command behind in silence
        let mut signals = Signals::listen().map_err(StartError::Thread)?;
        let mut client = tokio::select! {
            client = GatewayClient::connect(config, name, terminal) => client?,
            number = signals.next() => {
                terminal.error("interrupted: nothing was sent");
                return Ok(ExitStatus::Signal(number));
            }
        };
        let Some((request, text)) = import else {
            return run_command(args, &command, client, &mut signals, terminal).await;
        };

        let options = ImportOptions {
            resume: args.resume,
            as_json: args.output == Some(ResultFormat::Json),
            max_command: client.max_command(),
        };
        let result = import::run(
            &request,
            &text,
            options,
            &mut client,
            &mut signals,
            terminal,
        )
        .await;
        client.close().await;
        Ok(result?)
    }))
}

async fn run_command(
    args: &AirflowArgs,
    command: &Command<'_>,
    mut client: GatewayClient,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Result<ExitStatus, RunError> {
    let options = CommandOptions {
        format: args.output.unwrap_or_default(),
        repeatable: args.repeatable,
    };
    let mut line = StatusLine::new(command, client.environment(), terminal);
    let watched =
        run_watched(&mut client, command, options, signals, &mut line, &mut None).await;
    // the line must be off the terminal before the result is printed
    drop(line);

    match watched {
        Ok(result) => {
            let exit = print_result(result, command, options.format, terminal);
            client.close().await;
            Ok(exit)
        }
        // a gateway that went away is not waited for
        Err(WatchError::Command(error)) => Ok(print_command_error(&error, terminal)),
        // nor is a private one, whose command may run for hours
        Err(WatchError::Interrupted(info)) => {
            Ok(print_interrupt(&info, command, &client, terminal))
        }
    }
}

fn print_result(
    result: CommandResult,
    command: &Command<'_>,
    format: ResultFormat,
    terminal: &Terminal,
) -> ExitStatus {
    match result {
        CommandResult::Output(output) => print_output(&output, format, terminal),
        CommandResult::Raw(status, body) => {
            terminal.print_untrusted_bytes(&body);
            check_raw(status, &body, command, terminal)
        }
        CommandResult::Unexpected(status, text) => print_unexpected(status, &text, terminal),
        CommandResult::Fault(problem) => print_fault(&problem, terminal),
    }
}

/// Prints a command's output.
fn print_output(
    output: &CommandOutput,
    format: ResultFormat,
    terminal: &Terminal,
) -> ExitStatus {
    if format == ResultFormat::Json {
        terminal.print_untrusted(format_args!("{}\n", output.json));
    } else {
        terminal.print_untrusted(&output.stdout);
        Terminal::print_untrusted_message(&output.stderr);
    }

    match output.succeeded {
        Some(true) => ExitStatus::Success,
        Some(false) => {
            // a command that was killed prints nothing
            if output.stdout.trim().is_empty() && output.stderr.trim().is_empty() {
                let reason = sanitize(output.reason.as_deref().unwrap_or_default());
                terminal.info(format_args!(
                    "note: the command failed and printed nothing: {reason}"
                ));
            }
            ExitStatus::Failure
        }
        None => print_unknown(output.reason.as_deref(), terminal),
    }
}

fn print_unknown(reason: Option<&str>, terminal: &Terminal) -> ExitStatus {
    let reason = reason.map_or_else(String::new, |reason| format!(": {}", sanitize(reason)));
    terminal.info(format_args!(
        "note: it is unknown whether the command succeeded{reason}"
    ));
    ExitStatus::Success
}

/// Reads MWAA's own JSON for the exit status: the gateway has passed it on without reading it.
fn check_raw(
    status: u16,
    body: &[u8],
    command: &Command<'_>,
    terminal: &Terminal,
) -> ExitStatus {
    let facts = CommandFacts {
        command: command.known_name().unwrap_or("other"),
        json: false,
        repeated: false,
        // not known here, and not used to read a result
        version: AirflowVersion::new(2, 0, 0),
    };

    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    match CliOutput::parse(body, status, &facts) {
        Ok(output) => match output.succeeded {
            SuccessStatus::Yes => ExitStatus::Success,
            SuccessStatus::No => ExitStatus::Failure,
            SuccessStatus::Unknown => print_unknown(output.reason.as_deref(), terminal),
        },
        Err(error) => terminal.fail(ExitStatus::Failure, &error, Some(LOG_HINT)),
    }
}

/// Prints a response that is no command's output. Its text helps unless it is a web page.
fn print_unexpected(status: u16, text: &str, terminal: &Terminal) -> ExitStatus {
    if !text.trim_start().starts_with('<') {
        Terminal::print_untrusted_message(text);
    }
    terminal.fail(ExitStatus::Failure, &NoOutputError(status), Some(LOG_HINT))
}

/// The web server's response holds no command output.
#[derive(Debug, thiserror::Error)]
#[error("the web server returned {0} without command output")]
struct NoOutputError(u16);

/// Prints a fault of the gateway, of AWS or of the web server.
fn print_fault(problem: &ProblemDetails, terminal: &Terminal) -> ExitStatus {
    let exit = match problem.code.split('.').next() {
        // scripts take 69 for "try again", which may run the command a second time
        Some("aws" | "upstream") if !problem.may_have_run() => ExitStatus::Unavailable,
        _ => ExitStatus::Failure,
    };

    // the gateway's own hint is for HTTP clients
    let hint = match problem.code.as_str() {
        "route.unknown_environment" => Some("choose one of them with -e".into()),
        _ => problem.hint.as_deref().map(sanitize),
    };
    terminal.fail(exit, problem, hint.as_deref())
}

impl fmt::Display for ProblemDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail.as_deref().unwrap_or(&self.title);
        f.write_str(&sanitize(detail))?;
        if self.detail.is_some() && !self.title.is_empty() {
            write!(f, "\n  {}", sanitize(&self.title))?;
        }
        write!(f, "\n  {}", sanitize(&self.code))?;
        match &self.request_id {
            Some(id) => write!(f, ", request {}", sanitize(id)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ProblemDetails {}

/// Prints that the gateway went away.
fn print_command_error(error: &CommandError, terminal: &Terminal) -> ExitStatus {
    let (exit, hint) = match error {
        CommandError::NotSent(_) => (ExitStatus::Unavailable, "run it again"),
        CommandError::Broken(_) => (
            ExitStatus::Failure,
            "check whether the command ran before you run it again",
        ),
    };
    terminal.fail(exit, error, Some(hint))
}

/// Prints what a command does after it was interrupted.
fn print_interrupt(
    info: &InterruptInfo,
    command: &Command<'_>,
    client: &GatewayClient,
    terminal: &Terminal,
) -> ExitStatus {
    let exit = ExitStatus::Signal(info.signal);
    let name = command.known_name().unwrap_or("the command");
    let environment = client.environment().map(|name| format!(" in {name}"));
    let environment = environment.unwrap_or_default();
    let request = info.request_id.as_ref();
    let request = request.map_or_else(String::new, |id| format!(" (request {id})"));

    match info.sent {
        Some(false) => {
            terminal.error(format_args!("interrupted: {name} was not sent"));
            return exit;
        }
        Some(true) => {
            terminal.error(format_args!(
                "interrupted: {name} is still running{environment}{request}"
            ));
            terminal.info("MWAA runs it to the end, even without a client.");
        }
        None => {
            terminal.error(format_args!(
                "interrupted: {name} may have been sent{environment}{request}"
            ));
            terminal.info("If it was, MWAA runs it to the end.");
        }
    }

    terminal.info(if client.is_private() {
        "No running gateway holds its slot: another command may start at the same time."
    } else {
        "It holds its slot until then; the gateway's page /-/ shows it."
    });
    let starts_runs = matches!(
        command.known_name(),
        Some("dags trigger" | "dags backfill" | "trigger_dag" | "backfill" | "backfill create")
    );
    if starts_runs {
        terminal.info("`dags list-runs` shows the state of the run.");
    }
    exit
}

/// The hint for a response that holds no command output.
const LOG_HINT: &str = "look at the environment's web server log";
