//! The thread that writes the audit log, and what happens when it can't.

use super::file::Sink;
use super::record::time;
use crate::runtime::Moment;
use crate::telemetry::Metrics;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// Takes lines and never waits.
#[derive(Debug)]
pub(super) struct Writer {
    messages: SyncSender<Message>,
    loss: Arc<Loss>,
}

enum Message {
    Line(Vec<u8>, Option<oneshot::Sender<bool>>),
    Flush(SyncSender<()>),
}

/// What is missing in the log.
#[derive(Debug)]
struct Loss {
    /// Lines that are missing since the last one that was written.
    missing: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Loss {
    /// Counts one. The first of a row is told.
    fn count(&self, why: &dyn std::fmt::Display) {
        self.metrics.audit_lost();
        if self.missing.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(%why, "the audit log can't be written: commands are not on record");
        }
    }
}

impl Writer {
    pub(super) fn start(sink: Sink, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (messages, receiver) = sync_channel(MOST_WAITING);
        let loss = Arc::new(Loss {
            missing: AtomicU64::new(0),
            metrics,
        });
        let counted = Arc::clone(&loss);
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write(&receiver, sink, &counted))?;
        Ok(Self { messages, loss })
    }

    /// Hands one line over. `done` is told whether it was written.
    pub(super) fn put(&self, line: Vec<u8>, done: Option<oneshot::Sender<bool>>) {
        match self.messages.try_send(Message::Line(line, done)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.loss.count(&"it is too slow"),
            Err(TrySendError::Disconnected(_)) => self.loss.count(&"its thread has ended"),
        }
    }

    /// Returns when all lines so far are written, or after `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, flushed) = sync_channel(1);
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            let _late = flushed.recv_timeout(limit);
        }
    }
}

fn write(messages: &Receiver<Message>, mut sink: Sink, loss: &Loss) {
    while let Ok(message) = messages.recv() {
        match message {
            Message::Line(line, done) => {
                let written = tell_gap(&mut sink, loss).and_then(|()| sink.append(&line));
                if let Err(error) = &written {
                    loss.count(error);
                }
                if let Some(done) = done {
                    // the command may have been given up by now
                    let _gone = done.send(written.is_ok());
                }
            }
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

/// The log works again: it says itself what is missing.
fn tell_gap(sink: &mut Sink, loss: &Loss) -> io::Result<()> {
    let missing = loss.missing.load(Ordering::Relaxed);
    if missing == 0 {
        return Ok(());
    }
    let time = time(Moment::now());
    let line = format!("{{\"event\":\"lost\",\"time\":\"{time}\",\"lines\":{missing}}}\n");
    sink.append(line.as_bytes())?;
    loss.missing.fetch_sub(missing, Ordering::Relaxed);
    tracing::warn!(missing, "the audit log works again; lines are missing");
    Ok(())
}

/// Lines that may wait to be written.
const MOST_WAITING: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn lost(metrics: &Metrics) -> String {
        let text = metrics.text(&[]);
        let line = text
            .lines()
            .find(|line| line.starts_with("mwaa_gateway_audit_lost_total"));
        line.unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_file_that_takes_nothing_is_counted_and_told_to_who_waits() {
        let metrics = Arc::new(Metrics::default());
        let (reader, refusing) = io::pipe().unwrap();
        drop(reader);
        let refusing = File::from(OwnedFd::from(refusing));
        let writer = Writer::start(Sink::stream(refusing), Arc::clone(&metrics)).unwrap();
        let (done, written) = oneshot::channel();
        writer.put(b"1\n".to_vec(), None);
        writer.put(b"2\n".to_vec(), Some(done));
        assert_eq!(written.await, Ok(false));
        assert_eq!(lost(&metrics), "mwaa_gateway_audit_lost_total 2");
    }

    #[test]
    fn a_reader_that_stopped_holds_nobody_up() {
        let metrics = Arc::new(Metrics::default());
        let (near, far) = UnixStream::pair().unwrap();
        let sink = Sink::stream(File::from(OwnedFd::from(near)));
        let writer = Writer::start(sink, Arc::clone(&metrics)).unwrap();
        let line = [b'x'; 1024];
        for _ in 0..10 * MOST_WAITING {
            writer.put(line.to_vec(), None);
        }
        assert_ne!(lost(&metrics), "mwaa_gateway_audit_lost_total 0");
        drop((writer, far));
    }

    #[test]
    fn a_gap_is_told_in_the_log_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/audit.log");
        fs::create_dir(folder.path().join("logs")).unwrap();
        let metrics = Arc::new(Metrics::default());
        let writer = Writer::start(Sink::open(&path).unwrap(), Arc::clone(&metrics)).unwrap();
        fs::remove_dir_all(folder.path().join("logs")).unwrap();
        writer.put(b"1\n".to_vec(), None);
        writer.put(b"2\n".to_vec(), None);
        writer.flush(Duration::from_mins(1));
        assert_eq!(lost(&metrics), "mwaa_gateway_audit_lost_total 2");
        fs::create_dir(folder.path().join("logs")).unwrap();
        writer.put(b"3\n".to_vec(), None);
        writer.flush(Duration::from_mins(1));
        let log = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = log.lines().collect();
        assert!(
            matches!(lines.as_slice(), [gap, "3"] if gap.contains("\"lines\":2")),
            "{log}"
        );
    }
}
