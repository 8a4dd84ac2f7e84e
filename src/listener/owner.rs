//! Whose the other end of a connection is: told by the kernel, for clients of this machine.

use crate::names::Owner;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use tokio::net::UnixStream;

/// The owner of a Unix socket's other end, when it connected (`SO_PEERCRED`, unix(7)).
pub(super) fn of_unix(stream: &UnixStream) -> Owner {
    stream.peer_cred().map_or_else(
        |_unknown| Owner::default(),
        |owner| Owner {
            uid: Some(owner.uid()),
            pid: owner
                .pid()
                .and_then(|pid| u32::try_from(pid).ok())
                .filter(|pid| *pid > 0),
        },
    )
}

/// Asks the kernel's table of TCP sockets (sock_diag(7)). One question goes to one socket by
/// its exact addresses and is answered before `sendto` returns: it takes some microseconds,
/// however many sockets there are.
#[derive(Debug)]
pub(super) struct TcpOwners {
    table: Option<OwnedFd>,
    /// Counts the questions: an answer is taken for its own only.
    asked: Cell<u32>,
}

impl TcpOwners {
    /// Opens the way to the table; without one (a sandbox may forbid it) no owner is known.
    pub(super) fn open() -> Self {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(SOCK_DIAG),
        );
        Self {
            table: socket.ok(),
            asked: Cell::new(0),
        }
    }

    /// The user who opened the client's end; nobody for a client of another machine.
    pub(super) fn of(&self, client: SocketAddr, ours: SocketAddr) -> Owner {
        let local = client.ip().is_loopback() || client.ip() == ours.ip();
        Owner {
            uid: if local { self.ask(client, ours) } else { None },
            pid: None,
        }
    }

    fn ask(&self, client: SocketAddr, ours: SocketAddr) -> Option<u32> {
        let table = self.table.as_ref()?;
        let number = self.asked.get().wrapping_add(1);
        self.asked.set(number);
        let question = question(number, client, ours)?;
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(table, &question, SendFlags::DONTWAIT, &kernel).ok()?;
        let mut answer = [0; 1024];
        loop {
            let (length, _) = recv(table, &mut answer, RecvFlags::DONTWAIT).ok()?;
            let answer = answer.get(..length)?;
            if answer.get(8..12)? == number.to_ne_bytes() {
                return uid(answer);
            }
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` (linux/netlink.h, linux/inet_diag.h).
fn question(number: u32, client: SocketAddr, ours: SocketAddr) -> Option<Vec<u8>> {
    let (family, from, to) = match (client.ip().to_canonical(), ours.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let wide = |octets: [u8; 4]| {
                let mut wide = [0; 16];
                wide.iter_mut()
                    .zip(octets)
                    .for_each(|(to, from)| *to = from);
                wide
            };
            (AddressFamily::INET, wide(from.octets()), wide(to.octets()))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            (AddressFamily::INET6, from.octets(), to.octets())
        }
        _ => return None,
    };
    let mut question = Vec::with_capacity(QUESTION);
    question.extend(u32::try_from(QUESTION).ok()?.to_ne_bytes());
    question.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    question.extend(NLM_F_REQUEST.to_ne_bytes());
    question.extend(number.to_ne_bytes());
    question.extend([0; 4]); // the sender, which the kernel knows
    question.extend([u8::try_from(family.as_raw()).ok()?, IPPROTO_TCP, 0, 0]);
    question.extend(u32::MAX.to_ne_bytes()); // any state
    question.extend(client.port().to_be_bytes());
    question.extend(ours.port().to_be_bytes());
    question.extend(from);
    question.extend(to);
    question.extend([0; 4]); // any interface
    question.extend([0xff; 8]); // no cookie
    Some(question)
}

/// `idiag_uid` of the `struct inet_diag_msg` that answers.
fn uid(answer: &[u8]) -> Option<u32> {
    let kind = answer.get(4..6)?;
    if kind != SOCK_DIAG_BY_FAMILY.to_ne_bytes() {
        return None;
    }
    let uid = answer.get(HEADER + 4 + SOCKET_ID + 12..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*uid))
}

const HEADER: usize = 16;
const SOCKET_ID: usize = 48;
const QUESTION: usize = HEADER + 8 + SOCKET_ID;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_local_client_has_an_owner_and_nobody_else_has() {
        let owners = TcpOwners::open();
        let me = rustix::process::geteuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let ours = listener.local_addr().unwrap();
            let client = TcpStream::connect(ours).unwrap();
            let (_accepted, peer) = listener.accept().unwrap();
            assert_eq!(owners.of(peer, ours).uid, Some(me), "{address}");
            drop(client);
            let nobody = SocketAddr::new(peer.ip(), 1);
            assert_eq!(owners.of(nobody, ours), Owner::default());
            // the socket still answers
            let again = TcpStream::connect(ours).unwrap();
            let (_accepted, peer) = listener.accept().unwrap();
            assert_eq!(owners.of(peer, ours).uid, Some(me), "{address}");
            drop(again);
        }
        let stranger = SocketAddr::from(([192, 0, 2, 1], 4711));
        let ours = SocketAddr::from(([192, 0, 2, 2], 443));
        assert_eq!(owners.of(stranger, ours), Owner::default());
    }
}
