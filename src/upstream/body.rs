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

/// A reply body that is passed on as it comes. It holds the command's slot and the connection
/// until it is complete or dropped.
pub struct ReplyBody {
    /// What was looked at already.
    front: Option<Bytes>,
    /// How the body broke while it was looked at.
    broken: Option<Box<dyn std::error::Error + Send + Sync>>,
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
        keyed: Option<Keyed>,
    ) -> Self {
        Self {
            front: None,
            broken: None,
            incoming,
            idle,
            deadline: None,
            sweeper: sweeper.clone(),
            held: Some(Held { lease, keyed }),
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
    /// server may send the ten bytes of its format first.
    pub(super) async fn peek(&mut self) -> Bytes {
        let mut seen = BytesMut::new();
        while seen.len() < PEEKED && self.broken.is_none() {
            match self.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => seen.extend_from_slice(&data),
                    Err(_trailers) => break,
                },
                // told once more to whoever reads on: it must not look like the end
                Some(Err(error)) => self.broken = Some(error),
                None => break,
            }
        }
        let seen = seen.freeze();
        if !seen.is_empty() {
            self.front = Some(seen.clone());
        }
        seen
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
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Some(front) = this.front.take() {
            return Poll::Ready(Some(Ok(Frame::data(front))));
        }
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
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
        self.front.is_none() && self.broken.is_none() && self.incoming.is_end_stream()
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
