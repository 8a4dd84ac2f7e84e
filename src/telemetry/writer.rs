//! Brings log lines to stderr on a thread of their own: a disk that is full, a pipe that is closed
//! or a reader that has stopped reading must not hold up or end a request.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// Takes lines and never waits: what its thread can't write in time is counted and dropped.
#[derive(Debug, Clone)]
pub(super) struct LogWriter {
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to stderr.
    pub(super) fn stderr() -> io::Result<Self> {
        // a descriptor of our own: the lock of the standard library's would be held by a
        // write that hangs, and then nobody else could say anything
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::start(stderr)
    }

    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (messages, receiver) = sync_channel(MOST_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&receiver, out, &counted))?;
        Ok(Self { messages, lost })
    }

    /// Returns when all lines so far are written, or after `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, flushed) = sync_channel(1);
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            // who does not read by then gets no more
            let _late = flushed.recv_timeout(limit);
        }
    }
}

fn write(messages: &Receiver<Message>, mut out: impl Write, lost: &AtomicU64) {
    while let Ok(message) = messages.recv() {
        // there is no place left to tell of an error of the log itself
        match message {
            Message::Line(line) => drop(out.write_all(&line)),
            Message::Flush(done) => drop(done.send(())),
        }
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            drop(writeln!(
                out,
                "{missing} log lines are missing here: they came faster than they were read"
            ));
        }
    }
}

/// The subscriber writes each event in one piece.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self
            .messages
            .try_send(Message::Line(line.to_vec()))
            .is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
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

/// Lines that may wait to be written.
const MOST_WAITING: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn lines_come_in_order_and_a_flush_waits_for_them() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut log = LogWriter::start(near).unwrap();
        for number in 0..100 {
            writeln!(log, "{number}").unwrap();
        }
        log.flush(Duration::from_mins(1));
        drop(log);
        let read = io::read_to_string(far).unwrap();
        let numbers: Vec<u32> = read.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_that_stopped_holds_nobody_up_and_is_told_what_is_missing() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut log = LogWriter::start(near).unwrap();
        let line = [b'x'; 1024];
        for _ in 0..10 * MOST_WAITING {
            log.write_all(&line).unwrap();
        }
        log.flush(Duration::ZERO);
        drop(log);
        let read = io::read_to_string(far).unwrap();
        assert!(
            read.contains("log lines are missing here"),
            "{}",
            read.len()
        );
    }

    #[test]
    fn a_stream_that_refuses_is_no_error() {
        let (reader, refusing) = io::pipe().unwrap();
        drop(reader);
        let mut log = LogWriter::start(refusing).unwrap();
        log.write_all(b"x\n").unwrap();
        log.flush(Duration::from_mins(1));
    }
}
