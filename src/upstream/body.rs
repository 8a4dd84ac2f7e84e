//! The body of a reply, on its way.

use super::idle::Lease;
use crate::credential::Keyed;
use crate::runtime::{Deadline, Sweeper};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Why a body ended before its end.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A reply body that is passed on as it comes. It holds the command's slot and the connection
/// until it is complete or dropped.
pub struct ReplyBody {
    /// What was looked at already.
    front: Option<Bytes>,
    incoming: Incoming,
    idle: Duration,
    deadline: Option<Deadline>,
    sweeper: Sweeper,
    held: Option<Held>,
}

struct Held {
    lease: Lease,
    keyed: Option<Keyed>,
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBody")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

impl ReplyBody {
    pub(super) fn new(
        incoming: Incoming,
        idle: Duration,
        sweeper: &Sweeper,
        lease: Lease,
    ) -> Self {
        Self {
            front: None,
            incoming,
            idle,
            deadline: None,
            sweeper: sweeper.clone(),
            held: Some(Held { lease, keyed: None }),
        }
    }

    pub(super) fn hold(&mut self, keyed: Keyed) {
        if let Some(held) = &mut self.held {
            held.keyed = Some(keyed);
        }
    }

    pub(super) fn spend_connection(&mut self) {
        if let Some(held) = &mut self.held {
            held.lease.spent = true;
        }
    }

    /// Looks at what has already come of the body, without waiting for more; it stays in it.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.front = frame.into_data().ok().filter(|data| !data.is_empty());
                Ok(())
            }
            Poll::Ready(Some(Err(error))) => Err(error.into()),
            Poll::Ready(None) | Poll::Pending => Ok(()),
        }
    }

    pub(super) fn keyed(&self) -> Option<&Keyed> {
        self.held.as_ref()?.keyed.as_ref()
    }

    /// Gives the command back, and the connection if nothing is left to read.
    pub(super) fn into_keyed(mut self) -> Result<Keyed, Box<Self>> {
        let Some(keyed) = self.held.as_mut().and_then(|held| held.keyed.take()) else {
            return Err(Box::new(self));
        };
        if self.incoming.is_end_stream() {
            self.complete();
        }
        Ok(keyed)
    }

    /// Reads on until there is enough to recognise a short text by, or the end: a compressing
    /// server may send the ten bytes of its format first. A body that breaks off here is an
    /// error: none of it has been passed on.
    pub(super) async fn peek(&mut self) -> Result<Bytes, Failure> {
        let mut seen = BytesMut::new();
        while seen.len() < PEEKED {
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

    fn complete(&mut self) {
        self.deadline = None;
        if let Some(held) = self.held.take() {
            held.lease.give_back();
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Failure;

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
                this.held = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Pending => {
                let (sweeper, idle) = (&this.sweeper, this.idle);
                let deadline = this.deadline.get_or_insert_with(|| {
                    let deadline = sweeper.deadline();
                    deadline.arm(idle);
                    deadline
                });
                if deadline.poll_expired(cx).is_ready() {
                    this.held = None;
                    let late = io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the web server fell silent within its reply",
                    );
                    return Poll::Ready(Some(Err(late.into())));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.front.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.incoming.size_hint();
        let Some(front) = &self.front else {
            return left;
        };
        let front = front.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(left.lower() + front);
        if let Some(upper) = left.upper() {
            hint.set_upper(upper + front);
        }
        hint
    }
}

impl Drop for ReplyBody {
    /// A body that is known to be at its end is never polled to it.
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.complete();
        }
    }
}

/// How much of a reply is looked at, in bytes: more than the longest text that tells of a dead
/// session.
const PEEKED: usize = 512;
