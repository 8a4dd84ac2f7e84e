//! The logging options.

use super::terminal::Terminal;
use crate::config::env;
use crate::telemetry::{self, Format, Log, StartError};
use clap::{Args, ValueEnum};

/// What to log, and how.
#[derive(Debug, Args)]
pub(super) struct Logging {
    /// What to log to stderr: `off`, `error`, `warn`, `info`, `debug`, `trace`, or a filter such
    /// as `mwaa_gateway=debug` [default: info; for `airflow` and with --quiet: error]
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = env::LOG,
        hide_short_help = true,
        help_heading = "Logging"
    )]
    log: Option<String>,
    /// How log lines look
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_short_help = true,
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

/// Starts logging; `usual` is the filter where none is given.
pub(super) fn start(
    logging: &Logging,
    usual: &str,
    terminal: &Terminal,
) -> Result<Log, StartError> {
    let format = match logging.log_format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    let filter = logging.log.as_deref().unwrap_or(usual);
    telemetry::init(filter, format, terminal.colours_talk())
}
