//! What comes before the first request on a new connection: nothing, or a TLS handshake.

use super::refuse::answer_and_close;
use super::{BadHead, Stop};
use crate::runtime::Sweeper;
use bytes::Bytes;
use std::time::Duration;
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
    /// the connection is closed, by either side.
    pub(super) async fn greet(
        &self,
        stream: TcpStream,
        refuse: &dyn Fn(BadHead) -> Bytes,
    ) -> Option<TlsStream<TcpStream>> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            greeted = self.sweeper.within(self.limit, self.shake(stream, refuse)) => greeted.unwrap_or_else(|_elapsed| {
                tracing::debug!("the TLS handshake took too long; closing");
                None
            }),
            _ = stop.wait_for(|stop| *stop) => None,
        }
    }

    async fn shake(
        &self,
        stream: TcpStream,
        refuse: &dyn Fn(BadHead) -> Bytes,
    ) -> Option<TlsStream<TcpStream>> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return None,
            Ok(_) if first == [HANDSHAKE] => {}
            Ok(_) => {
                answer_and_close(stream, &refuse(BadHead::PlainOnTls)).await;
                return None;
            }
        }
        match self.acceptor.accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
        }
    }
}

/// The first byte of every TLS connection: a record of type handshake (RFC 8446 section 5.1).
pub(super) const HANDSHAKE: u8 = 22;
