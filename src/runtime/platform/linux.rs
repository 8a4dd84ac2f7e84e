//! The Linux side.

pub(super) use super::tcp_peers::TcpPeerResolver;

use rustix::net::sockopt::socket_acceptconn;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::time::ClockId;
use socket2::{SockFilter, SockRef};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

/// `CLOCK_MONOTONIC` stops in suspend here (clock_gettime(2)).
pub(super) const CLOCK: ClockId = ClockId::Boottime;

/// socket(7).
pub(super) const SPREADS_CONNECTIONS: bool = true;

/// unix(7).
pub(super) const LONGEST_SOCKET_PATH: usize = 107;

/// The kernel takes the hard limit.
pub(super) const MAX_DESCRIPTORS: Option<u64> = None;

/// proc_pid_fd(5).
pub(super) const DESCRIPTORS: &str = "/proc/self/fd";

/// `VmRSS` of proc_pid_status(5), in KiB.
pub(super) fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

pub(super) const HAS_DESKTOP: bool = false;

/// XDG Base Directory Specification.
pub(super) const CONFIG_FOLDERS: &[&str] = &[".config"];
pub(super) const STATE_FOLDER: &str = ".local/state";

/// proc_pid_exe(5).
#[expect(clippy::unnecessary_wraps, reason = "other systems may fail")]
pub(super) fn current_exe() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// Also keeps the kernel from writing core dumps (prctl(2)).
pub(super) fn disable_attaching() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
pub(super) fn listens(socket: BorrowedFd<'_>) -> bool {
    socket_acceptconn(socket) != Ok(false)
}

/// A filter of the socket (socket(7), SO_ATTACH_FILTER), which begins at the TCP header.
pub(super) fn ignore_new_connections(listener: BorrowedFd<'_>) -> bool {
    let filter = [
        // load the byte of the flags (RFC 9293 section 3.1)
        SockFilter::new(0x30, 0, 0, 13),
        // is SYN set?
        SockFilter::new(0x45, 0, 1, 0x02),
        // then drop the packet, else keep all of it
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    SockRef::from(&listener).attach_filter(&filter).is_ok()
}

pub(super) const EINVAL_IS_OF_CLIENT: bool = false;

pub(super) fn connect_datagram(socket: &UnixDatagram, path: &Path) -> io::Result<()> {
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?),
        None => socket.connect(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketType, bind, socket};
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    #[test]
    fn a_socket_that_is_only_bound_does_not_listen() {
        let bound = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&bound, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert!(!listens(bound.as_fd()));
        assert!(listens(TcpListener::bind("127.0.0.1:0").unwrap().as_fd()));
    }

    #[test]
    fn only_connections_that_have_begun_are_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let begun = TcpStream::connect(address).unwrap();
        assert!(ignore_new_connections(listener.as_fd()));
        let limit = Duration::from_millis(50);
        let late = TcpStream::connect_timeout(&address, limit).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);

        let (mut accepted, peer) = listener.accept().unwrap();
        assert_eq!(peer, begun.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let none = listener.accept().unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        // the connection itself is not filtered
        (&begun).write_all(b"x").unwrap();
        accepted.read_exact(&mut [0]).unwrap();
    }

    #[test]
    fn a_datagram_reaches_an_abstract_name() {
        let name = format!("mwaa-gateway-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let receiver = UnixDatagram::bind_addr(&address).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        connect_datagram(&sender, Path::new(&format!("@{name}"))).unwrap();
        sender.send(b"x").unwrap();
        assert_eq!(receiver.recv(&mut [0; 8]).unwrap(), 1);
    }
}
