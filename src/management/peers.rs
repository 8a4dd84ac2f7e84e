//! How many connections each client has, so that none takes them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections by client.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection, counted until dropped.
#[derive(Debug)]
pub(super) struct Counted {
    peers: Peers,
    client: IpAddr,
}

impl Peers {
    /// At most so many for each client.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Counts one more connection, if the client may have it.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Counted> {
        let client = client(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Counted {
            peers: self.clone(),
            client,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self
            .peers
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// Who an address belongs to: of IPv6 a client has a whole /64.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(long) => Ipv6Addr::from_bits(long.to_bits() & (u128::MAX << 64)).into(),
        short @ IpAddr::V4(_) => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_and_gives_it_back() {
        let peers = Peers::new(1);
        let admit = |address: &str| peers.admit(address.parse().unwrap());
        let first = admit("192.0.2.1");
        assert!(first.is_some());
        assert!(admit("192.0.2.1").is_none());
        assert!(
            admit("::ffff:192.0.2.1").is_none(),
            "the same written as IPv6"
        );
        assert!(admit("192.0.2.2").is_some());
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        assert!(peers.open.lock().unwrap().is_empty(), "nothing is left");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let peers = Peers::new(1);
        let _first = peers.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(peers.admit("2001:db8::ffff:2".parse().unwrap()).is_none());
        assert!(peers.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
