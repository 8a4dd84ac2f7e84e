//! Which client addresses may connect.

use super::GuardError;
use crate::names::Peer;
use ipnet::IpNet;

/// The networks that clients may come from. Checked on every request even though the bind is
/// on loopback: packets for 127.0.0.1 have reached such sockets from outside (CVE-2020-8558).
#[derive(Debug, Clone)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Takes the list.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// A Unix socket's file permissions have decided already.
    pub(super) fn check(&self, peer: Peer) -> Result<(), GuardError> {
        match peer.ip() {
            Some(ip) if !self.0.iter().any(|network| network.contains(&ip)) => {
                Err(GuardError::Peer)
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_networks() {
        let loopback = Networks::new(vec![
            "127.0.0.0/8".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ]);
        let check = |address: &str| loopback.check(Peer::Tcp(address.parse().unwrap()));
        assert_eq!(check("127.9.9.9:40000"), Ok(()));
        assert_eq!(check("[::ffff:127.0.0.1]:40000"), Ok(()));
        assert_eq!(loopback.check(Peer::Unix), Ok(()));
        assert_eq!(check("10.0.0.1:40000"), Err(GuardError::Peer));
    }
}
