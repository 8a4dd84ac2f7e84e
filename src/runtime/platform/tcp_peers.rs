//! The user at the other end of a TCP connection, as the kernel reports it for clients of this
//! machine.

use mwaa_model::PeerIdentity;
use netlink_packet_core::{
    NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, Parseable as _,
};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags,
};
use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SOCK_DIAG_BY_FAMILY, SockDiagMessage, TCP_CLOSE_WAIT,
    TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK,
};
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use tokio::net::TcpStream;

/// Queries the kernel's table of TCP sockets (sock_diag(7)). A query names one socket by its exact
/// addresses and is answered before `sendto` returns: it takes some microseconds, however many
/// sockets there are.
#[derive(Debug)]
pub(super) struct TcpPeerResolver {
    table: Option<OwnedFd>,
    /// The number of the last query. A response to another one is dropped.
    sequence: Cell<u32>,
}

impl TcpPeerResolver {
    /// Opens a socket to the table. If that fails (a sandbox may forbid it), no user is found.
    pub(super) fn open() -> Self {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(SOCK_DIAG),
        );
        if let Err(error) = &socket {
            tracing::debug!(%error, "cannot read the table of sockets: the users of TCP \
                                     clients are unknown");
        }
        Self {
            table: socket.ok(),
            sequence: Cell::new(0),
        }
    }

    /// Returns the user whose process holds the client's end of `accepted`. Unknown for a client
    /// of another machine, and for one that has closed its end already: the kernel then keeps a
    /// socket without an owner, or none.
    pub(super) fn find(&self, accepted: &TcpStream, client: SocketAddr) -> PeerIdentity {
        PeerIdentity {
            uid: self.find_uid(accepted, client),
            pid: None,
        }
    }

    fn find_uid(&self, accepted: &TcpStream, client: SocketAddr) -> Option<u32> {
        let ours = accepted.local_addr().ok()?;
        // the kernel has no socket of a client on another machine
        let is_local = client.ip().is_loopback() || client.ip() == ours.ip();
        if !is_local {
            return None;
        }
        let uid = self.query(client, ours)?;

        // A client that resets its connection frees its port, and another user's socket may have
        // taken it. As long as our end is connected, the other end is still the client's.
        accepted.peer_addr().ok().map(|_connected| uid)
    }

    fn query(&self, client: SocketAddr, ours: SocketAddr) -> Option<u32> {
        let table = self.table.as_ref()?;
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);

        let request = make_request(sequence, client, ours)?;
        // port 0 is the kernel
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(table, &request, SendFlags::DONTWAIT, &kernel).ok()?;

        let mut response = [0; 1024];
        loop {
            let (length, _) = recv(table, &mut response, RecvFlags::DONTWAIT).ok()?;
            let response = NetlinkBuffer::new_checked(response.get(..length)?).ok()?;
            // a response may be late, after its query was given up
            if response.sequence_number() == sequence {
                return parse_response(&response, client, ours);
            }
        }
    }
}

/// Creates the query for the client's end of a connection. `None` if its addresses are of two
/// families.
fn make_request(sequence: u32, client: SocketAddr, ours: SocketAddr) -> Option<Vec<u8>> {
    let source_address = client.ip().to_canonical();
    let destination_address = ours.ip().to_canonical();
    let family = match (source_address, destination_address) {
        (IpAddr::V4(_), IpAddr::V4(_)) => AF_INET,
        (IpAddr::V6(_), IpAddr::V6(_)) => AF_INET6,
        _ => return None,
    };
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        // ignored in a query for one socket
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: client.port(),
            destination_port: ours.port(),
            source_address,
            destination_address,
            // any interface, and no cookie (INET_DIAG_NOCOOKIE)
            interface_id: 0,
            cookie: [0xff; 8],
        },
    };

    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = sequence;
    let payload = SockDiagMessage::InetRequest(request).into();
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();

    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    Some(bytes)
}

/// Returns the user id in a response, if the response describes the client's end of the connection
/// and a process holds that end.
///
/// A socket that its process has closed (orphaned), or that only waits for its port to become
/// free (TIME_WAIT), has no inode, and its user id is 0: that is not root.
fn parse_response(
    response: &NetlinkBuffer<&[u8]>,
    client: SocketAddr,
    ours: SocketAddr,
) -> Option<u32> {
    if response.message_type() != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let socket = InetResponseHeader::parse(response.payload()).ok()?;
    let id = &socket.socket_id;

    let is_end = |address: IpAddr, port: u16, end: SocketAddr| {
        // an IPv6 socket with an IPv4 peer has mapped addresses
        address.to_canonical() == end.ip().to_canonical() && port == end.port()
    };
    let is_client = is_end(id.source_address, id.source_port, client);
    let is_ours = is_end(id.destination_address, id.destination_port, ours);
    let is_held = HELD_STATES.contains(&socket.state) && socket.inode != 0;
    (is_client && is_ours && is_held).then_some(socket.uid)
}

/// The states of a client's end that was connected and that a process may hold.
const HELD_STATES: [u8; 6] = [
    TCP_ESTABLISHED,
    TCP_FIN_WAIT1,
    TCP_FIN_WAIT2,
    TCP_CLOSE_WAIT,
    TCP_LAST_ACK,
    TCP_CLOSING,
];

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_sock_diag::inet::InetResponse;
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

    fn me() -> PeerIdentity {
        PeerIdentity {
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
    async fn a_local_client_is_identified() {
        let resolver = TcpPeerResolver::open();
        for (bound, to) in LOCAL {
            let Connected {
                client,
                accepted,
                peer,
            } = connect(bound, to);
            assert_eq!(resolver.find(&accepted, peer), me(), "{bound} {to}");

            // one that only stops sending is still there
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(resolver.find(&accepted, peer), me(), "{bound} {to}");
        }
    }

    /// The kernel reports user 0 for these: it must not be taken for root.
    #[tokio::test]
    async fn a_client_that_has_closed_its_end_is_unknown() {
        let resolver = TcpPeerResolver::open();
        for (bound, to) in LOCAL {
            let Connected {
                mut client,
                accepted,
                peer,
            } = connect(bound, to);
            client.write_all(b"a request").unwrap();
            drop(client);
            assert_eq!(
                resolver.find(&accepted, peer),
                PeerIdentity::default(),
                "{bound} {to}"
            );

            // the next one has an owner again
            let Connected {
                client,
                accepted,
                peer,
            } = connect(bound, to);
            assert_eq!(resolver.find(&accepted, peer), me(), "{bound} {to}");
            drop(client);
        }
    }

    /// Another socket takes the port of a client that has reset its connection: its user has
    /// nothing to do with what the client sent.
    #[tokio::test]
    async fn the_next_socket_at_a_client_s_port_does_not_own_its_connection() {
        let resolver = TcpPeerResolver::open();
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
            resolver.query(peer, ours),
            me().uid,
            "the kernel names the other"
        );
        assert_eq!(resolver.find(&accepted, peer), PeerIdentity::default());
    }

    #[tokio::test]
    async fn a_client_of_another_machine_is_unknown() {
        let resolver = TcpPeerResolver::open();
        let connected = connect("127.0.0.1", "127.0.0.1");
        let stranger = SocketAddr::from(([192, 0, 2, 1], 4711));
        assert_eq!(
            resolver.find(&connected.accepted, stranger),
            PeerIdentity::default()
        );
        let unused = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(
            resolver.find(&connected.accepted, unused),
            PeerIdentity::default()
        );
    }

    #[test]
    fn an_answer_about_another_socket_is_ignored() {
        let client = SocketAddr::from(([127, 0, 0, 1], 4000));
        let ours = SocketAddr::from(([127, 0, 0, 1], 8080));
        let answer = |state: u8, from: SocketAddr, uid: u32, inode: u32| {
            let header = InetResponseHeader {
                family: AF_INET,
                state,
                timer: None,
                socket_id: SocketId {
                    source_port: from.port(),
                    destination_port: ours.port(),
                    source_address: from.ip(),
                    destination_address: ours.ip(),
                    interface_id: 0,
                    cookie: [0; 8],
                },
                recv_queue: 0,
                send_queue: 0,
                uid,
                inode,
            };
            let response = InetResponse {
                header,
                nlas: std::iter::empty().collect(),
            };
            let response = SockDiagMessage::InetResponse(Box::new(response));
            let mut message = NetlinkMessage::from(response);
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            let response = NetlinkBuffer::new_checked(bytes.as_slice()).unwrap();
            parse_response(&response, client, ours)
        };
        assert_eq!(answer(1, client, 1000, 7), Some(1000));
        assert_eq!(answer(1, client, 0, 7), Some(0), "root itself");
        assert_eq!(answer(1, client, 0, 0), None, "no process holds it");
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
