//! Posts the login form, over a connection of its own: rare, and not on a worker thread.

use super::pool::open;
use super::{Settings, TrustStore, UpstreamError};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mwaa_auth::{LoginClient, LoginFuture, LoginResponse};
use mwaa_egress::Connector;
use mwaa_egress::tls::HandshakeError;
use mwaa_model::{Entry, Fault, Secret};
use mwaa_runtime::{RuntimeTimer, Timer as _};
use std::pin::pin;
use std::sync::Arc;

/// The client for the web servers' login routes.
#[derive(Debug)]
pub struct WebLoginClient {
    settings: Settings,
    connector: Connector,
    trust: Arc<TrustStore>,
}

impl WebLoginClient {
    /// Creates a client with the limits, routes and roots of the worker threads.
    pub fn new(settings: Settings, connector: Connector, trust: Arc<TrustStore>) -> Self {
        Self {
            settings,
            connector,
            trust,
        }
    }

    async fn post(
        &self,
        entry: &Entry,
        host: &str,
        path: &'static str,
        form: &Secret<String>,
    ) -> Result<LoginResponse, UpstreamError> {
        let trust = self.trust.get(entry.id);
        let stream = open(
            host,
            &entry.environment,
            &self.connector,
            trust,
            &self.settings,
            &RuntimeTimer,
        )
        .await?;

        let peer = || self.connector.describe(&entry.environment, host);
        let broken = |source: hyper::Error| UpstreamError::Broken {
            host: peer(),
            cause: source.into(),
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let request = request(host, path, form)?;

        let exchange = async {
            let reply = sender.send_request(request).await.map_err(broken)?;
            // its body has no meaning, and redirects are not followed
            Ok(LoginResponse {
                status: reply.status(),
                headers: reply.headers().iter().collect(),
            })
        };

        // the connection must be polled beside the exchange
        let both = async {
            let mut exchange = pin!(exchange);
            tokio::select! {
                reply = &mut exchange => reply,
                // the reply may have come with the connection's end
                _ended = connection => exchange.await,
            }
        };

        let limit = self.settings.first_byte;
        RuntimeTimer
            .within(limit, both)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(UpstreamError::Timeout {
                    host: peer(),
                    after: limit,
                })
            })
    }
}

impl LoginClient for WebLoginClient {
    fn sign_in<'a>(
        &'a self,
        entry: &'a Entry,
        host: &'a str,
        path: &'static str,
        form: &'a Secret<String>,
    ) -> LoginFuture<'a> {
        Box::pin(async move {
            self.post(entry, host, path, form).await.map_err(|error| {
                let fault: Arc<dyn Fault + Send + Sync> = Arc::new(error);
                fault
            })
        })
    }
}

/// Builds the login request: the form, and nothing of any other session.
fn request(
    host: &str,
    path: &'static str,
    form: &Secret<String>,
) -> Result<Request<Full<Bytes>>, UpstreamError> {
    let host_field = HeaderValue::from_str(host).map_err(|_invalid| UpstreamError::Tls {
        host: host.to_owned(),
        source: HandshakeError::InvalidName,
    })?;

    // the second copy of the form; both are wiped when they are dropped
    let body = Secret::concat(&[form.reveal()]).into_bytes();
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(path);

    let headers = request.headers_mut();
    headers.insert(HOST, host_field);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let agent = HeaderValue::from_static(super::request::OUR_USER_AGENT);
    headers.insert(USER_AGENT, agent);
    Ok(request)
}
