//! The export of traces to a collector: OTLP over gRPC or HTTP, on the control thread.

mod settings;

pub use settings::TraceSettingsError;

use super::ExternalInputs;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mwaa_config::Config;
use mwaa_egress::{Connector, tls};
use mwaa_model::{error_chain, strip_brackets};
use mwaa_runtime::{BackgroundTasks, RuntimeTimer, Timer as _};
use mwaa_telemetry::traces::{ExportError, Tracer};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use settings::{Collector, Protocol};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// The running export.
#[derive(Debug, Clone)]
pub(super) struct TraceExport {
    tracer: Tracer,
    ended: watch::Receiver<bool>,
}

impl TraceExport {
    /// Starts to export traces, if the configuration or the variables want it.
    pub(super) fn start(
        config: &Config,
        inputs: &ExternalInputs,
        connector: &Connector,
        background: &BackgroundTasks,
    ) -> Result<Option<Self>, TraceSettingsError> {
        let Some(variables) = &inputs.otel else {
            return Ok(None);
        };
        let configured = config.telemetry.otlp_endpoint.as_deref();
        let Some((collector, settings)) = settings::load(configured, variables)? else {
            return Ok(None);
        };

        let tracer = Tracer::new(settings);
        let sender = Arc::new(Sender::new(
            collector,
            connector,
            config.limits.upstream_tls,
        ));
        let (done, ended) = watch::channel(false);
        let running = tracer.clone();
        background.spawn(tracing::debug_span!("traces"), async move {
            let send = |message| {
                let sender = Arc::clone(&sender);
                async move { Box::pin(sender.send(message)).await }
            };
            running.run(send).await;
            // the end of the gateway may not wait for it
            let _unheard = done.send(true);
        });
        Ok(Some(Self { tracer, ended }))
    }

    /// The place for the traces of requests.
    pub(super) fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Sends what waits, for at most `limit`.
    pub(super) async fn end(&self, limit: Duration) {
        self.tracer.end();
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(|ended| *ended);
        if RuntimeTimer.within(limit, ended).await.is_err() {
            tracing::warn!("the last traces could not be sent in time");
        }
    }
}

/// Sends messages to the collector, each on a connection of its own: there are few.
struct Sender {
    collector: Collector,
    connector: Connector,
    tls: Arc<ClientConfig>,
    tls_timeout: Duration,
}

impl Sender {
    fn new(collector: Collector, connector: &Connector, tls_timeout: Duration) -> Self {
        let mut roots = tls::system_roots().clone();
        let own = collector.certificate.as_deref().unwrap_or_default();
        // what cannot be parsed is left out: the other roots may do
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(own).flatten());
        let mut tls = tls::client_config(roots);
        if collector.protocol == Protocol::Grpc {
            tls.alpn_protocols = vec![b"h2".to_vec()];
        }
        Self {
            collector,
            connector: connector.clone(),
            tls: Arc::new(tls),
            tls_timeout,
        }
    }

    /// Sends one message and returns the collector's answer.
    async fn send(&self, message: Vec<u8>) -> Result<Vec<u8>, ExportError> {
        let limit = self.collector.timeout;
        let sent = RuntimeTimer.within(limit, self.exchange(message)).await;
        sent.map_err(|_elapsed| {
            ExportError::Temporary("the collector took too long".to_owned())
        })?
    }

    async fn exchange(&self, message: Vec<u8>) -> Result<Vec<u8>, ExportError> {
        let url = &self.collector.url;
        let is_plain = url.scheme_str() == Some("http");
        let host = strip_brackets(url.host().unwrap_or_default());
        let port = url.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let route = self.connector.find_collector_route(host);
        let stream = self
            .connector
            .connect(host, port, &route, &RuntimeTimer)
            .await
            .map_err(|error| temporary(&error))?;
        if is_plain {
            return self.speak(stream, message).await;
        }

        let config = Arc::clone(&self.tls);
        let stream = tls::connect(host, stream, config, self.tls_timeout, &RuntimeTimer)
            .await
            .map_err(|error| temporary(&error))?;
        self.speak(stream, message).await
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        message: Vec<u8>,
    ) -> Result<Vec<u8>, ExportError> {
        let stream = TokioIo::new(stream);

        match self.collector.protocol {
            Protocol::Http => {
                let (mut sender, connection) = http1::handshake(stream)
                    .await
                    .map_err(|error| temporary(&error))?;
                let answer = async {
                    let request = self.request(message.into(), "application/x-protobuf");
                    read_http(sender.send_request(request).await).await
                };
                alongside(answer, connection).await
            }
            Protocol::Grpc => {
                let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .map_err(|error| temporary(&error))?;
                let answer = async {
                    let mut request = self.request(frame(&message), "application/grpc");
                    request
                        .headers_mut()
                        .insert(TE, HeaderValue::from_static("trailers"));
                    read_grpc(sender.send_request(request).await).await
                };
                alongside(answer, connection).await
            }
        }
    }

    fn request(&self, body: Bytes, media_type: &'static str) -> Request<Full<Bytes>> {
        let Collector {
            url,
            headers,
            protocol,
            ..
        } = &self.collector;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        let fields = request.headers_mut();
        for (name, value) in headers {
            fields.append(name, value.clone());
        }
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        fields.insert(USER_AGENT, HeaderValue::from_static(OUR_USER_AGENT));

        match protocol {
            Protocol::Grpc => *request.uri_mut() = url.clone(),
            Protocol::Http => {
                let authority = url.authority().map_or("", |authority| authority.as_str());
                let host = HeaderValue::try_from(authority).ok();
                fields.extend(host.map(|host| (HOST, host)));
                let path = url.path_and_query().cloned();
                *request.uri_mut() = path.map(Into::into).unwrap_or_default();
            }
        }
        request
    }
}

/// Returns the answer, for which the connection has to run.
async fn alongside<T>(
    answer: impl Future<Output = Result<T, ExportError>>,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) -> Result<T, ExportError> {
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        _ended = connection => {}
    }
    // it may have ended with the answer
    answer.await
}

/// Returns the body of an answer over HTTP.
async fn read_http(sent: hyper::Result<Response<Incoming>>) -> Result<Vec<u8>, ExportError> {
    let response = sent.map_err(|error| temporary(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(read_body(response.into_body()).await?.0);
    }
    let error = format!("the collector answered with status {}", status.as_u16());
    // OTLP's specification has the list
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => ExportError::Temporary(error),
        _ => ExportError::Refused(error),
    })
}

/// Returns the message of an answer over gRPC. Its status is in the trailers, or in the head if
/// there is nothing else.
async fn read_grpc(sent: hyper::Result<Response<Incoming>>) -> Result<Vec<u8>, ExportError> {
    let response = sent.map_err(|error| temporary(&error))?;
    if response.status() != StatusCode::OK {
        let error = format!(
            "the collector answered with status {}",
            response.status().as_u16()
        );
        return Err(ExportError::Temporary(error));
    }

    let (head, body) = response.into_parts();
    let (body, trailers) = read_body(body).await?;
    let status = trailers
        .as_ref()
        .and_then(|trailers| trailers.get(GRPC_STATUS));
    let status = status.or_else(|| head.headers.get(GRPC_STATUS));
    match status.map(HeaderValue::as_bytes) {
        Some(b"0") => Ok(body.get(GRPC_PREFIX..).unwrap_or_default().to_vec()),
        Some(code) => {
            let error = format!(
                "gRPC status {}",
                String::from_utf8_lossy(code).escape_debug()
            );
            let may_repeat = GRPC_RETRIES.contains(&code);
            Err(if may_repeat {
                ExportError::Temporary(error)
            } else {
                ExportError::Refused(error)
            })
        }
        None => Err(ExportError::Temporary(
            "the answer has no gRPC status".to_owned(),
        )),
    }
}

async fn read_body(body: Incoming) -> Result<(Vec<u8>, Option<http::HeaderMap>), ExportError> {
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|error| ExportError::Temporary(error_chain(error.as_ref())))?;
    let trailers = body.trailers().cloned();
    Ok((body.to_bytes().to_vec(), trailers))
}

/// Returns a message as gRPC frames it: not compressed, and its length.
fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(GRPC_PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len().try_into().unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

fn temporary(error: &(dyn std::error::Error + 'static)) -> ExportError {
    ExportError::Temporary(error_chain(error))
}

const OUR_USER_AGENT: &str = concat!(
    "OTel-OTLP-Exporter-mwaa-gateway/",
    env!("CARGO_PKG_VERSION")
);
const GRPC_STATUS: &str = "grpc-status";
/// The bytes before a message.
const GRPC_PREFIX: usize = 5;
/// Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
const GRPC_RETRIES: [&[u8]; 6] = [b"1", b"4", b"10", b"11", b"14", b"15"];
/// The largest answer of a collector, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
