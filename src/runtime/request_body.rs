//! A client's request body and its least speed. The body records that it was read to its end: an
//! unread rest would be taken for the next request on the connection.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A request body. If it is dropped before its end, [`UnreadBody`] has the rest.
pub struct RequestBody(Option<Rc<Shared>>);

/// The unread rest of a request body. It costs nothing for a request without a body.
pub struct UnreadBody(Option<Rc<Shared>>);

struct Shared {
    incoming: RefCell<Incoming>,
    unread: Cell<bool>,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody({} bytes or more)", self.size_hint().lower())
    }
}

impl fmt::Debug for UnreadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnreadBody({})", self.is_unread())
    }
}

impl RequestBody {
    /// Wraps the body of a connection.
    pub fn new(incoming: Incoming) -> (Self, UnreadBody) {
        let shared = (!incoming.is_end_stream()).then(|| {
            Rc::new(Shared {
                incoming: RefCell::new(incoming),
                unread: Cell::new(true),
            })
        });
        (Self(shared.clone()), UnreadBody(shared))
    }
}

impl UnreadBody {
    /// Returns true if some of the body was not read yet.
    pub fn is_unread(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.unread.get())
    }

    /// Reads the rest of a short body that has no reader any more, as far as it has arrived.
    pub async fn discard(&mut self) {
        let Some(shared) = self.0.take() else { return };
        let size = shared.incoming.borrow().size_hint().upper();
        // a body without a length may have no end
        let is_short = size.is_some_and(|size| size <= SHORT);
        // a second owner still reads it
        if !is_short || Rc::strong_count(&shared) > 1 {
            self.0 = Some(shared);
            return;
        }

        let mut body = RequestBody(Some(Rc::clone(&shared)));
        let mut turns = TURNS;

        poll_fn(|cx| {
            loop {
                match pin!(body.frame()).poll(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending if turns == 0 => return Poll::Ready(()),
                    // the connection passes on what it has received when it is polled
                    Poll::Pending => {
                        turns -= 1;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        })
        .await;
        self.0 = Some(shared);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(shared) = &self.0 else {
            return Poll::Ready(None);
        };
        let mut incoming = shared.incoming.borrow_mut();
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        // with a Content-Length the last frame is known to be the last
        if frame.is_none() || incoming.is_end_stream() {
            shared.unread.set(false);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.0.as_ref();
        shared.is_none_or(|shared| shared.incoming.borrow().is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(shared) => shared.incoming.borrow().size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// The least speed of a body. A limit for pauses alone would not be enough: a sender of one byte
/// at a time would hold its connection for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLimit {
    /// The longest pause.
    pub idle: Duration,
    /// The least average, in bytes a second, over the time that was waited beyond `idle`.
    pub rate: usize,
}

impl PaceLimit {
    /// Returns true if these bytes are enough for the time that was waited for them.
    pub fn is_kept(self, bytes: u64, waited: Duration) -> bool {
        // the first pause is free
        let late = waited.saturating_sub(self.idle).as_millis();
        let owed = late.saturating_mul(self.rate as u128) / 1000;
        u128::from(bytes) >= owed
    }
}

/// The longest rest that is read, in bytes: a new connection is cheaper than a longer one.
const SHORT: u64 = 64 * 1024;
/// The number of times that the connection is polled for what has arrived.
const TURNS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_allowed_pause_a_body_must_keep_the_rate() {
        let pace = PaceLimit {
            idle: Duration::from_secs(10),
            rate: 1000,
        };
        let kept = |bytes, seconds| pace.is_kept(bytes, Duration::from_secs(seconds));
        assert!(kept(0, 10) && !kept(0, 11));
        assert!(kept(5000, 15) && !kept(4999, 15));
        assert!(!kept(u64::MAX, u64::MAX), "too long for any body");
    }
}
