//! One client's connection: its requests one after the other, its time limits and its end.
//!
//! | State  | begins when                                   | deadline                          |
//! |--------|-----------------------------------------------|-----------------------------------|
//! | `Idle` | the connection opens, or a response has ended | `keep_alive`                      |
//! | `Head` | the first byte of a request head arrives      | `head_timeout`                    |
//! | `Busy` | the head is complete                          | none but the request's own limits |
//!
//! While a response is written, the client has a deadline to take it
//! ([`WriteTimeout`](super::timeouts::WriteTimeout)). A deadline that passes closes the connection
//! without a response.

use super::accept::{Server, Terms};
use super::client_io::{ClientIo, HeadRead, ReceivedHead};
use super::handler::{BadHead, Farewell, IncomingRequest, RequestHandler};
use super::places::{Phase, Place};
use super::request_body::RequestBody;
use super::send::{self, Sent};
use super::stream::{Stream, send_and_drain};
use super::watch::ClientWatch;
use http::Method;
use mwaa_http1::RequestLimits;
use mwaa_model::{Client, PeerAddress, PeerIdentity, RequestId};
use mwaa_runtime::ShutdownStage;
use mwaa_runtime::platform::TcpPeerResolver;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// The limits of every connection.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    /// A kept-alive connection may be silent this long between requests. A client may also
    /// delay one response by so long, and by one second more for each 16 KiB that it takes.
    pub keep_alive: Duration,
    /// The largest request line and header section, in bytes.
    pub head_size: usize,
    /// The most header fields.
    pub header_count: usize,
}

pub(super) struct Connection<H> {
    pub(super) server: Rc<Server<H>>,
    pub(super) peer: PeerAddress,
    pub(super) identity: PeerIdentity,
    pub(super) terms: Rc<Terms>,
    /// The era of the terms in which it was accepted.
    pub(super) era: u32,
    /// Finds out if a client of this machine is still there.
    pub(super) peers: Option<Rc<TcpPeerResolver>>,
    pub(super) is_tls: bool,
}

/// The end of a connection.
enum End {
    /// Either side ended it between two requests.
    Finished,
    /// The client was silent or too slow.
    TooSlow,
    /// The client left before its response.
    Left,
    /// A head that could not become a request; it is still to be answered.
    BadHead(BadHead),
    /// A response was the last, and some of the client's bytes are unread.
    Unread,
    /// The gateway or a reload ends the connection, and no request of the client has been taken.
    Unasked(Farewell),
    /// A response broke off.
    Broken,
}

impl<H: RequestHandler> Connection<H> {
    /// Serves requests until either side ends the connection.
    pub(super) async fn serve(&self, stream: Stream, place: Place) {
        let settings = self.server.settings.get();
        let io = Rc::new(ClientIo::new(stream, place, settings.keep_alive));

        let mut requests = 0_u32;
        let end = loop {
            let head = match self.receive(&io).await {
                Ok(head) => head,
                Err(end) => break end,
            };
            requests = requests.saturating_add(1);
            match self.answer(&io, head).await {
                None => {}
                Some(end) => break end,
            }
        };
        self.finish(io, end, requests).await;
    }

    /// Waits for the next request.
    async fn receive(&self, io: &ClientIo) -> Result<ReceivedHead, End> {
        let settings = self.server.settings.get();
        let limits = RequestLimits {
            size: settings.head_size,
            fields: settings.header_count,
        };
        // what came behind the last request
        if let Some(head) = io.take_head(limits).map_err(End::BadHead)? {
            return self.take(head);
        }

        let mut has_begun = io.has_begun_head();
        if has_begun {
            io.begin(Phase::Head, settings.head_timeout);
        } else {
            io.begin(Phase::Idle, settings.keep_alive);
        }
        poll_fn(|cx| {
            // bytes that have come count before a deadline that has passed, and before the shutdown
            while let Poll::Ready(read) = io.poll_head(cx, limits) {
                match read {
                    Err(bad_head) => return Poll::Ready(Err(End::BadHead(bad_head))),
                    Ok(HeadRead::Complete(head)) => return Poll::Ready(self.take(head)),
                    Ok(HeadRead::End) => return Poll::Ready(Err(End::Finished)),
                    // a client that sends one byte at a time has no more time than another
                    Ok(HeadRead::Partial) if !has_begun && io.has_begun_head() => {
                        has_begun = true;
                        io.begin(Phase::Head, settings.head_timeout);
                    }
                    Ok(HeadRead::Partial) => {}
                }
            }
            // the deadline also wakes this task at each stage of the shutdown
            if io.deadline().poll_expired(cx).is_ready() {
                return Poll::Ready(Err(End::TooSlow));
            }
            match self.find_end(io, has_begun) {
                Some(end) => Poll::Ready(Err(end)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Takes a request, unless the listener may not know its client or its `Host` now.
    fn take(&self, head: ReceivedHead) -> Result<ReceivedHead, End> {
        if self.is_outdated() {
            return Err(End::BadHead(BadHead::Reloaded));
        }
        Ok(head)
    }

    /// Returns the end of a connection without a whole request, if the shutdown or a reload ends it.
    fn find_end(&self, io: &ClientIo, has_begun: bool) -> Option<End> {
        match self.server.shutdown.stage() {
            ShutdownStage::Cut if has_begun => Some(End::BadHead(BadHead::Stopping)),
            ShutdownStage::Cut => Some(End::Unasked(Farewell::Stopping)),
            _ if self.is_outdated() && has_begun => Some(End::BadHead(BadHead::Reloaded)),
            _ if self.is_outdated() => Some(End::Unasked(Farewell::Reloaded)),
            ShutdownStage::Serving | ShutdownStage::Leaving => None,
            // a request that is there is served
            ShutdownStage::Draining if has_begun || io.has_arrived() => None,
            ShutdownStage::Draining => Some(End::Unasked(Farewell::Stopping)),
        }
    }

    /// Answers a request. Returns the end of the connection if this was its last.
    async fn answer(&self, io: &Rc<ClientIo>, received: ReceivedHead) -> Option<End> {
        let head = &received.head;
        io.place.set_phase(Phase::Busy);
        io.deadline().disarm();
        io.restart_write_timeout();
        let version = head.version;
        let is_head = head.method == Method::HEAD;
        let may_stay = head.keep_alive;
        let mut body = RequestBody::new(io, head.framing, head.expects_continue);
        let request = self.make_request(received, body.clone());

        // boxed: an idle connection has no room for it
        let mut handling = Box::pin(self.server.handle.call(request));
        let mut watch = ClientWatch::new(io, self);
        let response = run(&mut watch, &body, handling.as_mut()).await;
        drop(handling);
        let Some(response) = response else {
            return Some(End::Left);
        };
        watch.is_cancelled_by_half_close = response.half_close_cancels;

        // A client that waits for `100 Continue` does not send its body after a refusal. What is
        // left of any other would be read as the next request.
        if !body.is_complete() && !body.is_awaited() {
            body.discard().await;
        }
        let is_unread = !body.is_complete();
        body.end();

        // from a shutdown on, the header makes the client send its next request elsewhere
        let keep_alive = may_stay
            && !is_unread
            && (!io.has_ended() || io.has_input())
            && !self.is_ending()
            && !send::closes(&response.headers);
        let sending = send::Settings {
            keep_alive,
            is_head,
            version,
        };
        match send::send(io, response, sending, &mut watch).await {
            Sent::Complete { keep_alive: true } => None,
            Sent::Complete { .. } if is_unread || io.has_input() => Some(End::Unread),
            Sent::Complete { .. } => Some(End::Finished),
            Sent::Broken => Some(End::Broken),
            Sent::Refused => Some(End::Left),
        }
    }

    fn make_request(&self, received: ReceivedHead, body: RequestBody) -> IncomingRequest {
        IncomingRequest {
            id: RequestId::next(),
            client: self.client(),
            secure: self.is_tls,
            head: received.head,
            is_repeated: received.is_repeated,
            body,
        }
    }

    fn client(&self) -> Client {
        Client {
            peer: self.peer,
            identity: self.identity,
            listener: self.terms.policy(),
        }
    }

    /// Returns true if no further request is taken: the gateway shuts down, or the listener is closed,
    /// or would not accept this connection now.
    fn is_ending(&self) -> bool {
        self.server.shutdown.stage() > ShutdownStage::Serving || self.is_outdated()
    }

    /// Returns true if the listener is closed, or would not accept this connection now.
    fn is_outdated(&self) -> bool {
        self.terms.is_closed() || self.terms.era() != self.era
    }

    /// Closes the connection, so that the client understands the close.
    async fn finish(&self, io: Rc<ClientIo>, end: End, requests: u32) {
        let reason = match &end {
            End::Finished => "finished",
            End::TooSlow => "the client was silent or too slow",
            End::Left => "the client left before the end of its response",
            End::BadHead(_) => "the head is not a request",
            End::Unread => "the rest of a request is unread",
            End::Unasked(Farewell::Stopping) => "the gateway is stopping",
            End::Unasked(Farewell::Reloaded) => "a new configuration ends it",
            End::Broken => "the response broke off",
        };
        tracing::debug!(reason, requests, "connection closed");
        // a request body that is still held somewhere reads nothing more
        let Some(io) = Rc::into_inner(io) else { return };
        // in this order, so that the stream is dropped before its place is free
        let (place, mut stream) = io.into_parts();
        let stream = &mut stream;
        let linger = match end {
            End::Unasked(_) => FAREWELL,
            _ => LINGER,
        };

        let last_step = async {
            match end {
                End::Finished => drop(stream.shutdown().await),
                End::Unread => send_and_drain(stream, &[]).await,
                End::BadHead(bad_head) => {
                    let response = (self.server.refuse)(bad_head, &self.client());
                    send_and_drain(stream, &response).await;
                }
                // A request may be on its way in this moment. Its client reads this response, where
                // a bare close would leave it in doubt.
                End::Unasked(farewell) => {
                    let response = (self.server.farewell)(farewell);
                    send_and_drain(stream, &response).await;
                }
                End::Broken | End::TooSlow | End::Left => {}
            }
        };
        // a client that needs a place goes before one that was answered
        place.set_phase(Phase::Idle);
        place.deadline().arm(linger);
        tokio::select! {
            biased;
            () = last_step => {}
            () = place.deadline() => {}
        }
    }
}

/// Waits for the response; `None` if the client leaves before it.
async fn run<F: Future>(
    watch: &mut ClientWatch<'_>,
    body: &RequestBody,
    mut handling: Pin<&mut F>,
) -> Option<F::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(response) = handling.as_mut().poll(cx) {
            return Poll::Ready(Some(response));
        }
        watch.wake_at_shutdown(cx);
        // until then the reader of the body notices the end
        if body.is_complete() && watch.poll_left(cx).is_ready() {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// The longest wait for a client that is refused while it sends, so that it can read the answer.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// The longest wait for an idle client that is about to send a request when its connection ends. Many
/// clients notice the end of an idle connection only when they use it again.
const FAREWELL: Duration = Duration::from_secs(1);
