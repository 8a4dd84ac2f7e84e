//! The bytes of a client's connection, in both directions, and their time limits.

use super::handler::BadHead;
use super::head_memory;
use super::places::{Phase, Place};
use super::stream::Stream;
use super::timeouts::WriteTimeout;
use bytes::{Buf as _, Bytes, BytesMut};
use mwaa_http1::{BodyDecoder, Parsed, RequestHead, RequestLimits, encode, parse_request};
use mwaa_runtime::{Deadline, READ_SIZE, boot_clock, with_read_buffer};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

/// The result of a read while a head is awaited.
pub(super) enum HeadRead {
    Complete(ReceivedHead),
    /// Some of a head has come.
    Partial,
    /// The connection has ended.
    End,
}

/// A head that has come.
pub(super) struct ReceivedHead {
    pub(super) head: Rc<RequestHead>,
    /// The same bytes came before.
    pub(super) is_repeated: bool,
}

/// A client's connection.
pub(super) struct ClientIo {
    stream: RefCell<Stream>,
    /// The bytes that have come and were not used yet; none most of the time.
    input: RefCell<BytesMut>,
    /// The client has ended its direction.
    has_ended: Cell<bool>,
    write_timeout: Cell<WriteTimeout>,
    /// The time that a client may take for a response, in all.
    patience: Duration,
    /// Its place, which has the limit of what the connection waits for.
    pub(super) place: Place,
    is_tls: bool,
}

impl ClientIo {
    pub(super) fn new(stream: Stream, place: Place, patience: Duration) -> Self {
        Self {
            is_tls: matches!(stream, Stream::Tls(_)),
            stream: stream.into(),
            input: RefCell::default(),
            has_ended: Cell::new(false),
            write_timeout: Cell::new(WriteTimeout::new(patience)),
            patience,
            place,
        }
    }

    /// Returns the place and the stream.
    pub(super) fn into_parts(self) -> (Place, Stream) {
        (self.place, self.stream.into_inner())
    }

    /// The limit of what the connection waits for.
    pub(super) fn deadline(&self) -> &Deadline {
        self.place.deadline()
    }

    pub(super) fn with_stream<T>(&self, look: impl FnOnce(&Stream) -> T) -> T {
        look(&self.stream.borrow())
    }

    /// A phase begins that may last so long.
    pub(super) fn begin(&self, phase: Phase, limit: Duration) {
        self.place.set_phase(phase);
        self.deadline().arm(limit);
    }

    /// Returns true if some of a head has come. An empty line before it is not (RFC 9112 section 2.2).
    pub(super) fn has_begun_head(&self) -> bool {
        !matches!(self.input.borrow().as_ref(), b"" | b"\r" | b"\r\n")
    }

    /// Returns true if there are bytes that were not used yet.
    pub(super) fn has_input(&self) -> bool {
        !self.input.borrow().is_empty()
    }

    /// Returns true if the client has ended its direction.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Returns true if bytes of the client have arrived that the runtime may not have noticed yet.
    /// That costs a system call.
    pub(super) fn has_arrived(&self) -> bool {
        self.stream.borrow().has_arrived()
    }

    /// Makes the next stage of the shutdown wake this task.
    pub(super) fn wake_at_shutdown(&self, cx: &Context<'_>) {
        // whether a limit has passed is the business of who has set it
        let _expired = self.deadline().poll_expired(cx);
    }

    /// Takes the next head out of what came behind the last request. `None` if it is not complete.
    pub(super) fn take_head(
        &self,
        limits: RequestLimits,
    ) -> Result<Option<ReceivedHead>, BadHead> {
        let mut input = self.input.borrow_mut();
        if input.is_empty() {
            return Ok(None);
        }
        match self.parse(&input, 0, limits)? {
            Parsed::Partial => Ok(None),
            Parsed::Complete(head, size) => {
                skip(&mut input, size);
                Ok(Some(head))
            }
        }
    }

    /// Reads once, and returns the head if it is complete now. Fails if the bytes cannot begin a
    /// request.
    pub(super) fn poll_head(
        &self,
        cx: &mut Context<'_>,
        limits: RequestLimits,
    ) -> Poll<Result<HeadRead, BadHead>> {
        with_read_buffer(READ_SIZE, |buffer| {
            // a connection that breaks between two requests has only ended
            let new = ready!(self.poll_read(cx, buffer)).unwrap_or_default();
            if new.is_empty() {
                return Poll::Ready(Ok(HeadRead::End));
            }
            let mut input = self.input.borrow_mut();

            // nearly every head comes in one piece, and nothing behind it
            let parsed = if input.is_empty() {
                let parsed = self.parse(new, 0, limits);
                if let Ok(Parsed::Complete(_, size)) = &parsed {
                    input.extend_from_slice(new.get(*size..).unwrap_or_default());
                } else {
                    input.extend_from_slice(new);
                }
                parsed
            } else {
                let seen = input.len();
                input.extend_from_slice(new);
                let parsed = self.parse(&input, seen, limits);
                if let Ok(Parsed::Complete(_, size)) = &parsed {
                    skip(&mut input, *size);
                }
                parsed
            };

            Poll::Ready(parsed.map(|parsed| match parsed {
                Parsed::Complete(head, _) => HeadRead::Complete(head),
                Parsed::Partial => HeadRead::Partial,
            }))
        })
    }

    fn parse(
        &self,
        input: &[u8],
        seen: usize,
        limits: RequestLimits,
    ) -> Result<Parsed<ReceivedHead>, BadHead> {
        if let Some((head, size)) = head_memory::find(input, limits) {
            let is_repeated = true;
            return Ok(Parsed::Complete(ReceivedHead { head, is_repeated }, size));
        }
        if !self.is_tls && input.first() == Some(&super::accept::TLS_HANDSHAKE) {
            return Err(BadHead::TlsOnPlain);
        }

        match parse_request(input, seen, limits).map_err(BadHead::Http)? {
            Parsed::Partial => Ok(Parsed::Partial),
            Parsed::Complete(head, size) => {
                head_memory::keep(input.get(..size).unwrap_or_default(), limits, &head);
                let is_repeated = false;
                Ok(Parsed::Complete(ReceivedHead { head, is_repeated }, size))
            }
        }
    }

    /// Takes the next data of a body out of what has come; empty if more must come first.
    pub(super) fn take_body(&self, decoder: &mut BodyDecoder) -> io::Result<Bytes> {
        let mut input = self.input.borrow_mut();
        let decoded = decoder.decode(&input).map_err(io::Error::other)?;
        skip(&mut input, decoded.skip);
        if decoded.data == input.len() {
            return Ok(std::mem::take(&mut *input).freeze());
        }
        Ok(input.split_to(decoded.data).freeze())
    }

    /// Reads once into what was not used yet. Returns the number of bytes: 0 is the end.
    pub(super) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        with_read_buffer(READ_SIZE, |buffer| {
            let new = ready!(self.poll_read(cx, buffer))?;
            self.input.borrow_mut().extend_from_slice(new);
            Poll::Ready(Ok(new.len()))
        })
    }

    fn poll_read<'a>(
        &self,
        cx: &mut Context<'_>,
        buffer: &'a mut [u8],
    ) -> Poll<io::Result<&'a [u8]>> {
        if self.has_ended.get() {
            return Poll::Ready(Ok(&[]));
        }
        let mut read = ReadBuf::new(&mut *buffer);
        ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, &mut read))?;
        let count = read.filled().len();
        self.has_ended.set(count == 0);
        Poll::Ready(Ok(buffer.get(..count).unwrap_or_default()))
    }

    /// Watches the client while it waits for a response. Ready if it has ended its direction, or if
    /// the connection broke. What it sends is kept, up to a limit.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.has_ended.get() {
            if self.input.borrow().len() >= READ_SIZE {
                return Poll::Pending;
            }
            ready!(self.poll_fill(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Asks the client for its body.
    pub(super) fn poll_continue(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = ready!(self.poll_write(cx, encode::CONTINUE, &[]))?;
        // so few bytes are taken at once, or not at all
        if written < encode::CONTINUE.len() {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        // what TLS keeps back goes out with the response at the latest
        match self.poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    /// A new response begins.
    pub(super) fn restart_write_timeout(&self) {
        self.write_timeout.set(WriteTimeout::new(self.patience));
    }

    /// Writes both, one after the other, and flushes. Fails if the connection breaks, or if the
    /// client takes it too slowly.
    pub(super) async fn write_all(&self, first: &[u8], second: &[u8]) -> io::Result<()> {
        let (mut first, mut second) = (first, second);

        poll_fn(|cx| {
            while !(first.is_empty() && second.is_empty()) {
                let Poll::Ready(written) = self.poll_write(cx, first, second)? else {
                    // the time limit of a write that waits
                    return self
                        .deadline()
                        .poll_expired(cx)
                        .map(|()| Err(io::ErrorKind::TimedOut.into()));
                };
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                let of_first = written.min(first.len());
                first = first.get(of_first..).unwrap_or_default();
                second = second.get(written - of_first..).unwrap_or_default();
            }
            self.poll_flush(cx)
        })
        .await
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        let stream = Pin::new(&mut *stream);
        let write = match (first.is_empty(), second.is_empty()) {
            (false, false) => {
                let slices = [IoSlice::new(first), IoSlice::new(second)];
                stream.poll_write_vectored(cx, &slices)
            }
            (false, true) => stream.poll_write(cx, first),
            (true, _) => stream.poll_write(cx, second),
        };
        self.on_write(&write);
        write
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // only TLS keeps bytes back
        if !self.is_tls {
            return Poll::Ready(Ok(()));
        }
        let flush = Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)?;
        self.on_write(&flush.map(|()| Ok(0)));
        if flush.is_ready() {
            return Poll::Ready(Ok(()));
        }
        let expired = self.deadline().poll_expired(cx);
        expired.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Bounds how long a client may take for a response: one that reads nothing, or very slowly,
    /// must not hold a command's slot for long.
    fn on_write(&self, write: &Poll<io::Result<usize>>) {
        let mut timeout = self.write_timeout.get();
        let was_waiting = timeout.is_waiting();
        match write {
            Poll::Pending if !was_waiting => {
                self.deadline().arm(timeout.start_wait(boot_clock()));
            }
            Poll::Ready(Ok(bytes)) => {
                if was_waiting {
                    timeout.end_wait(boot_clock());
                    self.deadline().disarm();
                }
                timeout.add_bytes(*bytes, self.patience);
            }
            Poll::Pending | Poll::Ready(Err(_)) => return,
        }
        self.write_timeout.set(timeout);
    }
}

/// Drops the first bytes, and the buffer if none are left: an idle connection has none.
fn skip(input: &mut BytesMut, size: usize) {
    if size == input.len() {
        *input = BytesMut::new();
    } else {
        input.advance(size);
    }
}
