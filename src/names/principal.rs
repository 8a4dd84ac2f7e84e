//! The client that a request counts for, where clients take turns.

use super::Caller;
use std::fmt;
use std::net::IpAddr;

/// The client that a request counts for: the user if the kernel reports one, and the address.
///
/// A client whose user is not known counts for its address alone. So it takes no turn of a known
/// user at the same address, root included, and however often it connects it has one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A user of this machine at a Unix socket.
    User(u32),
    /// A user of this machine at a TCP port, from this address.
    Local(u32, IpAddr),
    /// Clients at this address whose user is not known: of another machine, or of this one if
    /// the kernel reports no user.
    Address(IpAddr),
    /// Clients at a Unix socket whose user is not known.
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
    /// The client that the request counts for.
    pub fn principal(&self) -> Principal {
        let uid = self.owner.uid;
        match self.peer.ip() {
            Some(ip) => uid.map_or(Principal::Address(ip), |uid| Principal::Local(uid, ip)),
            None => uid.map_or(Principal::Unknown, Principal::User),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Entrance, Owner, Peer};
    use std::rc::Rc;

    fn principal(peer: &str, uid: Option<u32>) -> Principal {
        Caller {
            peer: peer.parse().map_or(Peer::Unix, Peer::Tcp),
            owner: Owner { uid, pid: None },
            entrance: Rc::new(Entrance {
                name: "listener".to_owned(),
                environment: None,
                rules: None,
            }),
        }
        .principal()
    }

    #[test]
    fn an_unknown_user_shares_no_turn_with_a_known_one() {
        for peer in ["127.0.0.1:4000", "unix"] {
            let unknown = principal(peer, None);
            for uid in [0, 1000, u32::MAX] {
                assert_ne!(unknown, principal(peer, Some(uid)), "{peer} {uid}");
            }
            assert_ne!(principal(peer, Some(0)), principal(peer, Some(1000)));
        }
        // another connection is no further turn
        let (first, second) = ("127.0.0.1:4000", "[::ffff:127.0.0.1]:4001");
        assert_eq!(principal(first, None), principal(second, None));
        assert_ne!(principal(first, None), principal("192.0.2.1:4000", None));
    }
}
