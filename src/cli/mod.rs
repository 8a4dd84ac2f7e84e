//! The command line: arguments, dispatch, exit codes.

mod airflow;
mod airflows;
mod arguments;
mod browser;
mod check;
mod client;
mod columns;
mod commands;
mod complete;
mod demo;
mod emulator;
mod environments;
mod exit;
mod explain;
mod folder;
mod inputs;
mod judge;
mod known;
mod logging;
mod login;
mod management;
mod manual;
mod names;
mod neutral;
mod open;
mod output;
mod serve;
mod signals;
mod status;
mod terminal;
mod tunnel_guard;
mod wait;
mod wrap;

pub use exit::Exit;

use crate::telemetry::StartError;
use arguments::{Arguments, Command};
use clap::Parser as _;
use terminal::Terminal;

/// Runs the program with the process's arguments.
pub fn run() -> Exit {
    let terminal = Terminal::new();
    let exit = dispatch(&terminal);
    terminal.end(exit)
}

fn dispatch(terminal: &Terminal) -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return arguments::explain(error, terminal),
    };
    let usual = match arguments.command.usual_log() {
        "info" if arguments.quiet => "error",
        usual => usual,
    };
    if arguments.quiet {
        terminal.hush();
    }
    // lives to the end: its last lines are written when it goes
    let _log = match logging::start(&arguments.logging, usual, terminal) {
        Ok(log) => log,
        Err(error) => {
            let (exit, hint) = match error {
                StartError::Filter(_) => {
                    (Exit::Usage, "write it as in `info` or `mwaa_gateway=debug`")
                }
                StartError::Writer(_) => (
                    Exit::Failed,
                    "the system refuses threads or descriptors; check its limits",
                ),
            };
            return terminal.fail(exit, &error, Some(hint));
        }
    };
    match arguments.command {
        Command::Serve(options) => serve::run(&options, terminal),
        Command::Demo(options) => demo::run(&options, terminal),
        Command::Emulator(options) => emulator::run(options, terminal),
        Command::Check(options) => check::run(&options, terminal),
        Command::Commands(options) => commands::run(&options, terminal),
        Command::Explain(options) => explain::run(&options, terminal),
        Command::Status(options) => status::run(&options, terminal),
        Command::Environments(options) => environments::run(&options, terminal),
        Command::Airflow(options) => airflow::run(&options, terminal),
        Command::Login(options) => login::run(&options, terminal),
        Command::Open(options) => open::run(&options, terminal),
        Command::Wait(options) => wait::run(&options, terminal),
        Command::Completions { shell } => manual::completions(shell, terminal),
        Command::Complete(options) => complete::run(&options, terminal),
        Command::TunnelGuard(options) => tunnel_guard::run(&options, terminal),
        Command::Man(options) => manual::page(&options, terminal),
    }
}
