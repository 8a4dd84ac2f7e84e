//! Whom a request counts for, where callers share something.

use super::{Caller, Peer};
use std::fmt;
use std::net::IpAddr;

/// Whom a request counts for: the user where the kernel tells it, else the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A user of this machine.
    User(u32),
    /// A client address.
    Address(IpAddr),
    /// Somebody at a Unix socket whom the kernel does not name.
    Unknown,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Address(ip) => ip.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Caller {
    /// Whom the request counts for.
    pub fn principal(&self) -> Principal {
        match self.peer {
            Peer::Tcp(address) => Principal::Address(address.ip().to_canonical()),
            Peer::Unix(owner) => owner.uid.map_or(Principal::Unknown, Principal::User),
        }
    }
}
