//! Opens connections to web servers: the route, verified TLS, HTTP/1.1.

use super::request_body::OutgoingBody;
use super::{Settings, Trust, UpstreamError};
use http_body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use mwaa_egress::{Connector, EgressError, Stream, tls};
use mwaa_model::Environment;
use mwaa_runtime::{CoarseTimer, LocalTasks, Timer};
use std::error::Error;
use tokio_rustls::client::TlsStream;

/// An open connection for requests with bodies of type `B`: the sender, and the future that must
/// be polled beside it.
pub(super) type HttpConnection<B> = (
    SendRequest<B>,
    http1::Connection<TokioIo<TlsStream<Stream>>, B>,
);

/// Opens one connection to the environment's web server `host`. The route never changes the name
/// that TLS verifies.
pub(super) async fn open<B>(
    host: &str,
    environment: &Environment,
    connector: &Connector,
    trust: &Trust,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<HttpConnection<B>, UpstreamError>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stream = connector
        .connect_to_web_server(host, environment, timer)
        .await
        .map_err(UpstreamError::Unreachable)?;

    let tunnel = stream.tunnel();
    let connected = tls::connect(host, stream, trust.config(), settings.tls, timer).await;
    let stream = match (connected, tunnel) {
        (Ok(stream), tunnel) => {
            if let Some(tunnel) = tunnel {
                tunnel.record_success();
            }
            stream
        }
        // a tunnel accepts a connection before it knows whether its other end can be reached
        (Err(error), Some(tunnel)) if error.is_connection_error() => {
            let error = tunnel.record_failure(&error.to_string(), timer).await;
            return Err(UpstreamError::Unreachable(EgressError::Tunnel(error)));
        }
        (Err(error), _) => {
            return Err(UpstreamError::Tls {
                host: connector.describe(environment, host),
                source: error,
            });
        }
    };

    // more header fields than hyper takes by itself, 100, are a broken reply
    http1::Builder::new()
        .max_buf_size(MAX_HEAD_SIZE)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|source| UpstreamError::Broken {
            host: connector.describe(environment, host),
            cause: source.into(),
        })
}

/// Opens one connection for this thread's pool.
pub(super) async fn connect(
    host: &str,
    environment: &Environment,
    connector: &Connector,
    trust: &Trust,
    settings: &Settings,
    timer: &CoarseTimer,
    tasks: &LocalTasks,
) -> Result<SendRequest<OutgoingBody>, UpstreamError> {
    let (sender, connection) =
        open(host, environment, connector, trust, settings, timer).await?;
    let span = tracing::debug_span!(parent: None, "upstream_connection", host);
    tasks.spawn_unwatched(span, async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(sender)
}

/// Opens one connection and closes it: for `check`.
pub async fn check_connection(
    host: &str,
    environment: &Environment,
    connector: &Connector,
    trust: &Trust,
    settings: &Settings,
    timer: &CoarseTimer,
    tasks: &LocalTasks,
) -> Result<(), UpstreamError> {
    connect(host, environment, connector, trust, settings, timer, tasks)
        .await
        .map(drop)
}

/// The largest head of a response, in bytes; a larger one is broken.
const MAX_HEAD_SIZE: usize = 256 * 1024;
