//! Posts the login form, over a connection of its own: rare, and not on a worker thread.

use super::answered::hide_cookies;
use super::dial::{Wire, open};
use super::{Settings, Trusts, UpstreamError};
use crate::credential::{LoggingIn, LoginReply, SignIn};
use crate::egress::Egress;
use crate::names::{Entry, Fault, Secret};
use crate::runtime::{RuntimeTimer, Timer as _};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use std::pin::pin;
use std::sync::Arc;

/// The way to the web servers' login routes.
#[derive(Debug)]
pub struct LoginDoor {
    settings: Settings,
    egress: Egress,
    trust: Arc<Trusts>,
}

impl LoginDoor {
    /// Uses the same limits, ways and trust as the worker threads.
    pub fn new(settings: Settings, egress: Egress, trust: Arc<Trusts>) -> Self {
        Self {
            settings,
            egress,
            trust,
        }
    }

    async fn post(
        &self,
        entry: &Entry,
        host: &str,
        path: &'static str,
        form: &Secret<String>,
    ) -> Result<LoginReply, UpstreamError> {
        let trust = self.trust.of(entry.id);
        let wire: Wire<Full<Bytes>> = open(
            host,
            &entry.environment,
            &self.egress,
            trust,
            &self.settings,
            &RuntimeTimer,
        )
        .await?;
        let (mut sender, connection) = wire;
        let peer = || self.egress.described(&entry.environment, host);
        let broken = |source: hyper::Error| UpstreamError::Broken {
            host: peer(),
            source: source.into(),
        };
        let request = request(host, path, form)?;
        let exchange = async {
            let reply = sender.send_request(request).await.map_err(broken)?;
            // nothing of its body matters, and nothing that it points to is followed
            let (mut head, _body) = reply.into_parts();
            hide_cookies(&mut head.headers);
            Ok(LoginReply {
                status: head.status,
                headers: head.headers,
            })
        };
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

impl SignIn for LoginDoor {
    fn sign_in<'a>(
        &'a self,
        entry: &'a Entry,
        host: &'a str,
        path: &'static str,
        form: &'a Secret<String>,
    ) -> LoggingIn<'a> {
        Box::pin(async move {
            self.post(entry, host, path, form).await.map_err(|error| {
                let fault: Arc<dyn Fault + Send + Sync> = Arc::new(error);
                fault
            })
        })
    }
}

/// The form, and nothing of any other session.
fn request(
    host: &str,
    path: &'static str,
    form: &Secret<String>,
) -> Result<Request<Full<Bytes>>, UpstreamError> {
    let host_field = HeaderValue::from_str(host).map_err(|_invalid| UpstreamError::Tls {
        host: host.to_owned(),
        why: "its name is not a DNS name".to_owned(),
    })?;
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
    headers.insert(USER_AGENT, super::request::OURS);
    Ok(request)
}
