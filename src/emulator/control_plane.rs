//! The AWS side: CreateCliToken, CreateWebLoginToken, GetEnvironment, ListEnvironments.
//!
//! Source: the MWAA service model `mwaa-2020-07-01` (restJson1, SigV4, service `airflow`).

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Shared;
use super::environment::{Environment, valid_name};
use super::journal::TokenKind;
use super::script::ControlFault;
use super::sigv4;

/// Serves the AWS side for ever.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(super::ACCEPT_BACK_OFF).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| answer(request, &shared));
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

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> io::Result<Response<Full<Bytes>>> {
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
    let verified = if settings.check_signatures {
        let now = shared.script.clock.now();
        sigv4::verify(&head, &body, &shared.credentials, &settings.region, now)
    } else {
        Ok(())
    };
    let reply = match verified {
        Err(rejection) => Reply::error(403, rejection.code, &rejection.message),
        Ok(()) => perform(&operation, head.uri.query(), shared).await?,
    };
    shared
        .journal
        .end_control(call, reply.status, reply.error.as_deref());
    reply.into_response(shared)
}

async fn perform(
    operation: &Operation<'_>,
    query: Option<&str>,
    shared: &Shared,
) -> io::Result<Reply> {
    let script = &shared.script;
    let (mint, fault, delay) = match operation {
        Operation::CreateCliToken(_) | Operation::CreateWebLoginToken(_) => {
            (true, script.mint_fault.take(), script.mint_delay.take())
        }
        Operation::GetEnvironment(_) | Operation::ListEnvironments => (
            false,
            script.describe_fault.take(),
            script.describe_delay.take(),
        ),
        Operation::Unknown => (false, None, None),
    };
    // made before the wait: a slow answer carries a token that has already aged
    let made = match (&fault, find(operation, shared)) {
        (_, Err(refusal)) => refusal,
        (None, Ok(environment)) => succeed(operation, environment, query, shared),
        (Some(fault), Ok(environment)) => spoil(fault, operation, environment, shared),
    };
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
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

fn succeed(
    operation: &Operation<'_>,
    environment: Option<&Environment>,
    query: Option<&str>,
    shared: &Shared,
) -> Reply {
    match (operation, environment) {
        (Operation::CreateCliToken(_), Some(environment)) => {
            let token = match mint(TokenKind::Cli, environment, shared) {
                Ok(token) => token,
                Err(failure) => return failure,
            };
            Reply::ok(json!({ "CliToken": token, "WebServerHostname": environment.host }))
        }
        (Operation::CreateWebLoginToken(_), Some(environment)) => {
            if shared.script.web_login_denied.take().is_some() {
                return Reply::error(
                    403,
                    "AccessDeniedException",
                    "No Airflow role granted in IAM.",
                )
                .capitalised();
            }
            let token = match mint(TokenKind::Web, environment, shared) {
                Ok(token) => token,
                Err(failure) => return failure,
            };
            Reply::ok(json!({
                "WebToken": token,
                "WebServerHostname": environment.host,
                "IamIdentity": "assumed-role/emulator/session",
                "AirflowIdentity": "assumed-role/emulator",
            }))
        }
        (Operation::GetEnvironment(_), Some(environment)) => {
            let with_scheme = shared.script.webserver_url_scheme.take().is_some();
            Reply::ok(
                json!({ "Environment": environment.describe(shared.place(), with_scheme) }),
            )
        }
        (Operation::ListEnvironments, _) => list(query.unwrap_or_default(), shared),
        _ => Reply::error(404, "UnknownOperationException", "no such operation"),
    }
}

fn mint(kind: TokenKind, environment: &Environment, shared: &Shared) -> Result<String, Reply> {
    let life = shared.settings.token_life;
    let token = shared
        .tokens
        .issue(kind, &environment.seed.name, life, &shared.script);
    let token = token
        .map_err(|error| Reply::error(500, "InternalServerException", &error.to_string()))?;
    shared.journal.minted(kind);
    Ok(token)
}

/// ListEnvironments: names in order, 25 a page unless `MaxResults` asks for fewer.
fn list(query: &str, shared: &Shared) -> Reply {
    let invalid = |what: &str| Reply::error(400, "ValidationException", what);
    let (mut size, mut start) = (PAGE, 0);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = percent_decoded(value);
        match name {
            "MaxResults" => match value.parse() {
                Ok(asked @ 1..=PAGE) => size = asked,
                _ => return invalid("MaxResults must be between 1 and 25"),
            },
            "NextToken" => match page_start(&value) {
                Some(index) => start = index,
                None => return invalid("NextToken is not valid"),
            },
            _ => {}
        }
    }
    let mut names: Vec<&str> = shared
        .environments
        .iter()
        .map(|environment| environment.seed.name.as_str())
        .collect();
    names.sort_unstable();
    let page: Vec<&str> = names.iter().skip(start).take(size).copied().collect();
    let mut body = json!({ "Environments": page });
    if start + size < names.len()
        && let Some(body) = body.as_object_mut()
    {
        let token = URL_SAFE_NO_PAD.encode(format!("page:{}", start + size));
        body.insert("NextToken".to_owned(), Value::String(token));
    }
    Reply::ok(body)
}

fn page_start(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("page:")?.parse().ok()
}

/// The answer of a call that is scripted to go wrong.
fn spoil(
    fault: &ControlFault,
    operation: &Operation<'_>,
    environment: Option<&Environment>,
    shared: &Shared,
) -> Reply {
    let name = operation
        .environment()
        .map(percent_decoded)
        .unwrap_or_default();
    match fault {
        ControlFault::AccessDenied => {
            let action = operation.name();
            let place = shared.place();
            let (partition, account) = (place.partition(), place.account);
            let resource = match operation {
                Operation::CreateWebLoginToken(_) => place.arn(&format!("role/{name}/Admin")),
                Operation::ListEnvironments => "*".to_owned(),
                _ => place.arn(&format!("environment/{name}")),
            };
            let message = format!(
                "User: arn:{partition}:sts::{account}:assumed-role/emulator/session is not \
                 authorized to perform: airflow:{action} on resource: {resource}"
            );
            let reply = Reply::error(403, "AccessDeniedException", &message);
            if matches!(operation, Operation::CreateWebLoginToken(_)) {
                return reply.capitalised();
            }
            reply
        }
        ControlFault::BareTooManyRequests => Reply {
            error: None,
            ..Reply::error(429, "", "Too Many Requests")
        },
        ControlFault::ExpiredToken => Reply::error(
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        ControlFault::EmptyToken => {
            Reply::ok(json!({ "CliToken": "", "WebToken": "", "WebServerHostname": "" }))
        }
        ControlFault::GarbageJson => Reply::raw(200, "application/json", "{\"CliToken\": \"ey"),
        ControlFault::HostileToken => {
            let token = "eyJ0\r\nX-Injected: yes\r\n\r\n";
            let host = environment.map(|environment| environment.host.as_str());
            Reply::ok(
                json!({ "CliToken": token, "WebToken": token, "WebServerHostname": host }),
            )
        }
        ControlFault::HtmlServiceUnavailable => Reply::raw(
            503,
            "text/html",
            "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>",
        ),
        ControlFault::HugeError(size) => {
            Reply::error(500, "InternalServerException", &"x".repeat(*size))
        }
        ControlFault::InternalServer => {
            Reply::error(500, "InternalServerException", "Internal server error")
        }
        ControlFault::NotFound => not_found(&name),
        ControlFault::Throttling => Reply::error(400, "ThrottlingException", "Rate exceeded"),
        ControlFault::TooManyRequests => {
            Reply::error(429, "TooManyRequestsException", "Too Many Requests")
        }
        // the rest is decided after the delay, from a good answer
        ControlFault::Drop | ControlFault::ForeignHost(_) | ControlFault::Hang => {
            succeed(operation, environment, None, shared)
        }
    }
}

fn not_found(name: &str) -> Reply {
    Reply::error(
        404,
        "ResourceNotFoundException",
        &format!("Environment {name} not found."),
    )
}

/// An answer before it becomes HTTP.
struct Reply {
    status: u16,
    error: Option<String>,
    content_type: &'static str,
    body: Body,
}

enum Body {
    Json(Value),
    Raw(&'static str),
}

impl Reply {
    fn ok(body: Value) -> Self {
        Self {
            status: 200,
            error: None,
            content_type: JSON,
            body: Body::Json(body),
        }
    }

    fn error(status: u16, code: &str, message: &str) -> Self {
        let body = Body::Json(json!({ "message": message }));
        Self {
            status,
            error: Some(code.to_owned()),
            content_type: JSON,
            body,
        }
    }

    fn raw(status: u16, content_type: &'static str, body: &'static str) -> Self {
        Self {
            status,
            error: None,
            content_type,
            body: Body::Raw(body),
        }
    }

    fn with(mut self, member: &str, value: &str) -> Self {
        if let Body::Json(Value::Object(body)) = &mut self.body {
            body.insert(member.to_owned(), Value::String(value.to_owned()));
        }
        self
    }

    /// Spells the member `Message`, as the model has it for AccessDeniedException.
    fn capitalised(mut self) -> Self {
        if let Body::Json(Value::Object(body)) = &mut self.body
            && let Some(message) = body.remove("message")
        {
            body.insert("Message".to_owned(), message);
        }
        self
    }

    fn into_response(self, shared: &Shared) -> io::Result<Response<Full<Bytes>>> {
        let body = match self.body {
            Body::Json(value) => Bytes::from(value.to_string()),
            Body::Raw(text) => Bytes::from_static(text.as_bytes()),
        };
        let mut response = Response::builder()
            .status(StatusCode::from_u16(self.status).map_err(io::Error::other)?)
            .header(header::CONTENT_TYPE, self.content_type)
            .header(
                header::DATE,
                httpdate::fmt_http_date(shared.script.clock.now()),
            )
            .header("x-amzn-RequestId", super::uuid());
        if let Some(code) = self.error {
            response = response.header("x-amzn-ErrorType", code);
        }
        response.body(Full::new(body)).map_err(io::Error::other)
    }
}

/// Percent-decodes a path segment or a query value; what is not UTF-8 is replaced.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: &u8| {
            char::from(*byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        rest = match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    after
                }
                _ => {
                    bytes.push(*first);
                    tail
                }
            },
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const JSON: &str = "application/json";
/// More than any modelled request needs.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// The largest page of ListEnvironments, and the default.
const PAGE: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_kept() {
        assert_eq!(percent_decoded("a%2Fb%20c"), "a/b c");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }

    #[test]
    fn only_our_own_page_tokens_are_read() {
        assert_eq!(page_start(&URL_SAFE_NO_PAD.encode("page:25")), Some(25));
        assert_eq!(page_start("page:25"), None);
        assert_eq!(page_start(&URL_SAFE_NO_PAD.encode("25")), None);
    }
}
