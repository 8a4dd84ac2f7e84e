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
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return terminal.fail(Exit::Failed, &error, None),
    };
    runtime.block_on(async {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => return terminal.fail(Exit::Failed, &error, None),
        };
        match Guard::start(&options.command) {
            Ok(guard) => {
                let stop = async {
                    let _number = signals.next().await;
                };
                Exit::Other(guard.watch(stop).await)
            }
            Err(error) => {
                terminal.say(&error);
                Exit::Other(Guard::NO_PROGRAM)
            }
        }
    })
}
