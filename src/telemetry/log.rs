//! The log: one event per line on stderr, as text for people or as JSON for programs.

use super::access;
use super::line_writer::{LineWriter, LossHandler};
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, reload};

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

/// A filter that the running log does not take.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It names events of a library, which may print headers.
    #[error("a running gateway takes only levels of its own events")]
    Foreign,
    /// It cannot be parsed.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// The process ends.
    #[error("the log has ended")]
    Ended(#[from] reload::Error),
}

/// A handle to the running log. Clones share it.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    writer: LogWriter,
    format: Format,
    has_colour: bool,
    targets: reload::Handle<Targets, Registry>,
    /// The filter as it was written.
    filter: Mutex<String>,
    /// True if the filter shows access lines.
    shows_access: AtomicBool,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("format", &self.0.format)
            .field("filter", &self.filter())
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Returns the log of the process, if it was started.
    pub fn current() -> Option<Self> {
        CURRENT.get().cloned()
    }

    /// Returns the filter.
    pub fn filter(&self) -> String {
        let filter = self.0.filter.lock();
        filter.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the filter, in the syntax of [`init`], until the process ends. It may set the levels of
    /// our own events only: at trace level the HTTP and AWS crates print headers with tokens.
    pub fn set_filter(&self, filter: &str) -> Result<(), FilterError> {
        let filter = filter.trim();
        let targets = parse_filter(filter)?;
        let is_own = targets.default_level() == Some(LevelFilter::OFF)
            && targets
                .iter()
                .all(|(target, _)| target.starts_with(OWN_CRATES));
        if !is_own {
            return Err(FilterError::Foreign);
        }

        let shows_access = shows_access(&targets);
        let mut shown = self.0.filter.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.targets.reload(targets)?;
        self.0.shows_access.store(shows_access, Ordering::Relaxed);
        filter.clone_into(&mut shown);
        Ok(())
    }

    /// Returns true if the filter shows access lines.
    pub(super) fn shows_access(&self) -> bool {
        self.0.shows_access.load(Ordering::Relaxed)
    }

    /// Returns the form of its lines, and true if they have colours.
    pub(super) fn style(&self) -> (Format, bool) {
        (self.0.format, self.0.has_colour)
    }

    pub(super) fn writer(&self) -> &LogWriter {
        &self.0.writer
    }
}

/// Starts the log. `filter` is in the syntax of `tracing-subscriber`'s `Targets`, for example `info`
/// or `hyper=warn,mwaa_gateway=debug`. Fails if it cannot be parsed.
///
/// The HTTP and AWS crates are silent unless the filter names them: at trace level they print
/// headers.
pub fn init(filter: &str, format: Format, colour: bool) -> Result<LogGuard, LogError> {
    let targets = parse_filter(filter).map_err(LogError::Filter)?;
    let writer = LogWriter::stderr().map_err(LogError::Writer)?;
    let (dispatch, log) = make_log(filter, targets, format, colour, writer.clone());

    // a second start in the same process (tests) keeps the first subscriber
    if tracing::dispatcher::set_global_default(dispatch).is_ok() {
        let _first = CURRENT.set(log);
    }
    Ok(LogGuard(writer))
}

fn make_log(
    filter: &str,
    targets: Targets,
    format: Format,
    has_colour: bool,
    writer: LogWriter,
) -> (Dispatch, Log) {
    let shows_access = AtomicBool::new(shows_access(&targets));
    let (targets, handle) = reload::Layer::new(targets);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer.clone())
        // the library would write them to stderr, and panic if that fails
        .log_internal_errors(false)
        // a span is shown with its events only
        .with_span_events(FmtSpan::NONE)
        // the names of modules mean nothing to users
        .with_target(false);

    // directly on the registry: its highest level switches events off before any filter is asked
    let registry = tracing_subscriber::registry().with(targets);
    let dispatch = match format {
        // the list of spans has the current one too
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            registry.with(lines).into()
        }
        Format::Text => registry.with(lines.with_ansi(has_colour)).into(),
    };
    let log = Log(Arc::new(Inner {
        writer,
        format,
        has_colour,
        targets: handle,
        filter: Mutex::new(filter.to_owned()),
        shows_access,
    }));
    (dispatch, log)
}

fn shows_access(targets: &Targets) -> bool {
    targets.would_enable(ACCESS, &Level::INFO)
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

/// Users name the program, whose events come from many crates. The access lines have its own name.
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
/// The name of the access lines in a filter.
const ACCESS: &str = "mwaa_gateway::access";
/// The log of the process.
static CURRENT: OnceLock<Log> = OnceLock::new();
/// The time that the end of the program waits for a slow reader of the last lines.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Writes log lines on a thread of its own.
#[derive(Debug, Clone)]
pub(super) struct LogWriter(LineWriter<LogLossHandler>);

#[derive(Debug)]
pub(super) struct LogLossHandler;

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

    /// Sends lines in one piece, and their number.
    pub(super) fn send(&self, lines: Vec<u8>, count: u64) {
        self.0.send_lines(lines, count, None);
    }

    /// Returns an empty buffer for lines, which was sent before, if there is one.
    pub(super) fn take_spare(&self) -> Option<Vec<u8>> {
        self.0.take_spare()
    }
}

/// The subscriber writes each event in one piece.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // the access lines of this thread are older
        access::flush();
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
        let targets = parse_filter(filter).unwrap();
        let (dispatch, log) = make_log(filter, targets, format, false, writer.clone());
        tracing::dispatcher::with_default(&dispatch, emit);
        drop((dispatch, log, LogGuard(writer)));
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
            (
                "mwaa_gateway::access=off",
                "off,mwaa=info,mwaa_gateway::access=off",
            ),
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
    fn the_filter_of_a_running_log_can_be_set() {
        let (near, far) = UnixStream::pair().unwrap();
        let writer = LogWriter::start(near).unwrap();
        let targets = parse_filter("info").unwrap();
        let (dispatch, log) = make_log("info", targets, Format::Text, false, writer.clone());
        tracing::dispatcher::with_default(&dispatch, || {
            let emit = |number| tracing::event!(target: "mwaa_x", Level::DEBUG, number);
            emit(1);
            assert!(log.shows_access());
            log.set_filter(" debug,mwaa_gateway::access=off\n")
                .unwrap_err();
            log.set_filter("mwaa_gateway=debug,mwaa_gateway::access=off\n")
                .unwrap();
            emit(2);
            assert_eq!(log.filter(), "mwaa_gateway=debug,mwaa_gateway::access=off");
            assert!(!log.shows_access());
            log.set_filter("warn").unwrap();
            emit(3);
            assert!(!log.shows_access());

            for foreign in ["hyper=trace", "info,aws_sdk=debug", "trace,mwaa=info"] {
                let error = log.set_filter(foreign).unwrap_err();
                assert!(matches!(error, FilterError::Foreign), "{foreign}");
            }
            assert!(matches!(
                log.set_filter("x=y=z"),
                Err(FilterError::Malformed(_))
            ));
            assert_eq!(log.filter(), "warn");
        });
        drop((dispatch, log, LogGuard(writer)));
        let read = io::read_to_string(far).unwrap();
        assert!(
            read.contains("number=2") && !read.contains("number=1"),
            "{read}"
        );
        assert!(!read.contains("number=3"), "{read}");
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
