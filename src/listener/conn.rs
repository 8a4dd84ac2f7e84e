//! Serves one connection: head limits, idle limits and the graceful end.

use super::{Arrived, Stop};
use crate::names::{Caller, RequestId};
use crate::runtime::{Deadline, uptime};
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
    pub(super) handle: Rc<H>,
}

impl<H> Connection<H> {
    pub(super) async fn serve<F, B, S>(mut self, stream: S)
    where
        H: Fn(Arrived) -> F + 'static,
        F: Future<Output = http::Response<B>> + 'static,
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let state = Rc::new(State {
            phase: Cell::new(Phase::Idle),
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
                    tracing::debug!(phase = ?state.phase.get(), "client was silent or too slow; closing");
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
    patience: Cell<Patience>,
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
        self.patience.set(Patience::new(self.settings.keep_alive));
        self.deadline.disarm();
    }

    /// A client that does not read its reply, or reads it very slowly, must not hold a command's
    /// slot for long.
    fn wrote(&self, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut patience = self.patience.get();
        let waited = patience.since.is_some();
        match &write {
            Poll::Pending if !waited => self.deadline.arm(patience.wait(uptime())),
            Poll::Ready(Ok(bytes)) => {
                if waited {
                    patience.resume(uptime());
                    match self.phase.get() {
                        Phase::Busy => self.deadline.disarm(),
                        Phase::Idle | Phase::Head => self.idle(),
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

/// How long a client may still keep its reply waiting. Only the time in which a write waits for
/// the client counts; what the client takes gives some of it back. The clock is read only when a
/// write begins or ends to wait.
#[derive(Debug, Clone, Copy)]
struct Patience {
    left: Duration,
    /// The uptime at which a write began to wait.
    since: Option<Duration>,
}

impl Patience {
    fn new(most: Duration) -> Self {
        Self {
            left: most,
            since: None,
        }
    }

    /// A write has to wait; returns for how long it may.
    fn wait(&mut self, now: Duration) -> Duration {
        self.since = Some(now);
        self.left
    }

    /// The client takes something again.
    fn resume(&mut self, now: Duration) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now.saturating_sub(since));
        }
    }

    /// The client has taken so many bytes.
    fn refill(&mut self, bytes: usize, most: Duration) {
        if self.left < most {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.left = most.min(self.left + TIME_PER_BYTE.saturating_mul(bytes));
        }
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

/// The reply body; when it is gone the connection is idle again.
struct Served<B> {
    body: B,
    _end: End,
}

struct End(Rc<State>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.idle();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Served<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a byte that the client takes gives back of its time: the lowest rate is 16 KiB a second.
const TIME_PER_BYTE: Duration = Duration::from_nanos(1_000_000_000 / (16 << 10));
/// The header fields that hyper takes unless told otherwise.
const HYPER_HEADERS: usize = 100;
/// hyper's smallest read buffer (`max_buf_size` panics below it).
const SMALLEST_BUFFER: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Entrance, Owner, Peer};
    use crate::runtime::{LocalTasks, Sweeper};
    use http_body_util::Full;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;
    use tokio::sync::watch;
    use tokio::task::LocalSet;

    const MOST: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_waiting_uses_patience_up_and_bytes_give_it_back() {
        let mut patience = Patience::new(MOST);
        assert_eq!(patience.wait(at(100)), MOST);
        patience.resume(at(140));
        patience.refill(1, MOST);
        // whatever time the gateway itself takes meanwhile
        assert_eq!(
            patience.wait(at(500)).as_secs(),
            20,
            "one byte resets nothing"
        );
        patience.resume(at(510));
        patience.refill(16 << 10, MOST);
        let left = patience.wait(at(510)).as_secs_f64();
        assert!((10.9..11.1).contains(&left), "{left}");
        patience.resume(at(511));
        patience.refill(100 << 20, MOST);
        assert_eq!(patience.wait(at(511)), MOST, "there is no more than all");
        patience.resume(at(611));
        patience.refill(0, MOST);
        assert_eq!(patience.wait(at(700)), Duration::ZERO);
    }

    /// How much of a long reply a client gets that takes a little now and then.
    async fn trickles(keep_alive: Duration, pause: Duration, enough: usize) -> usize {
        let tasks = LocalTasks::default();
        let (_running, stop) = watch::channel(false);
        let connection = |peer| Connection {
            secure: false,
            caller: Caller {
                peer: Peer::Tcp(peer),
                owner: Owner::default(),
                entrance: Rc::new(Entrance {
                    name: "listener".to_owned(),
                    environment: None,
                    rules: None,
                }),
            },
            settings: Rc::new(Settings {
                head_timeout: MOST,
                keep_alive,
                head_size: 32 << 10,
                header_count: 64,
            }),
            deadline: Rc::new(Sweeper::start(&tasks).deadline()),
            stop: stop.clone(),
            handle: Rc::new(async |_: Arrived| {
                http::Response::new(Full::new(Bytes::from(vec![b'x'; 8 << 20])))
            }),
        };
        // small buffers, so that each write waits for the client
        let server = TcpSocket::new_v4().unwrap();
        server.set_send_buffer_size(4 << 10).unwrap();
        server.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let server = server.listen(1).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4 << 10).unwrap();
        let mut client = client.connect(server.local_addr().unwrap()).await.unwrap();
        let (accepted, peer) = server.accept().await.unwrap();
        tasks.spawn(connection(peer).serve(accepted));
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut taken = 0;
        let mut some = [0; 2 << 10];
        while taken < enough {
            match client.read(&mut some).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => taken += bytes,
            }
            tokio::time::sleep(pause).await;
        }
        taken
    }

    #[tokio::test]
    async fn a_client_that_trickles_is_cut_and_one_that_reads_on_is_not() {
        LocalSet::new()
            .run_until(async {
                let (limit, much) = (Duration::from_secs(1), 128 << 10);
                let taken = trickles(limit, limit / 4, much).await;
                assert!(taken < much, "{taken} bytes, a few at a time");
                let taken = trickles(limit, Duration::ZERO, much).await;
                assert!(taken >= much, "{taken} bytes at once");
            })
            .await;
    }
}
