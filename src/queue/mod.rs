//! The line in front of an environment's command slots: makes [`Seated`] of [`Permitted`].
//!
//! MWAA runs about four commands at once and answers 503 beyond that; AWS asks callers to wait
//! for the last command to finish. So they wait here, in order, bounded in number and time.

use crate::names::{Code, Entry, EntryId, Fault, code};
use crate::policy::Permitted;
use crate::runtime::Sweeper;
use crate::telemetry::Metrics;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of every queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Commands that may wait.
    pub size: usize,
    /// How long one may wait.
    pub wait: Duration,
}

/// The queues of all environments. Shared by all worker threads.
#[derive(Debug)]
pub struct Queues {
    settings: Settings,
    metrics: Arc<Metrics>,
    lines: Mutex<HashMap<EntryId, Arc<Queue>>>,
}

#[derive(Debug)]
struct Queue {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A permitted command that has a slot. The slot is free again when this is dropped.
#[derive(Debug)]
pub struct Seated {
    permitted: Permitted,
    _slot: OwnedSemaphorePermit,
}

impl Seated {
    /// The command.
    pub fn permitted(&self) -> &Permitted {
        &self.permitted
    }

    /// Its environment.
    pub fn entry(&self) -> &Arc<Entry> {
        self.permitted.entry()
    }
}

/// A command that got no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// As many wait as may.
    Full {
        /// How many that is.
        waiting: usize,
    },
    /// It waited as long as one may.
    Timeout {
        /// How long that is.
        after: Duration,
    },
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { waiting } => write!(f, "{waiting} commands are waiting already"),
            Self::Timeout { after } => {
                write!(
                    f,
                    "no slot became free within {}; nothing was sent",
                    humantime::format_duration(*after)
                )
            }
        }
    }
}

impl std::error::Error for QueueError {}

impl Fault for QueueError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Full { .. } => &code::QUEUE_FULL,
            Self::Timeout { .. } => &code::QUEUE_TIMEOUT,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        self.code().advice.into()
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(RETRY_AFTER)
    }
}

impl Queues {
    /// Makes the queues; each environment's own is made when it is first used.
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            settings,
            metrics,
            lines: Mutex::default(),
        }
    }

    /// Waits for a slot, first come, first served. A caller that goes away leaves the line.
    pub async fn enter(
        &self,
        permitted: Permitted,
        sweeper: &Sweeper,
    ) -> Result<Seated, QueueError> {
        let queue = self.queue(permitted.entry());
        if let Ok(slot) = Arc::clone(&queue.slots).try_acquire_owned() {
            return Ok(Seated {
                permitted,
                _slot: slot,
            });
        }
        let place = queue.line_up(self.settings.size).ok_or(QueueError::Full {
            waiting: self.settings.size,
        })?;
        let _gauge = self.metrics.waiting(permitted.entry());
        let timeout = QueueError::Timeout {
            after: self.settings.wait,
        };
        let slot = sweeper
            .within(self.settings.wait, Arc::clone(&queue.slots).acquire_owned())
            .await
            .map_err(|_elapsed| timeout)?
            .map_err(|_never_closed| timeout)?;
        drop(place);
        Ok(Seated {
            permitted,
            _slot: slot,
        })
    }

    /// How many commands wait for this environment.
    pub fn depth(&self, entry: &Entry) -> usize {
        self.queue(entry).waiting.load(Ordering::Relaxed)
    }

    /// How many commands run at this environment.
    pub fn running(&self, entry: &Entry) -> usize {
        let free = self.queue(entry).slots.available_permits();
        entry
            .environment
            .cli_concurrency
            .max(1)
            .saturating_sub(free)
    }

    fn queue(&self, entry: &Entry) -> Arc<Queue> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = lines.entry(entry.id).or_insert_with(|| {
            let slots = Arc::new(Semaphore::new(entry.environment.cli_concurrency.max(1)));
            Arc::new(Queue {
                slots,
                waiting: AtomicUsize::new(0),
            })
        });
        Arc::clone(queue)
    }
}

impl Queue {
    fn line_up(&self, size: usize) -> Option<Place<'_>> {
        self.waiting
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < size).then_some(waiting + 1)
            })
            .ok()
            .map(|_| Place(&self.waiting))
    }
}

/// A place in the line.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Commands take one to a few seconds.
const RETRY_AFTER: Duration = Duration::from_secs(5);
