//! A response that is to be sent.

use http::StatusCode;
use mwaa_http1::Headers;
use std::fmt;

/// A response. Its length and the fields of its connection are decided when it is sent.
pub struct Response<B> {
    /// The status.
    pub status: StatusCode,
    /// The header section.
    pub headers: Headers,
    /// The body.
    pub body: B,
    /// True if the client cancels it by ending its own direction of the connection. After any other
    /// response's request a half-close changes nothing.
    pub half_close_cancels: bool,
}

impl<B> fmt::Debug for Response<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl<B> Response<B> {
    /// Returns a response with this body, the status 200 and no header fields.
    pub const fn new(body: B) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Headers::new(),
            body,
            half_close_cancels: false,
        }
    }

    /// Returns the same response with another body.
    pub fn map<C>(self, change: impl FnOnce(B) -> C) -> Response<C> {
        Response {
            status: self.status,
            headers: self.headers,
            body: change(self.body),
            half_close_cancels: self.half_close_cancels,
        }
    }
}
