//! A client's request body, which remembers whether it was read to its end: what is left of it
//! would be taken for the next request on its connection.

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

/// A request body. It may be dropped before its end; [`Rest`] then has what is left.
pub struct RequestBody(Option<Rc<Shared>>);

/// What is left of a request body. Costs nothing for a request without one.
pub struct Rest(Option<Rc<Shared>>);

struct Shared {
    incoming: RefCell<Incoming>,
    unread: Cell<bool>,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody({} bytes or more)", self.size_hint().lower())
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest(left: {})", self.is_left())
    }
}

impl RequestBody {
    /// Takes the body as it comes from the connection.
    pub fn new(incoming: Incoming) -> (Self, Rest) {
        let shared = (!incoming.is_end_stream()).then(|| {
            Rc::new(Shared {
                incoming: RefCell::new(incoming),
                unread: Cell::new(true),
            })
        });
        (Self(shared.clone()), Rest(shared))
    }
}

impl Rest {
    /// Whether some of the body was not read, so far.
    pub fn is_left(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.unread.get())
    }

    /// Reads what is left of a short body that nobody reads any more, as far as it has come.
    pub async fn discard(&mut self) {
        let Some(shared) = self.0.take() else { return };
        let size = shared.incoming.borrow().size_hint().upper();
        let is_short = size.is_some_and(|size| size <= SHORT);
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
                    // the connection hands out what it has when it has its turn
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

/// A longer body is not worth reading for nothing, in bytes.
const SHORT: u64 = 64 * 1024;
/// How often the connection gets a turn to hand out what has come.
const TURNS: u32 = 16;
