//! The body of a request. It is read from the client's connection when it is asked for.

use super::client_io::ClientIo;
use bytes::Bytes;
use mwaa_http1::{BodyDecoder, Framing};
use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A request body. The rest of one that is dropped before its end stays in the connection, which is
/// then closed after the response.
#[derive(Clone, Default)]
pub struct RequestBody(Option<Rc<Source>>);

struct Source {
    io: Rc<ClientIo>,
    decoder: Cell<BodyDecoder>,
    /// The number of bytes that were read.
    received: Cell<u64>,
    /// The client waits for `100 Continue` before it sends the body.
    owes_continue: Cell<bool>,
    /// The request is over: what comes next on the connection is not this body.
    is_over: Cell<bool>,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remaining() {
            Some(bytes) => write!(f, "RequestBody({bytes} bytes)"),
            None => f.write_str("RequestBody(chunked)"),
        }
    }
}

impl RequestBody {
    /// Creates the body of the request whose head was just read. It costs nothing for a request
    /// without one.
    pub(super) fn new(io: &Rc<ClientIo>, framing: Framing, expects_continue: bool) -> Self {
        let decoder = BodyDecoder::new(framing);
        let source = (!decoder.is_complete()).then(|| {
            Rc::new(Source {
                io: Rc::clone(io),
                decoder: Cell::new(decoder),
                received: Cell::new(0),
                owes_continue: Cell::new(expects_continue),
                is_over: Cell::new(false),
            })
        });
        Self(source)
    }

    /// Returns true if all of it was read, or there is none.
    pub fn is_complete(&self) -> bool {
        let source = self.0.as_ref();
        source.is_none_or(|source| source.decoder.get().is_complete())
    }

    /// Returns the size of the rest in bytes; `None` if it comes in chunks.
    pub fn remaining(&self) -> Option<u64> {
        match &self.0 {
            Some(source) => source.decoder.get().remaining(),
            None => Some(0),
        }
    }

    /// Returns the number of bytes that were read.
    pub fn received(&self) -> u64 {
        self.0.as_ref().map_or(0, |source| source.received.get())
    }

    /// Returns the next bytes; `None` at the end. Trailers are dropped: they were not checked.
    ///
    /// Fails if its chunks are malformed, if the client leaves, or if it sends nothing more before
    /// the end.
    pub async fn data(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Like [`data`](Self::data).
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let Some(source) = &self.0 else {
            return Poll::Ready(Ok(None));
        };
        if source.is_over.get() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }

        loop {
            let mut decoder = source.decoder.get();
            if decoder.is_complete() {
                return Poll::Ready(Ok(None));
            }
            let data = source.io.take_body(&mut decoder)?;
            source.decoder.set(decoder);
            if !data.is_empty() {
                let received = source.received.get() + data.len() as u64;
                source.received.set(received);
                return Poll::Ready(Ok(Some(data)));
            }
            if decoder.is_complete() {
                return Poll::Ready(Ok(None));
            }

            if source.owes_continue.get() {
                ready!(source.io.poll_continue(cx))?;
                source.owes_continue.set(false);
            }
            if ready!(source.io.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Returns true if the client has not sent the body and will not before it is asked to.
    pub(super) fn is_awaited(&self) -> bool {
        let source = self.0.as_ref();
        source.is_some_and(|source| source.owes_continue.get())
    }

    /// Reads the rest of a short body, as far as it has arrived: the end of it saves the connection.
    pub(super) async fn discard(&mut self) {
        // a body without a length may have no end
        if self.remaining().is_none_or(|bytes| bytes > SHORT) {
            return;
        }

        for _ in 0..TURNS {
            let is_over = poll_fn(|cx| {
                loop {
                    match self.poll_data(cx) {
                        Poll::Ready(Ok(Some(_))) => {}
                        Poll::Ready(_) => return Poll::Ready(true),
                        Poll::Pending => return Poll::Ready(false),
                    }
                }
            })
            .await;
            if is_over {
                return;
            }
            // the runtime looks for what has arrived
            tokio::task::yield_now().await;
        }
    }

    /// Ends the request: a copy that is left somewhere reads nothing more.
    pub(super) fn end(&self) {
        if let Some(source) = &self.0 {
            source.is_over.set(true);
        }
    }
}

/// The longest rest that is read, in bytes: a new connection is cheaper than a longer one.
const SHORT: u64 = 64 * 1024;
/// The number of looks for what has arrived.
const TURNS: u32 = 4;
