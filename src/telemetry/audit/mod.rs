//! The audit log: one JSON line for each command that was requested, whatever its outcome, and one for
//! each token of AWS's that a client gets.
//!
//! A thread writes the lines, so a slow disk holds up no request. Lines that cannot be written are
//! counted, reported in the log, and recorded in the audit log itself once it works again.

mod file;
mod record;

pub use record::{Record, TokenKind};

use super::Metrics;
use super::line_writer::{LineWriter, LossHandler};
use file::AuditFile;
use mwaa_model::FileError;
use mwaa_runtime::Timestamp;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The settings of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file, or `/dev/stdout` or `/dev/stderr`.
    pub file: PathBuf,
    /// True if arguments are written: they carry secrets.
    pub arguments: bool,
    /// True if a command may run only after the log has it.
    pub required: bool,
}

/// The audit log, shared by all threads.
#[derive(Debug)]
pub struct Audit {
    writer: Arc<LineWriter<AuditLossHandler>>,
    settings: Settings,
}

impl Audit {
    /// Opens the file, with mode 0600 if it is new, and starts the thread that writes to it.
    pub fn start(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, FileError> {
        let with_file = |error: io::Error| FileError::new(&settings.file, error);
        // now, so that a wrong path ends the start and not the first command
        let file = AuditFile::open(&settings.file).map_err(with_file)?;

        Ok(Self {
            writer: Arc::new(start_writer(file, metrics).map_err(with_file)?),
            settings: settings.clone(),
        })
    }

    /// Returns the log with other settings, which write to the same file; `None` if they name
    /// another one.
    pub fn with_settings(&self, settings: &Settings) -> Option<Self> {
        (self.settings.file == settings.file).then(|| Self {
            writer: Arc::clone(&self.writer),
            settings: settings.clone(),
        })
    }

    /// Returns true if records shall have the arguments of commands.
    pub fn has_arguments(&self) -> bool {
        self.settings.arguments
    }

    /// Returns true if a command may run only after [`write_accepted`](Self::write_accepted) has
    /// returned true.
    pub fn is_required(&self) -> bool {
        self.settings.required
    }

    /// Writes that a command is allowed and is about to run. The future returns true once the
    /// line is written.
    pub fn write_accepted(&self, record: &Record) -> impl Future<Output = bool> + use<> {
        self.write(record, "accepted")
    }

    /// Writes that a client gets a token of AWS's. The future returns true once the line is written.
    pub fn write_token(&self, record: &Record) -> impl Future<Output = bool> + use<> {
        self.write(record, "token")
    }

    fn write(
        &self,
        record: &Record,
        event: &'static str,
    ) -> impl Future<Output = bool> + use<> {
        let (done, written) = oneshot::channel();
        self.writer.send(record.to_line(event), Some(done));
        // a sender that was dropped has not written
        async move { written.await.unwrap_or(false) }
    }

    /// Writes the outcome of a command. Never waits.
    pub fn write_ended(&self, record: &Record) {
        self.writer.send(record.to_line("ended"), None);
    }

    /// Waits until all records so far are written, or for `limit`.
    pub fn flush(&self, limit: Duration) {
        self.writer.flush(limit);
    }
}

/// Checks that the file can be the audit log, without creating it.
pub fn check_file(file: &Path) -> io::Result<()> {
    file::check(file)
}

fn start_writer(
    mut file: AuditFile,
    metrics: Arc<Metrics>,
) -> io::Result<LineWriter<AuditLossHandler>> {
    let handler = AuditLossHandler { metrics };
    LineWriter::start("audit", move |line| file.append(line), handler)
}

#[derive(Debug)]
struct AuditLossHandler {
    metrics: Arc<Metrics>,
}

impl LossHandler for AuditLossHandler {
    fn gap_line(&self, missing: u64) -> String {
        let time = record::format_time(Timestamp::now());
        format!("{{\"event\":\"lost\",\"time\":\"{time}\",\"lines\":{missing}}}\n")
    }

    fn on_loss(&self, cause: &dyn Display, is_first: bool) {
        self.metrics.count_audit_loss();
        // one message for a row of them: a full disk would fill the log as well
        if is_first {
            tracing::error!(why = %cause, "the audit log cannot be written: commands are not logged");
        }
    }

    fn on_recovery(&self, missing: u64) {
        tracing::warn!(
            missing,
            "the audit log can be written again; lines are missing"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::line_writer::MAX_WAITING;
    use super::super::{GatewaySnapshot, MetricsFormat};
    use super::*;
    use std::fs::{self, File};
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn lost(metrics: &Metrics) -> String {
        let text = metrics.render(&GatewaySnapshot::default(), MetricsFormat::OpenMetrics);
        let line = text
            .lines()
            .find(|line| line.starts_with("mwaa_gateway_audit_lines_lost_total"));
        line.unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_failed_write_is_counted_and_reported() {
        let metrics = Arc::new(Metrics::default());
        // shut down, not only closed at its other end: a process that another test starts may hold
        // a copy of that for a moment
        let (refusing, _other) = UnixStream::pair().unwrap();
        refusing.shutdown(Shutdown::Write).unwrap();
        let refusing = File::from(OwnedFd::from(refusing));
        let writer = start_writer(AuditFile::stream(refusing), Arc::clone(&metrics)).unwrap();
        let (done, written) = oneshot::channel();
        writer.send(b"1\n".to_vec(), None);
        writer.send(b"2\n".to_vec(), Some(done));
        assert_eq!(written.await, Ok(false));
        assert_eq!(lost(&metrics), "mwaa_gateway_audit_lines_lost_total 2");
    }

    #[test]
    fn a_stopped_reader_does_not_block_the_sender() {
        let metrics = Arc::new(Metrics::default());
        let (near, far) = UnixStream::pair().unwrap();
        let file = AuditFile::stream(File::from(OwnedFd::from(near)));
        let writer = start_writer(file, Arc::clone(&metrics)).unwrap();
        let line = [b'x'; 1024];
        for _ in 0..10 * MAX_WAITING {
            writer.send(line.to_vec(), None);
        }
        assert_ne!(lost(&metrics), "mwaa_gateway_audit_lines_lost_total 0");
        drop((writer, far));
    }

    #[test]
    fn a_gap_is_recorded_in_the_log_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/audit.log");
        fs::create_dir(folder.path().join("logs")).unwrap();
        let metrics = Arc::new(Metrics::default());
        let writer =
            start_writer(AuditFile::open(&path).unwrap(), Arc::clone(&metrics)).unwrap();
        fs::remove_dir_all(folder.path().join("logs")).unwrap();
        writer.send(b"1\n".to_vec(), None);
        writer.send(b"2\n".to_vec(), None);
        writer.flush(Duration::from_mins(1));
        assert_eq!(lost(&metrics), "mwaa_gateway_audit_lines_lost_total 2");
        fs::create_dir(folder.path().join("logs")).unwrap();
        writer.send(b"3\n".to_vec(), None);
        writer.flush(Duration::from_mins(1));
        let log = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = log.lines().collect();
        assert!(
            matches!(lines.as_slice(), [gap, "3"] if gap.contains("\"lines\":2")),
            "{log}"
        );
    }
}
