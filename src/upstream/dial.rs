//! Opens connections: name, TCP, verified TLS, HTTP/1.1. The only place that
//! connects to a web server.

use super::error::explain_tls;
use super::payload::Payload;
use super::{Settings, Trust, UpstreamError};
use crate::names::Environment;
use crate::runtime::{LocalTasks, Sweeper, Timer};
use http_body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An open connection whose requests have bodies of type `B`: the sender, and the future that
/// has to be driven beside it.
pub(super) type Wire<B> = (
    SendRequest<B>,
    http1::Connection<TokioIo<TlsStream<TcpStream>>, B>,
);

/// Opens one connection to the environment's web server `host`. `connect_to` changes what is
/// dialled, never the name that TLS checks.
pub(super) async fn open<B>(
    host: &str,
    environment: &Environment,
    trust: &Trust,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<Wire<B>, UpstreamError>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let address = match environment.connect_to.as_deref() {
        Some(address) => address.to_owned(),
        None => format!("{host}:443"),
    };
    let tcp = connect(&address, settings, timer)
        .await
        .map_err(|source| UpstreamError::Unreachable { address, source })?;
    let tls = handshake(host, tcp, trust, settings, timer).await?;
    // more header fields than hyper takes by itself, 100, are a broken reply
    http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(tls))
        .await
        .map_err(|source| UpstreamError::Broken {
            host: host.to_owned(),
            source: source.into(),
        })
}

/// Opens one connection for this thread's pool.
pub(super) async fn dial(
    host: &str,
    environment: &Environment,
    trust: &Trust,
    settings: &Settings,
    sweeper: &Sweeper,
    tasks: &LocalTasks,
) -> Result<SendRequest<Payload>, UpstreamError> {
    let (sender, connection) = open(host, environment, trust, settings, sweeper).await?;
    let host = host.to_owned();
    tasks.spawn_unwatched(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%host, %error, "upstream connection ended");
        }
    });
    Ok(sender)
}

/// Opens one connection and lets it go: for `check`.
pub async fn probe(
    host: &str,
    environment: &Environment,
    trust: &Trust,
    settings: &Settings,
    sweeper: &Sweeper,
    tasks: &LocalTasks,
) -> Result<(), UpstreamError> {
    dial(host, environment, trust, settings, sweeper, tasks)
        .await
        .map(drop)
}

async fn connect(
    address: &str,
    settings: &Settings,
    timer: &impl Timer,
) -> io::Result<TcpStream> {
    let late = |what: &'static str| io::Error::new(io::ErrorKind::TimedOut, what);
    let addresses: Vec<SocketAddr> = timer
        .within(settings.dns, tokio::net::lookup_host(address))
        .await
        .map_err(|_elapsed| late("the name was not resolved in time"))??
        .collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let all = async {
        for address in addresses {
            match tcp(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    timer
        .within(settings.connect, all)
        .await
        .map_err(|_elapsed| late("no connection in time"))?
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one home of opening connections"
)]
async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn handshake(
    host: &str,
    tcp: TcpStream,
    trust: &Trust,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<TlsStream<TcpStream>, UpstreamError> {
    let failed = |why: String| UpstreamError::Tls {
        host: host.to_owned(),
        why,
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_invalid| failed("its name is not a DNS name".to_owned()))?;
    let connector = TlsConnector::from(trust.config());
    timer
        .within(settings.tls, connector.connect(name, tcp))
        .await
        .map_err(|_elapsed| failed("the handshake took too long".to_owned()))?
        .map_err(|error| failed(explain_tls(&error)))
}

/// A reply head that is larger is broken, in bytes.
const LARGEST_HEAD: usize = 256 * 1024;
