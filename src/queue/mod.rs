//! The line in front of an environment's command slots: makes [`Seated`] of [`Permitted`].
//!
//! MWAA runs about four commands at once and answers 503 beyond that; AWS asks callers to wait
//! for the last command to finish. So they wait here: bounded in number and time, principals
//! in turn, and each one's own commands in order.

mod environment;
mod error;
mod line;
mod run;
#[cfg(test)]
mod tests;
mod ticket;

pub use environment::{Snapshot, Standing};
pub use error::QueueError;
pub use run::Run;
pub use ticket::{Seated, Ticket};

use crate::names::{Entry, EntryId};
use crate::policy::Permitted;
use crate::telemetry::Metrics;
use environment::Queue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The limits of every queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Commands that may wait. A principal that has none waiting may go beyond, as long as
    /// fewer principals than this wait.
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

impl Queues {
    /// Makes the queues; each environment's own is made when it is first used.
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            settings,
            metrics,
            lines: Mutex::default(),
        }
    }

    /// Takes a free slot or a place in line, at once. Dropping the ticket gives up either.
    pub fn line_up(&self, permitted: Permitted) -> Result<Ticket, QueueError> {
        let queue = self.queue(permitted.entry());
        Ticket::new(&queue, permitted, self.settings.wait)
    }

    /// What runs and waits at this environment.
    pub fn snapshot(&self, entry: &Entry) -> Snapshot {
        self.queue(entry).snapshot()
    }

    fn queue(&self, entry: &Entry) -> Arc<Queue> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = lines.entry(entry.id).or_insert_with(|| {
            let slots = entry.environment.cli_concurrency;
            Queue::new(slots, self.settings.size, self.metrics.queue(entry))
        });
        Arc::clone(queue)
    }
}
