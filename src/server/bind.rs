//! Opens listening sockets: one for each worker thread for TCP where the kernel spreads the
//! connections over them (`SO_REUSEPORT`), and one shared elsewhere, for a Unix socket, and for a
//! socket of the service manager.

use super::{InheritedSocket, TlsConfig};
use mwaa_model::ListenerPolicy;
use mwaa_runtime::platform::{self, LONGEST_SOCKET_PATH, SPREADS_CONNECTIONS};
use rustix::net::getpeername;
use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::net::TcpSocket;

/// The address of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// A socket file and the permissions it gets.
    Unix(PathBuf, u32),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path, _) => path.display().fmt(f),
        }
    }
}

/// A listener to open.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Its address.
    pub address: Address,
    /// Its name, and the environment that it serves if it serves only one.
    pub listener: ListenerPolicy,
    /// Its TLS, if it speaks TLS; a Unix socket never does.
    pub tls: Option<TlsConfig>,
    /// True if it accepts plain HTTP beside TLS.
    pub accepts_plain: bool,
}

/// A listening socket was not opened.
#[derive(Debug, thiserror::Error)]
pub struct BindError {
    address: Address,
    /// The table of the configuration that names the address.
    pub table: String,
    source: io::Error,
}

impl BindError {
    /// Returns the kind of the system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Returns the address; `None` for a socket file.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(..) => None,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            io::ErrorKind::AddrInUse => write!(f, "{} is in use", self.address),
            _ => write!(f, "cannot listen on {}", self.address),
        }
    }
}

/// An open listener, with a socket for each worker thread.
#[derive(Debug)]
pub struct BoundListener {
    /// Its number in the [places](super::Places).
    pub number: usize,
    /// The real address: port 0 has become a number.
    pub address: Address,
    /// Its name, and the environment that it serves if it serves only one.
    pub listener: ListenerPolicy,
    /// Its TLS, if it speaks TLS.
    pub tls: Option<TlsConfig>,
    /// True if it accepts plain HTTP beside TLS.
    pub accepts_plain: bool,
    /// The address in the configuration.
    configured: Address,
    /// True if the service manager keeps the socket, and with it the clients that wait.
    pub(super) is_inherited: bool,
    sockets: Vec<Socket>,
    file: Option<SocketFile>,
}

/// A listening socket that is not registered with any runtime yet.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpListener),
    Unix(StdUnixListener),
}

impl Socket {
    /// Returns its address. Fails if it is a Unix socket without a file.
    pub(super) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => Ok(Address::Tcp(listener.local_addr()?)),
            Self::Unix(listener) => match listener.local_addr()?.as_pathname() {
                // its file has the mode that another program has chosen
                Some(path) => Ok(Address::Unix(path.to_owned(), 0)),
                None => Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is a Unix socket without a file",
                )),
            },
        }
    }

    /// Returns another descriptor of the same socket.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }

    /// Returns true if it is a connection, which has a peer.
    pub(super) fn is_connected(&self) -> bool {
        let peer = match self {
            Self::Tcp(listener) => getpeername(listener),
            Self::Unix(listener) => getpeername(listener),
        };
        peer.is_ok()
    }

    /// Returns true if it listens, as far as the system knows.
    pub(super) fn listens(&self) -> bool {
        match self {
            Self::Tcp(listener) => platform::listens(listener),
            Self::Unix(listener) => platform::listens(listener),
        }
    }

    /// Prepares it for tokio, which requires this of a socket that it takes over.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true),
            Self::Unix(listener) => listener.set_nonblocking(true),
        }
    }

    /// Returns `count` descriptors of the socket: all workers accept on it, and the system wakes one
    /// of them.
    fn share(self, count: usize) -> io::Result<Vec<Self>> {
        (0..count).map(|_| self.try_clone()).collect()
    }
}

impl ListenerConfig {
    /// Opens the listener with `count` sockets. Fails if the address is in use or cannot be used.
    /// Must run inside a tokio runtime.
    pub fn bind(&self, count: usize) -> Result<BoundListener, BindError> {
        self.bind_in_place_of(count, &[])
    }

    /// Opens the listener as [`bind`](Self::bind) does. `leaving` are open listeners of this process
    /// that are about to be closed: where the system allows it, one of them may have the port at
    /// another address, such as loopback for all addresses.
    pub fn bind_in_place_of(
        &self,
        count: usize,
        leaving: &[&BoundListener],
    ) -> Result<BoundListener, BindError> {
        let failed = |source| BindError {
            address: self.address.clone(),
            table: self.listener.name.clone(),
            source,
        };

        match &self.address {
            Address::Tcp(address) => {
                let mut leaving = leaving.iter().map(|bound| &bound.address);
                let is_own = leaving.any(
                    |own| matches!(own, Address::Tcp(own) if own.port() == address.port()),
                );
                let (address, sockets) = if is_own && SPREADS_CONNECTIONS {
                    bind_spread(*address, count).map_err(failed)?
                } else {
                    bind_tcp(*address, count, SPREADS_CONNECTIONS).map_err(failed)?
                };
                Ok(self.bound(Address::Tcp(address), sockets, None))
            }
            Address::Unix(path, mode) => {
                let (sockets, file) = bind_unix(path, *mode, count).map_err(failed)?;
                Ok(self.bound(self.address.clone(), sockets, Some(file)))
            }
        }
    }

    /// Opens the listener on a socket of the service manager, for `count` threads. Fails if its
    /// descriptor cannot be duplicated.
    pub fn inherit(
        &self,
        inherited: &InheritedSocket,
        count: usize,
    ) -> Result<BoundListener, BindError> {
        let address = inherited.address().clone();
        let sockets = inherited.try_clone().and_then(|socket| socket.share(count));
        let sockets = sockets.map_err(|source| BindError {
            address: address.clone(),
            table: self.listener.name.clone(),
            source,
        })?;
        // the service manager removes the file of its socket
        let mut bound = self.bound(address, sockets, None);
        bound.is_inherited = true;
        Ok(bound)
    }

    fn bound(
        &self,
        address: Address,
        sockets: Vec<Socket>,
        file: Option<SocketFile>,
    ) -> BoundListener {
        // the file's permissions decide who connects, and nothing leaves the machine
        let is_unix = matches!(address, Address::Unix(..));

        BoundListener {
            number: 0,
            configured: self.address.clone(),
            address,
            listener: self.listener.clone(),
            tls: self.tls.clone().filter(|_| !is_unix),
            accepts_plain: self.accepts_plain || is_unix,
            is_inherited: false,
            sockets,
            file,
        }
    }
}

impl BoundListener {
    /// Returns true if its socket can be that of this configuration: the address is the same, and
    /// its file has not been removed.
    pub fn is_at(&self, config: &ListenerConfig) -> bool {
        let is_same = |own: &Address| match (own, &config.address) {
            (Address::Tcp(own), Address::Tcp(configured)) => own == configured,
            (Address::Unix(own, _), Address::Unix(configured, _)) => own == configured,
            _ => false,
        };
        let is_gone = self.file.as_ref().is_some_and(SocketFile::is_gone);
        !is_gone && (is_same(&self.configured) || is_same(&self.address))
    }

    /// Takes over the rest of a configuration with the same address: rules, TLS, and the mode of a
    /// socket file.
    pub fn update(&mut self, config: &ListenerConfig) {
        let is_unix = matches!(self.address, Address::Unix(..));
        self.listener = config.listener.clone();
        self.tls = config.tls.clone().filter(|_| !is_unix);
        self.accepts_plain = config.accepts_plain || is_unix;

        if let (Some(file), Address::Unix(path, mode)) = (&self.file, &config.address)
            && config.address != self.address
        {
            match file.set_mode(*mode) {
                Ok(()) => self.address = config.address.clone(),
                Err(error) => {
                    tracing::warn!(socket = %path.display(), %error, "cannot change the permissions of the socket");
                }
            }
        }
    }

    /// Takes the socket of the next worker thread; `None` if all are taken.
    pub(super) fn take_socket(&mut self) -> Option<Socket> {
        self.sockets.pop()
    }
}

/// Returns the sockets and their address, in which port 0 has become a number.
fn bind_tcp(
    address: SocketAddr,
    count: usize,
    spread: bool,
) -> io::Result<(SocketAddr, Vec<Socket>)> {
    // SO_REUSEPORT would let a second gateway of the same user share the port without a word,
    // so one socket without it goes first: it fails if anything listens there.
    let first = create_tcp_socket(address)?;
    first.bind(address)?;
    let address = first.local_addr()?;
    if !spread {
        let listener = first.listen(BACKLOG)?.into_std()?;
        return Ok((address, Socket::Tcp(listener).share(count)?));
    }
    // its work is done: the port was free, or the kernel has chosen one
    drop(first);
    bind_spread(address, count)
}

/// Returns sockets that share the address, also with others of this user.
fn bind_spread(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<Socket>)> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = create_tcp_socket(address)?;
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        sockets.push(Socket::Tcp(socket.listen(BACKLOG)?.into_std()?));
    }
    Ok((address, sockets))
}

fn create_tcp_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };

    // connections of the last run may still be in TIME_WAIT on this port
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

fn bind_unix(path: &Path, mode: u32, count: usize) -> io::Result<(Vec<Socket>, SocketFile)> {
    let length = path.as_os_str().as_bytes().len();
    if length > LONGEST_SOCKET_PATH {
        return Err(io::Error::new(
            io::ErrorKind::InvalidFilename,
            format!(
                "the path has {length} bytes; the limit for a Unix socket is \
                 {LONGEST_SOCKET_PATH}"
            ),
        ));
    }
    remove_stale(path)?;

    let socket = Socket::Unix(bind_with_mode(path, mode)?);

    let file = SocketFile::new(path)?;
    socket.set_nonblocking()?;
    Ok((socket.share(count)?, file))
}

/// Binds a socket whose file has the mode from its first moment: by the umask, never by a later
/// chmod.
fn bind_with_mode(path: &Path, mode: u32) -> io::Result<StdUnixListener> {
    // the umask is the whole process's: two threads must not change it at once
    static UMASK: Mutex<()> = Mutex::new(());
    let _alone = UMASK.lock().unwrap_or_else(PoisonError::into_inner);

    let before = rustix::process::umask(platform::to_mode(!mode));
    let listener = StdUnixListener::bind(path);
    rustix::process::umask(before);
    listener
}

/// Removes the socket that an earlier process left. Fails if the file is no socket, or if a process
/// still listens on it.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is not a socket exists there",
        ));
    }

    // a socket without a process refuses connections
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process is listening there",
        )),
    }
}

/// Removes the socket file when the gateway stops, unless another one has put its own there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and number of the file.
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: file_identity(path)?,
        })
    }
}

impl SocketFile {
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        if file_identity(&self.path)? != self.identity {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "another file is in its place",
            ));
        }
        std::fs::set_permissions(&self.path, Permissions::from_mode(mode))
    }

    /// Returns true if somebody has removed it, and there is no other in its place.
    fn is_gone(&self) -> bool {
        file_identity(&self.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }
}

fn file_identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if file_identity(&self.path).is_ok_and(|now| now == self.identity) {
            // nothing can be done about a file that cannot be removed
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Connections that may wait to be accepted, for each worker.
pub(super) const BACKLOG: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(address: Address) -> ListenerConfig {
        ListenerConfig {
            address,
            listener: ListenerPolicy {
                name: "listener".to_owned(),
                environment: None,
                rules: None,
            },
            tls: None,
            accepts_plain: true,
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_and_not_shared() {
        let any = Address::Tcp(([127, 0, 0, 1], 0).into());
        let first = config(any).bind(2).unwrap();
        let Address::Tcp(address) = first.address else {
            unreachable!()
        };
        assert_ne!(address.port(), 0);
        let second = config(Address::Tcp(address)).bind(2).unwrap_err();
        assert_eq!(second.source.kind(), io::ErrorKind::AddrInUse);
    }

    /// As on a system that does not spread connections over several sockets.
    #[tokio::test]
    async fn workers_that_share_one_socket_all_accept() {
        let (address, sockets) = bind_tcp(([127, 0, 0, 1], 0).into(), 3, false).unwrap();
        let again = bind_tcp(address, 1, false).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        let mut numbers = std::collections::BTreeSet::new();
        for socket in sockets {
            let Socket::Tcp(listener) = socket else {
                unreachable!()
            };
            numbers.insert(rustix::fs::fstat(&listener).unwrap().st_ino);
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let client = TcpSocket::new_v4().unwrap();
            let client = client.connect(address).await.unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        assert_eq!(numbers.len(), 1, "one socket");
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_is_refused_with_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g".repeat(LONGEST_SOCKET_PATH));
        let error = config(Address::Unix(path, 0o600)).bind(1).unwrap_err();
        let why = error.source.to_string();
        assert!(
            why.contains(&format!(
                "the limit for a Unix socket is {LONGEST_SOCKET_PATH}"
            )),
            "{why}"
        );
    }

    #[tokio::test]
    async fn a_unix_socket_has_its_mode_and_is_removed_on_drop() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.sock");
        let first = config(Address::Unix(path.clone(), 0o600)).bind(2).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(
            config(Address::Unix(path.clone(), 0o600)).bind(1).is_err(),
            "still in use"
        );
        drop(first);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert!(config(Address::Unix(path.clone(), 0o600)).bind(1).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn the_socket_of_another_gateway_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.sock");
        let first = config(Address::Unix(path.clone(), 0o600)).bind(1).unwrap();
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        let second = config(Address::Unix(path.clone(), 0o600)).bind(1).unwrap();
        drop(first);
        assert!(path.exists(), "the second one still listens there");
        drop(second);
        assert!(!path.exists());
    }
}
