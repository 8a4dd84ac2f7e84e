//! Bodies that are made piece by piece while they are sent.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};

use super::reply::Content;

impl Content {
    /// A body whose next piece and state come from the last state; none is the end.
    pub(crate) fn pieces<S, F, Fut>(state: S, next: F) -> Self
    where
        S: Send + Unpin + 'static,
        F: FnMut(S) -> Fut + Send + Unpin + 'static,
        Fut: Future<Output = Option<(Bytes, S)>> + Send + 'static,
    {
        let pieces = Pieces {
            state: Some(state),
            next,
            making: None,
        };
        Self::Stream(pieces.boxed_unsync())
    }
}

/// The body behind [`Content::pieces`].
struct Pieces<S, F, Fut> {
    state: Option<S>,
    next: F,
    making: Option<Pin<Box<Fut>>>,
}

impl<S, F, Fut> fmt::Debug for Pieces<S, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pieces")
    }
}

impl<S, F, Fut> Body for Pieces<S, F, Fut>
where
    S: Unpin,
    F: FnMut(S) -> Fut + Unpin,
    Fut: Future<Output = Option<(Bytes, S)>>,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if let Some(state) = this.state.take() {
            this.making = Some(Box::pin((this.next)(state)));
        }
        let Some(making) = &mut this.making else {
            return Poll::Ready(None);
        };
        let made = ready!(making.as_mut().poll(context));
        this.making = None;
        Poll::Ready(made.map(|(bytes, state)| {
            this.state = Some(state);
            Ok(Frame::data(bytes))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_come_in_order_and_end() {
        let content = Content::pieces(0_u8, async |count: u8| {
            (count < 3).then(|| (Bytes::from(vec![b'a' + count]), count + 1))
        });
        let Content::Stream(body) = content else {
            panic!("{content:?}");
        };
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
    }
}
