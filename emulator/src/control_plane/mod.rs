//! The AWS side: CreateCliToken, CreateWebLoginToken, GetEnvironment, ListEnvironments.
//!
//! Source: the MWAA service model `mwaa-2020-07-01` (restJson1, SigV4, service `airflow`).

mod fault;
mod list;
mod reply;
mod succeed;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Shared;
use super::environment::{Environment, valid_name};
use super::fault::ControlFault;
use super::identity::Credential;
use super::sigv4;
use reply::{Reply, percent_decoded};
use succeed::succeed;

/// Serves plain HTTP on a listener for ever.
pub(crate) async fn serve<F, A>(listener: TcpListener, shared: Arc<Shared>, answer: F)
where
    F: Fn(Request<Incoming>, Arc<Shared>) -> A + Copy + Send + 'static,
    A: Future<Output = io::Result<Response<Full<Bytes>>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(connection(stream, shared, answer));
                }
                Err(_) => tokio::time::sleep(super::ACCEPT_BACK_OFF).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<F, A>(stream: TcpStream, shared: Arc<Shared>, answer: F)
where
    F: Fn(Request<Incoming>, Arc<Shared>) -> A + Copy + Send + 'static,
    A: Future<Output = io::Result<Response<Full<Bytes>>>> + Send + 'static,
{
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    // a broken connection is the client's business, and the journal's
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

enum Operation<'a> {
    CreateCliToken(&'a str),
    CreateWebLoginToken(&'a str),
    GetEnvironment(&'a str),
    ListEnvironments,
    Unknown,
}

impl<'a> Operation<'a> {
    fn of(method: &Method, path: &'a str) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        match (method.as_str(), path.split_once('/').unwrap_or((path, ""))) {
            ("POST", ("clitoken", name)) => Self::CreateCliToken(name),
            ("POST", ("webtoken", name)) => Self::CreateWebLoginToken(name),
            ("GET", ("environments", "")) => Self::ListEnvironments,
            ("GET", ("environments", name)) => Self::GetEnvironment(name),
            _ => Self::Unknown,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::CreateCliToken(_) => "CreateCliToken",
            Self::CreateWebLoginToken(_) => "CreateWebLoginToken",
            Self::GetEnvironment(_) => "GetEnvironment",
            Self::ListEnvironments => "ListEnvironments",
            Self::Unknown => "Unknown",
        }
    }

    fn environment(&self) -> Option<&'a str> {
        match self {
            Self::CreateCliToken(name)
            | Self::CreateWebLoginToken(name)
            | Self::GetEnvironment(name) => Some(name),
            Self::ListEnvironments | Self::Unknown => None,
        }
    }
}

/// Answers a call to the AWS side.
pub(crate) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> io::Result<Response<Full<Bytes>>> {
    let shared = &*shared;
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT)
        .collect()
        .await
        .map_err(io::Error::other)?;
    let body = body.to_bytes();
    let operation = Operation::of(&head.method, head.uri.path());
    let host = head
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let call = shared.journal.begin_control(
        operation.name(),
        operation.environment(),
        sigv4::claimed_key(&head),
        host,
    );
    let settings = &shared.settings;
    let now = shared.script.clock.now();
    let verified = sigv4::verify(&head, &body, &shared.credentials, &settings.region, now);
    let reply = if let Err(rejection) = verified {
        Reply::error(403, rejection.code, &rejection.message)
    } else {
        let asked = Asked {
            query: head.uri.query().unwrap_or_default(),
            caller: caller(&head, shared),
        };
        perform(&operation, asked, shared).await?
    };
    shared.journal.end_control(
        call,
        reply.status,
        reply.error.as_deref(),
        reply.token.clone(),
    );
    reply.into_response(shared)
}

/// What an operation may depend on beside its name.
#[derive(Clone, Copy)]
struct Asked<'a> {
    query: &'a str,
    caller: Option<&'a Credential>,
}

/// The credential that signed.
fn caller<'a>(head: &Parts, shared: &'a Shared) -> Option<&'a Credential> {
    let claimed = sigv4::claimed_key(head)?;
    let mut credentials = shared.credentials.iter();
    credentials.find(|credential| credential.access_key_id == claimed)
}

async fn perform(
    operation: &Operation<'_>,
    asked: Asked<'_>,
    shared: &Shared,
) -> io::Result<Reply> {
    let script = &shared.script;
    // the operation's own fault, and the fault and the delay that it shares with another one
    let (mint, own, shared_fault, delay) = match operation {
        Operation::CreateCliToken(_) => (
            true,
            &script.cli_token_fault,
            &script.mint_fault,
            &script.mint_delay,
        ),
        Operation::CreateWebLoginToken(_) => (
            true,
            &script.web_login_fault,
            &script.mint_fault,
            &script.mint_delay,
        ),
        Operation::GetEnvironment(_) => (
            false,
            &script.get_environment_fault,
            &script.describe_fault,
            &script.describe_delay,
        ),
        Operation::ListEnvironments => (
            false,
            &script.list_environments_fault,
            &script.describe_fault,
            &script.describe_delay,
        ),
        Operation::Unknown => {
            return Ok(succeed(operation, None, asked, shared).await);
        }
    };
    let fault = own.take().or_else(|| shared_fault.take());
    let pause = delay.pause();
    // made before the wait: a slow answer carries a token that has already aged
    let made = match (&fault, find(operation, shared)) {
        (_, Err(refusal)) => refusal,
        (None, Ok(environment)) => succeed(operation, environment, asked, shared).await,
        (Some(fault), Ok(environment)) => {
            fault::answer(fault, operation, environment, asked, shared).await
        }
    };
    match &fault {
        Some(ControlFault::Slow(delay)) => tokio::time::sleep(*delay).await,
        _ => pause.await,
    }
    match fault {
        Some(ControlFault::Hang) => std::future::pending().await,
        Some(ControlFault::Drop) => Err(io::ErrorKind::ConnectionAborted.into()),
        Some(ControlFault::ForeignHost(host)) if mint => {
            Ok(made.with("WebServerHostname", &host))
        }
        _ => Ok(made),
    }
}

/// The environment an operation is about, if it is about one.
fn find<'a>(
    operation: &Operation<'_>,
    shared: &'a Shared,
) -> Result<Option<&'a Environment>, Reply> {
    let Some(raw) = operation.environment() else {
        return Ok(None);
    };
    let name = percent_decoded(raw);
    if !valid_name(&name) {
        return Err(Reply::error(
            400,
            "ValidationException",
            &format!(
                "1 validation error detected: Value '{name}' at 'name' failed to satisfy \
                 constraint: Member must satisfy regular expression pattern: \
                 [a-zA-Z][0-9a-zA-Z\\-_]*"
            ),
        ));
    }
    match shared
        .environments
        .iter()
        .find(|environment| environment.seed.name == name)
    {
        Some(environment) => Ok(Some(environment)),
        None => Err(not_found(&name)),
    }
}

fn not_found(name: &str) -> Reply {
    Reply::error(
        404,
        "ResourceNotFoundException",
        &format!("Environment {name} not found."),
    )
}

/// More than any modelled request needs.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
