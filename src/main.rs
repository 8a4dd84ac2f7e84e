//! The front door: parse, run, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    mwaa_gateway::cli::run().into()
}
