//! The Linux side.

pub(super) use super::tcp_peers::TcpPeerResolver;

use rustix::net::sockopt::socket_acceptconn;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::time::ClockId;
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
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;

    #[test]
    fn a_socket_that_is_only_bound_does_not_listen() {
        let bound = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&bound, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert!(!listens(bound.as_fd()));
        assert!(listens(TcpListener::bind("127.0.0.1:0").unwrap().as_fd()));
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
