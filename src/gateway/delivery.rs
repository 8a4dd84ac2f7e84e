//! A reply on its way to the client. It is counted at its end, when it is known whether all of
//! it came: a reply whose head was fine and whose body broke off is no success.

use super::Corridor;
use super::note::Note;
use crate::names::{Code, Fault, code};
use crate::reply::ReplyStream;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A response body that counts and logs its request when it ends or is dropped.
pub struct Delivery {
    stream: ReplyStream,
    /// Whether the stream has said that it is over.
    over: bool,
    broken: bool,
    kind: &'static str,
    status: u16,
    /// From the request's head to the reply's head.
    took: Duration,
    note: Note,
    corridor: Rc<Corridor>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("kind", &self.kind)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// `took` is the time from the request's head to the reply's head.
    pub(super) fn new(
        stream: ReplyStream,
        kind: &'static str,
        status: u16,
        took: Duration,
        note: Note,
        corridor: Rc<Corridor>,
    ) -> Self {
        Self {
            stream,
            over: false,
            broken: false,
            kind,
            status,
            took,
            note,
            corridor,
        }
    }
}

impl Body for Delivery {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.stream).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => {}
            None => this.over = true,
            Some(Err(error)) => {
                this.broken = true;
                let cut = Cut(error.to_string());
                this.note.tell(&this.corridor.shared, &cut);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // a body that is known to be at its end is never polled to it
        if self.over || self.stream.is_end_stream() {
            self.note.trail().delivered();
        }
        // what a client saw of a reply that failed on its way is not the status it began with
        let broken = self.broken.then_some(&code::UPSTREAM_BROKEN);
        let (kind, status) = match broken.or_else(|| self.stream.fault()) {
            Some(code) => ("fault", code.status.as_u16()),
            None => (self.kind, self.status),
        };
        let metrics = &self.corridor.shared.metrics;
        metrics.request(kind, status, self.took);
        let (id, method, took) = (self.note.id(), self.note.method(), self.took);
        tracing::debug!(%id, %method, kind, status, ?took, "answered");
    }
}

/// The web server's reply ended before its end, after some of it had been sent to the client.
#[derive(Debug)]
struct Cut(String);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the web server's reply broke off after part of it was sent ({}); outcome: unknown",
            self.0
        )
    }
}

impl Error for Cut {}

impl Fault for Cut {
    fn code(&self) -> &'static Code {
        &code::UPSTREAM_BROKEN
    }
}
