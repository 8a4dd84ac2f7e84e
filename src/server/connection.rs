//! One client's connection: its time limits, its bad heads and its end. hyper speaks HTTP; this
//! watches the bytes that it reads and writes, and the deadline follows the state:
//!
//! | State  | begins when                                   | deadline                          |
//! |--------|-----------------------------------------------|-----------------------------------|
//! | `Idle` | the connection opens, or a response has ended | `keep_alive`                      |
//! | `Head` | the first byte of a request head arrives      | `head_timeout`                    |
//! | `Busy` | hyper has read the head                       | none but the request's own limits |
//!
//! In every state a write that waits for the client has a deadline of its own ([`WriteTimeout`]).
//! A deadline that passes closes the connection without a response.
//!
//! A request as it came in, and the function that answers it, are at the end.

use super::accept::{Server, TLS_HANDSHAKE};
use super::stream::{Stream, drain, send_and_drain};
use super::timeouts::WriteTimeout;
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mwaa_model::{Client, RequestId, debug_fields};
use mwaa_runtime::{Deadline, RequestBody, boot_clock};
use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
    /// The most header fields that are read at all; admission counts what was read.
    pub header_count: usize,
}

pub(super) struct Connection<H> {
    pub(super) server: Rc<Server<H>>,
    pub(super) client: Client,
    pub(super) is_tls: bool,
}

impl<H: RequestHandler> Connection<H> {
    /// Serves requests until either side ends the connection.
    pub(super) async fn serve(&self, stream: Stream) {
        let settings = self.server.settings;
        let tracker = Rc::new(Tracker::new(
            settings,
            self.is_tls,
            self.server.timer.deadline(),
        ));
        let io = TokioIo::new(TrackedStream {
            stream,
            tracker: Rc::clone(&tracker),
        });
        let service = service_fn(|request| self.respond(request, &tracker));

        // hyper's own timers stay off: the tracker's deadline costs no timer for each request
        let mut builder = http1::Builder::new();
        builder.max_buf_size(settings.head_size.max(HYPER_MIN_BUFFER));
        // setting a limit costs hyper a table for each request, so it is set only above the default;
        // admission checks the real limit
        if settings.header_count > HYPER_HEADERS {
            builder.max_headers(settings.header_count);
        }
        let mut http = builder.serve_connection(io, service);

        let mut is_last_request = false;
        // one future and no `select!`: this is polled several times for each request
        let outcome = poll_fn(|cx| {
            // bytes that have come count before a deadline that has passed
            if let Poll::Ready(outcome) = Pin::new(&mut http).poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            // the deadline also wakes this task at the shutdown
            if tracker.deadline.poll_expired(cx).is_ready() {
                return Poll::Ready(None);
            }
            // a request that has begun is answered; an idle connection ends at once
            if self.server.shutdown.has_begun() && !is_last_request {
                is_last_request = true;
                Pin::new(&mut http).graceful_shutdown();
                if let Poll::Ready(outcome) = Pin::new(&mut http).poll(cx) {
                    return Poll::Ready(Some(outcome));
                }
            }
            Poll::Pending
        })
        .await;
        let Some(outcome) = outcome else {
            let state = tracker.state.get();
            let requests = tracker.requests.get();
            let reason = "the client was silent or too slow";
            tracing::debug!(reason, ?state, requests, "connection closed");
            return;
        };

        let stream = http.into_parts().io.into_inner().stream;
        self.finish(stream, outcome, &tracker).await;
    }

    /// Passes a request on to the handler, and returns its response as hyper is to send it.
    fn respond(
        &self,
        request: Request<Incoming>,
        tracker: &Rc<Tracker>,
    ) -> impl Future<Output = Result<Response<H::Body>, Infallible>> + use<H> {
        tracker.set_busy(request.version());
        let (head, body) = request.into_parts();
        let (body, mut rest) = RequestBody::new(body);
        // a client that waits for `100 Continue` does not send its body after a refusal
        let is_waiting = head.headers.contains_key(EXPECT);
        let request = Box::new(IncomingRequest {
            id: RequestId::next(),
            client: self.client.clone(),
            secure: self.is_tls,
            head,
            body,
        });
        // A client that disconnects, even by half-closing, ends hyper's connection, which drops the
        // handler's future. All guards of a request rest on that.
        let guard = BusyGuard(Rc::clone(tracker));
        let response = self.server.handle.call(request, guard);

        let tracker = Rc::clone(tracker);
        let server = Rc::clone(&self.server);
        async move {
            let mut response = response.await;

            // the end of a short body saves the connection
            if rest.is_unread() && !is_waiting {
                rest.discard().await;
            }
            // What is left of the body would be read as the next request. The header makes the
            // client send that one elsewhere.
            let is_unread = rest.is_unread();
            tracker.has_unread_body.set(is_unread);
            // `serve` may hear of the shutdown only after hyper has written this response
            if is_unread || server.shutdown.has_begun() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }

            Ok(response)
        }
    }

    /// Closes a connection that hyper is done with, so that the client understands the close.
    async fn finish(&self, stream: Stream, outcome: hyper::Result<()>, tracker: &Tracker) {
        let requests = tracker.requests.get();
        let Err(error) = outcome else {
            tracing::debug!(reason = "finished", requests, "connection closed");
            if tracker.has_unread_body.get() {
                linger(drain(stream), tracker).await;
            }
            return;
        };
        tracing::debug!(reason = %error, requests, "connection closed");

        // the response broke off: an HTTP/1.0 client takes an orderly close for its end
        if error.is_user() && tracker.ends_by_close.get() {
            stream.reset_on_close();
            return;
        }

        // hyper answers HTTP/2 with nothing at all
        let is_http_2 = error.is_parse()
            && !tracker.owes_response.get()
            && tracker.first_byte.get() == Some(HTTP_2);
        let bad_head = tracker.bad_head.get();
        if let Some(bad_head) = bad_head.or_else(|| is_http_2.then_some(BadHead::Http2)) {
            let response = (self.server.refuse)(bad_head);
            linger(send_and_drain(stream, &response), tracker).await;
        }
    }
}

/// Runs the last step of a connection, for at most [`LINGER`].
async fn linger(last_step: impl Future<Output = ()>, tracker: &Tracker) {
    tracker.deadline.arm(LINGER);
    tokio::select! {
        biased;
        () = last_step => {}
        () = &tracker.deadline => {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between requests.
    Idle,
    /// Some of a head has come.
    Head,
    /// A request is being answered.
    Busy,
}

/// The state of one connection, and what its end depends on.
struct Tracker {
    state: Cell<State>,
    /// Requests so far, for the log.
    requests: Cell<u32>,
    /// A request has come whose response is not written to its end.
    owes_response: Cell<bool>,
    /// Set when hyper answers a head that could not become a request. Its answer names neither
    /// the request nor the fault, so it is dropped, and ours is sent when hyper is done.
    bad_head: Cell<Option<BadHead>>,
    /// The first byte of a head.
    first_byte: Cell<Option<u8>>,
    /// A response without a length ends with the connection (HTTP/1.0).
    ends_by_close: Cell<bool>,
    /// A request was answered without reading all of its body.
    has_unread_body: Cell<bool>,
    write_timeout: Cell<WriteTimeout>,
    deadline: Deadline,
    is_tls: bool,
    settings: Settings,
}

impl Tracker {
    fn new(settings: Settings, is_tls: bool, deadline: Deadline) -> Self {
        deadline.arm(settings.keep_alive);
        Self {
            state: Cell::new(State::Idle),
            requests: Cell::new(0),
            owes_response: Cell::new(false),
            bad_head: Cell::new(None),
            first_byte: Cell::new(None),
            ends_by_close: Cell::new(false),
            has_unread_body: Cell::new(false),
            write_timeout: Cell::new(WriteTimeout::new(settings.keep_alive)),
            deadline,
            is_tls,
            settings,
        }
    }

    fn set_idle(&self) {
        self.state.set(State::Idle);
        self.deadline.arm(self.settings.keep_alive);
    }

    fn set_busy(&self, version: Version) {
        self.state.set(State::Busy);
        self.requests.set(self.requests.get().saturating_add(1));
        self.owes_response.set(true);
        self.ends_by_close.set(version == Version::HTTP_10);
        self.write_timeout
            .set(WriteTimeout::new(self.settings.keep_alive));
        self.deadline.disarm();
    }

    /// Bytes have come; `first` is the first of them.
    fn on_read(&self, first: Option<u8>) {
        // In `Head` the deadline stays: a client that sends one byte at a time has no more time
        // than another. In `Busy` these bytes are the body or the next request.
        if self.state.get() == State::Idle {
            self.state.set(State::Head);
            self.first_byte.set(first);
            self.deadline.arm(self.settings.head_timeout);
        }
    }

    /// Returns `true` for what hyper writes although no response is owed: its own answer to a bad
    /// head, which is not to be sent.
    fn is_hyper_answer(&self, bytes: &[u8]) -> bool {
        if self.owes_response.get() {
            return false;
        }

        // only the first write holds the status
        if self.bad_head.get().is_none() {
            let is_tls_head = self.first_byte.get() == Some(TLS_HANDSHAKE) && !self.is_tls;
            self.bad_head.set(Some(match bytes.get(STATUS_RANGE) {
                Some(b"414") => BadHead::TargetTooLong,
                Some(b"431") => BadHead::TooLarge,
                _ if is_tls_head => BadHead::TlsOnPlain,
                _ => BadHead::Malformed,
            }));
        }
        true
    }

    /// Bounds how long a client may take for a response: one that reads nothing, or very slowly,
    /// must not hold a command's slot for long.
    fn on_write(&self, write: &Poll<io::Result<usize>>) {
        let mut timeout = self.write_timeout.get();
        let was_waiting = timeout.is_waiting();

        match write {
            Poll::Pending if !was_waiting => {
                self.deadline.arm(timeout.start_wait(boot_clock()));
            }

            Poll::Ready(Ok(bytes)) => {
                // back to the deadline of the state, which the wait has replaced
                if was_waiting {
                    timeout.end_wait(boot_clock());
                    match self.state.get() {
                        State::Busy => self.deadline.disarm(),
                        State::Head => self.deadline.arm(self.settings.head_timeout),
                        State::Idle => self.set_idle(),
                    }
                }
                timeout.add_bytes(*bytes, self.settings.keep_alive);
            }

            Poll::Pending | Poll::Ready(Err(_)) => return,
        }
        self.write_timeout.set(timeout);
    }

    /// All that hyper had to write is written.
    fn on_flush(&self) {
        // in `Busy` more of the response is still to come
        if self.state.get() != State::Busy {
            self.owes_response.set(false);
        }
    }
}

/// The stream of a connection, with its tracker informed of every read and write.
struct TrackedStream {
    stream: Stream,
    tracker: Rc<Tracker>,
}

impl AsyncRead for TrackedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.tracker.on_read(buffer.filled().get(before).copied());
        }
        read
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.tracker.is_hyper_answer(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.tracker.on_write(&write);
        write
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.first().map_or(&[][..], |first| first);
        if self.tracker.is_hyper_answer(first) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.tracker.on_write(&write);
        write
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        if flush.is_ready() {
            self.tracker.on_flush();
        }
        flush
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // our own answer to a bad head is still to come
        if self.tracker.bad_head.get().is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Keeps a connection busy while it answers a request. The handler gets it with the request and
/// keeps it in the body of the response; dropping it makes the connection idle.
pub struct BusyGuard(Rc<Tracker>);

impl fmt::Debug for BusyGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusyGuard").finish_non_exhaustive()
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.set_idle();
    }
}

/// The header fields that hyper takes by default.
const HYPER_HEADERS: usize = 100;
/// hyper's smallest read buffer (`max_buf_size` panics below it).
const HYPER_MIN_BUFFER: usize = 8192;
/// The position of the status in hyper's answer: `HTTP/1.1 400`.
const STATUS_RANGE: std::ops::Range<usize> = 9..12;
/// The first byte of HTTP/2 with prior knowledge: `PRI * HTTP/2.0` (RFC 9113 section 3.4).
const HTTP_2: u8 = b'P';
/// The longest wait for a client that is refused while it sends, so that it can read the answer.
const LINGER: Duration = Duration::from_secs(2);

/// The body of a request, unread.
pub type Body = RequestBody;

/// Any error of a response body.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A request as it came in. Nothing in it has been checked yet.
pub struct IncomingRequest {
    /// Its id in logs, in responses and towards the web server.
    pub id: RequestId,
    /// The client that sent it, and the listener that it came in by.
    pub client: Client,
    /// Set if the connection is TLS: URLs on it begin with `https:`.
    pub secure: bool,
    /// Request line and header section.
    pub head: Parts,
    /// The body, unread.
    pub body: Body,
}

debug_fields!(IncomingRequest: id, client, secure);

/// A head that could not become a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// HTTP/2 with prior knowledge.
    Http2,
    /// It is not HTTP/1.1.
    Malformed,
    /// Plain HTTP on a port that speaks TLS.
    PlainOnTls,
    /// The request line is longer than any that is read.
    TargetTooLong,
    /// TLS on a port that speaks plain HTTP.
    TlsOnPlain,
    /// It is larger than the limit.
    TooLarge,
}

/// A function that answers a request, `Fn(Box<IncomingRequest>, BusyGuard) -> impl Future<Output =
/// Response<_>>`. It keeps the guard as long as the connection is busy with the request, best in the
/// body of the response.
///
/// Every such function implements it; the trait gives its bounds one name.
pub trait RequestHandler: 'static {
    /// The body of its responses.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static;

    /// Resolves to the response.
    type Future: Future<Output = Response<Self::Body>> + 'static;

    /// Starts to answer the request.
    fn call(&self, request: Box<IncomingRequest>, guard: BusyGuard) -> Self::Future;
}

impl<H, F, B> RequestHandler for H
where
    H: Fn(Box<IncomingRequest>, BusyGuard) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
    type Body = B;
    type Future = F;

    fn call(&self, request: Box<IncomingRequest>, guard: BusyGuard) -> F {
        self(request, guard)
    }
}
