//! A thread that writes lines. A full disk, a closed pipe or a reader that has stopped reading
//! must not hold up or end a request.

use std::fmt::{self, Display};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// Takes lines and never waits. Lines that its thread cannot write are counted and dropped, and
/// the number of missing lines is written as soon as that is possible.
pub(super) struct LineWriter<H> {
    messages: SyncSender<Message>,
    losses: Arc<LossCounter<H>>,
    spares: Spares,
}

/// Large buffers whose lines are written, for the next lines.
type Spares = Arc<Mutex<Vec<Vec<u8>>>>;

/// The reaction to missing lines.
pub(super) trait LossHandler: Send + Sync + 'static {
    /// Returns the line that says how many lines are missing at its place.
    fn gap_line(&self, missing: u64) -> String;

    /// Called for each message that is lost. `is_first` is true if the line before was written.
    fn on_loss(&self, _cause: &dyn Display, _is_first: bool) {}

    /// Called when a gap line was written.
    fn on_recovery(&self, _missing: u64) {}
}

enum Message {
    /// One or more lines, their number, and a receiver of whether they were written.
    Lines(Vec<u8>, u64, Option<oneshot::Sender<bool>>),
    Flush(SyncSender<()>),
}

/// The lines that are missing since the last one that was written.
struct LossCounter<H> {
    missing: AtomicU64,
    handler: H,
}

impl<H> Clone for LineWriter<H> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            losses: Arc::clone(&self.losses),
            spares: Arc::clone(&self.spares),
        }
    }
}

impl<H> fmt::Debug for LineWriter<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineWriter")
            .field("missing", &self.losses.missing)
            .finish_non_exhaustive()
    }
}

impl<H: LossHandler> LineWriter<H> {
    /// Starts the thread. `write` writes one message. Fails if there can be no thread.
    pub(super) fn start(
        name: &str,
        write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
        handler: H,
    ) -> io::Result<Self> {
        // bounded: memory must not grow while a disk is full
        let (messages, receiver) = sync_channel(MAX_WAITING);
        let losses = Arc::new(LossCounter {
            missing: AtomicU64::new(0),
            handler,
        });

        let spares = Spares::default();
        let (counted, spent) = (Arc::clone(&losses), Arc::clone(&spares));
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&receiver, write, &counted, &spent))?;
        Ok(Self {
            messages,
            losses,
            spares,
        })
    }

    /// Sends one line to the thread. `done` gets true once the line is written.
    pub(super) fn send(&self, line: Vec<u8>, done: Option<oneshot::Sender<bool>>) {
        self.send_lines(line, 1, done);
    }

    /// Sends lines to the thread in one piece, and their number. `done` gets true once they are
    /// written.
    pub(super) fn send_lines(
        &self,
        lines: Vec<u8>,
        count: u64,
        done: Option<oneshot::Sender<bool>>,
    ) {
        match self.messages.try_send(Message::Lines(lines, count, done)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.losses.count(count, &"it is too slow"),
            Err(TrySendError::Disconnected(_)) => {
                self.losses.count(count, &"its thread has ended");
            }
        }
    }

    /// Returns an empty buffer for lines: one that was sent before, if there is one.
    pub(super) fn take_spare(&self) -> Option<Vec<u8>> {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        spares.pop()
    }

    /// Waits until all lines so far are written, or for `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, flushed) = sync_channel(1);
        // if the queue is full, the reader has stopped, and there is nothing to wait for
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            let _late = flushed.recv_timeout(limit);
        }
    }
}

fn run<H: LossHandler>(
    messages: &Receiver<Message>,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
    losses: &LossCounter<H>,
    spares: &Spares,
) {
    while let Ok(message) = messages.recv() {
        match message {
            Message::Lines(mut lines, count, done) => {
                let written = losses
                    .write_gap(&mut write)
                    .and_then(|()| write(&lines))
                    .map_err(|error| losses.count(count, &error));

                if let Some(done) = done {
                    // the command may have been given up by now
                    let _gone = done.send(written.is_ok());
                }
                if lines.capacity() >= MIN_SPARE {
                    lines.clear();
                    let mut spares = spares.lock().unwrap_or_else(PoisonError::into_inner);
                    if spares.len() < MAX_SPARES {
                        spares.push(lines);
                    }
                }
            }
            Message::Flush(done) => {
                // no line is lost if this fails
                let _still_missing = losses.write_gap(&mut write);
                let _gone = done.send(());
            }
        }
    }
}

impl<H: LossHandler> LossCounter<H> {
    fn count(&self, lines: u64, cause: &dyn Display) {
        let before = self.missing.fetch_add(lines, Ordering::Relaxed);
        self.handler.on_loss(cause, before == 0);
    }

    fn write_gap(&self, write: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let missing = self.missing.load(Ordering::Relaxed);
        if missing == 0 {
            return Ok(());
        }

        write(self.handler.gap_line(missing).as_bytes())?;

        // more may have been lost meanwhile
        self.missing.fetch_sub(missing, Ordering::Relaxed);
        self.handler.on_recovery(missing);
        Ok(())
    }
}

/// The number of messages that may wait to be written.
pub(super) const MAX_WAITING: usize = 1024;
/// The smallest buffer that is worth keeping, in bytes.
const MIN_SPARE: usize = 8 * 1024;
/// The most buffers that are kept.
const MAX_SPARES: usize = 64;
