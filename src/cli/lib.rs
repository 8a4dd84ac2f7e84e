//! The command line: the arguments, the commands, the exit statuses.

mod airflow;
mod arguments;
mod browser;
mod certs;
mod check;
mod client;
mod commands;
mod completion;
mod config;
mod config_args;
#[cfg(feature = "emulator")]
mod demo;
#[cfg(feature = "emulator")]
mod emulator;
#[cfg(feature = "emulator")]
mod emulator_environments;
mod environments;
mod exec;
mod explain;
mod login;
mod open;
mod output;
mod running;
mod sanitize;
mod serve;
mod signals;
mod status;
mod terminal;
mod tunnel_guard;

pub use arguments::CliArgs;
pub use serve::{ServeArgs, block_on, print_addresses};
pub use signals::Signals;
pub use terminal::Terminal;

use arguments::{Command, OtherCommand};
use mwaa_app::StartError;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;
use tempfile::TempDir;

/// The exit status of the program; the documents' table is made of these comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: done.
    Success,
    /// 1: it failed or was refused.
    Failure,
    /// 2: bad arguments.
    Usage,
    /// 69: AWS or the web server cannot be reached, or there are no credentials (sysexits.h
    /// `EX_UNAVAILABLE`).
    Unavailable,
    /// 78: bad configuration (sysexits.h `EX_CONFIG`).
    Configuration,
    /// Another program's own.
    Other(u8),
    /// 128 plus the signal's number: a signal ended the program before it had finished.
    Signal(u8),
}

impl From<ExitStatus> for ExitCode {
    fn from(exit: ExitStatus) -> Self {
        Self::from(match exit {
            ExitStatus::Success => 0,
            ExitStatus::Failure => 1,
            ExitStatus::Usage => 2,
            ExitStatus::Unavailable => 69,
            ExitStatus::Configuration => 78,
            ExitStatus::Other(code) => code,
            ExitStatus::Signal(number) => 128 + number,
        })
    }
}

/// The end of a command. The error of an `Err` has been printed.
pub type RunResult = Result<ExitStatus, ExitStatus>;

/// A command that runs a gateway, or calls AWS, ended early.
#[derive(Debug)]
pub enum RunError {
    /// Its error has been printed.
    Printed(ExitStatus),
    /// The gateway could not be built.
    Start(StartError),
}

impl From<ExitStatus> for RunError {
    fn from(exit: ExitStatus) -> Self {
        Self::Printed(exit)
    }
}

impl From<StartError> for RunError {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

/// Runs the command of the arguments. `serve` is the gateway itself, which `main.rs` has.
pub fn run(
    args: CliArgs,
    terminal: &Terminal,
    serve: impl FnOnce(&ServeArgs, &Terminal) -> RunResult,
) -> RunResult {
    match args.command {
        Command::Serve(args) => serve(&args, terminal),
        Command::Other(command) => run_other(command, terminal),
    }
}

fn run_other(command: OtherCommand, terminal: &Terminal) -> RunResult {
    match command {
        #[cfg(feature = "emulator")]
        OtherCommand::Demo(args) => Ok(demo::run(&args, terminal)),
        #[cfg(feature = "emulator")]
        OtherCommand::Emulator(args) => emulator::run(args, terminal),
        OtherCommand::Certs(args) => certs::run(&args, terminal),
        OtherCommand::Check(args) => check::run(&args, terminal),
        OtherCommand::Config(args) => config::run(&args, terminal),
        OtherCommand::Commands(args) => commands::run(&args, terminal),
        OtherCommand::Explain(args) => explain::run(&args, terminal),
        OtherCommand::Status(args) => status::run(&args, terminal),
        OtherCommand::Environments(args) => environments::run(&args, terminal),
        OtherCommand::Exec(args) => exec::run(&args, terminal),
        OtherCommand::Airflow(args) => airflow::run(&args, terminal),
        OtherCommand::Login(args) => login::run(&args, terminal),
        OtherCommand::Open(args) => open::run(&args, terminal),
        OtherCommand::Wait(args) => status::wait(&args, terminal),

        // for the shell and the gateway, not for people
        OtherCommand::Completions { shell } => Ok(completion::print_script(shell, terminal)),
        OtherCommand::Complete(args) => Ok(completion::run(&args, terminal)),
        OtherCommand::TunnelGuard(args) => tunnel_guard::run(&args, terminal),
        OtherCommand::Man(args) => arguments::write_manual(&args, terminal),
    }
}

/// Creates a temporary folder that only this user can enter, and that is removed when it is
/// dropped.
fn create_temp_dir(terminal: &Terminal) -> Result<TempDir, ExitStatus> {
    let created = tempfile::Builder::new()
        .prefix("mwaa-gateway-")
        // it may hold a socket without a secret
        .permissions(Permissions::from_mode(0o700))
        .tempdir();
    created.map_err(|error| {
        let hint = format!(
            "the gateway needs a temporary folder in {}; set TMPDIR to use another folder",
            std::env::temp_dir().display()
        );
        terminal.fail(ExitStatus::Failure, &error, Some(&hint))
    })
}
