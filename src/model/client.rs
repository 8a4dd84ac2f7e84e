//! The client that sent a request: its address, its user, and the key that it is counted by.

use super::ListenerPolicy;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// The client that sent a request, and the listener that took the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The other end of the connection.
    pub peer: PeerAddress,
    /// The user at the other end, for a client of this machine.
    pub identity: PeerIdentity,
    /// The listener.
    pub listener: Rc<ListenerPolicy>,
}

impl Client {
    /// Returns the key that the client's requests are counted by.
    pub fn key(&self) -> ClientKey {
        let uid = self.identity.uid;
        match self.peer.ip() {
            Some(ip) => uid.map_or(ClientKey::Address(ip), |uid| ClientKey::Local(uid, ip)),
            None => uid.map_or(ClientKey::Unknown, ClientKey::User),
        }
    }
}

/// The address at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    /// The address and port of a TCP client.
    Tcp(SocketAddr),
    /// A client of a Unix socket. The socket's file permissions decide who may connect.
    Unix,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl PeerAddress {
    /// Returns the address of a TCP client; an IPv4 address within IPv6 becomes IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            // a dual-stack socket maps IPv4, which would make a second key of the same client
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}

/// The user and process that called `connect`, as the kernel reports them: for Unix sockets, and
/// for TCP clients of this machine if the system knows them (see `mwaa_runtime::platform`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The effective user; the overflow user for a user of another user namespace.
    pub uid: Option<u32>,
    /// The process. `None` for a TCP client and for a process of another pid namespace.
    pub pid: Option<u32>,
}

/// The key by which requests are counted where clients take turns: the user if the kernel reports
/// one, and the address.
///
/// A client whose user is not known counts for its address alone. So it takes no turn of a known
/// user at the same address, root included, and however often it connects it has one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientKey {
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

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Local(uid, ip) => write!(f, "uid {uid} at {ip}"),
            Self::Address(ip) => ip.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(peer: &str, uid: Option<u32>) -> ClientKey {
        Client {
            peer: peer.parse().map_or(PeerAddress::Unix, PeerAddress::Tcp),
            identity: PeerIdentity { uid, pid: None },
            listener: Rc::new(ListenerPolicy {
                name: "listener".to_owned(),
                environment: None,
                rules: None,
            }),
        }
        .key()
    }

    #[test]
    fn unknown_and_known_users_have_different_queue_keys() {
        for peer in ["127.0.0.1:4000", "unix"] {
            let unknown = key(peer, None);
            for uid in [0, 1000, u32::MAX] {
                assert_ne!(unknown, key(peer, Some(uid)), "{peer} {uid}");
            }
            assert_ne!(key(peer, Some(0)), key(peer, Some(1000)));
        }
        // another connection is no further turn
        let first = "127.0.0.1:4000";
        let second = "[::ffff:127.0.0.1]:4001";
        assert_eq!(key(first, None), key(second, None));
        assert_ne!(key(first, None), key("192.0.2.1:4000", None));
    }
}
