//! The TLS listener: what it serves, which clients it refuses, and that a bad client does not
//! affect others.

mod certs;
mod clients;
mod files;
mod handshake;
mod large;
mod optional;
mod reload;

use crate::support::{Authority, Client, Harness};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A gateway that speaks TLS, and the authority that its clients trust.
struct Secured {
    harness: Harness,
    authority: Authority,
    folder: TempDir,
}

impl Secured {
    async fn new() -> Self {
        Self::configured("").await
    }

    /// `extra` is TOML; it may begin with more keys of `[listener.tls]`.
    async fn configured(extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let pair = authority.pair(&["localhost", "*.localhost", "127.0.0.1"]);
        let clients = folder.path().join("clients.pem");
        std::fs::write(&clients, authority.pem()).unwrap();
        let extra = extra.replace("CLIENTS", clients.to_str().unwrap());
        let config = format!("{}{extra}", pair.write(folder.path()));
        Self {
            harness: Harness::configured(&config).await,
            authority,
            folder,
        }
    }

    /// A connection without a client certificate.
    async fn connect(&self) -> Client {
        let stream = shake(self.harness.address(), self.authority.client(None)).await;
        Client::over(stream.unwrap())
    }
}

/// A handshake with `localhost`.
async fn shake(address: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpSocket::new_v4()?.connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}
