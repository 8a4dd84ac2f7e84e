//! The HTTP client of the SDK: HTTP/1.1 over our own ways out, with the TLS of the rest; and the
//! interceptors that see its calls.

use aws_sdk_mwaa::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_mwaa::config::{ConfigBag, Intercept};
use aws_sdk_mwaa::error::BoxError;
use aws_smithy_runtime_api::client::endpoint::EndpointPrefix;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_types::endpoint_config::EndpointUrl;
use bytes::Bytes;
use http::Uri;
use http_body_util::Limited;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mwaa_egress::{Connector, EgressError, Route, Stream, tls};
use mwaa_http1::name::MWAA_GATEWAY_INVOKE;
use mwaa_model::{Environment, strip_brackets};
use mwaa_runtime::{RuntimeTimer, Timer as _, Timestamp};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_rustls::client::TlsStream;

/// Returns the TLS settings for AWS: the system's roots and those of `AWS_CA_BUNDLE`.
pub(super) fn build_tls_config(ca_bundle: Option<&[u8]>) -> Arc<ClientConfig> {
    let mut roots = tls::system_roots().clone();
    let bundle = CertificateDer::pem_slice_iter(ca_bundle.unwrap_or_default());
    // what cannot be parsed is left out: the other roots may do
    roots.add_parsable_certificates(bundle.flatten());
    Arc::new(tls::client_config(roots))
}

/// Creates the client of one identity, whose calls take the environment's route to AWS.
pub(super) fn http_client(
    connector: &Connector,
    environment: &Environment,
    tls: Arc<ClientConfig>,
    tls_timeout: Duration,
) -> SharedHttpClient {
    let connector = HttpsConnector {
        connector: connector.clone(),
        environment: Arc::new(environment.clone()),
        tls,
        tls_timeout,
    };

    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .build(connector);
    SharedHttpClient::new(PooledClient(client))
}

/// The client as the SDK takes it. All its connectors share one pool.
#[derive(Debug, Clone)]
struct PooledClient(Client<HttpsConnector, SdkBody>);

impl HttpClient for PooledClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // connecting is part of a request to the pool, so the two limits are one
        let connect = settings.connect_timeout().unwrap_or_default();
        SharedHttpConnector::new(TimeoutConnector {
            client: self.0.clone(),
            limit: settings.read_timeout().map(|read| read + connect),
        })
    }
}

/// The client for calls that may take so long until the head of the response. The SDK asks for
/// credentials of instances with a limit of a second, because most machines are no instances.
#[derive(Debug)]
struct TimeoutConnector {
    client: Client<HttpsConnector, SdkBody>,
    limit: Option<Duration>,
}

impl HttpConnector for TimeoutConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let response = self.client.request(request);
        let limit = self.limit;

        HttpConnectorFuture::new(async move {
            let response = match limit {
                Some(limit) => {
                    RuntimeTimer
                        .within(limit, response)
                        .await
                        .map_err(|_elapsed| {
                            ConnectorError::timeout("no response in time".into())
                        })?
                }
                None => response.await,
            };
            let response = response.map_err(|error| ConnectorError::io(error.into()))?;
            let limited =
                response.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_RESPONSE)));
            HttpResponse::try_from(limited)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Opens connections for the client: TLS for `https`, which may take a proxy; plain ones for
/// endpoints on this machine and for the credentials of instances and containers, which never
/// do.
#[derive(Debug, Clone)]
struct HttpsConnector {
    connector: Connector,
    environment: Arc<Environment>,
    tls: Arc<ClientConfig>,
    tls_timeout: Duration,
}

/// A connection to AWS that was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// No connection.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// No TLS that can be trusted.
    #[error("no trusted TLS connection to {host}: {why}")]
    Tls {
        /// The host.
        host: String,
        /// The reason, for people.
        why: String,
    },
}

impl tower_service::Service<Uri> for HttpsConnector {
    type Response = AwsStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<AwsStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await })
    }
}

impl HttpsConnector {
    async fn connect(&self, uri: &Uri) -> Result<AwsStream, ConnectError> {
        // an IPv6 address is in brackets in a URI (RFC 3986 section 3.2.2)
        let host = uri.host().unwrap_or_default();
        let host = strip_brackets(host);
        let is_plain = uri.scheme_str() == Some("http");

        // a proxy does not know this machine's loopback, nor an instance's metadata
        let route = if is_plain {
            Route::Direct
        } else {
            self.connector.find_aws_host_route(&self.environment, host)
        };
        let port = uri.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let stream = self
            .connector
            .connect(host, port, &route, &RuntimeTimer)
            .await?;
        tracing::debug!(host, port, %route, "connection to AWS opened");
        // by its URL: this machine, or the metadata of an instance
        if is_plain {
            return Ok(AwsStream::Plain(TokioIo::new(stream)));
        }

        let config = Arc::clone(&self.tls);
        tls::connect(host, stream, config, self.tls_timeout, &RuntimeTimer)
            .await
            .map(|stream| AwsStream::Tls(Box::new(TokioIo::new(stream))))
            .map_err(|why| ConnectError::Tls {
                host: host.to_owned(),
                why: why.to_string(),
            })
    }
}

/// An open connection.
enum AwsStream {
    Plain(TokioIo<Stream>),
    Tls(Box<TokioIo<TlsStream<Stream>>>),
}

impl Connection for AwsStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for AwsStream {
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

impl Write for AwsStream {
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

/// Records whether a call was sent at all, for which it needs its keys; and the `Date` of the
/// response: AWS's clock, for the token's life and for the offset of ours.
#[derive(Debug, Clone, Default)]
pub(super) struct CallRecord {
    sent: Arc<OnceLock<()>>,
    date: Arc<OnceLock<SystemTime>>,
    /// Set if a gateway has responded, and not AWS.
    gateway: Arc<OnceLock<()>>,
}

impl CallRecord {
    /// Returns true if the call had its keys and was sent.
    pub(super) fn was_sent(&self) -> bool {
        self.sent.get().is_some()
    }

    /// Returns true if the response is a gateway's.
    pub(super) fn is_from_gateway(&self) -> bool {
        self.gateway.get().is_some()
    }

    /// Returns the date; `None` before a response came.
    pub(super) fn date(&self) -> Option<SystemTime> {
        self.date.get().copied()
    }
}

#[dyn_dispatch_hint]
impl Intercept for CallRecord {
    fn name(&self) -> &'static str {
        "CallRecord"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // another endpoint may be a gateway, even this one
        if config.load::<EndpointUrl>().is_some() {
            let headers = context.request_mut().headers_mut();
            // no gateway answers it: two, or one alone, could call each other for ever
            headers.try_insert(MWAA_GATEWAY_INVOKE.as_str(), "1")?;
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // at this point the call is signed
        self.sent.get_or_init(|| ());
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        if headers.contains_key("mwaa-gateway-request-id") {
            self.gateway.get_or_init(|| ());
        }
        if let Some(date) = headers.get("date")
            && let Ok(date) = httpdate::parse_http_date(date)
        {
            // the first response's date is kept; there is one attempt a call
            let _first = self.date.set(date);
        }
        Ok(())
    }
}

/// Keeps the document of a successful response as AWS sends it. Not for tokens.
#[derive(Clone, Default)]
pub(super) struct DocumentRecord(Arc<OnceLock<Bytes>>);

impl fmt::Debug for DocumentRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentRecord").finish_non_exhaustive()
    }
}

impl DocumentRecord {
    /// Returns the document; empty before a response came.
    pub(super) fn document(&self) -> Bytes {
        self.0.get().cloned().unwrap_or_default()
    }
}

#[dyn_dispatch_hint]
impl Intercept for DocumentRecord {
    fn name(&self) -> &'static str {
        "DocumentRecord"
    }

    // the body is in memory only now
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(document) = context.response().body().bytes() {
            let _first = self.0.set(Bytes::copy_from_slice(document));
        }
        Ok(())
    }
}

/// Removes the operation's host prefix, `env.` or `api.`, wherever a custom endpoint is in force:
/// the SDK would call `env.127.0.0.1`, and it has no switch for it. AWS's own hosts keep theirs.
#[derive(Debug)]
pub(super) struct NoHostPrefix;

#[dyn_dispatch_hint]
impl Intercept for NoHostPrefix {
    fn name(&self) -> &'static str {
        "NoHostPrefix"
    }

    // the prefix is stored just before this hook and used just after it
    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<EndpointUrl>().is_some() {
            config.interceptor_state().unset::<EndpointPrefix>();
        }
        Ok(())
    }
}

/// Returns the seconds by which our clock is ahead of AWS's, by the date of a response.
pub(super) fn clock_offset(date: Option<SystemTime>) -> Option<i64> {
    let theirs = i64::try_from(date?.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    // whole seconds: a `Date` has no more
    let ours = i64::try_from(Timestamp::now().wall().as_secs()).ok()?;
    Some(ours - theirs)
}

/// Returns the sentence about a clock that is so many seconds ahead of AWS's.
pub fn format_clock_offset(offset: i64) -> String {
    let off = humantime::format_duration(Duration::from_secs(offset.unsigned_abs()));
    let side = if offset > 0 { "ahead of" } else { "behind" };
    format!("this machine's clock is {off} {side} AWS's clock")
}

/// The longest response that is read, in bytes: AWS documents 6 MB for `InvokeRestApi`, and others are
/// short.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;
/// An idle connection to AWS is closed after this.
const POOL_IDLE: Duration = Duration::from_secs(45);
