//! A connection to the outside, whichever way it took.

use super::tunnel::{Pipes, Through};
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// An open connection. What it needs to live, such as a tunnel's program, lives as long as it does.
pub struct Stream {
    kind: Kind,
    through: Option<Arc<Through>>,
}

enum Kind {
    Tcp(TcpStream),
    /// Within TLS to an HTTPS proxy.
    Tls(Box<TlsStream<TcpStream>>),
    /// A program's stdin and stdout.
    Pipes(Box<Pipes>),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Tcp(_) => "Stream(TCP)",
            Kind::Tls(_) => "Stream(TLS to a proxy)",
            Kind::Pipes(_) => "Stream(program)",
        })
    }
}

impl Stream {
    pub(super) fn tcp(stream: TcpStream) -> Self {
        Self {
            kind: Kind::Tcp(stream),
            through: None,
        }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self {
            kind: Kind::Tls(Box::new(stream)),
            through: None,
        }
    }

    pub(super) fn tunnelled(stream: TcpStream, through: Through) -> Self {
        Self {
            kind: Kind::Tcp(stream),
            through: Some(Arc::new(through)),
        }
    }

    pub(super) fn pipes(pipes: Pipes, through: Through) -> Self {
        Self {
            kind: Kind::Pipes(Box::new(pipes)),
            through: Some(Arc::new(through)),
        }
    }

    /// The tunnel that it goes through: to be told whether anything came of it.
    pub fn through(&self) -> Option<Arc<Through>> {
        self.through.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Pipes(pipes) => Pin::new(&mut pipes.wire).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Pipes(pipes) => Pin::new(&mut pipes.wire).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Pipes(pipes) => Pin::new(&mut pipes.wire).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Tcp(stream) => stream.is_write_vectored(),
            Kind::Tls(stream) => stream.is_write_vectored(),
            Kind::Pipes(pipes) => pipes.wire.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Pipes(pipes) => Pin::new(&mut pipes.wire).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Pipes(pipes) => Pin::new(&mut pipes.wire).poll_shutdown(cx),
        }
    }
}
