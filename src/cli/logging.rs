//! The logging options.

use super::terminal::Terminal;
use crate::config::env;
use crate::telemetry::{self, Format, Log, StartError};
use clap::{Args, ValueEnum};

/// What to log, and how.
#[derive(Debug, Args)]
pub(super) struct Logging {
    /// What to log to stderr: `off`, `error`, `warn`, `info`, `debug`, `trace`, or a filter such
    /// as `mwaa_gateway=debug`
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = env::LOG,
        default_value = "info",
        help_heading = "Logging"
    )]
    log: String,
    /// How log lines look
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        help_heading = "Logging"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One object a line
    Json,
}

pub(super) fn start(logging: &Logging, terminal: &Terminal) -> Result<Log, StartError> {
    let format = match logging.log_format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    telemetry::init(&logging.log, format, terminal.colours_talk())
}
