//! Whom a request counts for, where callers share something.

use super::Caller;
use std::fmt;
use std::net::IpAddr;

/// Whom a request counts for: the user where the kernel tells it, and the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A user of this machine at a Unix socket.
    User(u32),
    /// A user of this machine at a TCP port, from this address.
    Local(u32, IpAddr),
    /// A client address.
    Address(IpAddr),
    /// Somebody at a Unix socket whom the kernel does not name.
    Unknown,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Local(uid, ip) => write!(f, "uid {uid} at {ip}"),
            Self::Address(ip) => ip.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Caller {
    /// Whom the request counts for.
    pub fn principal(&self) -> Principal {
        let uid = self.owner.uid;
        match self.peer.ip() {
            Some(ip) => uid.map_or(Principal::Address(ip), |uid| Principal::Local(uid, ip)),
            None => uid.map_or(Principal::Unknown, Principal::User),
        }
    }
}
