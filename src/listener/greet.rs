//! What comes before the first request on a new connection: nothing, or a TLS handshake.

use super::Stop;
use crate::runtime::Sweeper;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How TLS begins on this thread's connections.
#[derive(Clone)]
pub(super) struct Handshake {
    pub(super) acceptor: TlsAcceptor,
    pub(super) limit: Duration,
    pub(super) sweeper: Sweeper,
    pub(super) stop: Stop,
}

impl Handshake {
    /// Makes a TLS stream, within the limit and unless the gateway stops. `None` means that
    /// the connection is closed, whoever's doing it is.
    pub(super) async fn greet(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            greeted = self.sweeper.within(self.limit, self.shake(stream)) => greeted.unwrap_or_else(|_elapsed| {
                tracing::debug!("the TLS handshake took too long; closing");
                None
            }),
            _ = stop.wait_for(|stop| *stop) => None,
        }
    }

    async fn shake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return None,
            Ok(_) if first == [HANDSHAKE] => {}
            Ok(_) => {
                tracing::debug!("a client speaks plain HTTP to a TLS listener");
                refuse(stream).await;
                return None;
            }
        }
        match self.acceptor.accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "no TLS connection came about");
                None
            }
        }
    }
}

/// Tells a client that speaks plain HTTP what to do, and reads what it sends meanwhile: a
/// close with bytes unread would reset the connection and take the answer away.
async fn refuse(mut stream: TcpStream) {
    if stream.write_all(PLAIN_HTTP).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = stream.take(MOST_IGNORED);
    let mut buffer = [0; 1024];
    while matches!(rest.read(&mut buffer).await, Ok(count) if count > 0) {}
}

/// The first byte of every TLS connection: a record of type handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// The answer to anything else.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 42\r\n\
    Connection: close\r\n\
    \r\n\
    This port speaks TLS: write https:// here\n";

/// More than that is not waited for.
const MOST_IGNORED: u64 = 64 * 1024;
