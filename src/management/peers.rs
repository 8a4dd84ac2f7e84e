//! How many connections each client has, so that none takes them all.

use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections by client, and by network of clients.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    most: usize,
    most_of_network: usize,
    open: Arc<Mutex<HashMap<IpNet, usize>>>,
}

/// One connection, counted until dropped.
#[derive(Debug)]
pub(super) struct Counted {
    peers: Peers,
    client: IpAddr,
}

impl Peers {
    /// At most so many for each address, and for each /64 of IPv6: one client may have all of
    /// such a network, or share it with the kubelet and its other pods.
    pub(super) fn new(most: usize, most_of_network: usize) -> Self {
        Self {
            most,
            most_of_network,
            open: Arc::default(),
        }
    }

    /// Counts one more connection, if the client may have it.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Counted> {
        let client = address.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |net: &IpNet| open.get(net).copied().unwrap_or_default();
        let is_full = has(&client.into()) >= self.most
            || network(client).is_some_and(|net| has(&net) >= self.most_of_network);
        if is_full {
            return None;
        }
        for net in counted_as(client) {
            *open.entry(net).or_default() += 1;
        }
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
        for net in counted_as(self.client) {
            if let Some(count) = open.get_mut(&net) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&net);
                }
            }
        }
    }
}

/// What a connection of the client counts for: its address, and its network if it has one.
fn counted_as(client: IpAddr) -> impl Iterator<Item = IpNet> {
    std::iter::once(client.into()).chain(network(client))
}

/// The network that one client of IPv6 may have all of.
fn network(client: IpAddr) -> Option<IpNet> {
    let net = client.is_ipv6().then(|| IpNet::new(client, 64).ok())??;
    Some(net.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_and_gives_it_back() {
        let peers = Peers::new(1, 2);
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
    fn a_network_of_ipv6_has_more_than_one_client_and_not_all() {
        let peers = Peers::new(1, 2);
        let admit = |address: &str| peers.admit(address.parse().unwrap());
        let _first = admit("2001:db8::1").unwrap();
        assert!(admit("2001:db8::1").is_none());
        let second = admit("2001:db8::ffff:2");
        assert!(second.is_some(), "a neighbour has its own");
        assert!(admit("2001:db8::3").is_none(), "but not without end");
        let _other = admit("2001:db8:0:1::1").unwrap();
        drop(second);
        assert!(admit("2001:db8::3").is_some());
        assert_eq!(
            peers.open.lock().unwrap().len(),
            4,
            "two addresses, two networks"
        );
    }
}
