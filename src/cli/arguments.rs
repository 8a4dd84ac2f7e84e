//! The arguments of the program, and the manual that is made from them. The help of every command
//! ends with an example.

use crate::config_args::path_parser;
use crate::terminal::Terminal;
use crate::{
    ExitStatus, RunResult, airflow, certs, check, commands, completion, config, environments,
    exec, explain, login, open, serve, status, tunnel_guard,
};
#[cfg(feature = "emulator")]
use crate::{demo, emulator};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use mwaa_config::env;
use mwaa_telemetry::{Format, LogError, LogGuard};
use std::fmt;
use std::path::PathBuf;

/// Use Amazon MWAA (managed Apache Airflow) through localhost, without tokens
#[derive(Parser)]
#[command(
    name = "mwaa-gateway",
    version,
    max_term_width = 100,
    after_help = FIRST_STEPS
)]
pub struct CliArgs {
    /// Print only errors to stderr
    #[arg(short, long, global = true, display_order = 900)]
    quiet: bool,
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

// an Airflow command line may hold a password
impl fmt::Debug for CliArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CliArgs")
            .field("quiet", &self.quiet)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl CliArgs {
    /// Reads the process's arguments; or prints the help, the version or the mistake.
    pub fn read(terminal: &Terminal) -> Result<Self, ExitStatus> {
        let args = Self::try_parse().map_err(|error| print_parse_error(error, terminal))?;
        if args.quiet {
            terminal.set_quiet();
        }
        Ok(args)
    }

    /// Starts the log, or prints why it can't be started.
    pub fn start_log(&self, terminal: &Terminal) -> Result<LogGuard, ExitStatus> {
        // a service logs its work, a single command prints only its result
        let default_filter = match &self.command {
            Command::Other(OtherCommand::Complete(_) | OtherCommand::TunnelGuard(_)) => "off",
            Command::Other(OtherCommand::Airflow(_) | OtherCommand::Exec(_)) => "error",
            _ if self.quiet => "error",
            Command::Serve(_) | Command::Other(_) => "info",
        };
        let filter = self.log.filter.as_deref().unwrap_or(default_filter);
        let format = match self.log.format {
            LogFormat::Json => Format::Json,
            LogFormat::Text => Format::Text,
        };

        mwaa_telemetry::init(filter, format, terminal.has_stderr_color()).map_err(|error| {
            let (exit, hint) = match error {
                LogError::Filter(_) => (
                    ExitStatus::Usage,
                    "write it as in `info` or `mwaa_gateway=debug`",
                ),
                LogError::Writer(_) => (
                    ExitStatus::Failure,
                    "the system has no more threads or file descriptors; check its limits",
                ),
            };
            terminal.fail(exit, &error, Some(hint))
        })
    }
}

/// The command: `serve`, which `main.rs` runs, or another one.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the gateway
    #[command(
        after_help = "Example: mwaa-gateway serve --environment analytics-prod --region eu-west-1"
    )]
    Serve(serve::ServeArgs),
    #[command(flatten)]
    Other(OtherCommand),
}

/// A command other than `serve`.
#[derive(Subcommand)]
pub(crate) enum OtherCommand {
    /// Run the gateway with an emulator of MWAA: needs no AWS account and no installation
    #[cfg(feature = "emulator")]
    #[command(after_help = "Example: mwaa-gateway demo --airflow-version 3.0.6")]
    Demo(demo::DemoArgs),
    /// Run only the emulator of MWAA, for tests of scripts and programs
    #[cfg(feature = "emulator")]
    #[command(
        after_help = "Example: mwaa-gateway emulator --aws 127.0.0.1:4566 --web 127.0.0.1:8443"
    )]
    Emulator(emulator::EmulatorArgs),
    /// Check the configuration, and the connections to AWS and the web servers
    #[command(after_help = "Example: mwaa-gateway check --config mwaa-gateway.toml --offline")]
    Check(check::CheckArgs),
    /// Make a local CA and a certificate for the TLS listener, or renew it
    #[command(after_help = "Example: mwaa-gateway certs --dir certs")]
    Certs(certs::CertsArgs),
    /// Write a starter file, print the effective configuration or its JSON Schema
    #[command(after_help = "Example: mwaa-gateway config show --config mwaa-gateway.toml")]
    Config(config::ConfigCommandArgs),
    /// List the environments, their status and their local URLs
    #[command(after_help = "Example: mwaa-gateway environments --region eu-west-1")]
    Environments(environments::EnvironmentsArgs),
    /// Run an Airflow command, with or without a running gateway
    #[command(after_help = "Example: mwaa-gateway airflow -e prod -- dags list -o json")]
    Airflow(airflow::AirflowArgs),
    /// Run a program with a gateway of its own, and the variables that clients read
    #[command(after_help = "Example: mwaa-gateway exec -e prod --policy read-only -- pytest")]
    Exec(exec::ExecArgs),
    /// Sign in to AWS for an environment's profile, with `aws login` or `aws sso login`
    #[command(after_help = "Example: mwaa-gateway login -e prod")]
    Login(login::LoginArgs),
    /// Open an environment's UI in the browser, signed in
    #[command(after_help = "Example: mwaa-gateway open analytics-prod /home")]
    Open(open::OpenArgs),
    /// List the Airflow commands, whether each passes or is refused, and why
    #[command(
        after_help = "Example: mwaa-gateway commands --airflow-version 2.10.3 --output json"
    )]
    Commands(commands::CommandsArgs),
    /// Show how a command line is parsed, and whether it passes; nothing is sent
    #[command(after_help = "Example: mwaa-gateway explain -e prod 'dags trigger my_dag'")]
    Explain(explain::ExplainArgs),
    /// Show the status of a running gateway
    #[command(after_help = "Example: mwaa-gateway status --output json")]
    Status(status::StatusArgs),
    /// Wait until a running gateway is ready
    #[command(after_help = "Example: mwaa-gateway wait --timeout 30s && curl …")]
    Wait(status::WaitArgs),
    /// Print the completion script of a shell
    #[command(
        after_help = "Example: mwaa-gateway completions bash > /etc/bash_completion.d/mwaa-gateway"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// List the completions at the cursor
    #[command(
        hide = true,
        after_help = "Example: mwaa-gateway complete -- mwaa-gateway airflow -e ''"
    )]
    Complete(completion::CompleteArgs),
    /// Start a tunnel's program, and stop it when the gateway ends
    #[command(
        hide = true,
        after_help = "Example: mwaa-gateway tunnel-guard -- ssh -N bastion"
    )]
    TunnelGuard(tunnel_guard::TunnelGuardArgs),
    /// Print the manual page, or write the pages of all commands
    #[command(after_help = "Example: mwaa-gateway man | man -l -")]
    Man(ManArgs),
}

/// Prints a mistake as a message; help and version are data.
fn print_parse_error(mut error: clap::Error, terminal: &Terminal) -> ExitStatus {
    match error.kind() {
        ErrorKind::MissingSubcommand if !is_for_command(&error, "config") => {
            // clap lists hidden ones too
            let command = CliArgs::command();
            let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
            let names = shown.map(|sub| sub.get_name().to_owned()).collect();
            error.insert(ContextKind::ValidSubcommand, ContextValue::Strings(names));
        }
        ErrorKind::UnknownArgument if is_for_command(&error, "explain") => {
            let tip = "quote the line: mwaa-gateway explain 'dags list --verbose'";
            let tips = ContextValue::StyledStrs(vec![tip.into()]);
            error.insert(ContextKind::Suggested, tips);
        }
        ErrorKind::InvalidSubcommand if needs_emulator(&error) => {
            let tip =
                "this build has no emulator; use the default build: `cargo build --release`";
            let tips = ContextValue::StyledStrs(vec![tip.into()]);
            error.insert(ContextKind::Suggested, tips);
        }
        _ => {}
    }

    let text = error.render();
    if error.use_stderr() {
        terminal.error(text.ansi().to_string().trim_end());
        ExitStatus::Usage
    } else {
        terminal.print(text.ansi());
        ExitStatus::Success
    }
}

/// Returns whether the unknown command is one that the default build has.
fn needs_emulator(error: &clap::Error) -> bool {
    let given = error.get(ContextKind::InvalidSubcommand);
    !cfg!(feature = "emulator")
        && given.is_some_and(|name| matches!(&*name.to_string(), "demo" | "emulator"))
}

fn is_for_command(error: &clap::Error, command: &str) -> bool {
    let start = format!("mwaa-gateway {command} ");
    let usage = error.get(ContextKind::Usage);
    usage.is_some_and(|usage| usage.to_string().contains(&start))
}

/// The options of the log, which every command has.
#[derive(Debug, Args)]
struct LogArgs {
    /// The log filter for stderr: `off`, `error`, `warn`, `info`, `debug`, `trace`, or a filter
    /// such as `mwaa_gateway=debug` [default: info; for `airflow`, `exec` and with --quiet: error]
    #[arg(
        long = "log",
        global = true,
        value_name = "FILTER",
        env = env::LOG,
        hide_short_help = true,
        help_heading = "Logging"
    )]
    filter: Option<String>,
    /// The format of log lines
    #[arg(
        long = "log-format",
        value_name = "LOG_FORMAT",
        global = true,
        value_enum,
        default_value_t,
        hide_short_help = true,
        help_heading = "Logging"
    )]
    format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// The options of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write the pages of the program and of all commands into this folder
    #[arg(long, value_name = "DIR", value_parser = path_parser())]
    dir: Option<PathBuf>,
}

/// Prints the manual page of the program, or writes all pages into a folder.
pub(crate) fn write_manual(args: &ManArgs, terminal: &Terminal) -> RunResult {
    // the manual leaves out the descriptions that the short help leaves out
    let command = CliArgs::command().mut_args(|arg| arg.hide_short_help(false));
    let Some(folder) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| terminal.fail(ExitStatus::Failure, &error, None))?;
        terminal.print(String::from_utf8_lossy(&page));
        return Ok(ExitStatus::Success);
    };

    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(|error| {
            let hint = format!("is {} a folder that you may write to?", folder.display());
            terminal.fail(ExitStatus::Failure, &error, Some(&hint))
        })?;
    Ok(ExitStatus::Success)
}

/// The two commands that a newcomer needs.
#[cfg(feature = "emulator")]
const FIRST_STEPS: &str = "\
Try it without AWS:   mwaa-gateway demo
Your environment:     mwaa-gateway serve --environment NAME --region REGION";
#[cfg(not(feature = "emulator"))]
const FIRST_STEPS: &str =
    "Your environment:     mwaa-gateway serve --environment NAME --region REGION";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clap_definition_is_valid_and_each_command_has_an_example() {
        let command = CliArgs::command();
        command.clone().debug_assert();
        let nested = command.get_subcommands();
        let nested = nested.flat_map(clap::Command::get_subcommands);
        for sub in command.get_subcommands().chain(nested) {
            let help = sub
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.starts_with("Example: mwaa-gateway "),
                "{}",
                sub.get_name()
            );
        }
    }
}
