//! The value that the listener makes: a request as it came, and from whom.

use crate::names::EnvName;
use http::request::Parts;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// The name of one request: in our reply header, in fault bodies and in log lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u64, u64);

impl RequestId {
    /// A new one: a random number for the process, and a count.
    pub fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        static PROCESS: std::sync::LazyLock<u64> =
            std::sync::LazyLock::new(|| fastrand::u64(..));
        Self(*PROCESS, COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.0, self.1)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A request that has arrived. Nothing about it has been believed yet.
#[derive(Debug)]
pub struct Arrived {
    /// Its name.
    pub id: RequestId,
    /// Who sent it.
    pub peer: Peer,
    /// The environment whose own listener it came in by.
    pub door: Option<Rc<EnvName>>,
    /// Request line and header section.
    pub head: Parts,
    /// The body, unread.
    pub body: Body,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_differ() {
        let (first, second) = (RequestId::next(), RequestId::next());
        assert_ne!(first, second);
        assert_ne!(first.to_string(), second.to_string());
    }
}
