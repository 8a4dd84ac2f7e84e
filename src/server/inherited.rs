//! Listening sockets that the service manager has opened and passed on (sd_listen_fds(3)).

use super::Address;
use super::bind::Socket;
use listenfd::ListenFd;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The listening sockets of the service manager, which clones share.
#[derive(Debug, Clone, Default)]
pub struct InheritedSockets(Arc<[InheritedSocket]>);

/// A listening socket of the service manager.
#[derive(Debug)]
pub struct InheritedSocket {
    /// `FileDescriptorName=` of the socket unit; empty if it is unknown.
    name: String,
    address: Address,
    socket: Socket,
}

/// A socket of the service manager cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// It does not listen, or its kind is unknown here.
    #[error("socket {number} of the service manager is not a listening TCP or Unix socket")]
    NotListening {
        /// Its number, from 1.
        number: usize,
        /// The reason.
        source: io::Error,
    },
    /// More sockets than a configuration has listeners.
    #[error("LISTEN_FDS is {0}, more than {MAX_SOCKETS} sockets")]
    TooMany(u64),
    /// No listener takes it, so its clients would wait forever.
    #[error("no listener of the configuration takes the service manager's socket {0}")]
    Unclaimed(String),
}

impl InheritedSockets {
    /// Takes the sockets that were passed to this process. `count` is `LISTEN_FDS`, if that is a
    /// number, and `names` is `LISTEN_FDNAMES`. Fails if there are too many, or if one of them is not
    /// a listening TCP or Unix socket.
    pub fn receive(count: Option<u64>, names: &str) -> Result<Self, InheritError> {
        // a list of all of them is made before any is looked at
        if let Some(count) = count.filter(|count| *count > MAX_SOCKETS) {
            return Err(InheritError::TooMany(count));
        }

        let mut received = ListenFd::from_env();
        let names = names.split(':').map(str::to_owned);
        let names = names.chain(std::iter::repeat_with(String::new));
        let sockets = names.take(received.len()).enumerate();
        let sockets = sockets.map(|(index, name)| {
            InheritedSocket::take(&mut received, index, name).map_err(|source| {
                InheritError::NotListening {
                    number: index + 1,
                    source,
                }
            })
        });
        let sockets: Vec<_> = sockets.collect::<Result<_, _>>()?;
        Ok(Self(sockets.into()))
    }

    /// Returns the socket of each listener that has one. A listener, given by its table and its
    /// address, takes the socket with this address; else the one with its table's name, if only
    /// this machine can reach that.
    ///
    /// Fails if a socket has no listener, or a listener two sockets.
    pub fn assign(
        &self,
        listeners: &[(&str, Address)],
    ) -> Result<Vec<Option<&InheritedSocket>>, InheritError> {
        let mut assigned = vec![None; listeners.len()];

        for socket in &*self.0 {
            let by_address = listeners
                .iter()
                .position(|(_, address)| socket.has_address(address));
            let by_name = || {
                listeners
                    .iter()
                    .position(|(table, address)| socket.is_meant_for(table, address))
            };
            let place = by_address.or_else(by_name);
            match place.and_then(|place| assigned.get_mut(place)) {
                Some(free @ None) => *free = Some(socket),
                _ => return Err(InheritError::Unclaimed(socket.to_string())),
            }
        }

        Ok(assigned)
    }
}

impl InheritedSocket {
    fn take(received: &mut ListenFd, index: usize, name: String) -> io::Result<Self> {
        // an error leaves the socket in its place
        let socket = match received.take_tcp_listener(index) {
            Ok(listener) => listener.map(Socket::Tcp),
            Err(_not_tcp) => received.take_unix_listener(index)?.map(Socket::Unix),
        };
        let socket = socket.ok_or(io::ErrorKind::NotFound)?;

        // accepting on a connection would fail for ever
        if socket.is_connected() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is a connection: the socket unit must not have Accept=yes",
            ));
        }
        if !socket.listens() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it was bound, but listen(2) was not called",
            ));
        }
        socket.set_nonblocking()?;
        Ok(Self {
            name,
            address: socket.address()?,
            socket,
        })
    }

    /// Returns its address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns another descriptor of the socket.
    pub(super) fn try_clone(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }

    fn has_address(&self, configured: &Address) -> bool {
        match (&self.address, configured) {
            (Address::Tcp(own), Address::Tcp(configured)) => own == configured,
            (Address::Unix(own, _), Address::Unix(configured, _)) => own == configured,
            _ => false,
        }
    }

    /// Returns true if it has the listener's name and may take its place: the configuration was
    /// checked for the configured address, so another one must be as safe as any.
    fn is_meant_for(&self, table: &str, configured: &Address) -> bool {
        self.name == table
            && match (&self.address, configured) {
                (Address::Tcp(own), Address::Tcp(_)) => own.ip().to_canonical().is_loopback(),
                (Address::Unix(..), Address::Unix(..)) => true,
                _ => false,
            }
    }
}

impl fmt::Display for InheritedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => self.address.fmt(f),
            name => write!(f, "{} (named {name})", self.address),
        }
    }
}

/// The most sockets.
const MAX_SOCKETS: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    fn tcp(name: &str) -> InheritedSocket {
        let socket = Socket::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
        InheritedSocket {
            name: name.to_owned(),
            address: socket.address().unwrap(),
            socket,
        }
    }

    fn free() -> Address {
        Address::Tcp(([127, 0, 0, 1], 0).into())
    }

    #[test]
    fn too_many_sockets_are_refused_before_they_are_looked_at() {
        let error = InheritedSockets::receive(Some(u64::MAX), "").unwrap_err();
        assert!(matches!(error, InheritError::TooMany(u64::MAX)), "{error}");
    }

    #[test]
    fn the_address_has_precedence_over_the_name() {
        let sockets = InheritedSockets(Arc::new([tcp("listeners.b"), tcp("listeners.a")]));
        let first = sockets.0[0].address.clone();
        let wanted = [
            ("listener", free()),
            ("listeners.a", first),
            ("listeners.b", free()),
        ];
        let error = sockets.assign(&wanted).unwrap_err();
        let second = format!("{} (named listeners.a)", sockets.0[1].address);
        assert!(error.to_string().ends_with(&second), "{error}");

        let sockets = InheritedSockets(Arc::new([tcp("listeners.b"), tcp("listener")]));
        let wanted = [("listener", free()), ("listeners.b", free())];
        let assigned = sockets.assign(&wanted).unwrap();
        let addresses: Vec<_> = assigned
            .iter()
            .map(|socket| socket.unwrap().address())
            .collect();
        assert_eq!(addresses, [&sockets.0[1].address, &sockets.0[0].address]);
    }

    #[test]
    fn a_name_is_not_enough_for_an_address_that_others_can_reach() {
        let mut socket = tcp("listener");
        socket.address = Address::Tcp(([0, 0, 0, 0], 8080).into());
        let sockets = InheritedSockets(Arc::new([socket]));
        let error = sockets.assign(&[("listener", free())]).unwrap_err();
        assert!(error.to_string().contains("0.0.0.0:8080"), "{error}");
        let same = Address::Tcp(([0, 0, 0, 0], 8080).into());
        let assigned = sockets.assign(&[("listener", same)]).unwrap();
        assert!(assigned[0].is_some());
    }

    #[test]
    fn a_unix_socket_takes_the_place_of_a_unix_socket_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passed.sock");
        let socket = Socket::Unix(UnixListener::bind(&path).unwrap());
        let sockets = InheritedSockets(Arc::new([InheritedSocket {
            name: "listener".to_owned(),
            address: socket.address().unwrap(),
            socket,
        }]));
        assert!(sockets.assign(&[("listener", free())]).is_err());
        let other = Address::Unix(folder.path().join("configured.sock"), 0o600);
        let assigned = sockets.assign(&[("listener", other)]).unwrap();
        assert_eq!(
            assigned[0].unwrap().address().to_string(),
            path.display().to_string()
        );
    }
}
