//! The user at the other end of a TCP connection, as the kernel reports it for clients of this
//! machine.

use crate::names::Owner;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use tokio::net::TcpStream;

/// Asks the kernel's table of TCP sockets (sock_diag(7)). One question goes to one socket by
/// its exact addresses and is answered before `sendto` returns: it takes some microseconds,
/// however many sockets there are.
#[derive(Debug)]
pub(in crate::runtime::platform) struct TcpOwners {
    table: Option<OwnedFd>,
    /// Counts the questions: an answer is taken for its own only.
    asked: Cell<u32>,
}

impl TcpOwners {
    /// Opens the way to the table; without one (a sandbox may forbid it) no owner is known.
    pub(in crate::runtime::platform) fn open() -> Self {
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

    /// The user whose process holds the client's end of `accepted`. Unknown for a client of
    /// another machine, and for one that has closed its end already: the kernel then keeps a
    /// socket without an owner, or none.
    pub(in crate::runtime::platform) fn of(
        &self,
        accepted: &TcpStream,
        client: SocketAddr,
    ) -> Owner {
        let asked = || {
            let ours = accepted.local_addr().ok()?;
            let local = client.ip().is_loopback() || client.ip() == ours.ip();
            let uid = local.then(|| self.ask(client, ours))??;

            // A client that resets its connection frees its port, and another user's socket may
            // have taken it. As long as our end is connected, the other end is still the client's.
            accepted.peer_addr().ok().map(|_connected| uid)
        };
        Owner {
            uid: asked(),
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
                return uid(answer, client, ours);
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

/// `idiag_uid` of the `struct inet_diag_msg` that answers (linux/inet_diag.h), if it describes
/// the client's end of the connection and a process holds that end.
///
/// A socket that its process has closed (orphaned), or that only waits for its port to become
/// free (TIME_WAIT), has no inode, and its user id is 0: that is not root.
fn uid(answer: &[u8], client: SocketAddr, ours: SocketAddr) -> Option<u32> {
    if answer.get(4..6)? != SOCK_DIAG_BY_FAMILY.to_ne_bytes() {
        return None;
    }
    let message = answer.get(HEADER..)?;
    let [family, state, ..] = *message else {
        return None;
    };
    let word = |at: usize| {
        message
            .get(at..)?
            .first_chunk()
            .map(|b| u32::from_ne_bytes(*b))
    };
    let port = |at: usize| {
        message
            .get(at..)?
            .first_chunk()
            .map(|b| u16::from_be_bytes(*b))
    };

    let connected = HELD_STATES.contains(&state);
    let is_client = address(family, message.get(8..24)?)? == client.ip().to_canonical()
        && port(4)? == client.port();
    let is_ours = address(family, message.get(24..40)?)? == ours.ip().to_canonical()
        && port(6)? == ours.port();
    let (uid, inode) = (word(64)?, word(68)?);
    (connected && is_client && is_ours && inode != 0).then_some(uid)
}

/// An address of `struct inet_diag_sockid`. An IPv6 socket with an IPv4 peer has mapped ones.
fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match AddressFamily::from_raw(family.into()) {
        AddressFamily::INET => Some(IpAddr::from(*bytes.first_chunk::<4>()?)),
        AddressFamily::INET6 => {
            Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).to_canonical())
        }
        _ => None,
    }
}

/// `idiag_state` of a client's end that was connected and that a process may hold: ESTABLISHED,
/// FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING (linux/tcp_states.h).
const HELD_STATES: [u8; 6] = [1, 4, 5, 8, 9, 11];

const HEADER: usize = 16;
const SOCKET_ID: usize = 48;
const QUESTION: usize = HEADER + 8 + SOCKET_ID;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::Shutdown;

    /// A connection over loopback: the client's end, and ours with the client's address.
    struct Connected {
        client: std::net::TcpStream,
        accepted: TcpStream,
        peer: SocketAddr,
    }

    /// Listens at `bound`; the client connects to the port at the address `to`.
    fn connect(bound: &str, to: &str) -> Connected {
        let listener = std::net::TcpListener::bind((bound, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect((to, port)).unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        Connected {
            client,
            accepted: TcpStream::from_std(accepted).unwrap(),
            peer,
        }
    }

    fn me() -> Owner {
        Owner {
            uid: Some(rustix::process::geteuid().as_raw()),
            pid: None,
        }
    }

    const LOCAL: [(&str, &str); 4] = [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        // an IPv6 listener with an IPv4 client, and an IPv6 socket that speaks IPv4, like Java's
        ("::", "127.0.0.1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
    ];

    #[tokio::test]
    async fn a_local_client_has_an_owner() {
        let owners = TcpOwners::open();
        for (bound, to) in LOCAL {
            let Connected {
                client,
                accepted,
                peer,
            } = connect(bound, to);
            assert_eq!(owners.of(&accepted, peer), me(), "{bound} {to}");

            // one that only stops sending is still there
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(owners.of(&accepted, peer), me(), "{bound} {to}");
        }
    }

    /// The kernel reports user 0 for these: it must not be taken for root.
    #[tokio::test]
    async fn a_client_that_has_closed_its_end_is_unknown() {
        let owners = TcpOwners::open();
        for (bound, to) in LOCAL {
            let Connected {
                mut client,
                accepted,
                peer,
            } = connect(bound, to);
            client.write_all(b"a request").unwrap();
            drop(client);
            assert_eq!(owners.of(&accepted, peer), Owner::default(), "{bound} {to}");

            // the next one has an owner again
            let Connected {
                client,
                accepted,
                peer,
            } = connect(bound, to);
            assert_eq!(owners.of(&accepted, peer), me(), "{bound} {to}");
            drop(client);
        }
    }

    /// Another socket takes the port of a client that has reset its connection: its user has
    /// nothing to do with what the client sent.
    #[tokio::test]
    async fn the_next_socket_at_a_client_s_port_does_not_own_its_connection() {
        let owners = TcpOwners::open();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = listener.local_addr().unwrap();
        let client = tokio::net::TcpSocket::new_v4().unwrap();
        client.set_reuseaddr(true).unwrap();
        client.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = client.connect(ours).await.unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let accepted = TcpStream::from_std(accepted).unwrap();
        client.set_zero_linger().unwrap();
        drop(client);

        let other = tokio::net::TcpSocket::new_v4().unwrap();
        other.set_reuseaddr(true).unwrap();
        other.bind(peer).unwrap();
        let _other = other.connect(ours).await.unwrap();
        assert_eq!(
            owners.ask(peer, ours),
            me().uid,
            "the kernel names the other"
        );
        assert_eq!(owners.of(&accepted, peer), Owner::default());
    }

    #[tokio::test]
    async fn a_client_of_another_machine_is_unknown() {
        let owners = TcpOwners::open();
        let connected = connect("127.0.0.1", "127.0.0.1");
        let stranger = SocketAddr::from(([192, 0, 2, 1], 4711));
        assert_eq!(owners.of(&connected.accepted, stranger), Owner::default());
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(owners.of(&connected.accepted, nobody), Owner::default());
    }

    #[test]
    fn an_answer_about_another_socket_is_ignored() {
        let client = SocketAddr::from(([127, 0, 0, 1], 4000));
        let ours = SocketAddr::from(([127, 0, 0, 1], 8080));
        let answer = |state: u8, from: SocketAddr, uid: u32, inode: u32| {
            let octets = |address: SocketAddr| match address.ip() {
                IpAddr::V4(ip) => [ip.octets(), [0; 4], [0; 4], [0; 4]].concat(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let family = u8::try_from(AddressFamily::INET.as_raw()).unwrap();
            let mut answer = vec![0; 4];
            answer.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
            answer.extend([0; 10]);
            answer.extend([family, state, 0, 0]);
            answer.extend(from.port().to_be_bytes());
            answer.extend(ours.port().to_be_bytes());
            answer.extend(octets(from));
            answer.extend(octets(ours));
            answer.extend([0; 24]); // interface, cookie, timer, queues
            answer.extend(uid.to_ne_bytes());
            answer.extend(inode.to_ne_bytes());
            super::uid(&answer, client, ours)
        };
        assert_eq!(answer(1, client, 1000, 7), Some(1000));
        assert_eq!(answer(1, client, 0, 7), Some(0), "root itself");
        assert_eq!(answer(1, client, 0, 0), None, "nobody holds it");
        assert_eq!(answer(2, client, 1000, 7), None, "SYN_SENT");
        assert_eq!(answer(6, client, 1000, 7), None, "TIME_WAIT");
        assert_eq!(answer(10, client, 1000, 7), None, "LISTEN");
        let others = [
            SocketAddr::from(([127, 0, 0, 2], 4000)),
            SocketAddr::from(([127, 0, 0, 1], 4001)),
        ];
        for other in others {
            assert_eq!(answer(1, other, 1000, 7), None, "{other}");
        }
    }
}
