//! One worker thread's idle connections. Those that are too old, or that the web server has
//! closed, are dropped even if no request comes.

use super::Settings;
use super::payload::Payload;
use crate::names::EntryId;
use crate::runtime::{Deadline, LocalTasks, Moment, Sweeper};
use hyper::client::conn::http1::SendRequest;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

/// Idle connections by environment and host: no two environments share any.
pub(super) struct Idle {
    connections: RefCell<HashMap<EntryId, Vec<Connection>>>,
    most_unused: Duration,
    most_age: Duration,
    /// The next eviction; one for all connections.
    eviction: Rc<Deadline>,
    /// Whether the eviction is armed.
    waits: Cell<bool>,
}

/// An open connection.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Payload>,
    pub(super) host: Arc<str>,
    pub(super) opened: Moment,
    pub(super) used: Moment,
}

/// Brings a connection back to its pool when the reply on it is complete. Dropped before that,
/// it closes the connection.
pub(super) struct Lease {
    connection: Connection,
    id: EntryId,
    idle: Weak<Idle>,
    /// Whether the connection may not be used again.
    pub(super) spent: bool,
}

impl Connection {
    /// How long it may still be reused; zero if it is too old, or closed by the web server.
    fn left(&self, idle: &Idle, now: Moment) -> Duration {
        if self.sender.is_closed() {
            return Duration::ZERO;
        }
        let idle_left = idle.most_unused.saturating_sub(self.used.age(now));
        idle_left.min(idle.most_age.saturating_sub(self.opened.age(now)))
    }
}

impl Idle {
    /// Starts empty. One task of `tasks` evicts the connections; it ends with the thread.
    pub(super) fn start(
        settings: &Settings,
        sweeper: &Sweeper,
        tasks: &LocalTasks,
    ) -> Rc<Self> {
        let eviction = Rc::new(sweeper.deadline());
        let idle = Rc::new(Self {
            connections: RefCell::default(),
            most_unused: settings.pool_idle,
            most_age: settings.pool_age,
            eviction: Rc::clone(&eviction),
            waits: Cell::new(false),
        });
        let evicting = Rc::downgrade(&idle);
        tasks.spawn_unwatched(async move {
            loop {
                (&*eviction).await;
                let Some(idle) = evicting.upgrade() else {
                    return;
                };
                idle.evict(Moment::now());
            }
        });
        idle
    }

    /// Drops what may not be reused any more, which closes it, and plans the next look.
    fn evict(&self, now: Moment) {
        let mut nearest = None;
        self.connections.borrow_mut().retain(|_, connections| {
            connections.retain(|connection| {
                let left = connection.left(self, now);
                let good = !left.is_zero();
                if good {
                    nearest = Some(nearest.map_or(left, |nearest| left.min(nearest)));
                }
                good
            });
            !connections.is_empty()
        });
        self.waits.set(nearest.is_some());
        match nearest {
            Some(left) => self.eviction.arm(left),
            None => self.eviction.disarm(),
        }
    }

    /// The youngest idle connection that is still good; the others go.
    pub(super) fn take(&self, id: EntryId, host: &Arc<str>) -> Option<Connection> {
        let mut idle = self.connections.borrow_mut();
        let connections = idle.get_mut(&id)?;
        let now = Moment::now();
        while let Some(connection) = connections.pop() {
            if connection.host == *host && !connection.left(self, now).is_zero() {
                return Some(connection);
            }
        }
        None
    }

    /// Lends a connection to the reply that comes on it.
    pub(super) fn lease(self: &Rc<Self>, id: EntryId, connection: Connection) -> Lease {
        Lease {
            connection,
            id,
            idle: Rc::downgrade(self),
            spent: false,
        }
    }
}

impl Lease {
    pub(super) fn give_back(mut self) {
        if !self.spent
            && let Some(idle) = self.idle.upgrade()
        {
            self.connection.used = Moment::now();
            if !idle.waits.replace(true) {
                idle.eviction.arm(idle.most_unused.min(idle.most_age));
            }
            let mut connections = idle.connections.borrow_mut();
            let connections = connections.entry(self.id).or_default();
            if connections.len() >= MOST_IDLE {
                connections.retain(|connection| !connection.sender.is_closed());
            }
            if connections.len() < MOST_IDLE {
                connections.push(self.connection);
            }
        }
    }
}

/// Idle connections kept for one environment on one thread.
const MOST_IDLE: usize = 64;
