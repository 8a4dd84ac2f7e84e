//! A connection to the outside, on whatever route.

use super::tunnel::TunnelHandle;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, Join, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{ChildStdin, ChildStdout};
use tokio_rustls::client::TlsStream;

/// An open connection. It keeps its tunnel's program alive.
pub struct Stream {
    kind: StreamKind,
    tunnel: Option<Arc<TunnelHandle>>,
}

pub(super) enum StreamKind {
    Tcp(TcpStream),
    /// Within TLS to an HTTPS proxy.
    Tls(Box<TlsStream<TcpStream>>),
    /// The stdout and stdin of a program.
    Pipes(Join<ChildStdout, ChildStdin>),
    /// A socket of this machine.
    Unix(UnixStream),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StreamKind::Tcp(_) => "Stream(TCP)",
            StreamKind::Tls(_) => "Stream(TLS to a proxy)",
            StreamKind::Pipes(_) => "Stream(program)",
            StreamKind::Unix(_) => "Stream(Unix)",
        })
    }
}

impl Stream {
    /// Returns true if bytes have come, or the end, that were not read yet. It asks the system, which
    /// knows before the runtime does. Of the pipes of a program that is not known.
    pub fn has_input(&self) -> bool {
        let stream = match &self.kind {
            StreamKind::Tcp(stream) => stream,
            StreamKind::Tls(stream) => stream.get_ref().0,
            StreamKind::Pipes(_) | StreamKind::Unix(_) => return false,
        };
        !matches!(peek(stream), Err(Errno::AGAIN | Errno::INTR))
    }

    /// Like [`has_input`](Self::has_input), but asks the system only if the runtime has noticed something.
    /// Returns true where it does not know.
    pub fn may_have_input(&self) -> bool {
        match &self.kind {
            StreamKind::Tcp(stream) => {
                let peeked = stream.try_io(Interest::READABLE, || Ok(peek(stream)?));
                !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            }
            StreamKind::Tls(_) | StreamKind::Pipes(_) | StreamKind::Unix(_) => true,
        }
    }

    /// Returns `Pending` if nothing has come that was not read yet: the task is woken when something
    /// does. It costs less than a read through TLS, and returns `Ready` where it does not know.
    pub fn poll_input(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.kind {
            StreamKind::Tcp(stream) => stream.poll_read_ready(cx).map(drop),
            StreamKind::Tls(_) | StreamKind::Pipes(_) | StreamKind::Unix(_) => Poll::Ready(()),
        }
    }

    pub(super) fn new(kind: StreamKind) -> Self {
        Self { kind, tunnel: None }
    }

    pub(super) fn with_tunnel(mut self, tunnel: TunnelHandle) -> Self {
        self.tunnel = Some(Arc::new(tunnel));
        self
    }

    /// Returns the tunnel of the connection, which must be informed of its success or failure;
    /// `None` if it has none.
    pub fn tunnel(&self) -> Option<Arc<TunnelHandle>> {
        self.tunnel.clone()
    }

    fn as_io(self: Pin<&mut Self>) -> Pin<&mut dyn Io> {
        match &mut self.get_mut().kind {
            StreamKind::Tcp(stream) => Pin::new(stream),
            StreamKind::Tls(stream) => Pin::new(stream),
            StreamKind::Pipes(pipes) => Pin::new(pipes),
            StreamKind::Unix(stream) => Pin::new(stream),
        }
    }
}

/// Reads a byte that is there, and leaves it there.
fn peek(stream: &TcpStream) -> Result<usize, Errno> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(stream, &mut [0], flags).map(|(_, size)| size)
}

/// Both directions of a connection, as one trait object.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.as_io().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.as_io().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            // what TLS writes is most often one record, and the kernel has less to do for `send`
            [record] => self.as_io().poll_write(cx, record),
            _ => self.as_io().poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            StreamKind::Tcp(stream) => stream.is_write_vectored(),
            StreamKind::Tls(stream) => stream.is_write_vectored(),
            StreamKind::Pipes(pipes) => pipes.is_write_vectored(),
            StreamKind::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_io().poll_shutdown(cx)
    }
}
