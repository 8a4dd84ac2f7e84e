//! One request from its arrival to its answer: whose it is, the journal, the faults, the route.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::super::cli;
use super::super::environment::{Environment, name_of_authority};
use super::super::fault::{FormerHost, WebFault};
use super::super::journal::WebRequest;
use super::super::login;
use super::super::wire::Spoil;
use super::super::{Shared, airflow, front};
use super::visit::{bearer, cookies, field};
use super::{Body, Peer, Reply, Visit};

/// Answers a request.
pub(super) async fn answer(
    request: Request<Incoming>,
    peer: &Peer,
    shared: &Arc<Shared>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let addressed = environment(&head, &Bytes::new(), peer, shared);
    let former = super::former(peer.server_name.as_deref(), shared);
    let command = path_of(&head) == COMMAND_PATH;
    let fault = shared.script.web_fault.take();
    let fault = fault.or_else(|| command.then(|| take_command_fault(shared))?);
    if fault.is_none()
        && former.is_none()
        && let Some(airflow) = front::of(addressed, &head)
    {
        let entry = arrival(&head, &Bytes::new(), peer, addressed, shared);
        let entry = shared.journal.begin_web(entry);
        let reply = front::pass(airflow, &head, body, shared).await;
        shared.journal.end_web(entry, reply.status);
        return reply.into_response(None);
    }
    // the built-in Airflow works on whole requests
    let body = Limited::new(body, BODY_LIMIT)
        .collect()
        .await
        .map_err(io::Error::other)?;
    let body = body.to_bytes();
    // a login carries its token in the body
    let environment = environment(&head, &body, peer, shared);
    let entry = shared
        .journal
        .begin_web(arrival(&head, &body, peer, environment, shared));
    let reply = match &fault {
        _ if former.is_some() => match former {
            Some(FormerHost::Status(status)) => Reply::page(status, "no longer here"),
            _ => return Err(io::ErrorKind::ConnectionAborted.into()),
        },
        Some(fault) => match instead(fault).await {
            Some(spoilt) => spoilt?,
            None => route(&head, &body, environment, shared).await?,
        },
        None => route(&head, &body, environment, shared).await?,
    };
    let mut reply = match fault {
        Some(WebFault::BadBase64) => Reply::json(r#"{"stderr": "", "stdout": "%%%"}"#),
        Some(WebFault::CutBody) => Reply {
            spoil: Some(Spoil::CutBody(3)),
            ..reply
        },
        Some(WebFault::NotJson) => Reply::html(200, "<html>Airflow is starting</html>"),
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

/// What the journal says of a request when it arrives.
fn arrival(
    head: &Parts,
    body: &Bytes,
    peer: &Peer,
    environment: Option<&Environment>,
    shared: &Shared,
) -> WebRequest {
    let token = token(head, body);
    WebRequest {
        id: 0, // given by the journal
        connection: peer.id,
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
        body: body.clone(),
        token: token.and_then(|token| shared.tokens.id(&token)),
        token_in_url: token_in_url(head, environment, shared),
        environment: environment.map(|environment| environment.seed.name.clone()),
        status: None,
    }
}

/// Whether an address that a browser or a log would keep holds a token: one of AWS's, or one
/// of the environment's own.
fn token_in_url(head: &Parts, environment: Option<&Environment>, shared: &Shared) -> bool {
    let referer = head.headers.get(header::REFERER);
    let target = head.uri.to_string();
    let urls = [Some(target.as_bytes()), referer.map(HeaderValue::as_bytes)];
    let is_token = |piece: &str| {
        let ours = |environment: &Environment| environment.sessions.knows(piece);
        shared.tokens.id(piece).is_some() || environment.is_some_and(ours)
    };
    urls.into_iter().flatten().any(|url| {
        let url = percent_encoding::percent_decode(url).decode_utf8_lossy();
        url.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
            .any(|piece| piece.contains('.') && is_token(piece))
    })
}

/// What a fault does instead of answering; nothing if it only spoils the answer.
async fn instead(fault: &WebFault) -> Option<io::Result<Reply>> {
    Some(match fault {
        WebFault::Hang => std::future::pending().await,
        WebFault::Slow(delay) => {
            tokio::time::sleep(*delay).await;
            return None;
        }
        WebFault::Drop => Err(io::ErrorKind::ConnectionAborted.into()),
        WebFault::Reset => Ok(Reply::spoilt(Spoil::Reset)),
        WebFault::Raw(bytes) => Ok(Reply::spoilt(Spoil::Replace(bytes.clone()))),
        WebFault::Status {
            status,
            content_type,
            body,
        } => Ok(Reply::html(*status, body.clone()).with_content_type(content_type)),
        _ => return None,
    })
}

/// A slow command is not among these: it has a token and a slot, and is running.
fn take_command_fault(shared: &Shared) -> Option<WebFault> {
    let fault = &shared.script.command_fault;
    fault.take_if(|fault| !matches!(fault, WebFault::Slow(_)))
}

fn path_of(head: &Parts) -> &str {
    let path = head.uri.path();
    path.strip_suffix('/').unwrap_or(path)
}

/// Answers a request that has been read to its end.
pub(crate) async fn route(
    head: &Parts,
    body: &Bytes,
    environment: Option<&Environment>,
    shared: &Arc<Shared>,
) -> io::Result<Reply> {
    let Some(environment) = environment else {
        return Ok(Reply::text(404, "no environment of that name\n"));
    };
    let visit = Visit {
        head,
        body,
        environment,
        shared,
    };
    let path = path_of(head);
    if path == COMMAND_PATH {
        return Ok(if head.method == Method::POST {
            cli::answer(body, visit.bearer(), environment, shared).await
        } else {
            Reply::text(405, "method not allowed\n")
        });
    }
    if path == environment.dialect.login_path() {
        if let Some(fault) = shared.script.login_fault.take()
            && let Some(spoilt) = instead(&fault).await
        {
            return spoilt;
        }
        return Ok(match &environment.seed.airflow {
            Some(airflow) => front::login(visit, airflow).await,
            None => login::answer(visit).await,
        });
    }
    Ok(match &environment.seed.airflow {
        Some(airflow) => front::answer(visit, airflow).await,
        None => airflow::answer(visit),
    })
}

/// The environment a request is for: by the TLS server name, which survives a foreign `Host`,
/// else by `Host`. Where several environments share a name, or none has it, the token or the
/// session decides; the first of those that share the name serves a request without either.
fn environment<'a>(
    head: &Parts,
    body: &Bytes,
    peer: &Peer,
    shared: &'a Shared,
) -> Option<&'a Environment> {
    let host = head.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let names = [peer.server_name.as_deref(), host.map(name_of_authority)];

    let mut called: Vec<&Environment> = Vec::new();
    for name in names.into_iter().flatten() {
        let environments = shared.environments.iter();
        called.extend(environments.filter(|environment| environment.is_called(name)));
        match called.as_slice() {
            [] => {}
            [only] => return Some(only),
            _ => break,
        }
    }
    by_secret(head, body, shared).or_else(|| called.first().copied())
}

/// The environment of the token or the session that a request carries.
fn by_secret<'a>(head: &Parts, body: &Bytes, shared: &'a Shared) -> Option<&'a Environment> {
    if let Some(name) = token(head, body).and_then(|token| shared.tokens.environment(&token)) {
        let mut environments = shared.environments.iter();
        return environments.find(|environment| environment.seed.name == name);
    }

    let cookies = ["session", "_token"].map(|name| cookies(head, name));
    let mut secrets = cookies.into_iter().flatten().chain(bearer(head));
    secrets.find_map(|secret| {
        let mut environments = shared.environments.iter();
        environments.find(|environment| environment.sessions.knows(secret))
    })
}

/// The token of a command or a login.
fn token(head: &Parts, body: &Bytes) -> Option<String> {
    let token = bearer(head).map(str::to_owned);
    token.or_else(|| field(head, body, "token"))
}

/// Where commands are sent.
const COMMAND_PATH: &str = "/aws_mwaa/cli";
/// More than any command line; what comes bigger is cut off.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
