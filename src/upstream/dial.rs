//! Opens connections to web servers: the way there, verified TLS, HTTP/1.1.

use super::payload::Payload;
use super::{Settings, Trust, UpstreamError};
use crate::egress::{Egress, EgressError, Stream, tls};
use crate::names::Environment;
use crate::runtime::{LocalTasks, Sweeper, Timer};
use http_body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::error::Error;
use tokio_rustls::client::TlsStream;

/// An open connection whose requests have bodies of type `B`: the sender, and the future that
/// has to be driven beside it.
pub(super) type Wire<B> = (
    SendRequest<B>,
    http1::Connection<TokioIo<TlsStream<Stream>>, B>,
);

/// Opens one connection to the environment's web server `host`. The way changes what is dialled,
/// never the name that TLS checks.
pub(super) async fn open<B>(
    host: &str,
    environment: &Environment,
    egress: &Egress,
    trust: &Trust,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<Wire<B>, UpstreamError>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let way = egress.way(environment, host);
    let stream = egress
        .to_web_server(host, environment, &way, timer)
        .await
        .map_err(UpstreamError::Unreachable)?;
    let through = stream.through();
    let shaken = tls::handshake(host, stream, trust.config(), settings.tls, timer).await;
    let stream = match (shaken, through) {
        (Ok(stream), through) => {
            if let Some(through) = through {
                through.worked();
            }
            stream
        }
        // a tunnel takes a connection before it knows whether it leads anywhere
        (Err(failure), Some(through)) if failure.is_wire => {
            let error = through.broke(&failure.to_string(), timer).await;
            return Err(UpstreamError::Unreachable(EgressError::Tunnel(error)));
        }
        (Err(failure), _) => {
            return Err(UpstreamError::Tls {
                host: egress.described(environment, host),
                why: failure.to_string(),
            });
        }
    };
    // more header fields than hyper takes by itself, 100, are a broken reply
    http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|source| UpstreamError::Broken {
            host: egress.described(environment, host),
            source: source.into(),
        })
}

/// Opens one connection for this thread's pool.
pub(super) async fn dial(
    host: &str,
    environment: &Environment,
    egress: &Egress,
    trust: &Trust,
    settings: &Settings,
    sweeper: &Sweeper,
    tasks: &LocalTasks,
) -> Result<SendRequest<Payload>, UpstreamError> {
    let (sender, connection) =
        open(host, environment, egress, trust, settings, sweeper).await?;
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
    egress: &Egress,
    trust: &Trust,
    settings: &Settings,
    sweeper: &Sweeper,
    tasks: &LocalTasks,
) -> Result<(), UpstreamError> {
    dial(host, environment, egress, trust, settings, sweeper, tasks)
        .await
        .map(drop)
}

/// A reply head that is larger is broken, in bytes.
const LARGEST_HEAD: usize = 256 * 1024;
