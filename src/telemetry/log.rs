//! The log: one event per line on stderr, as text for people or as JSON for programs.

use super::line_writer::{LineWriter, LossHandler};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::time::Duration;
use tracing::Dispatch;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text.
    #[default]
    Text,
}

/// The running log. When it is dropped the last lines are written.
#[derive(Debug)]
pub struct LogGuard(LogWriter);

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.0.flush(FLUSH_LIMIT);
    }
}

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be parsed.
    #[error(transparent)]
    Filter(ParseError),
    /// There is no thread or no descriptor for it.
    #[error("cannot start the log")]
    Writer(#[source] io::Error),
}

/// Starts the log. `filter` is in the syntax of `tracing-subscriber`'s `Targets`, for example `info`
/// or `hyper=warn,mwaa_gateway=debug`. Fails if it cannot be parsed.
///
/// The HTTP and AWS crates are silent unless the filter names them: at trace level they print
/// headers.
pub fn init(filter: &str, format: Format, colour: bool) -> Result<LogGuard, LogError> {
    let filter = parse_filter(filter).map_err(LogError::Filter)?;
    let writer = LogWriter::stderr().map_err(LogError::Writer)?;
    let dispatch = make_dispatch(filter, format, colour, writer.clone());

    // a second start in the same process (tests) keeps the first subscriber
    let _first_wins = tracing::dispatcher::set_global_default(dispatch);
    Ok(LogGuard(writer))
}

fn make_dispatch<W>(filter: Targets, format: Format, colour: bool, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // the filter alone would do, but this level switches events off before it is asked
    let levels = filter.iter().map(|(_, level)| level);
    let max_level = levels.max().unwrap_or(LevelFilter::OFF);
    let builder = tracing_subscriber::fmt()
        .with_max_level(max_level)
        .with_writer(writer)
        // the library would write them to stderr, and panic if that fails
        .log_internal_errors(false)
        // a span is shown with its events only
        .with_span_events(FmtSpan::NONE)
        // the names of modules mean nothing to users
        .with_target(false);

    match format {
        // the list of spans has the current one too
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .finish()
            .with(filter)
            .into(),
        Format::Text => builder.with_ansi(colour).finish().with(filter).into(),
    }
}

fn parse_filter(filter: &str) -> Result<Targets, ParseError> {
    expand_filter(filter).parse()
}

/// Returns the directives of a filter that a user wrote: our own events only, at `info`, unless it
/// says otherwise.
fn expand_filter(filter: &str) -> String {
    let is_level = matches!(
        filter.to_ascii_lowercase().as_str(),
        "off" | "error" | "warn" | "info" | "debug" | "trace"
    );
    // a level alone would mean all crates
    let own = if is_level {
        format!("{OWN_CRATES}={filter}")
    } else {
        let directives: Vec<_> = filter.split(',').map(expand_directive).collect();
        directives.join(",")
    };
    format!("off,{OWN_CRATES}=info,{own}")
}

/// Users name the program, whose events come from many crates.
fn expand_directive(directive: &str) -> Cow<'_, str> {
    match directive.strip_prefix(PROGRAM) {
        Some(rest) if rest.is_empty() || rest.starts_with('=') => {
            format!("{OWN_CRATES}{rest}").into()
        }
        _ => directive.into(),
    }
}

/// The prefix of the names of all our crates. `Targets` compares prefixes.
const OWN_CRATES: &str = "mwaa";
/// The name of our events in a filter.
const PROGRAM: &str = "mwaa_gateway";
/// The time that the end of the program waits for a slow reader of the last lines.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Writes log lines on a thread of its own.
#[derive(Debug, Clone)]
struct LogWriter(LineWriter<LogLossHandler>);

#[derive(Debug)]
struct LogLossHandler;

impl LossHandler for LogLossHandler {
    fn gap_line(&self, missing: u64) -> String {
        format!("{missing} log lines could not be written and are missing here\n")
    }
}

impl LogWriter {
    fn stderr() -> io::Result<Self> {
        // A descriptor of our own: a write that hangs would hold the lock of the standard
        // library's, and no other thread could write to stderr.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::start(stderr)
    }

    fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        LineWriter::start("log", move |line| out.write_all(line), LogLossHandler).map(Self)
    }
}

/// The subscriber writes each event in one piece.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.send(line.to_vec(), None);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::line_writer::MAX_WAITING;
    use super::*;
    use std::os::unix::net::UnixStream;
    use tracing::{Level, debug_span};

    #[test]
    fn lines_come_in_order_and_a_flush_waits_for_them() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut log = LogWriter::start(near).unwrap();
        for number in 0..100 {
            writeln!(log, "{number}").unwrap();
        }
        log.0.flush(Duration::from_mins(1));
        drop(log);
        let read = io::read_to_string(far).unwrap();
        let numbers: Vec<u32> = read.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_stopped_reader_does_not_block_and_the_gap_is_logged() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut log = LogWriter::start(near).unwrap();
        let line = [b'x'; 1024];
        for _ in 0..10 * MAX_WAITING {
            log.write_all(&line).unwrap();
        }
        log.0.flush(Duration::ZERO);
        drop(log);
        let read = io::read_to_string(far).unwrap();
        assert!(
            read.contains("log lines could not be written"),
            "{}",
            read.len()
        );
    }

    #[test]
    fn a_closed_stream_is_not_an_error() {
        let (reader, refusing) = io::pipe().unwrap();
        drop(reader);
        let mut log = LogWriter::start(refusing).unwrap();
        log.write_all(b"x\n").unwrap();
        log.0.flush(Duration::from_mins(1));
    }

    /// Returns the log of the events of `emit`.
    fn log(filter: &str, format: Format, emit: impl FnOnce()) -> String {
        let (near, far) = UnixStream::pair().unwrap();
        let writer = LogWriter::start(near).unwrap();
        let filter = parse_filter(filter).unwrap();
        let dispatch = make_dispatch(filter, format, false, writer.clone());
        tracing::dispatcher::with_default(&dispatch, emit);
        drop((dispatch, LogGuard(writer)));
        io::read_to_string(far).unwrap()
    }

    #[test]
    fn the_program_s_name_in_a_filter_means_all_of_its_crates() {
        for (filter, expanded) in [
            ("warn", "off,mwaa=info,mwaa=warn"),
            ("mwaa_gateway", "off,mwaa=info,mwaa"),
            ("mwaa_gateway=debug", "off,mwaa=info,mwaa=debug"),
            (
                "hyper=warn,mwaa_gateway=trace",
                "off,mwaa=info,hyper=warn,mwaa=trace",
            ),
            ("mwaa_proxy=debug", "off,mwaa=info,mwaa_proxy=debug"),
            ("mwaa_gateway_x=debug", "off,mwaa=info,mwaa_gateway_x=debug"),
        ] {
            assert_eq!(expand_filter(filter), expanded);
        }
        assert!(parse_filter("x=y=z").is_err());

        let emit = || {
            tracing::event!(target: "mwaa_proxy::own", Level::DEBUG, "ours");
            tracing::event!(target: "mwaa_gateway", Level::DEBUG, "the program's");
            tracing::event!(target: "hyper", Level::ERROR, "a library's");
        };
        let shown = log("mwaa_gateway=debug", Format::Text, emit);
        assert!(shown.contains("ours") && shown.contains("the program's"));
        assert!(!shown.contains("a library's"), "{shown}");
        assert_eq!(log("info", Format::Text, emit), "");
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans() {
        let emit = || {
            let mint = debug_span!("mint", environment = "prod");
            mint.in_scope(|| {
                debug_span!("try", number = 2).in_scope(|| tracing::info!("hello"));
            });
        };
        let text = log("debug", Format::Text, emit);
        let end = "mint{environment=\"prod\"}:try{number=2}: hello\n";
        assert!(text.ends_with(end), "{text}");

        let json = log("debug", Format::Json, emit);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let spans = serde_json::json!([
            {"name": "mint", "environment": "prod"},
            {"name": "try", "number": 2},
        ]);
        assert_eq!(
            (&json["message"], &json["spans"]),
            (&"hello".into(), &spans)
        );
    }
}
