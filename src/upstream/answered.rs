//! The value that the wire makes: the reply's head, and its body still on the way.

use super::pool::Lease;
use crate::credential::{Keyed, Renewal};
use crate::runtime::{Deadline, Sweeper};
use bytes::Bytes;
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A reply of the web server.
#[derive(Debug)]
pub struct Answered {
    head: Parts,
    body: ReplyBody,
}

impl Answered {
    pub(super) fn new(
        response: Response<Incoming>,
        lease: Lease,
        sweeper: &Sweeper,
        idle: Duration,
        keyed: Keyed,
    ) -> Self {
        let (head, incoming) = response.into_parts();
        let body = ReplyBody {
            incoming,
            idle,
            deadline: None,
            sweeper: sweeper.clone(),
            held: Some(Held { lease, keyed }),
        };
        Self { head, body }
    }

    /// The reply's status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The request that was answered.
    pub fn keyed(&self) -> Option<&Keyed> {
        self.body.held.as_ref().map(|held| &held.keyed)
    }

    /// Drops the reply and gives the request back with another token; a reply that has let its
    /// request go stays as it is.
    pub fn replay(mut self, renewal: Renewal) -> Result<Keyed, Box<Self>> {
        let Some(held) = self.body.held.take() else {
            return Err(Box::new(self));
        };
        if self.body.incoming.is_end_stream() {
            held.lease.give_back();
        }
        Ok(held.keyed.renewed(renewal))
    }

    /// The head and the body.
    pub fn into_parts(self) -> (Parts, ReplyBody) {
        (self.head, self.body)
    }
}

/// A reply body that is passed on as it comes. It holds the command's slot and the connection
/// until it is complete or dropped.
pub struct ReplyBody {
    incoming: Incoming,
    idle: Duration,
    deadline: Option<Deadline>,
    sweeper: Sweeper,
    held: Option<Held>,
}

struct Held {
    lease: Lease,
    keyed: Keyed,
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBody")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

impl ReplyBody {
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
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
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
