//! The subscriber: one event a line on stderr, text for people or JSON for machines.

use super::writer::LogWriter;
use std::fmt;
use std::io;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::FmtSpan;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Text.
    #[default]
    Text,
}

/// The running log; when it is dropped the last lines are written.
#[derive(Debug)]
pub struct Log(LogWriter);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES);
    }
}

/// Logging could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The filter can't be read.
    Filter(ParseError),
    /// There is no thread or no descriptor for it.
    Writer(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(error) => error.fmt(f),
            Self::Writer(_) => f.write_str("cannot start the log"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Filter(error) => error.source(),
            Self::Writer(error) => Some(error),
        }
    }
}

/// Starts logging. `filter` is in the syntax of `tracing-subscriber`'s `EnvFilter`, for example
/// `info` or `mwaa_gateway=debug`; a filter that can't be read is an error.
///
/// The HTTP and AWS crates are kept quiet unless named: at trace level they print headers.
pub fn init(filter: &str, format: Format, colour: bool) -> Result<Log, StartError> {
    let filter = EnvFilter::builder()
        .parse(format!("off,{CRATE}=info,{}", own(filter)))
        .map_err(StartError::Filter)?;
    let writer = LogWriter::stderr().map_err(StartError::Writer)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer.clone())
        // the library would tell of them on stderr, and panic when that fails
        .log_internal_errors(false)
        .with_span_events(FmtSpan::NONE)
        .with_target(false);
    // a second start in the same process (tests) keeps the first subscriber
    let _first_wins = match format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Text => builder.with_ansi(colour).try_init(),
    };
    Ok(Log(writer))
}

/// A bare level means our own.
fn own(filter: &str) -> String {
    let is_level = matches!(
        filter.to_ascii_lowercase().as_str(),
        "off" | "error" | "warn" | "info" | "debug" | "trace"
    );
    if is_level {
        format!("{CRATE}={filter}")
    } else {
        filter.to_owned()
    }
}

/// The crate whose events are shown by default.
const CRATE: &str = "mwaa_gateway";
/// How long the end of the program waits for a slow reader of its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);
