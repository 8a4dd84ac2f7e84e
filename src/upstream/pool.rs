//! The exchange over one worker thread's connections.

use super::answered::{Answered, Unanswered};
use super::dial::dial;
use super::idle::{Connection, Idle};
use super::payload::{Payload, Progress, UploadFate};
use super::{Settings, Trusts, UpstreamError, request};
use crate::credential::{Keyed, SignedIn};
use crate::egress::{Egress, EgressError};
use crate::names::Entry;
use crate::runtime::{Elapsed, LocalTasks, Moment, Sweeper, uptime};
use bytes::Bytes;
use http::{Method, Request};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// The wire out of one worker thread. Clones share it.
#[derive(Clone)]
pub struct Upstream(Rc<Inner>);

pub(super) struct Inner {
    pub(super) settings: Settings,
    egress: Egress,
    trust: Arc<Trusts>,
    idle: Rc<Idle>,
    pub(super) sweeper: Sweeper,
    tasks: LocalTasks,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// Makes the thread's pool. `trust` holds what each environment's web server is believed by.
    pub fn new(
        settings: Settings,
        egress: Egress,
        trust: Arc<Trusts>,
        sweeper: Sweeper,
        tasks: LocalTasks,
    ) -> Self {
        let idle = Idle::start(&settings, &sweeper, &tasks);
        Self(Rc::new(Inner {
            settings,
            egress,
            trust,
            idle,
            sweeper,
            tasks,
        }))
    }

    /// Sends the command and waits for the head of the reply.
    ///
    /// It is written at most once: another connection is taken only if nothing of it was
    /// written to the first (RFC 9110 section 9.2.2).
    pub async fn send(&self, keyed: Keyed) -> Result<Answered, Box<Unanswered>> {
        self.deliver(keyed, false).await
    }

    /// The same for a second write, over a connection of its own: what broke the first one may
    /// have broken the others too.
    pub async fn send_again(&self, keyed: Keyed) -> Result<Answered, Box<Unanswered>> {
        self.deliver(keyed, true).await
    }

    async fn deliver(&self, keyed: Keyed, fresh: bool) -> Result<Answered, Box<Unanswered>> {
        let inner = &self.0;
        let host = Arc::clone(keyed.live().host());
        let entry = Arc::clone(keyed.seated().entry());
        let request = request::cli(&keyed);
        let limit = inner.settings.cli_first_byte;
        let run = Arc::clone(keyed.seated().run());
        let departs = || run.depart();
        let delivered = inner
            .deliver(request, &entry, &host, limit, fresh, &departs)
            .await;
        match delivered {
            Ok(answered) => Ok(answered.holding(keyed)),
            Err(error) => Err(Box::new(Unanswered { error, keyed })),
        }
    }

    /// Sends a request for the REST API or the UI and waits for the head of the reply. A safe
    /// request with no body is sent again if a connection that was kept open breaks under it.
    pub async fn forward(
        &self,
        signed: &SignedIn,
        payload: Payload,
    ) -> Result<Answered, UpstreamError> {
        let inner = &self.0;
        let entry = signed.passage().entry();
        let host = signed.session().host();
        let limit = inner.settings.first_byte;
        let progress = progress(&payload);
        let request = request::page(signed, payload);
        let delivered = inner
            .deliver(request, entry, host, limit, false, &|| ())
            .await;
        let fate = progress.map(|progress| progress.fate());
        match (delivered, fate) {
            (
                Err(_),
                Some(fate @ (UploadFate::Broken | UploadFate::Silent | UploadFate::TooLarge)),
            ) => Err(UpstreamError::Upload(fate)),
            (Err(error), _) => Err(error),
            (Ok(mut answered), fate) => {
                // a reply before the end of the request: nobody may use the connection after it
                if fate.is_some_and(|fate| fate != UploadFate::Complete) {
                    answered.spend_connection();
                }
                Ok(answered)
            }
        }
    }
}

enum Exchanged {
    Reply(http::Response<hyper::body::Incoming>),
    /// The connection died before anything was written.
    Unwritten(Request<Payload>, hyper::Error),
}

impl Inner {
    /// `departs` is told right before anything is written, on each connection.
    async fn deliver(
        &self,
        mut request: Request<Payload>,
        entry: &Entry,
        host: &Arc<str>,
        limit: Duration,
        fresh: bool,
        departs: &dyn Fn(),
    ) -> Result<Answered, UpstreamError> {
        let peer = || self.egress.described(&entry.environment, host);
        let mut spare = spare(&request);
        let mut again = fresh;
        loop {
            let kept = if again {
                None
            } else {
                self.idle.take(entry.id, host)
            };
            let (mut connection, reused) = match kept {
                Some(connection) => (connection, true),
                // rare and large: boxed, so that not every exchange has room for it
                None => (Box::pin(self.open(entry, host)).await?, false),
            };
            let exchanged = self
                .exchange(&mut connection, request, &peer, limit, departs)
                .await;
            match (exchanged, spare.take()) {
                (Err(UpstreamError::Broken { .. }), Some(spare)) if reused => {
                    // once, on a new connection: its death may be the request's doing
                    again = true;
                    request = spare.map(|()| Payload::Whole(Bytes::new()));
                }
                (Err(error), _) => return Err(error),
                (Ok(Exchanged::Reply(response)), _) => {
                    let lease = self.idle.lease(entry.id, connection);
                    return Answered::begin(response, lease, &peer, self).await;
                }
                (Ok(Exchanged::Unwritten(unwritten, _error)), left) if reused => {
                    (request, spare) = (unwritten, left);
                }
                // nothing was sent, so the outcome is not unknown
                (Ok(Exchanged::Unwritten(_, source)), _) => {
                    tracing::debug!(%source, "the connection closed before the request was sent");
                    return Err(UpstreamError::Unreachable(EgressError::Unreachable {
                        address: peer(),
                        source: io::Error::new(
                            io::ErrorKind::ConnectionAborted,
                            "the connection closed before the request was sent",
                        ),
                    }));
                }
            }
        }
    }

    async fn open(&self, entry: &Entry, host: &Arc<str>) -> Result<Connection, UpstreamError> {
        let trust = self.trust.of(entry.id);
        let sender = dial(
            host,
            &entry.environment,
            &self.egress,
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

    /// Waits for the reply, at most `limit` from the last byte of the upload that was passed on:
    /// a slow upload that makes progress is no slow web server. The upload has limits of its
    /// own; a web server that takes nothing of it ends here too.
    async fn after_upload<F: Future>(
        &self,
        limit: Duration,
        progress: &Progress,
        exchange: F,
    ) -> Result<F::Output, Elapsed> {
        let mut exchange = pin!(exchange);
        let deadline = self.sweeper.deadline();
        deadline.arm(limit);
        poll_fn(|cx| {
            if let Poll::Ready(output) = exchange.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            while deadline.poll_expired(cx).is_ready() {
                let left = (progress.moved() + limit).saturating_sub(uptime());
                if left.is_zero() {
                    return Poll::Ready(Err(Elapsed));
                }
                deadline.arm(left);
            }
            Poll::Pending
        })
        .await
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        request: Request<Payload>,
        peer: &dyn Fn() -> String,
        limit: Duration,
        departs: &dyn Fn(),
    ) -> Result<Exchanged, UpstreamError> {
        let sender = &mut connection.sender;
        let progress = progress(request.body());
        let exchange = async {
            // a connection just given back may need a turn of its task to be ready
            if let Err(error) = sender.ready().await {
                return Ok(Exchanged::Unwritten(request, error));
            }
            departs();
            match sender.try_send_request(request).await {
                Ok(response) => Ok(Exchanged::Reply(response)),
                Err(mut refused) => match refused.take_message() {
                    Some(request) => Ok(Exchanged::Unwritten(request, refused.into_error())),
                    None => Err(refused.into_error()),
                },
            }
        };
        let answered = match progress {
            None => self.sweeper.within(limit, exchange).await,
            Some(progress) => self.after_upload(limit, &progress, exchange).await,
        };
        match answered {
            Ok(Ok(exchanged)) => Ok(exchanged),
            Ok(Err(source)) => Err(UpstreamError::Broken {
                host: peer(),
                source: source.into(),
            }),
            Err(_elapsed) => Err(UpstreamError::Timeout {
                host: peer(),
                after: limit,
            }),
        }
    }
}

/// How far the request's body is, if it is passed on as it comes.
fn progress(payload: &Payload) -> Option<Rc<Progress>> {
    match payload {
        Payload::Stream(upload) => Some(upload.progress()),
        Payload::Whole(_) => None,
    }
}

/// The head once more, of a request that may be sent twice: safe, and with no body (RFC 9110
/// section 9.2.2, RFC 9112 section 9.3.1).
fn spare(request: &Request<Payload>) -> Option<Request<()>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let empty = matches!(request.body(), Payload::Whole(bytes) if bytes.is_empty());
    (safe && empty).then(|| {
        let mut spare = Request::new(());
        *spare.method_mut() = request.method().clone();
        *spare.uri_mut() = request.uri().clone();
        *spare.headers_mut() = request.headers().clone();
        spare
    })
}
