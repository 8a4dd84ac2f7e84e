//! `tunnel-guard`, which only the gateway runs: starts a tunnel's program and ends it when the
//! gateway is gone.

use super::Exit;
use super::signals::Signals;
use super::terminal::Terminal;
use crate::egress::Guard;
use clap::Args;

/// The options of `tunnel-guard`.
#[derive(Args)]
pub(super) struct Options {
    /// Become the program, whose stdin and stdout are the connection
    #[arg(long = "become")]
    becomes: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    if options.becomes {
        terminal.tell(Guard::become_program(&options.command));
        return Exit::Other(Guard::NO_PROGRAM);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return terminal.fail(Exit::Failed, &error, None),
    };
    runtime.block_on(async {
        // listened to and not followed: the program ends with the gateway, and not before what
        // the gateway still answers
        let _ignored = Signals::listen();
        match Guard::start(&options.command) {
            Ok(guard) => Exit::Other(guard.watch().await),
            Err(error) => {
                terminal.tell(&error);
                Exit::Other(Guard::NO_PROGRAM)
            }
        }
    })
}
