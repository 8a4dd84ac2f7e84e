//! What a web server answers with, before it becomes HTTP.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Frame;

use super::super::wire::{Control, Spoil};

/// A response body: whole, streamed, passed on from elsewhere, or one that ends its connection.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer before it becomes HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Boxed, as answers are also what functions fail with.
    pub(crate) headers: Box<HeaderMap>,
    pub(crate) body: Content,
    pub(super) spoil: Option<Spoil>,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// All of it, with a `Content-Length`.
    Whole(Bytes),
    /// Piece by piece, chunked.
    Stream(Body),
}

impl Reply {
    /// An answer with these bytes and this `Content-Type`.
    pub(crate) fn of(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::bare(status, body)
            .with(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// An answer without a `Content-Type`.
    pub(crate) fn bare(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Box::default(),
            body: Content::Whole(body.into()),
            spoil: None,
        }
    }

    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::of(200, "application/json", body)
    }

    pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::of(status, "text/plain; charset=utf-8", body)
    }

    pub(crate) fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self::of(status, "text/html; charset=utf-8", body)
    }

    /// The small page that web servers show for a status.
    pub(crate) fn page(status: u16, text: &str) -> Self {
        let reason = StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        Self::html(
            status,
            format!(
                "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
                 <h1>{status} {reason}</h1>\r\n<p>{text}</p>\r\n</body>\r\n</html>\r\n"
            ),
        )
    }

    /// A redirect, such as 302, to an address that must be fit for a header.
    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        match HeaderValue::from_str(location) {
            Ok(location) => Self::html(
                status,
                "<!doctype html>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n",
            )
            .with(header::LOCATION, location),
            Err(_) => Self::page(400, "the address to go to is not fit for a header"),
        }
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same answer with one more header, or one more value of it.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same answer with another body.
    pub(crate) fn with_body(self, body: Content) -> Self {
        Self { body, ..self }
    }

    /// Sets the content type, unless it is not a valid field value.
    pub(super) fn with_content_type(mut self, content_type: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(content_type) {
            self.headers.insert(header::CONTENT_TYPE, value);
        }
        self
    }

    pub(super) fn spoilt(spoil: Spoil) -> Self {
        Self {
            spoil: Some(spoil),
            ..Self::text(200, "never sent as it is\n")
        }
    }

    pub(super) fn into_response(
        self,
        close: Option<Arc<Control>>,
    ) -> io::Result<Response<Body>> {
        let mut headers = self.headers;
        if let Content::Whole(bytes) = &self.body
            && self.status != 304
        {
            // a mapped body no longer knows it
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        }
        let body = self.body.into_body();
        let body = match close {
            // the frame is taken just before it is written, and flushed with what is before it
            Some(control) => body
                .map_frame(move |frame| {
                    control.close_when_flushed();
                    frame
                })
                .boxed_unsync(),
            None => body,
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).map_err(io::Error::other)?;
        *response.headers_mut() = *headers;
        Ok(response)
    }
}

impl Content {
    pub(crate) fn into_body(self) -> Body {
        match self {
            Self::Stream(body) => body,
            Self::Whole(bytes) => Full::new(bytes)
                .map_err(|never| match never {})
                .boxed_unsync(),
        }
    }

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

impl<S, F, Fut> hyper::body::Body for Pieces<S, F, Fut>
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
