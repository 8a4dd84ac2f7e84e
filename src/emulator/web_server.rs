//! The environments' web servers: TLS connections, routing, and the faults below HTTP.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::cli;
use super::environment::Environment;
use super::fault::{HandshakeFault, WebFault};
use super::journal::Arrival;
use super::wire::{Control, Spoil, Wire};

/// Serves all environments' web servers for ever.
pub(crate) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let id = shared.journal.connected();
                    connections.spawn(connection(stream, acceptor.clone(), id, Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(super::ACCEPT_BACK_OFF).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, id: u64, shared: Arc<Shared>) {
    let mut cuts = shared.script.cuts();
    let served = async {
        match shared.script.handshake_fault.take() {
            Some(HandshakeFault::Close) => return,
            Some(HandshakeFault::Hang) => std::future::pending().await,
            None => {}
        }
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Ok(stream) = acceptor.accept(stream).await else {
            return;
        };
        let server_name = stream.get_ref().1.server_name().map(str::to_owned);
        shared.journal.named(server_name.as_deref());
        let control = Arc::new(Control::default());
        let wire = TokioIo::new(Wire::new(
            stream,
            Arc::clone(&control),
            id,
            Arc::clone(&shared),
        ));
        let peer = Peer {
            id,
            server_name,
            control,
        };
        let service = service_fn(|request| answer(request, &peer, &shared));
        // a broken connection is the client's business, and the journal's
        drop(http1::Builder::new().serve_connection(wire, service).await);
    };
    tokio::select! {
        () = served => {}
        _ = cuts.changed() => {}
    }
}

/// The connection a request came on.
struct Peer {
    id: u64,
    server_name: Option<String>,
    control: Arc<Control>,
}

/// A response body, plain or one that ends its connection.
type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

async fn answer(
    request: Request<Incoming>,
    peer: &Peer,
    shared: &Arc<Shared>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT)
        .collect()
        .await
        .map_err(io::Error::other)?;
    let body = body.to_bytes();
    let token = bearer(&head);
    let environment = environment(&head, peer, token, shared);
    let entry = shared.journal.begin_web(Arrival {
        connection: peer.id,
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
        body: body.clone(),
        token: token.and_then(|token| shared.tokens.id(token)),
        environment: environment.map(|environment| environment.seed.name.clone()),
    });
    let fault = shared.script.web_fault.take();
    let reply = match &fault {
        Some(WebFault::Hang) => std::future::pending().await,
        Some(WebFault::Drop) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(WebFault::Reset) => Reply::spoilt(Spoil::Reset),
        Some(WebFault::Raw(bytes)) => Reply::spoilt(Spoil::Replace(bytes.clone())),
        Some(WebFault::Status {
            status,
            content_type,
            body,
        }) => Reply {
            content_type: content_type.clone(),
            ..Reply::html(*status, body.clone())
        },
        _ => route(&head, &body, token, environment, shared).await,
    };
    let mut reply = match fault {
        Some(WebFault::BadBase64) => {
            Reply::json(r#"{"stderr": "", "stdout": "%%%"}"#.to_owned())
        }
        Some(WebFault::CutBody) => Reply {
            spoil: Some(Spoil::CutBody(3)),
            ..reply
        },
        Some(WebFault::NotJson) => {
            Reply::html(200, "<html>Airflow is starting</html>".to_owned())
        }
        Some(WebFault::ResetAfterExecution) => Reply::spoilt(Spoil::Reset),
        _ => reply,
    };
    match reply.spoil.take() {
        Some(spoil) => peer.control.spoil(spoil),
        None => shared.journal.end_web(entry, reply.status),
    }
    let close = shared.script.close_idle.take().is_some();
    reply.into_response(close.then(|| Arc::clone(&peer.control)))
}

async fn route(
    head: &Parts,
    body: &Bytes,
    token: Option<&str>,
    environment: Option<&Environment>,
    shared: &Arc<Shared>,
) -> Reply {
    let Some(environment) = environment else {
        return Reply::text(404, "no environment of that name\n");
    };
    let path = head.uri.path();
    match path.strip_suffix('/').unwrap_or(path) {
        "/aws_mwaa/cli" if head.method == Method::POST => {
            cli::answer(body, token, environment, shared).await
        }
        "/aws_mwaa/cli" => Reply::text(405, "method not allowed\n"),
        _ => Reply::text(404, "not found\n"),
    }
}

/// The environment a request is for: by the TLS server name, which survives a foreign `Host`,
/// else by `Host`, else by the token it carries.
fn environment<'a>(
    head: &Parts,
    peer: &Peer,
    token: Option<&str>,
    shared: &'a Shared,
) -> Option<&'a Environment> {
    let by_host = |host: &str| {
        let host = host.split(':').next().unwrap_or(host);
        shared.environments.iter().find(|environment| {
            environment
                .hosts()
                .any(|candidate| candidate.eq_ignore_ascii_case(host))
        })
    };
    let host = head
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    peer.server_name
        .as_deref()
        .and_then(by_host)
        .or_else(|| host.and_then(by_host))
        .or_else(|| {
            let name = shared.tokens.environment(token?)?;
            shared
                .environments
                .iter()
                .find(|environment| environment.seed.name == name)
        })
}

/// The token of an `Authorization: Bearer` header (RFC 6750).
fn bearer(head: &Parts) -> Option<&str> {
    let value = head.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// An answer before it becomes HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    content_type: String,
    body: String,
    spoil: Option<Spoil>,
}

impl Reply {
    pub(crate) fn json(body: String) -> Self {
        Self {
            content_type: "application/json".to_owned(),
            ..Self::html(200, body)
        }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self {
            content_type: "text/plain; charset=utf-8".to_owned(),
            ..Self::html(status, body.to_owned())
        }
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: "text/html; charset=utf-8".to_owned(),
            body,
            spoil: None,
        }
    }

    /// The small page that web servers show for a status.
    pub(crate) fn page(status: u16, text: &str) -> Self {
        let reason = StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        Self::html(
            status,
            format!(
                "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
                 <h1>{status} {reason}</h1>\r\n<p>{text}</p>\r\n</body>\r\n</html>\r\n"
            ),
        )
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn spoilt(spoil: Spoil) -> Self {
        Self {
            spoil: Some(spoil),
            ..Self::text(200, "never sent as it is\n")
        }
    }

    fn into_response(self, close: Option<Arc<Control>>) -> io::Result<Response<Body>> {
        let length = self.body.len();
        let body = Full::new(Bytes::from(self.body));
        let body = match close {
            // the frame is taken just before it is written, and flushed with what stands before
            Some(control) => body
                .map_frame(move |frame| {
                    control.close_when_flushed();
                    frame
                })
                .boxed(),
            None => body.boxed(),
        };
        Response::builder()
            .status(StatusCode::from_u16(self.status).map_err(io::Error::other)?)
            .header(header::CONTENT_TYPE, self.content_type)
            .header(header::CONTENT_LENGTH, length) // a mapped body no longer knows it
            .body(body)
            .map_err(io::Error::other)
    }
}

/// More than any command line; what comes bigger is cut off.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
