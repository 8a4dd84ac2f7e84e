//! The life of the process: arguments, log, configuration, sockets, service, drain, exit code.

use mwaa_app::{Gateway, StartError};
use mwaa_cli::{CliArgs, RunResult, ServeArgs, Signals, Terminal, block_on, print_addresses};
use std::process::ExitCode;

fn main() -> ExitCode {
    let terminal = Terminal::detect();
    let exit = run(&terminal).unwrap_or_else(|printed| printed);
    // output that could not be written turns success into failure
    terminal.finish(exit).into()
}

/// Runs one command.
fn run(terminal: &Terminal) -> RunResult {
    let args = CliArgs::read(terminal)?;

    // lives to the end: its last lines are written when it is dropped
    let _log = args.start_log(terminal)?;

    mwaa_cli::run(args, terminal, serve)
}

/// Runs the gateway from its configuration to its last response.
fn serve(args: &ServeArgs, terminal: &Terminal) -> RunResult {
    let (config, inputs) = args.load(terminal)?;
    let warnings = args.warnings(&config);

    // before the first credential is in memory, and the first socket is open
    mwaa_app::harden();
    mwaa_app::raise_descriptor_limit();

    Ok(block_on(terminal, async {
        // Before the sockets: a signal ends the process at once until it is listened to, and a
        // supervisor may stop a gateway as soon as it answers.
        let signals = Signals::listen_with_hangup().map_err(StartError::Thread)?;

        let source = args.source(&config);
        let gateway = Gateway::bind(config, &inputs).await?.with_source(source);
        print_addresses(&gateway, terminal);
        gateway.start_name_lookups();
        for warning in warnings {
            terminal.info(format_args!("warning: {warning}"));
        }

        // SIGHUP reads the configuration again. The first other signal drains, a second one ends the process at once. A worker thread that
        // ends by itself ends the process too.
        Ok(signals.serve(gateway).await?)
    }))
}
