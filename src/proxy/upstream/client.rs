//! The HTTP client for web servers, over one worker thread's connections.

use super::connection::{Connection, ExchangeError};
use super::pool::{Pool, open};
use super::request::{OutgoingBody, UploadProgress, UploadState};
use super::response::UpstreamResponse;
use super::{Settings, TrustStore, UpstreamError, request};
use crate::context::RequestContext;
use crate::steps::Position;
use bytes::Bytes;
use http::Method;
use mwaa_auth::{CliToken, Session};
use mwaa_egress::{Connector, EgressError};
use mwaa_http1::Headers;
use mwaa_http1::ResponseHead;
use mwaa_model::Entry;
use mwaa_policy::{CommandPermit, WebPermit};
use mwaa_runtime::{CoarseTimer, LocalTasks, boot_clock, take_write_buffer};
use mwaa_telemetry::Metrics;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// The client of one worker thread. Clones share its connections.
#[derive(Clone)]
pub struct UpstreamClient(Rc<Inner>);

struct Inner {
    settings: Settings,
    connector: Connector,
    trust: Arc<TrustStore>,
    pool: Rc<Pool>,
    timer: CoarseTimer,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for UpstreamClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamClient")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// The connections that a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionChoice {
    /// An idle one of the pool if there is one.
    Pooled,
    /// Only a new one.
    New,
}

/// One request to a web server, and the limits of its exchange.
struct Exchange<'a> {
    entry: &'a Entry,
    host: &'a Arc<str>,
    method: &'a Method,
    /// Writes the head of the request, once for each connection that it is sent on.
    encode: &'a dyn Fn(&mut Vec<u8>),
    /// True if the request may be sent twice: it is safe and has no body (RFC 9110 section 9.2.2,
    /// RFC 9112 section 9.3.1).
    is_repeatable: bool,
    /// From the last byte of the request to the head of the response; a request in memory counts
    /// as sent at once.
    first_byte: Duration,
    /// Called right before anything is written, on each connection.
    on_write: &'a dyn Fn() -> bool,
}

/// The result of one attempt on one connection.
enum Attempt {
    Response(Box<ResponseHead>),
    /// The connection closed before anything was written of the request, whose body this is.
    Unsent(OutgoingBody, io::Error),
}

impl UpstreamClient {
    /// Creates the thread's client. `trust` holds the roots of each environment.
    pub fn new(
        settings: Settings,
        connector: Connector,
        trust: Arc<TrustStore>,
        timer: CoarseTimer,
        tasks: &LocalTasks,
        metrics: Arc<Metrics>,
    ) -> Self {
        let pool = Pool::start(&settings, &timer, tasks);
        Self(Rc::new(Inner {
            settings,
            connector,
            trust,
            pool,
            timer,
            metrics,
        }))
    }

    /// Sends a permitted command and waits for the head of the response.
    ///
    /// It is written at most once: a second connection is used only if nothing was written to
    /// the first (RFC 9110 section 9.2.2). `on_write` is called right before that;
    /// if it returns false, nothing is written.
    pub async fn send_command(
        &self,
        permit: &CommandPermit,
        token: &CliToken,
        headers: &Headers,
        position: Option<Position>,
        connection: ConnectionChoice,
        on_write: &dyn Fn() -> bool,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let exchange = Exchange {
            entry: permit.entry(),
            host: token.host(),
            method: &Method::POST,
            encode: &|out| request::command(token, headers, position, out),
            is_repeatable: false,
            first_byte: self.0.settings.cli_first_byte,
            on_write,
        };

        let body = OutgoingBody::Whole(permit.line().clone());
        self.0.send(body, &exchange, connection).await
    }

    /// Sends a permitted request for the REST API or the UI and waits for the head of the
    /// response. A safe request without a body is sent again if a reused connection breaks.
    pub async fn send_web(
        &self,
        permit: &WebPermit,
        session: &Session,
        headers: &Headers,
        ctx: &RequestContext,
        body: OutgoingBody,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let exchange = Exchange {
            entry: permit.entry(),
            host: session.host(),
            method: permit.method(),
            encode: &|out| request::web(permit, session, headers, ctx, out),
            is_repeatable: matches!(*permit.method(), Method::GET | Method::HEAD)
                && body.is_empty(),
            first_byte: self.0.settings.first_byte,
            on_write: &|| {
                ctx.mark_sending();
                true
            },
        };
        let progress = body.progress();
        let sent = self.0.send(body, &exchange, ConnectionChoice::Pooled).await;

        let upload = progress.map(|progress| progress.state());
        match (sent, upload) {
            // the client's fault, although the exchange broke because of it
            (
                Err(_),
                Some(
                    upload
                    @ (UploadState::Broken | UploadState::Silent | UploadState::TooLarge),
                ),
            ) => Err(UpstreamError::Upload(upload)),
            (sent, _) => sent,
        }
    }

    /// Connects to a web server, with TLS, and closes the connection.
    pub(crate) async fn try_connect(
        &self,
        entry: &Entry,
        host: &Arc<str>,
    ) -> Result<(), UpstreamError> {
        self.0.open(entry, host).await.map(drop)
    }
}

impl Inner {
    /// Sends a request, on another connection where that cannot make it happen twice.
    async fn send(
        &self,
        mut body: OutgoingBody,
        exchange: &Exchange<'_>,
        mut choice: ConnectionChoice,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let describe_host = || self.describe(exchange);
        loop {
            let (mut connection, reused) = self.checkout(exchange, choice).await?;
            // boxed: two small allocations are cheaper than a large one
            let attempt = self.attempt(&mut connection, body, exchange, &describe_host);
            match Box::pin(attempt).await {
                Ok(Attempt::Response(response)) => {
                    let connection = self.pool.lease(exchange.entry.id, connection);
                    let idle = self.settings.body_idle;
                    let received =
                        UpstreamResponse::receive(response, connection, idle, &self.timer);
                    return received.await.map_err(|cause| UpstreamError::Broken {
                        host: describe_host(),
                        cause,
                    });
                }

                // nothing was written, so any request may try again; the pool runs empty
                Ok(Attempt::Unsent(unsent, error)) if reused => {
                    tracing::debug!(host = %exchange.host, %error, "retrying: a reused connection was closed");
                    body = unsent;
                }

                // a new connection that closes at once: the outcome is known, nothing was sent
                Ok(Attempt::Unsent(_, error)) => {
                    tracing::debug!(host = %exchange.host, %error, "the connection closed before the request was sent");
                    return Err(closed_early(describe_host()));
                }

                // a safe request may run twice; once, and on a new connection, because the
                // request itself may be the reason
                Err(UpstreamError::Broken { .. }) if reused && exchange.is_repeatable => {
                    tracing::debug!(host = %exchange.host, "retrying: a reused connection broke");
                    choice = ConnectionChoice::New;
                    body = OutgoingBody::Whole(Bytes::new());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns a connection, and true if it was idle in the pool. Fails if none can be opened.
    async fn checkout(
        &self,
        exchange: &Exchange<'_>,
        choice: ConnectionChoice,
    ) -> Result<(Box<Connection>, bool), UpstreamError> {
        let id = exchange.entry.id;
        if choice == ConnectionChoice::Pooled
            // a request that must not be sent twice is worth a close look at its connection
            && let Some(connection) =
                self.pool.checkout(id, exchange.host, !exchange.is_repeatable)
        {
            return Ok((connection, true));
        }
        // rare and large: boxed, so that not every exchange has room for it
        let opened = Box::pin(self.open(exchange.entry, exchange.host)).await?;
        Ok((opened, false))
    }

    /// Returns the web server's name for an error, with the route to it.
    fn describe(&self, exchange: &Exchange<'_>) -> String {
        let environment = &exchange.entry.environment;
        self.connector.describe(environment, exchange.host)
    }

    async fn open(
        &self,
        entry: &Entry,
        host: &Arc<str>,
    ) -> Result<Box<Connection>, UpstreamError> {
        let trust = self.trust.get(entry.id);
        let stream = open(
            host,
            &entry.environment,
            &self.connector,
            trust,
            &self.settings,
            &self.timer,
        )
        .await?;
        tracing::debug!(%host, "opened an upstream connection");
        self.metrics.count_upstream_connection(entry);
        Ok(Box::new(Connection::new(stream, host)))
    }

    /// Sends the request on one connection, within the exchange's limit.
    async fn attempt(
        &self,
        connection: &mut Connection,
        body: OutgoingBody,
        exchange: &Exchange<'_>,
        host: &dyn Fn() -> String,
    ) -> Result<Attempt, UpstreamError> {
        if !(exchange.on_write)() {
            return Err(UpstreamError::SlotLost);
        }
        let limit = exchange.first_byte;
        let progress = body.progress();
        // pinned here: a future that is passed on has room for its argument twice
        let sending = pin!(async {
            let mut out = take_write_buffer();
            (exchange.encode)(&mut out);
            connection.exchange(out, body, exchange.method).await
        });

        let attempt = match progress {
            None => self.timer.within(limit, sending).await.ok(),
            Some(progress) => self.within_upload(limit, &progress, sending).await,
        };
        match attempt {
            Some(Ok(response)) => Ok(Attempt::Response(response)),
            Some(Err(ExchangeError::Unsent(body, error))) => Ok(Attempt::Unsent(body, error)),
            Some(Err(ExchangeError::Upload(state))) => Err(UpstreamError::Upload(state)),
            Some(Err(ExchangeError::Broken(error))) => Err(UpstreamError::Broken {
                host: host(),
                cause: error.into(),
            }),
            Some(Err(ExchangeError::Malformed(what))) => {
                Err(UpstreamError::Malformed { host: host(), what })
            }
            None => Err(UpstreamError::Timeout {
                host: host(),
                after: limit,
            }),
        }
    }

    /// Waits for the response, at most `limit` from the last byte of the upload that was passed
    /// on: a slow upload that makes progress is no slow web server. The upload has limits of its
    /// own; a web server that reads nothing of it ends here too. `None` is the timeout.
    async fn within_upload<F: Future>(
        &self,
        limit: Duration,
        progress: &UploadProgress,
        mut sending: Pin<&mut F>,
    ) -> Option<F::Output> {
        // moved when it expires, not with each chunk
        let deadline = self.timer.deadline();
        deadline.arm(limit);
        poll_fn(|cx| {
            if let Poll::Ready(output) = sending.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }

            while deadline.poll_expired(cx).is_ready() {
                let left = (progress.last_moved() + limit).saturating_sub(boot_clock());
                if left.is_zero() {
                    return Poll::Ready(None);
                }
                deadline.arm(left);
            }
            Poll::Pending
        })
        .await
    }
}

/// The error of a connection that closed before anything was sent on it.
fn closed_early(address: String) -> UpstreamError {
    UpstreamError::Unreachable(EgressError::Unreachable {
        address,
        source: io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the connection closed before the request was sent",
        ),
    })
}
