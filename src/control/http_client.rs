//! The HTTP client of the SDK: HTTP/1.1 over our own ways out, with the TLS of the rest.

use crate::egress::{Egress, EgressError, Stream, Way, tls};
use crate::names::Environment;
use crate::runtime::{RuntimeTimer, Timer as _};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_rustls::client::TlsStream;

/// The TLS settings for AWS: the system's roots and those of `AWS_CA_BUNDLE`.
pub(super) fn trust(ca_bundle: Option<&[u8]>) -> Arc<ClientConfig> {
    let mut roots = tls::system_roots().clone();
    let bundle = CertificateDer::pem_slice_iter(ca_bundle.unwrap_or_default());
    roots.add_parsable_certificates(bundle.flatten());
    Arc::new(tls::client_config(roots))
}

/// Builds the client of one identity, whose calls take the environment's way to AWS.
pub(super) fn http_client(
    egress: &Egress,
    environment: &Environment,
    trust: Arc<ClientConfig>,
    handshake: Duration,
) -> SharedHttpClient {
    let connector = Connector {
        egress: egress.clone(),
        environment: Arc::new(environment.clone()),
        trust,
        handshake,
    };
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .build(connector);
    SharedHttpClient::new(Http(client))
}

/// The client as the SDK takes it.
#[derive(Debug, Clone)]
struct Http(Client<Connector, SdkBody>);

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connecting = settings.connect_timeout().unwrap_or_default();
        SharedHttpConnector::new(Bounded {
            client: self.0.clone(),
            limit: settings.read_timeout().map(|reading| reading + connecting),
        })
    }
}

/// The client for calls that may take so long until the head of the reply: the SDK asks for
/// credentials of instances with a second, because most machines are none.
#[derive(Debug)]
struct Bounded {
    client: Client<Connector, SdkBody>,
    limit: Option<Duration>,
}

impl HttpConnector for Bounded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let (replied, limit) = (self.client.request(request), self.limit);
        HttpConnectorFuture::new(async move {
            let replied = match limit {
                Some(limit) => RuntimeTimer
                    .within(limit, replied)
                    .await
                    .map_err(|_elapsed| ConnectorError::timeout("no reply in time".into()))?,
                None => replied.await,
            };
            let response = replied.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Opens connections for the client: TLS for `https`, which may go through a proxy; plain ones
/// for endpoints on this machine and for the credentials of instances and containers, which never
/// do.
#[derive(Debug, Clone)]
struct Connector {
    egress: Egress,
    environment: Arc<Environment>,
    trust: Arc<ClientConfig>,
    handshake: Duration,
}

/// What is wrong with a connection to AWS.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// No connection.
    Egress(EgressError),
    /// No TLS that can be trusted.
    Tls {
        /// The host.
        host: String,
        /// Why, for people.
        why: String,
    },
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Egress(error) => error.fmt(f),
            Self::Tls { host, why } => write!(f, "no trusted TLS connection to {host}: {why}"),
        }
    }
}

impl Error for ConnectError {}

impl tower_service::Service<Uri> for Connector {
    type Response = Open;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Open, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.open(&uri).await })
    }
}

impl Connector {
    async fn open(&self, uri: &Uri) -> Result<Open, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_plain = uri.scheme_str() == Some("http");
        let way = if is_plain {
            Way::Direct
        } else {
            self.egress.way_to_aws_host(&self.environment, host)
        };
        let port = uri.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let stream = self
            .egress
            .open(host, port, &way, &RuntimeTimer)
            .await
            .map_err(ConnectError::Egress)?;
        if is_plain {
            return Ok(Open::Plain(TokioIo::new(stream)));
        }
        let trust = Arc::clone(&self.trust);
        tls::handshake(host, stream, trust, self.handshake, &RuntimeTimer)
            .await
            .map(|stream| Open::Tls(Box::new(TokioIo::new(stream))))
            .map_err(|why| ConnectError::Tls {
                host: host.to_owned(),
                why: why.to_string(),
            })
    }
}

/// An open connection.
enum Open {
    Plain(TokioIo<Stream>),
    Tls(Box<TokioIo<TlsStream<Stream>>>),
}

impl Connection for Open {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Open {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Open {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// An idle connection to AWS is closed after this.
const POOL_IDLE: Duration = Duration::from_secs(45);
