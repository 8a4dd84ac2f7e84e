//! One HTTP connection to a gateway of this machine: over TCP, TLS or a Unix socket.

use super::endpoint::Endpoint;
use super::response::{CommandEvent, CommandResult, ResultFormat, read_response};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use mwaa_config::Address;
use mwaa_model::Secret;
use mwaa_runtime::{BackgroundTasks, RuntimeTimer, Timer as _};
use rustls::pki_types::ServerName;
use std::error::Error;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// An open connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    endpoint: Endpoint,
    cancel: CancelHandle,
}

/// No gateway answers at an endpoint. Neither a command nor a secret was sent to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// It can't be connected to.
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    /// It does not answer as a gateway does.
    #[error("the program there is not a gateway")]
    Foreign,
    /// It does not answer in time.
    #[error("the program there does not respond")]
    Silent,
}

impl ConnectError {
    /// Returns true if no program listens there.
    pub(super) fn is_not_listening(&self) -> bool {
        let Self::Unreachable(error) = self else {
            return false;
        };
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
        )
    }
}

/// The options of a command's request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CommandOptions {
    /// The form of the result.
    pub(crate) format: ResultFormat,
    /// Lets the gateway write the command once more if its outcome is unknown.
    pub(crate) repeatable: bool,
}

/// The gateway went away before the end of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// Before the command was handed over.
    #[error("the gateway closed the connection; nothing was sent")]
    NotSent(#[source] BoxError),
    /// Afterwards: the command may have run.
    #[error("the gateway closed the connection before the command's result")]
    Broken(#[source] BoxError),
}

type BoxError = Box<dyn Error + Send + Sync>;

impl CommandError {
    pub(super) fn broken(reason: impl Into<BoxError>) -> Self {
        Self::Broken(reason.into())
    }

    pub(super) fn silent() -> Self {
        Self::broken("no response in time")
    }
}

/// Cancels the command of a connection.
#[derive(Clone)]
pub(crate) struct CancelHandle(Arc<OwnedFd>);

impl CancelHandle {
    /// Closes our half of the connection. The gateway then takes a command that still waits out of
    /// the queue, and ends the connection: what is read until then shows if the command was sent.
    pub(crate) fn cancel(&self) {
        // a connection that has ended needs no ending
        let _ended = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Write);
    }
}

impl Connection {
    /// Connects and checks that a gateway answers. Must run inside a tokio runtime.
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, ConnectError> {
        let checked = async {
            let mut connection = Self::connect(endpoint).await?;
            // the secret is not sent before it is clear who gets it: a gateway that requires it
            // refuses this request, and is known by its answer
            let host = endpoint.host(None);
            let response = connection.send(Method::HEAD, CHECK_PATH, &host).await?;
            let is_gateway = response.headers().contains_key(REQUEST_ID);
            // the connection can be used again only after a whole response
            drop(response.into_body().collect().await);
            is_gateway
                .then_some(connection)
                .ok_or(ConnectError::Foreign)
        };
        let opened = RuntimeTimer.within(CONNECT_TIMEOUT, checked).await;
        opened.unwrap_or(Err(ConnectError::Silent))
    }

    /// Connects. Over TLS the other side has then shown the configuration's certificate.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Self, ConnectError> {
        let (stream, socket) = dial(endpoint).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_not_http| ConnectError::Foreign)?;
        tracing::debug!(%endpoint, "connected to a gateway");

        let task = async move {
            // its error is the one of the response that does not come
            drop(connection.await);
        };
        let span = tracing::debug_span!("gateway_connection", %endpoint);
        BackgroundTasks::current().spawn(span, task);
        Ok(Self {
            sender,
            endpoint: endpoint.clone(),
            cancel: CancelHandle(Arc::new(socket)),
        })
    }

    /// Sends a request without a body.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        host: &str,
    ) -> Result<Response<Incoming>, ConnectError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .body(Full::default())
            .map_err(|_invalid| ConnectError::Foreign)?;
        let response = self.sender.send_request(request).await;
        response.map_err(|_not_http| ConnectError::Foreign)
    }

    /// Returns true if another request can be sent.
    pub(super) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok() && !self.sender.is_closed()
    }

    pub(super) fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Sends a command to the environment with this local name, once, and reads the response.
    /// Fails if the gateway is silent for longer than `timeout`.
    pub(super) async fn run(
        &mut self,
        local: Option<&str>,
        line: &str,
        options: CommandOptions,
        timeout: Duration,
        on_event: &mut dyn FnMut(CommandEvent),
    ) -> Result<CommandResult, CommandError> {
        let request = self.build_request(local, line, options)?;
        let response = RuntimeTimer
            .within(timeout, self.sender.send_request(request))
            .await
            .map_err(|_elapsed| CommandError::silent())?
            .map_err(|error| {
                // hyper cancels a request of which it has written nothing
                if error.is_canceled() {
                    CommandError::NotSent(error.into())
                } else {
                    CommandError::broken(error)
                }
            })?;

        let id = response.headers().get(REQUEST_ID);
        let id = id
            .and_then(|id| id.to_str().ok())
            .ok_or_else(|| CommandError::broken("its response is not from a gateway"))?;
        tracing::debug!(request_id = id, "the gateway has accepted the command");
        on_event(CommandEvent::Accepted(id.to_owned()));
        read_response(response, options.format, timeout, on_event).await
    }

    fn build_request(
        &self,
        local: Option<&str>,
        line: &str,
        options: CommandOptions,
    ) -> Result<Request<Full<Bytes>>, CommandError> {
        // MWAA's JSON is passed on as it comes, so it has no steps
        let accept = match options.format {
            ResultFormat::Raw => "application/json",
            ResultFormat::Text | ResultFormat::Json => ACCEPT_EVENTS,
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/aws_mwaa/cli")
            .header(HOST, self.endpoint.host(local))
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(ACCEPT, accept);

        if options.repeatable {
            request = request.header(REPEATABLE, "?1");
        }
        if let Some(secret) = self.endpoint.secret.as_deref() {
            request = request.header(SECRET, secret_value(secret)?);
        }
        request
            .body(Full::new(Bytes::copy_from_slice(line.as_bytes())))
            .map_err(|error| CommandError::NotSent(error.into()))
    }
}

fn secret_value(secret: &Secret<String>) -> Result<HeaderValue, CommandError> {
    let value = Secret::concat(&[secret.reveal()]).into_header();
    let problem = "listener.secret_file contains no valid header value";
    value.ok_or_else(|| CommandError::NotSent(problem.into()))
}

/// A stream of any kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a stream, and returns its socket once more, to close it by.
#[expect(
    clippy::disallowed_methods,
    reason = "to a listener of our own, never to a web server"
)]
async fn dial(endpoint: &Endpoint) -> io::Result<(Box<dyn Stream>, OwnedFd)> {
    match &endpoint.address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            let socket = stream.as_fd().try_clone_to_owned()?;
            Ok((Box::new(stream), socket))
        }
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            // a request is one small write, and its response is waited for
            stream.set_nodelay(true)?;
            let socket = stream.as_fd().try_clone_to_owned()?;
            let Some(config) = &endpoint.tls else {
                return Ok((Box::new(stream), socket));
            };

            let connector = TlsConnector::from(Arc::clone(config));
            // the certificate is pinned, so its name does not matter
            let name = ServerName::IpAddress(address.ip().into());
            Ok((Box::new(connector.connect(name, stream).await?), socket))
        }
    }
}

/// The field of every response of a gateway, and of no other server's.
const REQUEST_ID: &str = "mwaa-gateway-request-id";
/// The field for the content of `listener.secret_file`.
const SECRET: &str = "mwaa-gateway-secret";
/// The field that lets a trigger with a run id of its own be written once more.
const REPEATABLE: &str = "mwaa-gateway-repeatable";
/// The full result, step by step where the gateway can.
const ACCEPT_EVENTS: &str = "application/vnd.mwaa-gateway.cli-events+ndjson, \
     application/vnd.mwaa-gateway.cli+json;detail=full;q=0.9";
/// A page of the gateway's own that costs it nothing and belongs to no environment.
const CHECK_PATH: &str = "/-/icon.svg";
/// A gateway of this machine answers at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
