//! The macOS side.

use mwaa_model::PeerIdentity;
use rustix::time::ClockId;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use tokio::net::TcpStream;

/// Runs in sleep here; `CLOCK_UPTIME_RAW` stops (clock_gettime(3)).
pub(super) const CLOCK: ClockId = ClockId::Monotonic;

/// `SO_REUSEPORT` gives all connections to the socket that was bound last.
pub(super) const SPREADS_CONNECTIONS: bool = false;

/// unix(4).
pub(super) const LONGEST_SOCKET_PATH: usize = 103;

/// `OPEN_MAX`: more is refused, although the hard limit is unlimited (setrlimit(2)).
pub(super) const MAX_DESCRIPTORS: Option<u64> = Some(10_240);

/// fd(4).
pub(super) const DESCRIPTORS: &str = "/dev/fd";

/// `task_info` can only be called by unsafe code.
pub(super) fn resident_memory() -> Option<u64> {
    None
}

pub(super) const HAS_DESKTOP: bool = true;

/// The folder of most command line tools, then the one that the system suggests.
pub(super) const CONFIG_FOLDERS: &[&str] = &[".config", SUPPORT];
pub(super) const STATE_FOLDER: &str = SUPPORT;
const SUPPORT: &str = "Library/Application Support";

pub(super) fn current_exe() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// `ptrace(PT_DENY_ATTACH)` can only be called by unsafe code, of which there is none here.
pub(super) fn disable_attaching() -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "macOS alone decides which debuggers may attach",
    ))
}

/// Finds no user: only private calls report the owner of a TCP connection.
#[derive(Debug)]
pub(super) struct TcpPeerResolver;

impl TcpPeerResolver {
    pub(super) fn open() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "the Linux side asks an open socket")]
    pub(super) fn find(&self, _accepted: &TcpStream, _client: SocketAddr) -> PeerIdentity {
        PeerIdentity::default()
    }
}
pub(super) fn listens(_socket: BorrowedFd<'_>) -> bool {
    true
}

/// There is no such filter (setsockopt(2)).
pub(super) fn ignore_new_connections(_listener: BorrowedFd<'_>) -> bool {
    false
}

pub(super) const EINVAL_IS_OF_CLIENT: bool = true;

pub(super) fn connect_datagram(socket: &UnixDatagram, path: &Path) -> io::Result<()> {
    socket.connect(path)
}
