//! The connections of one worker thread to web servers: how they are opened (the route, verified TLS,
//! HTTP/1.1), kept and closed. Those that are too old, or that the web server has closed, are closed
//! even if no request comes.

use super::request::OutgoingBody;
use super::{Settings, Trust, UpstreamError};
use http_body::Body;
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use mwaa_egress::{Connector, EgressError, Stream, tls};
use mwaa_model::{EntryId, Environment};
use mwaa_runtime::{CoarseTimer, Deadline, LocalTasks, Timer, Timestamp};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::client::TlsStream;

/// Idle connections by environment and host: environments share none.
pub(super) struct Pool {
    #[expect(
        clippy::vec_box,
        reason = "a connection leaves and returns with each request"
    )]
    idle: RefCell<HashMap<EntryId, Vec<Box<Connection>>>>,
    max_idle_time: Duration,
    max_age: Duration,
    /// The next eviction; one for all connections.
    eviction: Rc<Deadline>,
    eviction_armed: Cell<bool>,
}

/// An open connection. Boxed wherever it is kept: it is moved with each request.
pub(super) struct Connection {
    pub(super) sender: SendRequest<OutgoingBody>,
    pub(super) host: Arc<str>,
    pub(super) opened: Timestamp,
    pub(super) last_used: Timestamp,
}

/// A connection out of the pool, which carries an exchange. [`release`](Self::release) returns it to the pool once
/// the response is complete; dropping it before that closes the connection.
pub(super) struct LeasedConnection {
    connection: Box<Connection>,
    environment: EntryId,
    pool: Weak<Pool>,
    /// Set if the connection must not be used for another request.
    pub(super) close: bool,
}

impl Connection {
    /// Returns the time for which it may still be reused; zero if it is too old, or if the web
    /// server has closed it.
    fn remaining(&self, pool: &Pool, now: Timestamp) -> Duration {
        if self.sender.is_closed() {
            return Duration::ZERO;
        }
        let idle = pool.max_idle_time.saturating_sub(self.last_used.age(now));
        idle.min(pool.max_age.saturating_sub(self.opened.age(now)))
    }
}

impl Pool {
    /// Creates an empty pool. One of `tasks` evicts connections; it ends with the thread.
    pub(super) fn start(
        settings: &Settings,
        timer: &CoarseTimer,
        tasks: &LocalTasks,
    ) -> Rc<Self> {
        let eviction = Rc::new(timer.deadline());
        let pool = Rc::new(Self {
            idle: RefCell::default(),
            max_idle_time: settings.pool_idle,
            max_age: settings.pool_age,
            eviction: Rc::clone(&eviction),
            eviction_armed: Cell::new(false),
        });

        // weak, so that the task does not keep the pool alive
        let evicting = Rc::downgrade(&pool);
        tasks.spawn_unwatched(
            tracing::debug_span!(parent: None, "pool eviction"),
            async move {
                loop {
                    (&*eviction).await;
                    let Some(pool) = evicting.upgrade() else {
                        return;
                    };
                    pool.evict(Timestamp::now());
                }
            },
        );
        pool
    }

    /// Returns the most recently used connection that is still good, and closes the stale ones
    /// that it finds on the way. `None` means that a new one is needed.
    pub(super) fn checkout(
        &self,
        environment: EntryId,
        host: &Arc<str>,
    ) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&environment)?;
        let now = Timestamp::now();
        while let Some(connection) = connections.pop() {
            if connection.host == *host && !connection.remaining(self, now).is_zero() {
                tracing::debug!(%host, "reusing an upstream connection");
                return Some(connection);
            }
            tracing::debug!(host = %connection.host, "closing an upstream connection: stale");
        }
        None
    }

    /// Leases a connection to the response that comes on it.
    pub(super) fn lease(
        self: &Rc<Self>,
        environment: EntryId,
        connection: Box<Connection>,
    ) -> LeasedConnection {
        LeasedConnection {
            connection,
            environment,
            pool: Rc::downgrade(self),
            close: false,
        }
    }

    /// Closes the connections that must not be reused, and schedules the next eviction.
    fn evict(&self, now: Timestamp) {
        let mut next: Option<Duration> = None;
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain(|connection| {
                let remaining = connection.remaining(self, now);
                if remaining.is_zero() {
                    tracing::debug!(host = %connection.host, "closing an upstream connection: idle or too old");
                    return false;
                }
                next = Some(next.map_or(remaining, |next| remaining.min(next)));
                true
            });
            !connections.is_empty()
        });

        // without connections there is nothing to wake up for
        self.eviction_armed.set(next.is_some());
        match next {
            Some(remaining) => self.eviction.arm(remaining),
            None => self.eviction.disarm(),
        }
    }

    fn insert(&self, environment: EntryId, mut connection: Box<Connection>) {
        connection.last_used = Timestamp::now();
        if !self.eviction_armed.replace(true) {
            self.eviction.arm(self.max_idle_time.min(self.max_age));
        }

        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(environment).or_default();
        if connections.len() >= MAX_IDLE {
            connections.retain(|connection| !connection.sender.is_closed());
        }
        if connections.len() < MAX_IDLE {
            connections.push(connection);
        }
    }
}

impl LeasedConnection {
    /// Returns the connection to the pool, unless it must be closed or the pool is gone.
    pub(super) fn release(self) {
        if !self.close
            && let Some(pool) = self.pool.upgrade()
        {
            pool.insert(self.environment, self.connection);
        }
    }
}

/// The most idle connections for one environment on one thread.
const MAX_IDLE: usize = 64;

/// An open connection for requests with bodies of type `B`: the sender, and the future that must
/// be polled beside it.
pub(super) type HttpConnection<B> = (
    SendRequest<B>,
    http1::Connection<TokioIo<TlsStream<Stream>>, B>,
);

/// Opens one connection to the environment's web server `host`. The route never changes the name
/// that TLS verifies.
pub(super) async fn open<B>(
    host: &str,
    environment: &Environment,
    connector: &Connector,
    trust: &Trust,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<HttpConnection<B>, UpstreamError>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stream = connector
        .connect_to_web_server(host, environment, timer)
        .await
        .map_err(UpstreamError::Unreachable)?;

    let tunnel = stream.tunnel();
    let connected = tls::connect(host, stream, trust.config(), settings.tls, timer).await;
    let stream = match (connected, tunnel) {
        (Ok(stream), tunnel) => {
            if let Some(tunnel) = tunnel {
                tunnel.record_success();
            }
            stream
        }
        // a tunnel accepts a connection before it knows whether its other end can be reached
        (Err(error), Some(tunnel)) if error.is_connection_error() => {
            let error = tunnel.record_failure(&error.to_string(), timer).await;
            return Err(UpstreamError::Unreachable(EgressError::Tunnel(error)));
        }
        (Err(error), _) => {
            return Err(UpstreamError::Tls {
                host: connector.describe(environment, host),
                source: error,
            });
        }
    };

    // more header fields than hyper takes by itself, 100, are a broken reply
    http1::Builder::new()
        .max_buf_size(MAX_HEAD_SIZE)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|source| UpstreamError::Broken {
            host: connector.describe(environment, host),
            cause: source.into(),
        })
}

/// Opens one connection for this thread's pool.
pub(super) async fn connect(
    host: &str,
    environment: &Environment,
    connector: &Connector,
    trust: &Trust,
    settings: &Settings,
    timer: &CoarseTimer,
    tasks: &LocalTasks,
) -> Result<SendRequest<OutgoingBody>, UpstreamError> {
    let (sender, connection) =
        open(host, environment, connector, trust, settings, timer).await?;
    let span = tracing::debug_span!(parent: None, "upstream_connection", host);
    tasks.spawn_unwatched(span, async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(sender)
}

/// Opens one connection and closes it: for `check`.
pub async fn check_connection(
    host: &str,
    environment: &Environment,
    connector: &Connector,
    trust: &Trust,
    settings: &Settings,
    timer: &CoarseTimer,
    tasks: &LocalTasks,
) -> Result<(), UpstreamError> {
    connect(host, environment, connector, trust, settings, timer, tasks)
        .await
        .map(drop)
}

/// The largest head of a response, in bytes; a larger one is broken.
const MAX_HEAD_SIZE: usize = 256 * 1024;
