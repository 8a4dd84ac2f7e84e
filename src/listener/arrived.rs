//! The value that the listener makes: a request as it came, and from whom.

use crate::names::{Caller, RequestId, debug_only};
use http::request::Parts;

/// The request body, unread.
pub type Body = hyper::body::Incoming;

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
