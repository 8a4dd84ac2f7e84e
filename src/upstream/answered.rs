//! The value that the wire makes: the reply's head, and its body still on the way.

use super::UpstreamError;
use super::body::ReplyBody;
use super::idle::Lease;
use super::pool::Inner;
use crate::credential::{Keyed, Renewal};
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use std::fmt;

/// A reply of the web server.
pub struct Answered {
    head: Parts,
    body: ReplyBody,
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered")
            .field("status", &self.head.status)
            .field("body", &self.body)
            .finish()
    }
}

/// A command that no reply came for.
#[derive(Debug)]
pub struct Unanswered {
    pub(super) error: UpstreamError,
    pub(super) keyed: Keyed,
}

impl Unanswered {
    /// Why not.
    pub fn error(&self) -> &UpstreamError {
        &self.error
    }

    /// The command. It has its slot as long as this lives.
    pub fn keyed(&self) -> &Keyed {
        &self.keyed
    }

    /// Keeps the reason and lets the command go.
    pub fn into_error(self) -> UpstreamError {
        self.error
    }

    /// Keeps the command, with another token.
    pub fn replay(self, renewal: Renewal) -> Keyed {
        self.keyed.renewed(renewal)
    }
}

impl Answered {
    /// `keyed` is the command that was answered; it holds its slot until the body is complete.
    pub(super) fn new(
        response: Response<Incoming>,
        lease: Lease,
        wire: &Inner,
        keyed: Option<Keyed>,
    ) -> Self {
        let (mut head, incoming) = response.into_parts();
        hide_cookies(&mut head.headers);
        let idle = wire.settings.body_idle;
        let body = ReplyBody::new(incoming, idle, &wire.sweeper, lease, keyed);
        Self { head, body }
    }

    /// The reply's status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The reply's header section.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The command that was answered.
    pub fn keyed(&self) -> Option<&Keyed> {
        self.body.keyed()
    }

    /// Looks at the beginning of the body, which stays in it; nothing if it breaks off.
    pub async fn peek(&mut self) -> Bytes {
        self.body.peek().await
    }

    /// Drops the reply and gives the request back with another token; a reply that has let its
    /// request go stays as it is.
    pub fn replay(self, renewal: Renewal) -> Result<Keyed, Box<Self>> {
        let Self { head, body } = self;
        match body.into_keyed() {
            Ok(keyed) => Ok(keyed.renewed(renewal)),
            Err(body) => Err(Box::new(Self { head, body: *body })),
        }
    }

    /// The head and the body.
    pub fn into_parts(self) -> (Parts, ReplyBody) {
        (self.head, self.body)
    }
}

/// Keeps what the web server's cookies hold out of every `Debug` text.
pub(super) fn hide_cookies(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        if *name == SET_COOKIE {
            value.set_sensitive(true);
        }
    }
}
