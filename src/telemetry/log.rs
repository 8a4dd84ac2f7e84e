//! The subscriber: one event a line on stderr, text for people or JSON for machines.

use tracing_subscriber::EnvFilter;
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

/// Starts logging. `filter` is in the syntax of `tracing-subscriber`'s `EnvFilter`, for example
/// `info` or `mwaa_gateway=debug`; a filter that can't be read is an error.
///
/// The HTTP and AWS crates are kept quiet unless named: at trace level they print headers.
pub fn init(
    filter: &str,
    format: Format,
    colour: bool,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(format!("off,{CRATE}=info,{}", own(filter)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE)
        .with_target(false);
    // a second start in the same process (tests) keeps the first subscriber
    let _first_wins = match format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Text => builder.with_ansi(colour).try_init(),
    };
    Ok(())
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
