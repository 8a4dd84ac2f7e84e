//! Who sent a request, and by which listener.

use super::{EnvName, ListenerRules};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client, by its address and port.
    Tcp(SocketAddr),
    /// A client of a Unix socket; its file permissions decide who that may be.
    Unix,
}

impl Peer {
    /// The address of a TCP client; one that is IPv4 within IPv6 is IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}

/// Who called `connect`, as the kernel tells it: for Unix sockets, and for TCP clients of this
/// machine where the system knows them (`runtime/platform` says which does).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    /// The effective user; the overflow user for one of another user namespace.
    pub uid: Option<u32>,
    /// The process; none where it lies in another pid namespace.
    pub pid: Option<u32>,
}

/// Which of the gateway's listeners a request came in by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// Its table in the configuration: `listener`, `listeners.NAME`, `environments.NAME`.
    pub name: String,
    /// The environment that it serves, if it serves only one.
    pub environment: Option<EnvName>,
    /// What it lets pass, if that may be less than the environment does.
    pub rules: Option<ListenerRules>,
}

impl Entrance {
    /// Whether it is the address that an environment has for itself.
    pub fn is_own(&self) -> bool {
        self.name.starts_with("environments.")
    }

    /// What is special about it, for people: the only environment that it serves, and what it
    /// lets pass if that may be less than all.
    pub fn summary(&self) -> Option<String> {
        let only = self.environment.as_ref().map(|name| format!("only {name}"));
        let rules = self.rules.as_ref().map(ToString::to_string);
        match (only, rules) {
            (Some(only), Some(rules)) => Some(format!("{only}, {rules}")),
            (only, rules) => only.or(rules),
        }
    }
}

/// Who sent a request, and by which listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The other end of the connection.
    pub peer: Peer,
    /// Whose that end is, for a client of this machine; of a TCP client no process is known.
    pub owner: Owner,
    /// The listener.
    pub entrance: Rc<Entrance>,
}
