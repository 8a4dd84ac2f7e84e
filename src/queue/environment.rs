//! One environment's queue: the line with its lock, and what is known of it for people.

use super::line::{Entered, Line};
use super::run::{Run, Slot, What};
use crate::names::Principal;
use crate::runtime::uptime;
use crate::telemetry::QueueMetrics;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Tells those who want to know that places have changed.
    changes: watch::Sender<()>,
    pub(super) metrics: QueueMetrics,
}

#[derive(Debug)]
struct State {
    line: Line<Principal, Waiting>,
    running: Vec<Arc<Run>>,
    /// How long a command keeps its slot, of late.
    usual: Option<Duration>,
}

/// What stands in line.
#[derive(Debug)]
struct Waiting {
    what: What,
    since: Duration,
    seat: oneshot::Sender<Slot>,
}

/// How a command came in.
#[derive(Debug)]
pub(super) enum Came {
    Seated(Slot),
    Waits {
        number: u64,
        seat: oneshot::Receiver<Slot>,
    },
    Full {
        waiting: usize,
    },
}

/// Where a waiting command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// 1 is next. It may grow: a client that comes with its first command has its turn before
    /// the second one of another.
    pub place: usize,
    /// How many commands run.
    pub running: usize,
}

/// What a queue looks like now.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What has a slot, the oldest first.
    pub running: Vec<Arc<Run>>,
    /// How many wait.
    pub waiting: usize,
    /// How long the one that has waited longest has waited.
    pub longest_wait: Option<Duration>,
}

impl Queue {
    pub(super) fn new(slots: usize, size: usize, metrics: QueueMetrics) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                line: Line::new(slots.max(1), size),
                running: Vec::new(),
                usual: None,
            }),
            changes: watch::Sender::new(()),
            metrics,
        })
    }

    /// A slot if one is free, else a place in line.
    pub(super) fn enter(self: &Arc<Self>, who: Principal, what: What) -> Came {
        let (since, mut receiver) = (uptime(), None);
        let mut state = self.state();
        let entered = state.line.enter(who, || {
            let (seat, seated) = oneshot::channel();
            receiver = Some(seated);
            Waiting { what, since, seat }
        });
        match (entered, receiver) {
            (Entered::Waits(number), Some(seat)) => {
                drop(state);
                self.metrics.waiting.inc();
                self.changed();
                Came::Waits { number, seat }
            }
            (Entered::Seated, _) => {
                let run = Run::begin(what, since);
                state.running.push(Arc::clone(&run));
                drop(state);
                self.metrics.running.inc();
                self.metrics.wait.observe(0.0);
                self.changed();
                Came::Seated(Slot::new(Arc::clone(self), run))
            }
            (Entered::Full | Entered::Waits(_), _) => Came::Full {
                waiting: state.line.waiting(),
            },
        }
    }

    /// Takes a ticket out of the line, if it is still there.
    pub(super) fn leave(&self, who: &Principal, number: u64) {
        let left = self.state().line.leave(who, number);
        if left.is_some() {
            self.metrics.waiting.dec();
            self.changed();
        }
    }

    /// Frees the slot of a command that is over, and gives it to whoever is next.
    pub(super) fn release(self: &Arc<Self>, over: &Arc<Run>) {
        let now = uptime();
        let mut state = self.state();
        state.running.retain(|run| !Arc::ptr_eq(run, over));
        if over.is_sent() {
            let took = now.saturating_sub(over.since());
            state.usual = Some(match state.usual {
                Some(usual) => (usual * 3 + took) / 4,
                None => took,
            });
        }
        let next = state.line.release().map(|next| {
            let run = Run::begin(next.what, now);
            state.running.push(Arc::clone(&run));
            (next, run)
        });
        drop(state);
        match next {
            Some((next, run)) => {
                self.metrics.waiting.dec();
                let waited = now.saturating_sub(next.since);
                self.metrics.wait.observe(waited.as_secs_f64());
                // if nobody is there to take the slot, it comes back and goes to the next
                drop(next.seat.send(Slot::new(Arc::clone(self), run)));
            }
            None => drop(self.metrics.running.dec()),
        }
        self.changed();
    }

    /// Where a ticket stands; nothing when it is not in the line any more.
    pub(super) fn standing(&self, who: &Principal, number: u64) -> Option<Standing> {
        let state = self.state();
        Some(Standing {
            place: state.line.place(who, number)?,
            running: state.line.running(),
        })
    }

    /// Tells of every change of anybody's place.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// When those who are here now may have been served, from what commands took of late.
    pub(super) fn retry_after(&self) -> Duration {
        let state = self.state();
        let here = state.line.waiting() + state.line.running();
        let rounds = here.div_ceil(state.line.slots());
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let usual = state.usual.unwrap_or(USUAL);
        usual
            .saturating_mul(rounds)
            .clamp(SHORTEST_RETRY, LONGEST_RETRY)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let now = uptime();
        let state = self.state();
        let waits = state.line.tickets();
        Snapshot {
            running: state.running.clone(),
            waiting: state.line.waiting(),
            longest_wait: waits.map(|one| now.saturating_sub(one.since)).max(),
        }
    }

    fn changed(&self) {
        if self.changes.receiver_count() > 0 {
            self.changes.send_replace(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a command takes, as long as none has run: Airflow's own start takes seconds.
const USUAL: Duration = Duration::from_secs(5);
/// Nobody is told to come again sooner.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
/// Nobody is told to stay away longer.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
