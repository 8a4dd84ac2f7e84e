//! Serves one connection: head limits, idle limits and the graceful end.

use super::{Arrived, Stop};
use crate::names::{Caller, RequestId};
use crate::runtime::Deadline;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the listener enforces on every connection.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    /// A kept-alive connection may be silent this long between requests; and a client may
    /// take nothing of its reply for so long.
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
    pub(super) handle: Rc<H>,
}

impl<H> Connection<H> {
    pub(super) async fn serve<F, B, S>(mut self, stream: S)
    where
        H: Fn(Arrived) -> F + 'static,
        F: Future<Output = http::Response<B>> + 'static,
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Failure>,
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let state = Rc::new(State {
            phase: Cell::new(Phase::Idle),
            stalled: Cell::new(false),
            deadline: Rc::clone(&self.deadline),
            settings: Rc::clone(&self.settings),
        });
        state.idle();
        let io = TokioIo::new(Watched {
            stream,
            state: Rc::clone(&state),
        });
        let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
            state.busy();
            let (head, body) = request.into_parts();
            let arrived = Arrived {
                id: RequestId::next(),
                secure: self.secure,
                caller: self.caller.clone(),
                head,
                body,
            };
            let answer = (self.handle)(arrived);
            let state = Rc::clone(&state);
            async move {
                Ok::<_, Infallible>(answer.await.map(|body| Served {
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
        let served = builder
            .max_buf_size(self.settings.head_size.max(SMALLEST_BUFFER))
            .serve_connection(io, service);
        let mut served = pin!(served);
        let mut stop = self.stop.clone();
        let mut stopping = false;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = served.as_mut() => break outcome,
                () = &*self.deadline => {
                    tracing::debug!(phase = ?state.phase.get(), "client was silent for too long; closing");
                    return;
                }
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        };
        self.stop = stop;
        if let Err(error) = outcome {
            tracing::debug!(%error, "connection ended");
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
    stalled: Cell<bool>,
    deadline: Rc<Deadline>,
    settings: Rc<Settings>,
}

impl State {
    fn idle(&self) {
        self.phase.set(Phase::Idle);
        self.deadline.arm(self.settings.keep_alive);
    }

    fn bytes_came(&self) {
        if self.phase.get() == Phase::Idle {
            self.phase.set(Phase::Head);
            self.deadline.arm(self.settings.head_timeout);
        }
    }

    fn busy(&self) {
        self.phase.set(Phase::Busy);
        self.deadline.disarm();
    }

    /// A client that does not read its reply must not hold a command's slot for ever.
    fn wrote<T>(&self, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match (write.is_pending(), self.stalled.get()) {
            (true, false) => {
                self.stalled.set(true);
                self.deadline.arm(self.settings.keep_alive);
            }
            (false, true) => {
                self.stalled.set(false);
                match self.phase.get() {
                    Phase::Busy => self.deadline.disarm(),
                    Phase::Idle | Phase::Head => self.idle(),
                }
            }
            (true, true) | (false, false) => {}
        }
        write
    }
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
            self.state.bytes_came();
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
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.state.wrote(write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.state.wrote(write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
