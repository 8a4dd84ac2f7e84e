//! Connects to a listener of this machine: TCP, TLS or a Unix socket.

use super::place::Place;
use crate::config::Address;
use rustls::pki_types::ServerName;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// A connection of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection, and its socket once more, to close it by.
pub(super) struct Line {
    pub(super) stream: Box<dyn Stream>,
    pub(super) socket: OwnedFd,
}

/// Opens a connection; over TLS the other side has then shown the configuration's certificate.
#[expect(
    clippy::disallowed_methods,
    reason = "to a listener of our own, never to a web server"
)]
pub(super) async fn open(place: &Place) -> io::Result<Line> {
    match &place.address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            let socket = stream.as_fd().try_clone_to_owned()?;
            let stream = Box::new(stream);
            Ok(Line { stream, socket })
        }
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let socket = stream.as_fd().try_clone_to_owned()?;
            let stream: Box<dyn Stream> = match &place.tls {
                None => Box::new(stream),
                Some(config) => {
                    let connector = TlsConnector::from(Arc::clone(config));
                    let name = ServerName::IpAddress(address.ip().into());
                    Box::new(connector.connect(name, stream).await?)
                }
            };
            Ok(Line { stream, socket })
        }
    }
}
