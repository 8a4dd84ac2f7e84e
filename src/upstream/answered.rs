//! The value that the wire makes: the reply's head, and its body still on the way.

use super::UpstreamError;
use super::body::ReplyBody;
use super::idle::Lease;
use super::pool::Inner;
use crate::credential::{Keyed, Renewal};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, SET_COOKIE};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, Version};
use hyper::body::Incoming;
use std::fmt;
use std::future::poll_fn;
use std::task::Poll;

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
    /// Takes the reply if its head can be passed on and its body has not failed yet: nothing
    /// has been sent to the client at this point, so the failure can still become a fault.
    pub(super) async fn begin(
        response: Response<Incoming>,
        lease: Lease,
        peer: &dyn Fn() -> String,
        wire: &Inner,
    ) -> Result<Self, UpstreamError> {
        let (mut head, incoming) = response.into_parts();
        if let Err(what) = check(&mut head) {
            return Err(UpstreamError::Malformed { host: peer(), what });
        }
        // our own response is HTTP/1.1 with the usual reason: a body without a length is then
        // chunked, and cannot be taken for complete when it is cut (RFC 9112 section 6.3)
        head.version = Version::HTTP_11;
        head.extensions.clear();
        hide_cookies(&mut head.headers);
        let idle = wire.settings.body_idle;
        let mut body = ReplyBody::new(incoming, idle, &wire.sweeper, lease);
        match poll_fn(|cx| Poll::Ready(body.look(cx))).await {
            Ok(()) => Ok(Self { head, body }),
            Err(source) => Err(UpstreamError::Broken {
                host: peer(),
                source,
            }),
        }
    }

    /// The same with the command that was answered, which keeps its slot until the body is
    /// complete.
    pub(super) fn holding(mut self, keyed: Keyed) -> Self {
        self.body.hold(keyed);
        self
    }

    /// The connection must not be used again after this reply.
    pub(super) fn spend_connection(&mut self) {
        self.body.spend_connection();
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

    /// Looks at the beginning of the body, which stays in it. `host` is the web server, for the
    /// error if the body breaks off.
    pub async fn peek(&mut self, host: &str) -> Result<Bytes, UpstreamError> {
        let peeked = self.body.peek().await;
        peeked.map_err(|source| UpstreamError::Broken {
            host: host.to_owned(),
            source,
        })
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

/// Refuses a head that cannot be passed on, and says why. hyper has read past interim replies
/// and checked the framing of those with a body; it does not look at the length on a reply to
/// HEAD, a 204 or a 304.
fn check(head: &mut Parts) -> Result<(), &'static str> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err("it switches protocols, which nobody asked for");
    }
    if !(200..=599).contains(&head.status.as_u16()) {
        return Err("its status is not between 200 and 599");
    }
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else {
        return Ok(());
    };
    if lengths.next().is_none() && digits(first.as_bytes()).is_some() {
        return Ok(());
    }
    // the same number again is tolerated, and sent once (RFC 9110 section 8.6)
    let lines = head.headers.get_all(CONTENT_LENGTH).iter();
    let all = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let mut all = all.map(|one| digits(one.trim_ascii()));
    let length = all.next().flatten();
    match length.filter(|_| all.all(|one| one == length)) {
        Some(length) => {
            head.headers.insert(CONTENT_LENGTH, length.into());
            Ok(())
        }
        None => Err("its Content-Length is not one number"),
    }
}

/// A Content-Length: digits only, where Rust's own parser takes a sign too.
fn digits(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Keeps what the web server's cookies hold out of every `Debug` text.
pub(super) fn hide_cookies(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        if *name == SET_COOKIE {
            value.set_sensitive(true);
        }
    }
}
