//! A TLS connection whose answers can be spoilt below HTTP: replaced, cut or reset.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Shared;

/// What is to happen to the next bytes written.
#[derive(Debug)]
pub(crate) enum Spoil {
    /// The head and this many bytes of the body go out, then the connection ends.
    CutBody(usize),
    /// These bytes go out instead, then the connection ends.
    Replace(Vec<u8>),
    /// The connection is reset.
    Reset,
}

/// The handle by which a request handler reaches its connection.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spoil: Option<Spoil>,
    close: Close,
    reader: Option<Waker>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Close {
    #[default]
    Never,
    WhenFlushed,
    Now,
}

impl Control {
    /// Spoils the next answer.
    pub(crate) fn spoil(&self, spoil: Spoil) {
        self.with(|state| state.spoil = Some(spoil));
    }

    /// Ends the connection once everything written so far is out.
    pub(crate) fn close_when_flushed(&self) {
        self.with(|state| state.close = Close::WhenFlushed);
    }

    fn flushed(&self) {
        let reader = self.with(|state| {
            if state.close != Close::WhenFlushed {
                return None;
            }
            state.close = Close::Now;
            state.reader.take()
        });
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The connection itself.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TlsStream<TcpStream>,
    control: Arc<Control>,
    shared: Arc<Shared>,
    connection: u64,
    replacement: Vec<u8>,
    ending: bool,
}

impl Wire {
    /// Wraps connection number `connection`, whose bytes go to the journal.
    pub(crate) fn new(
        stream: TlsStream<TcpStream>,
        control: Arc<Control>,
        connection: u64,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            stream,
            control,
            shared,
            connection,
            replacement: Vec::new(),
            ending: false,
        }
    }

    fn poll_replacement(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.replacement.is_empty() {
            let written =
                ready!(Pin::new(&mut self.stream).poll_write(context, &self.replacement))?;
            self.replacement.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let closed = self.control.with(|state| {
            state.reader = Some(context.waker().clone());
            state.close == Close::Now
        });
        if closed {
            return Poll::Ready(Ok(())); // reads as the end of the stream
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        self.shared.journal.receive(self.connection, bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.control.with(|state| state.spoil.take()) {
            None if self.ending => return Poll::Ready(Ok(bytes.len())),
            None => return Pin::new(&mut self.stream).poll_write(context, bytes),
            Some(Spoil::Reset) => {
                self.ending = true;
                let (tcp, _) = self.stream.get_ref();
                tcp.set_zero_linger()?;
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Some(Spoil::Replace(replacement)) => self.replacement = replacement,
            Some(Spoil::CutBody(keep)) => {
                let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
                let end = head.map_or(0, |head| head + 4) + keep;
                self.replacement = bytes.get(..end).unwrap_or(bytes).to_vec();
            }
        }
        self.ending = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(context))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if self.ending {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.control.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ending {
            return Poll::Ready(Ok(())); // no close_notify: the end looks like an accident
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
