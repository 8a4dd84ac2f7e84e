//! One worker thread's idle connections, and the exchange over them.

use super::answered::Answered;
use super::dial::{Outgoing, dial};
use super::{Settings, Trusts, UpstreamError, request};
use crate::credential::Keyed;
use crate::names::{Entry, EntryId};
use crate::runtime::{LocalTasks, Moment, Sweeper};
use http::{Request, StatusCode};
use hyper::client::conn::http1::SendRequest;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// The wire out of one worker thread. Clones share it.
#[derive(Clone)]
pub struct Upstream(Rc<Inner>);

struct Inner {
    settings: Settings,
    trust: Arc<Trusts>,
    idle: Rc<Idle>,
    sweeper: Sweeper,
    tasks: LocalTasks,
}

/// Idle connections by environment and host: no two environments share any.
#[derive(Default)]
pub(super) struct Idle(RefCell<HashMap<EntryId, Vec<Connection>>>);

/// An open connection.
pub(super) struct Connection {
    sender: SendRequest<Outgoing>,
    host: Arc<str>,
    opened: Moment,
    used: Moment,
}

/// Brings a connection back to its pool when the reply on it is complete. Dropped before that,
/// it closes the connection.
pub(super) struct Lease {
    connection: Connection,
    id: EntryId,
    idle: Weak<Idle>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Lease {
    pub(super) fn give_back(mut self) {
        if let Some(idle) = self.idle.upgrade() {
            self.connection.used = Moment::now();
            let mut idle = idle.0.borrow_mut();
            let connections = idle.entry(self.id).or_default();
            if connections.len() < MOST_IDLE {
                connections.push(self.connection);
            }
        }
    }
}

impl Upstream {
    /// Makes the thread's pool. `trust` holds what each environment's web server is believed by.
    pub fn new(
        settings: Settings,
        trust: Arc<Trusts>,
        sweeper: Sweeper,
        tasks: LocalTasks,
    ) -> Self {
        Self(Rc::new(Inner {
            settings,
            trust,
            idle: Rc::default(),
            sweeper,
            tasks,
        }))
    }

    /// Sends the request and waits for the head of the reply.
    ///
    /// It is written at most once: another connection is taken only if nothing of it was
    /// written to the first (RFC 9110 section 9.2.2).
    pub async fn send(&self, keyed: Keyed) -> Result<Answered, UpstreamError> {
        let inner = &self.0;
        let host = Arc::clone(keyed.live().host());
        let entry = Arc::clone(keyed.seated().entry());
        let mut request = request::cli(&keyed);
        loop {
            let (mut connection, reused) = match inner.take(entry.id, &host) {
                Some(connection) => (connection, true),
                // rare and large: boxed, so that not every exchange has room for it
                None => (Box::pin(inner.open(&entry, &host)).await?, false),
            };
            match inner.exchange(&mut connection, request, &host).await? {
                Exchanged::Reply(response) => {
                    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                        return Err(UpstreamError::Switched {
                            host: host.to_string(),
                        });
                    }
                    let lease = Lease {
                        connection,
                        id: entry.id,
                        idle: Rc::downgrade(&inner.idle),
                    };
                    let limit = inner.settings.body_idle;
                    return Ok(Answered::new(response, lease, &inner.sweeper, limit, keyed));
                }
                Exchanged::Unwritten(again, _error) if reused => request = again,
                // nothing was sent, so the outcome is not unknown
                Exchanged::Unwritten(_, source) => {
                    return Err(UpstreamError::Unreachable {
                        address: host.to_string(),
                        source: io::Error::other(source),
                    });
                }
            }
        }
    }
}

enum Exchanged {
    Reply(http::Response<hyper::body::Incoming>),
    /// The connection died before anything was written.
    Unwritten(Request<Outgoing>, hyper::Error),
}

impl Inner {
    /// The youngest idle connection that is still good; the others go.
    fn take(&self, id: EntryId, host: &Arc<str>) -> Option<Connection> {
        let mut idle = self.idle.0.borrow_mut();
        let connections = idle.get_mut(&id)?;
        let now = Moment::now();
        while let Some(connection) = connections.pop() {
            let fresh = connection.used.age(now) < self.settings.pool_idle
                && connection.opened.age(now) < self.settings.pool_age;
            if fresh && connection.host == *host && !connection.sender.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    async fn open(&self, entry: &Entry, host: &Arc<str>) -> Result<Connection, UpstreamError> {
        let trust = self.trust.of(entry.id);
        let sender = dial(
            host,
            &entry.environment,
            trust,
            &self.settings,
            &self.sweeper,
            &self.tasks,
        )
        .await?;
        let now = Moment::now();
        Ok(Connection {
            sender,
            host: Arc::clone(host),
            opened: now,
            used: now,
        })
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        request: Request<Outgoing>,
        host: &str,
    ) -> Result<Exchanged, UpstreamError> {
        let limit = self.settings.first_byte;
        let sender = &mut connection.sender;
        let exchange = async {
            // a connection just given back may need a turn of its task to be ready
            if let Err(error) = sender.ready().await {
                return Ok(Exchanged::Unwritten(request, error));
            }
            match sender.try_send_request(request).await {
                Ok(response) => Ok(Exchanged::Reply(response)),
                Err(mut refused) => match refused.take_message() {
                    Some(request) => Ok(Exchanged::Unwritten(request, refused.into_error())),
                    None => Err(refused.into_error()),
                },
            }
        };
        match self.sweeper.within(limit, exchange).await {
            Ok(Ok(exchanged)) => Ok(exchanged),
            Ok(Err(source)) => Err(UpstreamError::Broken {
                host: host.to_owned(),
                source,
            }),
            Err(_elapsed) => Err(UpstreamError::Timeout {
                host: host.to_owned(),
                after: limit,
            }),
        }
    }
}

/// Idle connections kept for one environment on one thread.
const MOST_IDLE: usize = 64;
