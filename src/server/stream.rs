//! A client's connection as a stream of bytes, whatever it runs over, and the last steps before
//! it is closed.

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, recv};
use std::io::{self, IoSlice};
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// The stream that HTTP is spoken over.
pub(super) enum Stream {
    Tcp(TcpStream),
    /// Boxed: its buffers and keys are large, and most connections are plain.
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    /// Returns true if there is something to read on the socket, asked of the system.
    pub(super) fn has_arrived(&self) -> bool {
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.get_ref().0.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        };
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(socket, &mut [0_u8], flags), Ok((_, 1..)))
    }

    /// Sets if the end of the connection is a failure, and not the orderly end of a message. The kernel
    /// then resets the connection when its descriptor is closed, also if the process is killed. A Unix
    /// socket cannot express that.
    pub(super) fn set_reset_on_close(&self, resets: bool) {
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd(),
            // many clients ignore that `close_notify` is missing (RFC 8446 section 6.1)
            Self::Tls(stream) => stream.get_ref().0.as_fd(),
            Self::Unix(_) => return,
        };
        // without it the client learns less, which does no harm here
        let _unsupported = set_socket_linger(socket, resets.then_some(Duration::ZERO));
    }

    fn as_io(self: Pin<&mut Self>) -> Pin<&mut dyn Io> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(stream),
            Self::Unix(stream) => Pin::new(stream),
        }
    }
}

/// Both directions of a stream, as one trait object.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.as_io().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.as_io().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.as_io().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_io().poll_shutdown(cx)
    }
}

/// Sends the last bytes of a connection and [drains](drain) it. Needs a time limit from outside.
pub(super) async fn send_and_drain(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    last: &[u8],
) {
    if stream.write_all(last).await.is_ok() && stream.shutdown().await.is_ok() {
        drain(stream).await;
    }
}

/// Reads what a client still sends after the last response of its connection: a close with bytes
/// unread would reset the connection, and the client would lose that response (RFC 9112 section
/// 9.6). Needs a time limit from outside.
async fn drain(stream: impl AsyncRead + Unpin) {
    let mut rest = stream.take(MAX_DRAINED);
    let mut buffer = vec![0; 16 * 1024];
    while matches!(rest.read(&mut buffer).await, Ok(count) if count > 0) {}
}

/// More than this is not read from a client that is refused, in bytes.
const MAX_DRAINED: u64 = 4 << 20;
