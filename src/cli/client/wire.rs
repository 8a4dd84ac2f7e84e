//! One connection to a gateway: makes sure that it is one, then runs commands over it.

use super::dial;
use super::place::Place;
use super::reading::{self, SILENT};
use super::told::{Answer, Step};
use crate::names::{Secret, debug_only};
use crate::runtime::{Background, RuntimeTimer, Timer as _};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// A connection to what has shown itself to be a gateway.
pub(super) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    place: Place,
    hang_up: HangUp,
}

debug_only!(Wire: place, hang_up);

/// What answers is no gateway of ours, or nobody does. It was sent nothing but a question that
/// holds neither a command nor a secret.
#[derive(Debug)]
pub(super) enum Stranger {
    Unreachable(io::Error),
    /// It does not talk as a gateway does.
    Foreign,
    Silent,
}

impl Stranger {
    /// Whether nobody listens there.
    pub(super) fn is_nobody(&self) -> bool {
        let kind = match self {
            Self::Unreachable(error) => error.kind(),
            Self::Foreign | Self::Silent => return false,
        };
        matches!(
            kind,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
        )
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(f),
            Self::Foreign => f.write_str("what listens there is not a gateway"),
            Self::Silent => f.write_str("what listens there does not answer"),
        }
    }
}

impl std::error::Error for Stranger {}

/// How a command is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Ask {
    /// What its reply is wanted as.
    pub(in crate::cli) form: Form,
    /// Whether the gateway may write it once more where its outcome is unknown.
    pub(in crate::cli) repeatable: bool,
}

impl From<Form> for Ask {
    /// Written once, as commands are.
    fn from(form: Form) -> Self {
        Self {
            form,
            repeatable: false,
        }
    }
}

/// What a reply is wanted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Form {
    /// Step by step, and the full result at the end.
    Full,
    /// MWAA's own JSON.
    Raw,
}

impl Form {
    const fn accept(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Full => {
                "application/vnd.mwaa-gateway.cli-events+ndjson, \
                 application/vnd.mwaa-gateway.cli+json;detail=full;q=0.9"
            }
            Self::Raw => "application/json",
        })
    }
}

/// The gateway went away before it told how the command ended.
#[derive(Debug)]
pub(in crate::cli) enum Lost {
    /// Before the command was handed over: nothing was sent.
    Gone(String),
    /// Afterwards: whether it ran is not known.
    Broken(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(why) => write!(f, "the gateway is gone, and nothing was sent: {why}"),
            Self::Broken(why) => {
                write!(f, "the gateway did not tell how the command ended: {why}")
            }
        }
    }
}

impl std::error::Error for Lost {}

/// Ends our half of the connection.
#[derive(Debug, Clone)]
pub(in crate::cli) struct HangUp(Arc<OwnedFd>);

impl HangUp {
    /// The gateway then takes a command that still waits out of the queue, and ends the
    /// connection. Whoever reads on until then knows for certain whether the command was sent.
    pub(in crate::cli) fn now(&self) {
        // a connection that has ended needs no ending
        let _ended = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Write);
    }
}

impl Wire {
    /// Connects and makes sure that a gateway answers. Must run inside a tokio runtime.
    pub(super) async fn open(place: &Place) -> Result<Self, Stranger> {
        let within = RuntimeTimer.within(PATIENCE, Self::greet(place)).await;
        within.unwrap_or(Err(Stranger::Silent))
    }

    async fn greet(place: &Place) -> Result<Self, Stranger> {
        let line = dial::open(place).await.map_err(Stranger::Unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(line.stream))
            .await
            .map_err(|_not_http| Stranger::Foreign)?;
        Background::current().spawn(async move {
            // how it ends shows in the reply that does not come
            drop(connection.await);
        });
        let mut wire = Self {
            sender,
            place: place.clone(),
            hang_up: HangUp(Arc::new(line.socket)),
        };
        // the secret is not shown before it is clear who asks for it: a gateway that wants it
        // refuses the question, and is known by that
        let question = Request::builder()
            .method(Method::HEAD)
            .uri(QUESTION)
            .header(HOST, place.host(None))
            .body(Full::default())
            .map_err(|_bad| Stranger::Foreign)?;
        let answer = wire.sender.send_request(question).await;
        let answer = answer.map_err(|_not_http| Stranger::Foreign)?;
        let is_gateway = answer.headers().contains_key(REQUEST_ID);
        drop(answer.into_body().collect().await);
        if is_gateway {
            Ok(wire)
        } else {
            Err(Stranger::Foreign)
        }
    }

    /// Whether another request can be sent.
    pub(super) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok() && !self.sender.is_closed()
    }

    pub(super) fn hang_up(&self) -> HangUp {
        self.hang_up.clone()
    }

    /// Sends a command, once, and reads what becomes of it. `patience` is how long the gateway
    /// may be silent.
    pub(super) async fn run(
        &mut self,
        label: Option<&str>,
        line: &str,
        ask: Ask,
        patience: Duration,
        told: &mut dyn FnMut(Step),
    ) -> Result<Answer, Lost> {
        let request = self.request(label, line, ask)?;
        let sent = RuntimeTimer.within(patience, self.sender.send_request(request));
        let response = sent
            .await
            .map_err(|_elapsed| Lost::Broken(SILENT.to_owned()))?
            .map_err(|error| lost(&error))?;
        let id = response.headers().get(REQUEST_ID);
        let Some(id) = id.and_then(|id| id.to_str().ok()) else {
            return Err(Lost::Broken("its reply is not a gateway's".to_owned()));
        };
        told(Step::Taken(id.to_owned()));
        reading::read(response, ask.form, patience, told).await
    }

    fn request(
        &self,
        label: Option<&str>,
        line: &str,
        ask: Ask,
    ) -> Result<Request<Full<Bytes>>, Lost> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/aws_mwaa/cli")
            .header(HOST, self.place.host(label))
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(ACCEPT, ask.form.accept());
        if ask.repeatable {
            request = request.header(REPEATABLE, "?1");
        }
        if let Some(secret) = self.place.secret.as_deref() {
            request = request.header(SECRET, shown(secret)?);
        }
        request
            .body(Full::new(Bytes::copy_from_slice(line.as_bytes())))
            .map_err(|error| Lost::Gone(error.to_string()))
    }
}

fn shown(secret: &Secret<String>) -> Result<HeaderValue, Lost> {
    let value = Secret::concat(&[secret.reveal()]).into_header();
    value.ok_or_else(|| Lost::Gone("listener.secret_file holds no header value".to_owned()))
}

/// Whether anything went out before the connection failed is not told; if not, it is safe.
fn lost(error: &hyper::Error) -> Lost {
    if error.is_canceled() {
        Lost::Gone(error.to_string())
    } else {
        Lost::Broken(error.to_string())
    }
}

/// On every reply of a gateway, and of nothing else.
const REQUEST_ID: &str = "mwaa-gateway-request-id";
/// The header for the content of `listener.secret_file`.
const SECRET: &str = "mwaa-gateway-secret";
/// Says that a trigger with a run id of its own may be written once more.
const REPEATABLE: &str = "mwaa-gateway-repeatable";
/// Something of the gateway's own that costs it nothing and belongs to no environment.
const QUESTION: &str = "/-/icon.svg";
/// A gateway of this machine answers at once.
const PATIENCE: Duration = Duration::from_secs(3);
