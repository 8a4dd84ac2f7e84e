//! The value that the listener makes: a request as it came, and from whom.

use crate::names::{EnvName, RequestId};
use http::request::Parts;
use std::net::IpAddr;
use std::rc::Rc;

/// The request body, unread.
pub type Body = hyper::body::Incoming;

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Ip(IpAddr),
    /// A client of the Unix socket; its file permissions decide who that may be.
    Unix,
}

/// A request that has arrived. Nothing about it has been believed yet.
#[derive(Debug)]
pub struct Arrived {
    /// Its name.
    pub id: RequestId,
    /// Who sent it.
    pub peer: Peer,
    /// Whether the connection is TLS, so that URLs on it begin with `https:`.
    pub secure: bool,
    /// The environment whose own listener it came in by.
    pub door: Option<Rc<EnvName>>,
    /// Request line and header section.
    pub head: Parts,
    /// The body, unread.
    pub body: Body,
}
