//! What the listener makes: a request as it came, and from whom; or a head that is no request.

use crate::names::{Caller, RequestId, debug_only};
use http::request::Parts;

/// The request body, unread.
pub type Body = crate::runtime::RequestBody;

/// A request that has arrived. Nothing about it has been believed yet.
pub struct Arrived {
    /// Its name.
    pub id: RequestId,
    /// Who sent it, and by which listener.
    pub caller: Caller,
    /// Whether the connection is TLS, so that URLs on it begin with `https:`.
    pub secure: bool,
    /// Request line and header section.
    pub head: Parts,
    /// The body, unread.
    pub body: Body,
}

debug_only!(Arrived: id, caller, secure);

/// A head that could not become a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// HTTP/2 with prior knowledge.
    Http2,
    /// It is not HTTP/1.1.
    Malformed,
    /// Plain HTTP on a port that speaks TLS.
    PlainOnTls,
    /// The request line is longer than any that is read.
    TargetTooLong,
    /// TLS on a port that speaks plain HTTP.
    TlsOnPlain,
    /// It is larger than the limit.
    TooLarge,
}
