//! A command that has a slot, and the slot.

use super::environment::Queue;
use crate::names::RequestId;
use crate::runtime::uptime;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is told of a command: never its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct What {
    pub(super) id: RequestId,
    pub(super) name: &'static str,
}

/// A command that has a slot.
#[derive(Debug)]
pub struct Run {
    what: What,
    since: Duration,
    sent: AtomicBool,
    alone: AtomicBool,
}

impl Run {
    pub(super) fn begin(what: What, since: Duration) -> Arc<Self> {
        Arc::new(Self {
            what,
            since,
            sent: AtomicBool::new(false),
            alone: AtomicBool::new(false),
        })
    }

    /// The request's name.
    pub fn id(&self) -> RequestId {
        self.what.id
    }

    /// The command's name without its arguments.
    pub fn name(&self) -> &'static str {
        self.what.name
    }

    /// How long it has had its slot.
    pub fn age(&self) -> Duration {
        uptime().saturating_sub(self.since)
    }

    pub(super) fn since(&self) -> Duration {
        self.since
    }

    /// Notes that it is being written to the web server: from now on it may run there.
    pub fn depart(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// Whether it was written to the web server, or some of it.
    pub fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// Notes that its client has gone away.
    pub fn abandon(&self) {
        self.alone.store(true, Ordering::Relaxed);
    }

    /// Whether its client has gone away.
    pub fn is_abandoned(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }
}

/// One slot. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    queue: Arc<Queue>,
    run: Arc<Run>,
}

impl Slot {
    pub(super) fn new(queue: Arc<Queue>, run: Arc<Run>) -> Self {
        Self { queue, run }
    }

    pub(super) fn run(&self) -> &Arc<Run> {
        &self.run
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.queue.release(&self.run);
    }
}
