//! The access log: one line for each request, at level info, between the other lines of the log.
//!
//! A line costs little: it is written by hand into a buffer of its thread, which is passed to the
//! log's thread when it is full, when another line of this thread is logged, and after 100 ms.

mod format;

pub use format::AccessLine;

use super::log::{Format, Log, LogWriter};
use format::LastParts;
use mwaa_runtime::{CoarseTimer, Deadline, LocalTasks, boot_clock};
use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

/// The access log of one worker thread.
#[derive(Clone, Default)]
pub struct AccessLog(Option<Rc<Inner>>);

struct Inner {
    log: Log,
    /// The time at which the lines of the buffer must go.
    deadline: Deadline,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("is_on", &self.is_on())
            .finish()
    }
}

impl AccessLog {
    /// Starts the access log of this thread: its lines go to `log`.
    pub fn start(log: Log, timer: &CoarseTimer, tasks: &LocalTasks) -> Self {
        let inner = Rc::new(Inner {
            log,
            deadline: timer.deadline(),
        });

        let waiting = Rc::clone(&inner);
        tasks.spawn_unwatched(tracing::Span::none(), async move {
            loop {
                (&waiting.deadline).await;
                flush();
                waiting.deadline.disarm();
            }
        });
        Self(Some(inner))
    }

    /// Returns true if lines are written: the filter of the log may leave them out.
    pub fn is_on(&self) -> bool {
        let inner = self.0.as_ref();
        inner.is_some_and(|inner| inner.log.shows_access())
    }

    /// Writes the line of a request that has ended.
    pub fn write(&self, line: &AccessLine<'_>) {
        let Some(inner) = &self.0 else { return };
        let now = line.ended.boot();

        // a thread that ends has no buffer any more
        let _gone = BUFFER.try_with(|buffer| {
            let buffer = &mut *buffer.borrow_mut();
            let is_first = buffer.lines == 0;
            let (text, last) = (&mut buffer.text, &mut buffer.last);
            match inner.log.style() {
                (Format::Json, _) => format::add_json(text, line, last),
                (Format::Text, has_colour) => format::add_text(text, line, has_colour, last),
            }
            buffer.lines += 1;

            // a single line is not delayed
            let is_due = now.saturating_sub(buffer.flushed) >= LONGEST_DELAY;
            if is_due || buffer.text.len() >= FULL {
                buffer.flushed = now;
                buffer.flush(inner.log.writer());
            } else if is_first {
                buffer.writer = Some(inner.log.writer().clone());
                inner.deadline.arm(LONGEST_DELAY);
            }
        });
    }
}

/// Passes the lines of this thread's buffer to the log's thread. A thread calls it before it ends.
pub fn flush() {
    let _gone = BUFFER.try_with(|buffer| {
        let mut buffer = buffer.borrow_mut();
        if let Some(writer) = buffer.writer.take() {
            buffer.flushed = boot_clock();
            buffer.flush(&writer);
        }
    });
}

/// The lines of a thread that are not yet with the log's thread.
struct Buffer {
    text: Vec<u8>,
    lines: u64,
    last: LastParts,
    /// Set while there are lines.
    writer: Option<LogWriter>,
    /// The boot clock at the last flush.
    flushed: Duration,
}

impl Buffer {
    fn flush(&mut self, writer: &LogWriter) {
        if self.lines > 0 {
            let spare = writer.take_spare();
            let spare = spare.unwrap_or_else(|| Vec::with_capacity(FULL + USUAL_LINE));
            writer.send(mem::replace(&mut self.text, spare), self.lines);
        }
        self.lines = 0;
        self.writer = None;
    }
}

thread_local! {
    static BUFFER: RefCell<Buffer> = const {
        RefCell::new(Buffer {
            text: Vec::new(),
            lines: 0,
            last: LastParts::new(),
            writer: None,
            flushed: Duration::ZERO,
        })
    };
}

/// The longest time that a line stays in the buffer.
const LONGEST_DELAY: Duration = Duration::from_millis(100);
/// The size at which the buffer goes to the log's thread, in bytes.
const FULL: usize = 16 * 1024;
/// The room for the line that fills the buffer, in bytes.
const USUAL_LINE: usize = 1024;

#[cfg(test)]
mod tests;
