//! The web server's response: its head, checked, and its body, passed on as it comes.

use super::UpstreamError;
use super::pool::LeasedConnection;
use crate::queue::CommandSlot;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use mwaa_http1::{BodyDecoder, Headers, ResponseHead};
use mwaa_runtime::{CoarseTimer, Deadline};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A response of the web server.
pub struct UpstreamResponse {
    head: Box<ResponseHead>,
    /// Boxed: it is moved until it is the body of our response.
    body: Box<UpstreamBody>,
}

impl fmt::Debug for UpstreamResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamResponse")
            .field("status", &self.head.status)
            .field("body", &self.body)
            .finish()
    }
}

impl UpstreamResponse {
    /// Takes the head of a response, and the first data of the body if it is there. Fails if the body
    /// has failed already: nothing has been sent to the client at this point, so that can still become
    /// a fault.
    pub(super) async fn receive(
        head: Box<ResponseHead>,
        mut connection: LeasedConnection,
        body_idle: Duration,
        timer: &CoarseTimer,
    ) -> Result<Self, BodyError> {
        connection.close |= !head.keep_alive;
        let mut body = Box::new(UpstreamBody {
            front: None,
            decoder: BodyDecoder::new(head.framing),
            idle: body_idle,
            deadline: None,
            timer: timer.clone(),
            connection: Some(connection),
            slot: None,
        });
        poll_fn(|cx| Poll::Ready(body.poll_first(cx))).await?;

        Ok(Self { head, body })
    }

    /// Keeps a command's slot until the body is complete or dropped.
    #[must_use]
    pub fn with_slot(mut self, slot: CommandSlot) -> Self {
        self.body.slot = Some(slot);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The header section.
    pub fn headers(&self) -> &Headers {
        &self.head.headers
    }

    /// Returns the beginning of the body, which remains in it. Fails if the body breaks off;
    /// `host` names the web server in that error.
    pub async fn peek(&mut self, host: &str) -> Result<Bytes, UpstreamError> {
        let peeked = self.body.peek().await;
        peeked.map_err(|source| UpstreamError::Broken {
            host: host.to_owned(),
            cause: source,
        })
    }

    /// Returns the head and the body.
    pub fn into_parts(self) -> (ResponseHead, Box<UpstreamBody>) {
        (*self.head, self.body)
    }
}

/// The error of a body that ended too early.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A response body that is passed on as it comes. It holds the connection and the command's slot
/// until it is complete, has failed or is dropped.
pub struct UpstreamBody {
    /// Data that was looked at already.
    front: Option<Bytes>,
    decoder: BodyDecoder,
    idle: Duration,
    deadline: Option<Deadline>,
    timer: CoarseTimer,
    connection: Option<LeasedConnection>,
    slot: Option<CommandSlot>,
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("remaining", &self.decoder.remaining())
            .finish_non_exhaustive()
    }
}

impl UpstreamBody {
    /// Reads the first data if it is there, without waiting for it; it remains in the body.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        let Poll::Ready(data) = self.poll_data(cx) else {
            return Ok(());
        };
        self.front = data?;
        Ok(())
    }

    /// Returns the next data, `None` at the end.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let Some(lease) = &mut self.connection else {
            return Poll::Ready(Ok(None));
        };

        match lease.connection.poll_body(cx, &mut self.decoder) {
            Poll::Ready(Ok(data)) => {
                self.deadline = None;
                // the last data is often known to be the last
                if self.decoder.is_complete() {
                    self.complete();
                }
                Poll::Ready(Ok(Some(data).filter(|data| !data.is_empty())))
            }
            Poll::Ready(Err(error)) => {
                self.fail();
                Poll::Ready(Err(error.into()))
            }
            Poll::Pending => {
                // armed only when there is something to wait for: most bodies are there at once
                let (timer, idle) = (&self.timer, self.idle);
                let deadline = self.deadline.get_or_insert_with(|| {
                    let deadline = timer.deadline();
                    deadline.arm(idle);
                    deadline
                });
                ready!(deadline.poll_expired(cx));
                self.fail();
                let timeout = io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the web server stopped sending its response",
                );
                Poll::Ready(Err(timeout.into()))
            }
        }
    }

    /// Reads until there is enough to recognise a short text by, or the end: a compressing
    /// server may send the ten bytes of its format first. A body that breaks off here is an
    /// error: none of it has been passed on.
    async fn peek(&mut self) -> Result<Bytes, BodyError> {
        let mut seen = BytesMut::new();
        while seen.len() < PEEK_SIZE {
            match self.frame().await.transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => seen.extend_from_slice(&data),
                Some(Err(_)) | None => break,
            }
        }

        let seen = seen.freeze();
        if !seen.is_empty() {
            self.front = Some(seen.clone());
        }
        Ok(seen)
    }

    /// The body is complete: the connection may be reused, the slot is free.
    fn complete(&mut self) {
        self.deadline = None;
        self.slot = None;
        if let Some(connection) = self.connection.take() {
            connection.release();
        }
    }

    /// The body has failed: the connection is closed, the slot is free.
    fn fail(&mut self) {
        self.slot = None;
        self.connection = None;
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Some(front) = this.front.take() {
            return Poll::Ready(Some(Ok(Frame::data(front))));
        }

        this.poll_data(cx)
            .map(|data| data.map(|data| data.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.front.is_none() && self.decoder.is_complete()
    }

    fn size_hint(&self) -> SizeHint {
        match self.decoder.remaining() {
            Some(rest) => {
                SizeHint::with_exact(rest + self.front.as_ref().map_or(0, |f| f.len() as u64))
            }
            None => SizeHint::default(),
        }
    }
}

/// The length of a peek, in bytes: more than the longest text by which Airflow refuses a dead
/// session.
const PEEK_SIZE: usize = 512;
