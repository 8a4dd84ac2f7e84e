//! The places for client connections: how many may be open at once, how many of them each listener
//! has for itself, and which connection is closed when a client needs a place and none is free.
//!
//! A connection that is idle is closed first, the longest idle one before others; then one whose
//! head is incomplete. A connection that is answered keeps its place. Heads that are incomplete have
//! a limit of their own: beyond it the oldest of them is closed.

use mwaa_runtime::{CoarseTimer, Deadline, LocalTasks, boot_clock};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The places of all worker threads.
#[derive(Debug)]
pub struct Places {
    state: Mutex<State>,
    /// A place was given up.
    freed: Notify,
    /// A thread without idle connections needs a place.
    wanted: Notify,
}

#[derive(Debug)]
struct State {
    max: usize,
    /// By the number of the listener.
    listeners: Vec<Usage>,
    /// The listeners of clients for which another thread is to close a connection.
    wanted: Vec<usize>,
}

/// The places of one listener.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    used: usize,
    /// Those that it has for itself; none once it is closed.
    reserve: usize,
    is_open: bool,
}

impl Places {
    /// Creates `max` places for this many listeners. Half of them are shared, and each listener has
    /// an equal part of the other half for itself.
    pub fn new(max: usize, listeners: usize) -> Arc<Self> {
        let places = Arc::new(Self {
            state: Mutex::new(State {
                max: 0,
                listeners: Vec::new(),
                wanted: Vec::new(),
            }),
            freed: Notify::new(),
            wanted: Notify::new(),
        });
        let numbers: Vec<_> = (0..listeners).collect();
        places.resize(max, &numbers);
        places
    }

    /// Changes the number of places, and which listeners are open. Connections keep their places,
    /// also if there are more than that.
    pub fn resize(&self, max: usize, open: &[usize]) {
        self.with_state(|state| {
            let len = open.iter().map(|number| number + 1).max().unwrap_or(0);
            if state.listeners.len() < len {
                state.listeners.resize(len, Usage::default());
            }
            for (number, usage) in state.listeners.iter_mut().enumerate() {
                usage.is_open = open.contains(&number);
                usage.reserve = if usage.is_open {
                    max / (2 * open.len().max(1))
                } else {
                    0
                };
            }
            state.max = max;
        });
        self.freed.notify_waiters();
    }

    /// Returns a number for a new listener: one that is not in `taken`, nor has connections of a
    /// listener that was closed.
    pub fn free_number(&self, taken: &[usize]) -> usize {
        self.with_state(|state| {
            let is_free = |number: &usize| {
                let usage = state.listeners.get(*number).copied().unwrap_or_default();
                !usage.is_open && usage.used == 0 && !taken.contains(number)
            };
            let most = state.listeners.len() + taken.len();
            (0..=most).find(is_free).unwrap_or(most)
        })
    }

    /// Returns the number of places that a listener uses.
    pub fn used(&self, listener: usize) -> usize {
        self.with_state(|state| {
            let usage = state.listeners.get(listener);
            usage.map_or(0, |usage| usage.used)
        })
    }

    /// Returns the number of all places.
    pub fn max(&self) -> usize {
        self.with_state(|state| state.max)
    }

    fn with_state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn release(&self, listener: usize) {
        self.with_state(|state| {
            if let Some(usage) = state.listeners.get_mut(listener) {
                usage.used -= 1;
            }
        });
        self.freed.notify_waiters();
    }
}

impl State {
    /// Takes a place. Returns false if there is none for this listener.
    fn take(&mut self, listener: usize) -> bool {
        let reserved: usize = self.listeners.iter().map(|usage| usage.reserve).sum();
        let shared = self.max.saturating_sub(reserved);
        let beyond = |usage: &Usage| usage.used.saturating_sub(usage.reserve);
        let in_shared: usize = self.listeners.iter().map(beyond).sum();
        // after a change there may be more connections than places
        let used: usize = self.listeners.iter().map(|usage| usage.used).sum();
        match self.listeners.get_mut(listener) {
            Some(usage)
                if used < self.max && (usage.used < usage.reserve || in_shared < shared) =>
            {
                usage.used += 1;
                // those that still wait ask again
                self.wanted.retain(|wanted| *wanted != listener);
                true
            }
            _ => false,
        }
    }

    /// Returns true if a place of `owner` would help a client of `listener`: another listener keeps
    /// what it has for itself.
    fn may_take_from(&self, owner: usize, listener: usize) -> bool {
        owner == listener
            || self
                .listeners
                .get(owner)
                .is_some_and(|usage| usage.used > usage.reserve)
    }
}

/// The connections of one worker thread.
pub struct OpenConnections {
    places: Arc<Places>,
    open: RefCell<Slab<Rc<Slot>>>,
    heads: Cell<usize>,
    max_heads: Cell<usize>,
    timer: CoarseTimer,
}

impl fmt::Debug for OpenConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenConnections")
            .field("open", &self.open.borrow().len())
            .field("heads", &self.heads.get())
            .finish_non_exhaustive()
    }
}

/// One connection, as the others see it.
struct Slot {
    listener: usize,
    phase: Cell<Phase>,
    /// The boot clock at which the phase began.
    since: Cell<Duration>,
    deadline: Deadline,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nothing of a request has come.
    Idle,
    /// A TLS handshake or a head is incomplete.
    Head,
    /// A request is being answered.
    Busy,
}

impl OpenConnections {
    /// Creates the thread's list. One of `tasks` closes connections for the clients of other threads;
    /// it ends with the thread.
    pub fn start(places: &Arc<Places>, timer: &CoarseTimer, tasks: &LocalTasks) -> Rc<Self> {
        let connections = Rc::new(Self {
            places: Arc::clone(places),
            open: RefCell::default(),
            heads: Cell::new(0),
            max_heads: Cell::new(0),
            timer: timer.clone(),
        });
        connections.update();

        let helping = Rc::downgrade(&connections);
        let places = Arc::clone(places);
        let span = tracing::debug_span!(parent: None, "places");
        tasks.spawn_unwatched(span, async move {
            loop {
                places.wanted.notified().await;
                let Some(connections) = helping.upgrade() else {
                    return;
                };
                connections.help();
            }
        });
        connections
    }

    /// Takes over a change of the number of places.
    pub fn update(&self) {
        let max = self.places.with_state(|state| state.max);
        self.max_heads.set((max / 4).max(1));
    }

    /// Waits for a place for a client of this listener, and closes another connection for it if none
    /// is free. If all connections are busy, it waits until one is closed.
    pub(super) async fn take(self: &Rc<Self>, listener: usize) -> Place {
        loop {
            // before the check, so that no notification is missed
            let freed = self.places.freed.notified();
            if self.places.with_state(|state| state.take(listener)) {
                return Place::new(self, listener);
            }

            if !self.close_one(listener) {
                self.places.with_state(|state| {
                    // one thread answers for each client that waits
                    if !state.wanted.contains(&listener) {
                        state.wanted.push(listener);
                    }
                });
                self.places.wanted.notify_waiters();
            }
            // the connection that was to be closed may have got a request meanwhile
            let _elapsed = self.timer.within(RETRY, freed).await;
        }
    }

    /// Takes a place for a client of this listener, if one is free.
    pub(super) fn try_take(self: &Rc<Self>, listener: usize) -> Option<Place> {
        let is_taken = self.places.with_state(|state| state.take(listener));
        is_taken.then(|| Place::new(self, listener))
    }

    /// Closes a connection for a client of another thread, if there is one to close.
    fn help(&self) {
        let wanted = self
            .places
            .with_state(|state| std::mem::take(&mut state.wanted));
        let rest: Vec<_> = wanted
            .into_iter()
            .filter(|listener| !self.close_one(*listener))
            .collect();
        self.places.with_state(|state| state.wanted.extend(rest));
    }

    /// Closes the connection that can be spared first. Returns false if all are busy, or belong to
    /// listeners that have no more than their own.
    fn close_one(&self, listener: usize) -> bool {
        self.close_first(|slot| {
            slot.phase.get() != Phase::Busy
                && self
                    .places
                    .with_state(|state| state.may_take_from(slot.listener, listener))
        })
    }

    fn close_first(&self, may_close: impl Fn(&Slot) -> bool) -> bool {
        let open = self.open.borrow();
        let candidates = open
            .iter()
            .map(|(_, slot)| slot)
            .filter(|slot| may_close(slot));
        let first = candidates.min_by_key(|slot| (slot.phase.get(), slot.since.get()));
        let Some(slot) = first.map(Rc::clone) else {
            return false;
        };
        drop(open);
        tracing::debug!(phase = ?slot.phase.get(), "closing a connection: its place is needed");
        // it counts no more, also before its task has closed it
        self.set_phase(&slot, Phase::Busy);
        slot.deadline.expire();
        true
    }

    fn set_phase(&self, slot: &Slot, phase: Phase) {
        let before = slot.phase.replace(phase);
        // a busy connection is never compared with others
        if phase != Phase::Busy {
            slot.since.set(boot_clock());
        }
        let is_head = |phase| usize::from(phase == Phase::Head);
        self.heads
            .set(self.heads.get() + is_head(phase) - is_head(before));
    }
}

/// The place of one connection, and the limit of what the connection waits for. It is free again
/// when this is dropped.
pub(super) struct Place {
    connections: Rc<OpenConnections>,
    key: usize,
    slot: Rc<Slot>,
}

impl Place {
    fn new(connections: &Rc<OpenConnections>, listener: usize) -> Self {
        let slot = Rc::new(Slot {
            listener,
            phase: Cell::new(Phase::Idle),
            since: Cell::new(boot_clock()),
            deadline: connections.timer.deadline(),
        });
        let key = connections.open.borrow_mut().insert(Rc::clone(&slot));
        Self {
            connections: Rc::clone(connections),
            key,
            slot,
        }
    }

    /// The limit of what the connection waits for.
    pub(super) fn deadline(&self) -> &Deadline {
        &self.slot.deadline
    }

    /// A phase begins.
    pub(super) fn set_phase(&self, phase: Phase) {
        let connections = &self.connections;
        connections.set_phase(&self.slot, phase);
        if connections.heads.get() > connections.max_heads.get() {
            connections.close_first(|slot| slot.phase.get() == Phase::Head);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set_phase(Phase::Busy);
        self.connections.open.borrow_mut().try_remove(self.key);
        self.connections.places.release(self.slot.listener);
    }
}

/// The longest wait before another look for a place.
const RETRY: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Places, listener: usize) -> bool {
        places.with_state(|state| state.take(listener))
    }

    #[test]
    fn a_closed_listener_gives_its_places_to_the_others() {
        let places = Places::new(4, 2);
        assert!(
            (0..3).all(|_| take(&places, 0)),
            "one of its own, two shared"
        );
        assert!(!take(&places, 0));
        assert!(take(&places, 1));
        places.resize(4, &[1]);
        assert!(!take(&places, 1), "connections of the other one are left");
        assert!(!take(&places, 7), "it is unknown");

        assert_eq!(places.free_number(&[1]), 2, "not one that has connections");
        (0..3).for_each(|_| places.release(0));
        assert!((0..3).all(|_| take(&places, 1)));
        assert!(!take(&places, 1));
        assert_eq!(places.free_number(&[1]), 0);
    }

    #[test]
    fn fewer_places_close_no_connection() {
        let places = Places::new(4, 1);
        assert!((0..4).all(|_| take(&places, 0)));
        places.resize(2, &[0]);
        assert!(!take(&places, 0));
        (0..2).for_each(|_| places.release(0));
        assert!(!take(&places, 0), "there are still two");
        places.release(0);
        assert!(take(&places, 0));
    }
}
