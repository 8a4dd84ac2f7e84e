//! `tunnel-guard`, which only the gateway runs: starts a tunnel's program and ends it when the
//! gateway is gone.

use crate::signals::Signals;
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use clap::Args;
use mwaa_egress::TunnelGuard;

/// The options of `tunnel-guard`.
#[derive(Args)]
pub(crate) struct TunnelGuardArgs {
    /// Become the program, whose stdin and stdout are the connection
    #[arg(long = "become")]
    becomes: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) fn run(args: &TunnelGuardArgs, terminal: &Terminal) -> RunResult {
    if args.becomes {
        // it returns only if the program could not be started
        terminal.error(TunnelGuard::exec(&args.command));
        return Ok(ExitStatus::Other(TunnelGuard::NOT_FOUND));
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| terminal.fail(ExitStatus::Failure, &error, None))?;
    runtime.block_on(async {
        // listened to and ignored: the program ends with the gateway, and not before the requests
        // that the gateway still answers
        let _ignored = Signals::listen();
        match TunnelGuard::start(&args.command) {
            Ok(guard) => Ok(ExitStatus::Other(guard.wait().await)),
            Err(error) => {
                terminal.error(&error);
                Ok(ExitStatus::Other(TunnelGuard::NOT_FOUND))
            }
        }
    })
}
