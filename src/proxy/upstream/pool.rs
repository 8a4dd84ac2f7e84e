//! The connections of one worker thread to web servers: how they are opened (the route, verified TLS),
//! kept and closed. Those that are too old, or that the web server has closed, are closed
//! even if no request comes.

use super::connection::Connection;
use super::{Settings, Trust, UpstreamError};
use mwaa_egress::{Connector, EgressError, Stream, tls};
use mwaa_model::{EntryId, Environment};
use mwaa_runtime::{CoarseTimer, Deadline, LocalTasks, Timer, Timestamp};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio_rustls::client::TlsStream;

/// Idle connections by environment: environments share none.
pub(super) struct Pool {
    #[expect(
        clippy::vec_box,
        reason = "a connection leaves and returns with each request"
    )]
    idle: RefCell<Vec<Vec<Box<Connection>>>>,
    max_idle_time: Duration,
    max_age: Duration,
    /// The next eviction; one for all connections.
    eviction: Rc<Deadline>,
    eviction_armed: Cell<bool>,
    /// Wakes the task that watches the idle connections.
    watcher: RefCell<Waker>,
}

/// A connection out of the pool, which carries an exchange. [`release`](Self::release) returns it to the pool once
/// the response is complete; dropping it before that closes the connection.
pub(super) struct LeasedConnection {
    pub(super) connection: Box<Connection>,
    environment: EntryId,
    pool: Weak<Pool>,
    /// Set if the connection must not be used for another request.
    pub(super) close: bool,
}

impl Connection {
    /// Returns the time for which it may still be reused; zero if it is too old.
    fn remaining(&self, pool: &Pool, now: Timestamp) -> Duration {
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
            watcher: RefCell::new(Waker::noop().clone()),
        });

        // weak, so that the task does not keep the pool alive
        let watched = Rc::downgrade(&pool);
        tasks.spawn_unwatched(
            tracing::debug_span!(parent: None, "idle upstream connections"),
            poll_fn(move |cx| match watched.upgrade() {
                Some(pool) => pool.poll_watch(cx),
                None => Poll::Ready(()),
            }),
        );
        pool
    }

    /// Returns the most recently used connection that is still good, and closes the stale ones
    /// that it finds on the way. `None` means that a new one is needed. `exactly` also finds those
    /// that the web server has closed this moment.
    pub(super) fn checkout(
        &self,
        environment: EntryId,
        host: &Arc<str>,
        exactly: bool,
    ) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(environment.index())?;

        let now = Timestamp::now();
        while let Some(mut connection) = connections.pop() {
            if connection.host == *host
                && !connection.remaining(self, now).is_zero()
                && !connection.has_ended(exactly)
            {
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

    /// Closes idle connections that the web server has closed, or that are too old.
    fn poll_watch(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.watcher.borrow_mut().clone_from(cx.waker());
        while self.eviction.poll_expired(cx).is_ready() {
            self.evict(Timestamp::now());
        }
        for connections in self.idle.borrow_mut().iter_mut() {
            connections.retain_mut(|connection| {
                let has_ended = connection.poll_ended(cx).is_ready();
                if has_ended {
                    tracing::debug!(host = %connection.host, "closing an upstream connection: the web server has closed it");
                }
                !has_ended
            });
        }
        Poll::Pending
    }

    /// Closes the connections that must not be reused, and schedules the next eviction.
    fn evict(&self, now: Timestamp) {
        let mut next: Option<Duration> = None;
        for connections in self.idle.borrow_mut().iter_mut() {
            connections.retain(|connection| {
                let remaining = connection.remaining(self, now);
                if remaining.is_zero() {
                    tracing::debug!(host = %connection.host, "closing an upstream connection: idle or too old");
                    return false;
                }
                next = Some(next.map_or(remaining, |next| remaining.min(next)));
                true
            });
        }

        // without connections there is nothing to wake up for
        self.eviction_armed.set(next.is_some());
        match next {
            Some(remaining) => self.eviction.arm(remaining),
            None => self.eviction.disarm(),
        }
    }

    fn insert(&self, environment: EntryId, mut connection: Box<Connection>) {
        connection.last_used = Timestamp::now();
        // the task that watches it is woken from now on
        let watcher = self.watcher.borrow();
        if connection
            .poll_ended(&mut Context::from_waker(&watcher))
            .is_ready()
        {
            return;
        }
        if !self.eviction_armed.replace(true) {
            self.eviction.arm(self.max_idle_time.min(self.max_age));
        }

        let mut idle = self.idle.borrow_mut();
        let index = environment.index();
        if idle.len() <= index {
            idle.resize_with(index + 1, Vec::new);
        }
        if let Some(connections) = idle.get_mut(index).filter(|all| all.len() < MAX_IDLE) {
            connections.push(connection);
        }
    }
}

impl LeasedConnection {
    /// Returns the connection to the pool, unless it must be closed or the pool is gone.
    pub(super) fn release(mut self) {
        // bytes behind the response belong to no request
        if self.connection.clear()
            && !self.close
            && let Some(pool) = self.pool.upgrade()
        {
            pool.insert(self.environment, self.connection);
        }
    }
}

/// The most idle connections for one environment on one thread.
const MAX_IDLE: usize = 256;

/// Opens one connection to the environment's web server `host`. The route never changes the name
/// that TLS verifies.
pub(super) async fn open(
    host: &str,
    environment: &Environment,
    connector: &Connector,
    trust: &Trust,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<TlsStream<Stream>, UpstreamError> {
    let stream = connector
        .connect_to_web_server(host, environment, timer)
        .await
        .map_err(UpstreamError::Unreachable)?;

    let tunnel = stream.tunnel();
    let connected = tls::connect(host, stream, trust.config(), settings.tls, timer).await;
    match (connected, tunnel) {
        (Ok(stream), tunnel) => {
            if let Some(tunnel) = tunnel {
                tunnel.record_success();
            }
            Ok(stream)
        }
        // a tunnel accepts a connection before it knows whether its other end can be reached
        (Err(error), Some(tunnel)) if error.is_connection_error() => {
            let error = tunnel.record_failure(&error.to_string(), timer).await;
            Err(UpstreamError::Unreachable(EgressError::Tunnel(error)))
        }
        (Err(error), _) => Err(UpstreamError::Tls {
            host: connector.describe(environment, host),
            source: error,
        }),
    }
}

/// Opens one connection and closes it: for `check`.
pub async fn check_connection(
    host: &str,
    environment: &Environment,
    connector: &Connector,
    trust: &Trust,
    settings: &Settings,
    timer: &CoarseTimer,
) -> Result<(), UpstreamError> {
    open(host, environment, connector, trust, settings, timer)
        .await
        .map(drop)
}
