//! The bodies that go back to a client.

use super::OutputError;
use super::events::Events;
use super::links::Relinked;
use super::screen::Screened;
use crate::names::Code;
use crate::upstream::ReplyBody;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A response body.
pub enum ReplyStream {
    /// What happens to a command, as it happens.
    Events(Box<Events>),
    /// A page of the web server, its links looked at as it comes.
    Page(Box<Relinked>),
    /// A document of the web server, less what a read-only client may not see.
    Screened(Box<Screened>),
    /// The web server's, passed on as it comes.
    Upstream(Box<ReplyBody>),
    /// One that is at hand.
    Whole(Option<Bytes>),
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events(events) => events.fmt(f),
            Self::Page(page) => page.fmt(f),
            Self::Screened(screened) => screened.fmt(f),
            Self::Upstream(body) => body.fmt(f),
            Self::Whole(bytes) => {
                let size = bytes.as_ref().map_or(0, Bytes::len);
                write!(f, "Whole({size} bytes)")
            }
        }
    }
}

impl ReplyStream {
    /// The fault that the stream has told in place of a command's result.
    pub fn fault(&self) -> Option<&'static Code> {
        match self {
            Self::Events(events) => events.fault(),
            Self::Page(_) | Self::Screened(_) | Self::Upstream(_) | Self::Whole(_) => None,
        }
    }
}

impl Body for ReplyStream {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            // trailers are dropped: nobody here has judged them
            Self::Upstream(body) => {
                let frame = std::task::ready!(Pin::new(body.as_mut()).poll_frame(cx));
                Poll::Ready(frame.filter(|frame| !frame.as_ref().is_ok_and(Frame::is_trailers)))
            }
            Self::Events(events) => events.poll(cx).map(|line| Some(Ok(Frame::data(line?)))),
            Self::Page(page) => Pin::new(page.as_mut()).poll_frame(cx),
            Self::Screened(screened) => Pin::new(screened.as_mut()).poll_frame(cx),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Events(events) => events.is_over(),
            Self::Page(page) => page.is_end_stream(),
            Self::Screened(screened) => screened.is_end_stream(),
            Self::Upstream(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Events(_) => SizeHint::default(),
            Self::Page(page) => page.size_hint(),
            Self::Screened(screened) => screened.size_hint(),
            Self::Upstream(body) => body.size_hint(),
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

/// Reads a whole reply that may hold `limit` bytes of decoded output; far beyond that it is an
/// error and never a cut. The exact size shows when it is decoded.
pub(super) async fn collect(mut body: ReplyBody, limit: usize) -> Result<Bytes, OutputError> {
    // base64 and JSON around it take a third more
    let encoded = limit.saturating_add(limit / 2).saturating_add(1024);
    let mut raw = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| OutputError::Broken(error.to_string()))?;
        if let Some(data) = frame.data_ref() {
            if raw.len() + data.len() > encoded {
                return Err(OutputError::TooLarge { limit });
            }
            raw.extend_from_slice(data);
        }
    }
    Ok(raw.freeze())
}
