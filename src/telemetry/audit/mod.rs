//! The audit log: one JSON line for each command that was asked for, whatever became of it.
//!
//! Lines are written by a thread of their own, so that a slow disk holds up no request. What
//! can't be written is counted, told in the log, and noted in the audit log itself when it
//! works again.

mod file;
mod record;
mod writer;

pub use record::Record;

use super::Metrics;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use writer::Writer;

/// What is written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file, or `/dev/stdout` or `/dev/stderr`.
    pub file: PathBuf,
    /// Whether arguments are written: they carry secrets.
    pub arguments: bool,
    /// Whether a command runs only if the log holds it already.
    pub required: bool,
}

/// The audit log, shared by all threads.
#[derive(Debug)]
pub struct Audit {
    writer: Writer,
    arguments: bool,
    required: bool,
}

/// The audit log can't be used.
#[derive(Debug)]
pub struct AuditError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot write the audit log {}: {}",
            self.file.display(),
            self.source
        )
    }
}

impl std::error::Error for AuditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Audit {
    /// Opens the file, mode 0600 if it is new, and starts the thread that writes to it.
    pub fn start(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, AuditError> {
        let fault = |source| AuditError {
            file: settings.file.clone(),
            source,
        };
        let sink = file::Sink::open(&settings.file).map_err(fault)?;
        Ok(Self {
            writer: Writer::start(sink, metrics).map_err(fault)?,
            arguments: settings.arguments,
            required: settings.required,
        })
    }

    /// Whether arguments are to be put into records.
    pub fn wants_arguments(&self) -> bool {
        self.arguments
    }

    /// Whether a command runs only after [`accepted`](Self::accepted) has worked.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Writes that a command has passed and is about to run. True once it is written.
    pub fn accepted(&self, record: &Record) -> impl Future<Output = bool> + use<> {
        let (done, written) = tokio::sync::oneshot::channel();
        self.writer.put(record.line("accepted"), Some(done));
        async move { written.await.unwrap_or(false) }
    }

    /// Writes what became of a command. Never waits.
    pub fn ended(&self, record: &Record) {
        self.writer.put(record.line("ended"), None);
    }

    /// Returns when all records so far are written, or after `limit`.
    pub fn flush(&self, limit: Duration) {
        self.writer.flush(limit);
    }
}

/// Why a file can't be the audit log, if it can't: for `check`, which must not make it.
pub fn complaint(file: &Path) -> Option<io::Error> {
    file::probe(file).err()
}
