//! The AWS side: CreateCliToken, CreateWebLoginToken, GetEnvironment, InvokeRestApi,
//! ListEnvironments.
//!
//! Source: the MWAA service model `mwaa-2020-07-01` (restJson1, SigV4, service `airflow`).

mod operations;
mod reply;
mod rest_api;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};

use super::environment::{Environment, valid_name};
use super::fault::ControlFault;
use super::identity::Credential;
use super::journal::ControlCall;
use super::{Shared, sigv4};
use operations::{fail, succeed};
use reply::Reply;

/// Serves plain HTTP on a listener forever.
pub(crate) async fn serve<F, A>(listener: TcpListener, shared: Arc<Shared>, answer: F)
where
    F: Fn(Request<Incoming>, Arc<Shared>) -> A + Copy + Send + 'static,
    A: Future<Output = io::Result<Response<Full<Bytes>>>> + Send + 'static,
{
    let connection = |stream: TcpStream| {
        let shared = Arc::clone(&shared);
        async move {
            if stream.set_nodelay(true).is_err() {
                return;
            }
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let stream = TokioIo::new(stream);
            // a broken connection is the client's business, and the journal's
            drop(
                http1::Builder::new()
                    .serve_connection(stream, service)
                    .await,
            );
        }
    };
    super::accept(listener, connection).await;
}

/// An operation of the service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    CreateCliToken,
    CreateWebLoginToken,
    GetEnvironment,
    InvokeRestApi,
    ListEnvironments,
    Unknown,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::CreateCliToken => "CreateCliToken",
            Self::CreateWebLoginToken => "CreateWebLoginToken",
            Self::GetEnvironment => "GetEnvironment",
            Self::InvokeRestApi => "InvokeRestApi",
            Self::ListEnvironments => "ListEnvironments",
            Self::Unknown => "Unknown",
        }
    }
}

/// A call to the AWS side.
struct Call<'a> {
    operation: Operation,
    /// The name of the environment in the path, decoded.
    name: Option<String>,
    query: &'a str,
    body: &'a Bytes,
    /// The credential that signed.
    caller: Option<&'a Credential>,
    shared: &'a Arc<Shared>,
}

impl<'a> Call<'a> {
    fn new(head: &'a http::request::Parts, body: &'a Bytes, shared: &'a Arc<Shared>) -> Self {
        let path = head.uri.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let operation = match (head.method.as_str(), first, rest) {
            ("POST", "clitoken", _) => Operation::CreateCliToken,
            ("POST", "webtoken", _) => Operation::CreateWebLoginToken,
            ("POST", "restapi", _) => Operation::InvokeRestApi,
            ("GET", "environments", "") => Operation::ListEnvironments,
            ("GET", "environments", _) => Operation::GetEnvironment,
            _ => Operation::Unknown,
        };
        let named = !matches!(operation, Operation::ListEnvironments | Operation::Unknown);
        let claimed = sigv4::claimed_key(head);
        let mut credentials = shared.credentials.iter();
        Self {
            operation,
            name: named.then(|| percent_decode_str(rest).decode_utf8_lossy().into_owned()),
            query: head.uri.query().unwrap_or_default(),
            body,
            caller: credentials.find(|known| Some(&*known.access_key_id) == claimed),
            shared,
        }
    }

    /// The environment that the call names, if it names one. Fails if there is no such
    /// environment, or if there cannot be one.
    fn environment(&self) -> Result<Option<&'a Environment>, Reply> {
        let Some(name) = &self.name else {
            return Ok(None);
        };
        if !valid_name(name) {
            let text = format!(
                "1 validation error detected: Value '{name}' at 'name' failed to satisfy \
                 constraint: Member must satisfy regular expression pattern: \
                 [a-zA-Z][0-9a-zA-Z\\-_]*"
            );
            return Err(Reply::error(400, "ValidationException", &text));
        }
        let mut environments = self.shared.environments.iter();
        let found = environments.find(|environment| environment.seed.name == *name);
        found.map(Some).ok_or_else(|| not_found(name))
    }
}

fn not_found(name: &str) -> Reply {
    let text = format!("Environment {name} not found.");
    Reply::error(404, "ResourceNotFoundException", &text)
}

/// Answers a call to the AWS side.
pub(crate) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> io::Result<Response<Full<Bytes>>> {
    let shared = &shared;
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    let body = body.map_err(io::Error::other)?.to_bytes();
    let call = Call::new(&head, &body, shared);
    let host = head.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let entry = shared.journal.begin_control(ControlCall {
        operation: call.operation.name(),
        environment: call.name.clone(),
        access_key_id: sigv4::claimed_key(&head).map(str::to_owned),
        host: host.map(str::to_owned),
        ..ControlCall::default()
    });

    let (region, now) = (&shared.settings.region, shared.script.clock.now());
    let verified = sigv4::verify(&head, &body, &shared.credentials, region, now);
    let reply = match verified {
        Ok(()) => perform(&call).await?,
        Err(rejection) => Reply::error(403, rejection.code, &rejection.message),
    };
    shared.journal.end_control(entry, |call| {
        call.status = Some(reply.status);
        call.error.clone_from(&reply.error);
        call.token.clone_from(&reply.token);
    });
    reply.into_response(shared)
}

async fn perform(call: &Call<'_>) -> io::Result<Reply> {
    let script = &call.shared.script;
    // the operation's own fault, and the fault and the delay that it shares with another one
    let (own, (shared_fault, delay)) = match call.operation {
        Operation::CreateCliToken => (&script.cli_token_fault, script.of_tokens()),
        Operation::CreateWebLoginToken => (&script.web_login_fault, script.of_tokens()),
        Operation::GetEnvironment => (&script.get_environment_fault, script.of_descriptions()),
        Operation::InvokeRestApi => (&script.rest_api_fault, script.of_descriptions()),
        Operation::ListEnvironments => {
            (&script.list_environments_fault, script.of_descriptions())
        }
        Operation::Unknown => return Ok(succeed(call, None).await),
    };
    let fault = own.take().or_else(|| shared_fault.take());
    let pause = delay.pause();
    // made before the wait: a slow answer carries a token that has already aged
    let made = match (&fault, call.environment()) {
        (_, Err(refusal)) => refusal,
        (None, Ok(environment)) => succeed(call, environment).await,
        (Some(fault), Ok(environment)) => fail(fault, call, environment).await,
    };
    match &fault {
        Some(ControlFault::Slow(delay)) => tokio::time::sleep(*delay).await,
        _ => pause.await,
    }
    match fault {
        Some(ControlFault::Hang) => std::future::pending().await,
        Some(ControlFault::Drop) => Err(io::ErrorKind::ConnectionAborted.into()),
        _ => Ok(made),
    }
}

/// More than any modelled request needs.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
