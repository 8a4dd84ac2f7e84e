//! The one door to what depends on the operating system. What is promised stands here; each side,
//! `linux` and `macos`, keeps it or says that it cannot. No other file asks which system it is.

#[cfg(target_os = "linux")]
mod linux;
// plain values and portable calls, so that Linux can test it
#[cfg(any(test, target_os = "macos"))]
mod macos;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("mwaa-gateway runs on Linux and macOS; on Windows use WSL 2");

#[cfg(target_os = "linux")]
use linux as side;
#[cfg(target_os = "macos")]
use macos as side;

use crate::names::Owner;
use rustix::fs::{Mode, RawMode};
use rustix::time::ClockId;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::{TcpStream, UnixStream};

/// The clock that runs on while the machine sleeps.
pub(super) const CLOCK: ClockId = side::CLOCK;

/// Whether the kernel spreads connections over the sockets that listen at one address
/// (`SO_REUSEPORT`). Where it does not, one socket is shared.
pub const SPREADS_CONNECTIONS: bool = side::SPREADS_CONNECTIONS;

/// The longest path of a Unix socket in bytes: `sun_path` less its final NUL.
pub const LONGEST_SOCKET_PATH: usize = side::LONGEST_SOCKET_PATH;

/// The most file descriptors that a process may ask for, given the maximum of its limits (none:
/// unlimited).
pub fn most_descriptors(maximum: Option<u64>) -> Option<u64> {
    least(maximum, side::MOST_DESCRIPTORS)
}

/// The lower of two limits, where none is no limit.
fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Whether every machine has a desktop; elsewhere variables tell.
pub const HAS_DESKTOP: bool = side::HAS_DESKTOP;

/// Keeps other processes of the same user from reading this one's memory. An error of the kind
/// `Unsupported` says that the system has no safe call for it.
pub fn forbid_attaching() -> io::Result<()> {
    side::forbid_attaching()
}

/// This program, to be started once more. On Linux that works even if its file has been replaced
/// or removed since; macOS knows only the path.
pub fn own_program() -> io::Result<PathBuf> {
    side::own_program()
}

/// The user's configuration folders below the home folder, the first to look into first.
pub fn config_folders(home: &Path) -> Vec<PathBuf> {
    below(home, side::CONFIG_FOLDERS)
}

/// The user's folder below the home folder for what a program notes for itself.
pub fn state_folder(home: &Path) -> PathBuf {
    home.join(side::STATE_FOLDER)
}

fn below(home: &Path, folders: &[&str]) -> Vec<PathBuf> {
    folders.iter().map(|folder| home.join(folder)).collect()
}

/// Permission bits as the system's calls take them, whose width differs.
pub fn mode(bits: u32) -> Mode {
    u16::try_from(bits & 0o777).map_or(Mode::empty(), |bits| {
        Mode::from_raw_mode(RawMode::from(bits))
    })
}

/// The owner of a Unix socket's other end, when it connected (`SO_PEERCRED`; `getpeereid` and
/// `LOCAL_PEERPID` on macOS).
pub fn unix_owner(stream: &UnixStream) -> Owner {
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

/// Knows the users of TCP clients on this machine, where the system tells. A user that is not
/// certain is unknown: the audit log must never name a wrong one.
#[derive(Debug)]
pub struct TcpOwners(side::TcpOwners);

impl TcpOwners {
    /// Opens the way to the system's knowledge; without one no owner is known.
    pub fn open() -> Self {
        Self(side::TcpOwners::open())
    }

    /// The user whose process holds the client's end of `accepted`.
    pub fn of(&self, accepted: &TcpStream, client: SocketAddr) -> Owner {
        self.0.of(accepted, client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_has_its_own_folders_besides_the_common_one() {
        let home = Path::new("/Users/ada");
        assert_eq!(
            below(home, macos::CONFIG_FOLDERS),
            [
                Path::new("/Users/ada/.config"),
                Path::new("/Users/ada/Library/Application Support")
            ]
        );
        assert_eq!(macos::STATE_FOLDER, "Library/Application Support");
    }

    #[test]
    fn this_program_can_be_started_once_more() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(own_program().unwrap().canonicalize().unwrap(), own);
        assert_eq!(macos::own_program().unwrap(), own);
    }

    #[test]
    fn a_mac_takes_no_unlimited_number_of_descriptors() {
        assert_eq!(least(None, macos::MOST_DESCRIPTORS), Some(10_240));
        assert_eq!(least(Some(4096), macos::MOST_DESCRIPTORS), Some(4096));
        assert_eq!(least(Some(4096), None), Some(4096));
        assert_eq!(least(None, None), None);
    }

    #[tokio::test]
    async fn what_a_mac_cannot_tell_is_unknown() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = tokio::net::TcpSocket::new_v4().unwrap();
        let client = client.connect(listener.local_addr().unwrap()).await;
        let client = client.unwrap();
        let owner = macos::TcpOwners::open().of(&client, client.local_addr().unwrap());
        assert_eq!(owner, Owner::default());
        let refusal = macos::forbid_attaching().unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn both_clocks_of_the_sides_can_be_read() {
        for clock in [CLOCK, macos::CLOCK] {
            assert!(rustix::time::clock_gettime(clock).tv_sec >= 0);
        }
    }

    #[test]
    fn the_longest_socket_path_is_what_the_system_takes() {
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
