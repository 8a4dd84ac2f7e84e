//! The web server's response: its head, checked, and its body, passed on as it comes.

use super::UpstreamError;
use super::pool::LeasedConnection;
use crate::queue::CommandSlot;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, SET_COOKIE};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use mwaa_runtime::{CoarseTimer, Deadline};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A response of the web server.
pub struct UpstreamResponse {
    head: Parts,
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
    /// Takes the head of a response and the part of its body that is there. Fails if its head cannot be passed on, or if its body has failed
    /// already: nothing has been sent to the client at this point, so that can still become a
    /// fault.
    ///
    /// `host` returns the web server's name for the error.
    pub(super) async fn receive(
        response: Response<Incoming>,
        connection: LeasedConnection,
        body_idle: Duration,
        timer: &CoarseTimer,
        host: &dyn Fn() -> String,
    ) -> Result<Self, UpstreamError> {
        let (mut head, incoming) = response.into_parts();
        if let Err(what) = check_head(&mut head) {
            return Err(UpstreamError::Malformed { host: host(), what });
        }

        // our own response is HTTP/1.1 with the usual reason: a body without a length is then
        // chunked, and cannot be taken for complete when it is cut (RFC 9112 section 6.3)
        head.version = Version::HTTP_11;
        head.extensions.clear();
        hide_cookies(&mut head.headers);

        let mut body = Box::new(UpstreamBody {
            front: None,
            incoming,
            idle: body_idle,
            deadline: None,
            timer: timer.clone(),
            connection: Some(connection),
            slot: None,
        });
        match poll_fn(|cx| Poll::Ready(body.poll_first(cx))).await {
            Ok(()) => Ok(Self { head, body }),
            Err(source) => Err(UpstreamError::Broken {
                host: host(),
                cause: source,
            }),
        }
    }

    /// Keeps a command's slot until the body is complete or dropped.
    #[must_use]
    pub fn with_slot(mut self, slot: CommandSlot) -> Self {
        self.body.slot = Some(slot);
        self
    }

    /// Keeps the connection from being used for another request.
    pub(super) fn close_connection(&mut self) {
        if let Some(connection) = &mut self.body.connection {
            connection.close = true;
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The header section.
    pub fn headers(&self) -> &HeaderMap {
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
    pub fn into_parts(self) -> (Parts, Box<UpstreamBody>) {
        (self.head, self.body)
    }
}

/// The error of a body that ended too early.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A response body that is passed on as it comes. It holds the connection and the command's slot
/// until it is complete, has failed or is dropped.
pub struct UpstreamBody {
    /// Data that was looked at already.
    front: Option<Bytes>,
    incoming: Incoming,
    idle: Duration,
    deadline: Option<Deadline>,
    timer: CoarseTimer,
    connection: Option<LeasedConnection>,
    slot: Option<CommandSlot>,
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

impl UpstreamBody {
    /// Reads the first frame if it is there, without waiting for it; it remains in the body.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.front = frame.into_data().ok().filter(|data| !data.is_empty());
                Ok(())
            }
            Poll::Ready(Some(Err(error))) => Err(error.into()),
            Poll::Ready(None) | Poll::Pending => Ok(()),
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
            if this.incoming.is_end_stream() {
                this.complete();
            }
            return Poll::Ready(Some(Ok(Frame::data(front))));
        }

        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.deadline = None;
                // the last frame is often known to be the last: no need to wait for one more poll
                if this.incoming.is_end_stream() {
                    this.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.fail();
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Pending => {
                // armed only when there is something to wait for: most bodies are there at once
                let timer = &this.timer;
                let idle = this.idle;
                let deadline = this.deadline.get_or_insert_with(|| {
                    let deadline = timer.deadline();
                    deadline.arm(idle);
                    deadline
                });
                if deadline.poll_expired(cx).is_pending() {
                    return Poll::Pending;
                }
                this.fail();
                let timeout = io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the web server stopped sending its response",
                );
                Poll::Ready(Some(Err(timeout.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.front.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.size_hint();
        let Some(front) = &self.front else {
            return rest;
        };
        let front = front.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + front);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + front);
        }
        hint
    }
}

impl Drop for UpstreamBody {
    /// A body that is known to be at its end is never polled to it.
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.complete();
        }
    }
}

/// Checks a head that is to be passed on. Fails with the reason.
///
/// hyper has read past interim responses and checked the framing of responses with a body; it
/// does not check the length on a response to HEAD, a 204 or a 304.
fn check_head(head: &mut Parts) -> Result<(), &'static str> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err("it switches protocols without a request to do so");
    }
    if !(200..=599).contains(&head.status.as_u16()) {
        return Err("its status is not between 200 and 599");
    }

    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else {
        return Ok(());
    };
    if lengths.next().is_none() && parse_length(first.as_bytes()).is_some() {
        return Ok(());
    }

    // the same number again is tolerated, and sent once (RFC 9110 section 8.6)
    let lines = head.headers.get_all(CONTENT_LENGTH).iter();
    let all = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let mut all = all.map(|one| parse_length(one.trim_ascii()));
    let length = all.next().flatten();
    match length.filter(|_| all.all(|one| one == length)) {
        Some(length) => {
            head.headers.insert(CONTENT_LENGTH, length.into());
            Ok(())
        }
        None => Err("its Content-Length is not a single number"),
    }
}

/// Parses a Content-Length: digits only, although Rust's own parser accepts a sign too.
fn parse_length(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Keeps the web server's cookies out of every `Debug` text.
pub(super) fn hide_cookies(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        if *name == SET_COOKIE {
            value.set_sensitive(true);
        }
    }
}

/// The length of a peek, in bytes: more than the longest text by which Airflow refuses a dead
/// session.
const PEEK_SIZE: usize = 512;
