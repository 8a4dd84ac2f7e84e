//! One worker thread's idle connections.

use super::Settings;
use super::payload::Payload;
use crate::names::EntryId;
use crate::runtime::Moment;
use hyper::client::conn::http1::SendRequest;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Idle connections by environment and host: no two environments share any.
#[derive(Default)]
pub(super) struct Idle(RefCell<HashMap<EntryId, Vec<Connection>>>);

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

impl Idle {
    /// The youngest idle connection that is still good; the others go.
    pub(super) fn take(
        &self,
        id: EntryId,
        host: &Arc<str>,
        settings: &Settings,
    ) -> Option<Connection> {
        let mut idle = self.0.borrow_mut();
        let connections = idle.get_mut(&id)?;
        let now = Moment::now();
        while let Some(connection) = connections.pop() {
            let fresh = connection.used.age(now) < settings.pool_idle
                && connection.opened.age(now) < settings.pool_age;
            if fresh && connection.host == *host && !connection.sender.is_closed() {
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
            let mut idle = idle.0.borrow_mut();
            let connections = idle.entry(self.id).or_default();
            if connections.len() < MOST_IDLE {
                connections.push(self.connection);
            }
        }
    }
}

/// Idle connections kept for one environment on one thread.
const MOST_IDLE: usize = 64;
