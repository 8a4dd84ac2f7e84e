//! Serves one connection: head limits, idle limits and the graceful end.

use super::greet::HANDSHAKE;
use super::patience::Patience;
use super::refuse::{answer_and_close, drain};
use super::{Arrived, BadHead, Handler, Stop};
use crate::names::{Caller, RequestId};
use crate::runtime::{Deadline, RequestBody, uptime};
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// What the listener enforces on every connection.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    /// A kept-alive connection may be silent this long between requests. A client may also
    /// delay one reply by so long, and by one second more for each 16 KiB that it takes.
    pub keep_alive: Duration,
    /// The largest request line and header section, in bytes.
    pub head_size: usize,
    /// The most header fields that are read at all; the guard counts what was read.
    pub header_count: usize,
}

pub(super) struct Connection<H> {
    pub(super) secure: bool,
    pub(super) caller: Caller,
    pub(super) settings: Rc<Settings>,
    pub(super) deadline: Rc<Deadline>,
    pub(super) stop: Stop,
    pub(super) handler: Rc<Handler<H>>,
}

impl<H> Connection<H> {
    pub(super) async fn serve<F, B, S>(mut self, stream: S)
    where
        H: Fn(Arrived) -> F + 'static,
        F: Future<Output = http::Response<B>> + 'static,
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Failure>,
        S: AsyncRead + AsyncWrite + Reset + Unpin + 'static,
    {
        let state = Rc::new(State {
            phase: Cell::new(Phase::Idle),
            owes: Cell::new(false),
            bad_head: Cell::new(None),
            first_byte: Cell::new(None),
            ends_by_closing: Cell::new(false),
            left_body: Cell::new(false),
            secure: self.secure,
            patience: Cell::new(Patience::new(self.settings.keep_alive)),
            deadline: Rc::clone(&self.deadline),
            settings: Rc::clone(&self.settings),
        });
        state.idle();
        let io = TokioIo::new(Watched {
            stream,
            state: Rc::clone(&state),
        });
        let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
            state.busy(request.version());
            let (head, body) = request.into_parts();
            let (body, mut rest) = RequestBody::new(body);
            // who waits for leave to send a body does not send it after a refusal
            let waits = head.headers.contains_key(EXPECT);
            let arrived = Arrived {
                id: RequestId::next(),
                secure: self.secure,
                caller: self.caller.clone(),
                head,
                body,
            };
            let answer = (self.handler.handle)(arrived);
            let state = Rc::clone(&state);
            async move {
                let mut reply = answer.await;
                if rest.is_left() && !waits {
                    rest.discard().await;
                }
                if rest.is_left() {
                    // the client is told, so that it sends its next request elsewhere
                    let close = HeaderValue::from_static("close");
                    reply.headers_mut().insert(CONNECTION, close);
                    state.left_body.set(true);
                }
                Ok::<_, Infallible>(reply.map(|body| Served {
                    body,
                    failure: None,
                    _end: End(state),
                }))
            }
        });
        let mut builder = http1::Builder::new();
        // a limit of one's own makes hyper fill its tables for each request; the guard counts
        if self.settings.header_count > HYPER_HEADERS {
            builder.max_headers(self.settings.header_count);
        }
        let mut served = builder
            .max_buf_size(self.settings.head_size.max(SMALLEST_BUFFER))
            .serve_connection(io, service);
        let mut stop = self.stop.clone();
        let mut stopping = false;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut served => break outcome,
                () = &*self.deadline => {
                    tracing::debug!(phase = ?state.phase.get(), "client was silent or too slow; closing");
                    return;
                }
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    Pin::new(&mut served).graceful_shutdown();
                }
            }
        };
        self.stop = stop;
        let stream = served.into_parts().io.into_inner().stream;
        self.part(stream, outcome, &state).await;
    }

    /// Closes a connection that hyper is done with, so that the client understands the close.
    async fn part<S>(&self, stream: S, outcome: hyper::Result<()>, state: &State)
    where
        S: AsyncRead + AsyncWrite + Reset + Unpin,
    {
        let Err(error) = outcome else {
            if state.left_body.get() {
                self.linger(drain(stream)).await;
            }
            return;
        };
        tracing::debug!(%error, "connection ended");
        if error.is_user() && state.ends_by_closing.get() {
            // the reply broke off, and this client takes the end of the connection for its end
            stream.reset();
            return;
        }
        // hyper answers HTTP/2 with nothing at all
        let is_http_2 =
            error.is_parse() && !state.owes.get() && state.first_byte.get() == Some(HTTP_2);
        let bad_head = state.bad_head.get();
        if let Some(bad_head) = bad_head.or_else(|| is_http_2.then_some(BadHead::Http2)) {
            let reply = (self.handler.refuse)(bad_head);
            self.linger(answer_and_close(stream, &reply)).await;
        }
    }

    /// Runs the last act of a connection, for at most [`LINGER`].
    async fn linger(&self, act: impl Future<Output = ()>) {
        self.deadline.arm(LINGER);
        tokio::select! {
            biased;
            () = act => {}
            () = &*self.deadline => {}
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between requests.
    Idle,
    /// Some of a head has come.
    Head,
    /// A request is being answered; its own limits hold.
    Busy,
}

struct State {
    phase: Cell<Phase>,
    /// Whether a request has come whose reply is not written to its end.
    owes: Cell<bool>,
    /// Set when hyper answers a head that could not become a request. Its answer names neither
    /// the request nor the fault, so it is dropped, and ours is sent when hyper is done.
    bad_head: Cell<Option<BadHead>>,
    /// The first byte of a head.
    first_byte: Cell<Option<u8>>,
    /// Whether a reply without a length ends with the connection (HTTP/1.0).
    ends_by_closing: Cell<bool>,
    /// Whether a request was answered without reading all of its body.
    left_body: Cell<bool>,
    secure: bool,
    patience: Cell<Patience>,
    deadline: Rc<Deadline>,
    settings: Rc<Settings>,
}

impl State {
    fn idle(&self) {
        self.phase.set(Phase::Idle);
        self.deadline.arm(self.settings.keep_alive);
    }

    fn bytes_came(&self, first: Option<u8>) {
        if self.phase.get() == Phase::Idle {
            self.phase.set(Phase::Head);
            self.first_byte.set(first);
            self.deadline.arm(self.settings.head_timeout);
        }
    }

    fn busy(&self, version: Version) {
        self.ends_by_closing.set(version == Version::HTTP_10);
        self.phase.set(Phase::Busy);
        self.owes.set(true);
        self.patience.set(Patience::new(self.settings.keep_alive));
        self.deadline.disarm();
    }

    /// All that hyper had to say is written.
    fn flushed(&self) {
        if self.phase.get() != Phase::Busy {
            self.owes.set(false);
        }
    }

    /// Takes what hyper writes although no reply is owed: its own answer to a bad head.
    fn takes(&self, bytes: &[u8]) -> bool {
        if self.owes.get() {
            return false;
        }
        if self.bad_head.get().is_none() {
            let tls = self.first_byte.get() == Some(HANDSHAKE) && !self.secure;
            self.bad_head.set(Some(match bytes.get(STATUS_AT) {
                Some(b"414") => BadHead::TargetTooLong,
                Some(b"431") => BadHead::TooLarge,
                _ if tls => BadHead::TlsOnPlain,
                _ => BadHead::Malformed,
            }));
        }
        true
    }

    /// A client that does not read its reply, or reads it very slowly, must not hold a command's
    /// slot for long.
    fn wrote(&self, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut patience = self.patience.get();
        let waited = patience.is_waiting();
        match &write {
            Poll::Pending if !waited => self.deadline.arm(patience.wait(uptime())),
            Poll::Ready(Ok(bytes)) => {
                if waited {
                    patience.resume(uptime());
                    match self.phase.get() {
                        Phase::Busy => self.deadline.disarm(),
                        Phase::Head => self.deadline.arm(self.settings.head_timeout),
                        Phase::Idle => self.idle(),
                    }
                }
                patience.refill(*bytes, self.settings.keep_alive);
            }
            Poll::Pending | Poll::Ready(Err(_)) => return write,
        }
        self.patience.set(patience);
        write
    }
}

/// Ends a connection so that it does not look like the orderly end of a message.
pub(super) trait Reset {
    /// The next close resets the connection, where that can be told.
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        // without it the client is told less, which is no harm to us
        let _unsupported = self.set_zero_linger();
    }
}

impl Reset for TlsStream<TcpStream> {
    /// TLS tells by itself: its `close_notify` is missing (RFC 8446 section 6.1).
    fn reset(&self) {}
}

impl Reset for UnixStream {
    /// It has no resets.
    fn reset(&self) {}
}

/// The stream, with an eye on when a request head begins.
struct Watched<S> {
    stream: S,
    state: Rc<State>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.state.bytes_came(buffer.filled().get(before).copied());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.state.takes(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.state.wrote(write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.state.takes(slices.first().map_or(&[], |first| first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.state.wrote(write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.state.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.bad_head.get().is_some() {
            // our own answer is still to come
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The reply body; when it is gone the connection is idle again.
struct Served<B> {
    body: B,
    /// How the body failed, kept until what came before it has been written.
    failure: Option<Failure>,
    _end: End,
}

struct End(Rc<State>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.idle();
    }
}

impl<B: Body<Data = Bytes, Error: Into<Failure>> + Unpin> Body for Served<B> {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            // hyper drops what it has not written yet when a body fails; a client that has seen
            // nothing of the reply may take the closed connection for an idle one that ended,
            // and send its request again. After `Pending` hyper writes what it holds.
            Poll::Ready(Some(Err(failure))) => {
                self.failure = Some(failure.into());
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled.map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failure.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The header fields that hyper takes unless told otherwise.
const HYPER_HEADERS: usize = 100;
/// hyper's smallest read buffer (`max_buf_size` panics below it).
const SMALLEST_BUFFER: usize = 8192;
/// The position of the status in hyper's answer: `HTTP/1.1 400`.
const STATUS_AT: std::ops::Range<usize> = 9..12;
/// The first byte of HTTP/2 with prior knowledge: `PRI * HTTP/2.0` (RFC 9113 section 3.4).
const HTTP_2: u8 = b'P';
/// A client that is refused while it sends has so long to take the answer.
const LINGER: Duration = Duration::from_secs(2);
