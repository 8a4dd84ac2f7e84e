//! Everything that depends on the operating system. The contract is here; each side, `linux` and
//! `macos`, keeps it or returns that it cannot. No other file checks which system it is.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod tcp_peers;
// plain values and portable calls, so that Linux can test it
#[cfg(any(test, target_os = "macos"))]
mod macos;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("mwaa-gateway runs on Linux and macOS; on Windows use WSL 2");

#[cfg(target_os = "linux")]
use linux as side;
#[cfg(target_os = "macos")]
use macos as side;

use mwaa_model::PeerIdentity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, RawMode};
use rustix::time::ClockId;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use tokio::net::{TcpStream, UnixStream};

/// The clock that runs while the machine sleeps.
pub(super) const CLOCK: ClockId = side::CLOCK;

/// True if the kernel spreads connections over the sockets that listen at one address
/// (`SO_REUSEPORT`). If it does not, one socket is shared.
pub const SPREADS_CONNECTIONS: bool = side::SPREADS_CONNECTIONS;

/// The longest path of a Unix socket in bytes: `sun_path` less its final NUL.
pub const LONGEST_SOCKET_PATH: usize = side::LONGEST_SOCKET_PATH;

/// Returns the most file descriptors that a process may set as its limit, given its hard limit
/// (`None`: unlimited).
pub fn max_descriptors(hard_limit: Option<u64>) -> Option<u64> {
    min_limit(hard_limit, side::MAX_DESCRIPTORS)
}

/// Returns the lower of two limits; `None` is no limit.
fn min_limit(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Returns the memory of this process that is in RAM, in bytes, if a safe call reports it.
pub fn resident_memory() -> Option<u64> {
    side::resident_memory()
}

/// Returns the number of file descriptors that this process has open; `None` if they cannot be listed.
pub fn open_descriptors() -> Option<u64> {
    count_descriptors(side::DESCRIPTORS)
}

fn count_descriptors(folder: &str) -> Option<u64> {
    let listed = std::fs::read_dir(folder).ok()?;
    // the folder itself is open meanwhile
    Some((listed.count() as u64).saturating_sub(1))
}

/// True if every machine has a desktop. On other systems environment variables say so.
pub const HAS_DESKTOP: bool = side::HAS_DESKTOP;

/// Keeps other processes of the same user from reading this one's memory. Fails with the kind
/// `Unsupported` if the system has no safe call for it.
pub fn disable_attaching() -> io::Result<()> {
    side::disable_attaching()
}

/// Returns the path of this program, to start it again. On Linux that works even if its file has
/// been replaced or removed since; macOS knows only the path.
pub fn current_exe() -> io::Result<PathBuf> {
    side::current_exe()
}

/// Returns the user's configuration folders below the home folder, in the order of the search.
pub fn config_folders(home: &Path) -> Vec<PathBuf> {
    join_all(home, side::CONFIG_FOLDERS)
}

/// Returns the user's folder below the home folder for the state of programs.
pub fn state_folder(home: &Path) -> PathBuf {
    home.join(side::STATE_FOLDER)
}

fn join_all(home: &Path, folders: &[&str]) -> Vec<PathBuf> {
    folders.iter().map(|folder| home.join(folder)).collect()
}

/// Returns permission bits as the system's calls take them: their width differs.
pub fn to_mode(bits: u32) -> Mode {
    // 16 bits on macOS, 32 on Linux
    u16::try_from(bits & 0o777).map_or(Mode::empty(), |bits| {
        Mode::from_raw_mode(RawMode::from(bits))
    })
}

/// Returns the user and process that connected to a Unix socket (`SO_PEERCRED`; `getpeereid` and
/// `LOCAL_PEERPID` on macOS).
pub fn unix_peer(stream: &UnixStream) -> PeerIdentity {
    let Ok(peer) = stream.peer_cred() else {
        return PeerIdentity::default();
    };
    // a process of another pid namespace is 0
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
    PeerIdentity {
        uid: Some(peer.uid()),
        pid: pid.filter(|pid| *pid > 0),
    }
}

/// Returns true if the other end of a Unix socket was closed, and not only for writing.
pub fn has_hung_up(stream: &UnixStream) -> bool {
    let mut polled = [PollFd::new(stream, PollFlags::empty())];
    let now = Timespec::default();
    // an error is no answer
    poll(&mut polled, Some(&now)).is_ok()
        && polled
            .iter()
            .any(|end| end.revents().contains(PollFlags::HUP))
}

/// Returns true if a socket listens, as far as the system knows (`SO_ACCEPTCONN`): macOS does not.
pub fn listens(socket: impl AsFd) -> bool {
    side::listens(socket.as_fd())
}

/// Makes the kernel drop the first packet of each new connection to a listening socket, so that its
/// client tries again a second later. Connections that have begun are not affected. Returns false if
/// the system cannot do that.
pub fn ignore_new_connections(listener: impl AsFd) -> bool {
    side::ignore_new_connections(listener.as_fd())
}

/// True if accept(2) fails with EINVAL for a client that has gone. On Linux that means a socket which
/// does not listen any more.
pub const EINVAL_IS_OF_CLIENT: bool = side::EINVAL_IS_OF_CLIENT;

/// Connects to a socket at a path, or on Linux at the abstract name behind an `@`.
pub fn connect_datagram(socket: &UnixDatagram, path: &Path) -> io::Result<()> {
    side::connect_datagram(socket, path)
}

/// Finds the users of TCP clients on this machine, if the system reports them. A user that is not
/// certain is unknown: the audit log must never name a wrong one.
#[derive(Debug)]
pub struct TcpPeerResolver(side::TcpPeerResolver);

impl TcpPeerResolver {
    /// Opens the system's table of connections. If that fails, no user is ever found.
    pub fn open() -> Self {
        Self(side::TcpPeerResolver::open())
    }

    /// Returns the user whose process holds the client's end of `accepted`.
    pub fn find(&self, accepted: &TcpStream, client: SocketAddr) -> PeerIdentity {
        self.0.find(accepted, client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macos_has_its_own_folders_in_addition_to_the_common_one() {
        let home = Path::new("/Users/ada");
        assert_eq!(
            join_all(home, macos::CONFIG_FOLDERS),
            [
                Path::new("/Users/ada/.config"),
                Path::new("/Users/ada/Library/Application Support")
            ]
        );
        assert_eq!(macos::STATE_FOLDER, "Library/Application Support");
    }

    #[test]
    fn the_path_of_this_program_is_found() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(current_exe().unwrap().canonicalize().unwrap(), own);
        assert_eq!(macos::current_exe().unwrap(), own);
    }

    #[test]
    fn macos_limits_the_number_of_descriptors() {
        assert_eq!(min_limit(None, macos::MAX_DESCRIPTORS), Some(10_240));
        assert_eq!(min_limit(Some(4096), macos::MAX_DESCRIPTORS), Some(4096));
        assert_eq!(min_limit(Some(4096), None), Some(4096));
        assert_eq!(min_limit(None, None), None);
    }

    #[test]
    fn the_use_of_memory_and_descriptors_is_reported() {
        // more than this test's own code, less than any machine has
        assert!((1 << 16..1 << 40).contains(&resident_memory().unwrap_or(1 << 20)));
        for folder in [side::DESCRIPTORS, macos::DESCRIPTORS] {
            // standard input, output and errors
            assert!(count_descriptors(folder).unwrap() >= 3, "{folder}");
        }
        assert_eq!(count_descriptors("/nowhere"), None);
        assert_eq!(macos::resident_memory(), None);
    }

    #[test]
    fn macos_does_not_know_which_sockets_listen() {
        let sender = UnixDatagram::unbound().unwrap();
        assert!(macos::listens(sender.as_fd()));
        assert!(!macos::ignore_new_connections(sender.as_fd()));
        assert!(std::hint::black_box(macos::EINVAL_IS_OF_CLIENT));
        // a name behind an @ is a path like any other
        let error = macos::connect_datagram(&sender, Path::new("@mwaa-gateway")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn macos_reports_no_peer_identity() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = tokio::net::TcpSocket::new_v4().unwrap();
        let client = client.connect(listener.local_addr().unwrap()).await;
        let client = client.unwrap();
        let identity =
            macos::TcpPeerResolver::open().find(&client, client.local_addr().unwrap());
        assert_eq!(identity, PeerIdentity::default());
        let refusal = macos::disable_attaching().unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "reads them as runtime::clock does"
    )]
    fn the_clocks_of_both_platforms_can_be_read() {
        for clock in [CLOCK, macos::CLOCK] {
            assert!(rustix::time::clock_gettime(clock).tv_sec >= 0);
        }
    }

    #[test]
    fn the_longest_socket_path_equals_the_limit_of_the_system() {
        let name = |length: usize| format!("/{}", "a".repeat(length - 1));
        let takes =
            |length| std::os::unix::net::SocketAddr::from_pathname(name(length)).is_ok();
        assert!(takes(LONGEST_SOCKET_PATH));
        assert!(!takes(LONGEST_SOCKET_PATH + 1));
        assert_eq!(macos::LONGEST_SOCKET_PATH, 103);
        assert_eq!(
            [HAS_DESKTOP, macos::HAS_DESKTOP],
            [cfg!(target_os = "macos"), true]
        );
        let spreads = [SPREADS_CONNECTIONS, macos::SPREADS_CONNECTIONS];
        assert_eq!(spreads, [cfg!(target_os = "linux"), false]);
    }
}
