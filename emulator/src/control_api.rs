//! The control address: faults, answers, the clock and the journal over HTTP, for tests in any
//! language. JSON in and out; only for programs on this machine.

use std::io;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use regex_lite::Regex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answers::Answer;
use super::commands::is_supported;
use super::environment::name_of_authority;
use super::fault_rule::{self, FaultRule};
use super::journal::{ControlCall, Journal, TokenKind, WebRequest};
use super::script::Script;
use super::{Shared, command_line};

/// Answers a request to the control address.
pub(crate) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, mut body) = request.into_parts();
    let outcome = if let Ok(body) = Limited::new(&mut body, BODY_LIMIT).collect().await {
        check_origin(&head.headers).and_then(|()| route(&head, &body.to_bytes(), &shared))
    } else {
        // a client reads the response only after it has sent the rest
        while let Some(Ok(_rest)) = body.frame().await {}
        let (status, error) = (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
        Err(Problem::new(status, error, "the limit is 8 MiB"))
    };

    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(problem) => {
            let body = json!({ "error": problem.error, "hint": problem.hint });
            (problem.status, body)
        }
    };
    let text = format!("{body}\n");
    let mut response = Response::new(Full::from(TOKEN.replace_all(&text, "…").into_owned()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// Why a request is refused, and what to do instead.
struct Problem {
    status: StatusCode,
    error: String,
    hint: String,
}

impl Problem {
    fn new(status: StatusCode, error: &str, hint: impl Into<String>) -> Self {
        Self {
            status,
            error: error.to_owned(),
            hint: hint.into(),
        }
    }

    fn body(hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the request cannot be read", hint)
    }
}

/// Refuses requests that a page in a browser may have caused: those to a name that is not of this
/// machine (DNS rebinding), and those of another origin.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default().to_ascii_lowercase();
    let host = name_of_authority(&host);
    let address: Option<std::net::IpAddr> = host.parse().ok();
    let local = host == "localhost"
        || host.ends_with(".localhost")
        || address.is_some_and(|address| address.is_loopback());
    if !local {
        let hint = "call it by localhost or by a loopback address";
        let error = "the Host is not a name of this machine";
        return Err(Problem::new(StatusCode::FORBIDDEN, error, hint));
    }

    let site = headers.get("sec-fetch-site");
    if headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none") {
        let hint = "send the request from a program, for example curl";
        let error = "a page in a browser may not use the control address";
        return Err(Problem::new(StatusCode::FORBIDDEN, error, hint));
    }
    Ok(())
}

fn route(head: &Parts, body: &Bytes, shared: &Shared) -> Result<Value, Problem> {
    let path = head.uri.path().trim_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let name = percent_decode_str(rest).decode_utf8_lossy();
    let script = &shared.script;

    match (head.method.as_str(), first, &*name) {
        ("GET", "journal", "") => return journal(head.uri.query().unwrap_or_default(), shared),
        ("DELETE", "journal", "") => shared.journal.clear(),
        ("GET", "counts", "") => return Ok(counts(&shared.journal)),
        ("GET", "faults", "") => {}
        ("PUT", "faults", name) if !name.is_empty() => put_fault(name, body, script)?,
        ("DELETE", "faults", "") => fault_rule::clear_all(script),
        ("DELETE", "faults", name) => fault_rule::clear(name, script).map_err(|hint| {
            Problem::new(StatusCode::NOT_FOUND, "there is no such fault", hint)
        })?,
        ("PUT", "answers", command) => put_answer(command, body, shared)?,
        ("PUT", "clock", "") => {
            let asked: ClockBody = read(body, CLOCK_HINT)?;
            let by = humantime::parse_duration(&asked.advance);
            if !script.advance_clock(by.map_err(|_unclear| Problem::body(CLOCK_HINT))?) {
                return Err(Problem::body("the clock can be 100 years ahead at most"));
            }
        }
        ("DELETE", "clock", "") => script.clock.reset(),
        ("DELETE", "tokens", "") => script.revoke_tokens(),
        ("DELETE", "sessions", "") => script.kill_sessions(),
        _ => {
            let error = "there is no such route";
            return Err(Problem::new(StatusCode::NOT_FOUND, error, ROUTES));
        }
    }
    Ok(match first {
        "faults" => faults(shared),
        _ => json!({}),
    })
}

fn put_fault(name: &str, body: &Bytes, script: &Script) -> Result<(), Problem> {
    let asked: FaultBody = read(body, FAULT_HINT)?;
    let rule = FaultRule::new(name, &asked.kind, asked.times);
    let unknown = |hint| Problem::new(StatusCode::BAD_REQUEST, "there is no such fault", hint);
    rule.map_err(unknown)?.apply(script);
    Ok(())
}

fn put_answer(command: &str, body: &Bytes, shared: &Shared) -> Result<(), Problem> {
    let words = command_line::split(command).unwrap_or_default();
    if words.is_empty() {
        let hint = "name the command, for example PUT /answers/dags%20list";
        return Err(Problem::body(hint));
    }
    let mut environments = shared.environments.iter();
    if !environments.any(|one| is_supported(&one.seed.airflow_version, &words)) {
        let hint = "MWAA refuses this command in the Airflow versions of all environments";
        return Err(Problem::body(hint));
    }

    let text = std::str::from_utf8(body)
        .map_err(|_invalid| Problem::body("send the output of the command as UTF-8"))?;
    let answer = Answer::parse(text);
    let answer = answer.map_err(|error| Problem::body(format!("{error}; {ANSWER_HINT}")))?;
    shared.script.answer(command, answer);
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultBody {
    kind: String,
    times: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    advance: String,
}

/// Reads a JSON body. Fails with the cause and an example.
fn read<T: DeserializeOwned>(body: &Bytes, hint: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::body(format!("{error}; {hint}")))
}

fn faults(shared: &Shared) -> Value {
    let active = fault_rule::active(&shared.script);
    let active = active
        .into_iter()
        .map(|(name, kind, times)| (name.to_owned(), json!({ "kind": kind, "times": times })));
    Value::Object(active.collect())
}

/// The entries of the journal, oldest first: all, or those of one `kind`.
fn journal(query: &str, shared: &Shared) -> Result<Value, Problem> {
    let kind = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "kind");
    let kind = kind.as_ref().map(|(_, kind)| &**kind);
    if !matches!(kind, None | Some("aws" | "web")) {
        return Err(Problem::body("kind is aws or web"));
    }

    let mut entries: Vec<(u64, Value)> = Vec::new();
    if kind != Some("web") {
        let calls = shared.journal.control_calls();
        entries.extend(calls.iter().map(|call| (call.id, aws_entry(call))));
    }
    if kind != Some("aws") {
        let requests = shared.journal.web_requests();
        entries.extend(
            requests
                .iter()
                .map(|request| (request.id, web_entry(request))),
        );
    }
    entries.sort_by_key(|(id, _)| *id);
    let entries: Vec<Value> = entries.into_iter().map(|(_, entry)| entry).collect();
    Ok(json!({ "entries": entries }))
}

/// The counters of the journal. Entries that were dropped are still counted.
fn counts(journal: &Journal) -> Value {
    json!({
        "aws": journal.control_count(),
        "cli_tokens": journal.mints(TokenKind::Cli),
        "web_tokens": journal.mints(TokenKind::Web),
        "logins": journal.logins(),
        "web": journal.web_count(),
        "running_commands": journal.running_commands(),
        "peak_commands": journal.peak_commands(),
    })
}

fn aws_entry(call: &ControlCall) -> Value {
    json!({
        "kind": "aws",
        "operation": call.operation,
        "environment": call.environment,
        "access_key_id": call.access_key_id,
        "status": call.status,
        "error": call.error,
        "token_id": call.token,
    })
}

/// A request to a web server. A target with a token in it is cut before its query.
fn web_entry(request: &WebRequest) -> Value {
    let target = match request.target.split_once('?') {
        Some((path, _)) if request.token_in_url => path,
        _ => &request.target,
    };
    let command = request
        .target
        .trim_end_matches('/')
        .ends_with("/aws_mwaa/cli");
    let command = command.then(|| String::from_utf8_lossy(&request.body));
    json!({
        "kind": "web",
        "environment": request.environment,
        "method": request.method,
        "target": target,
        "command": command,
        "status": request.status,
        "token_id": request.token,
    })
}

/// A JWT: three parts in base64, with dots between them.
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"eyJ[\w-]+((\.|%2[Ee])[\w-]+){2}").expect("a valid pattern"));

/// Longer than the output of any command.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

const FAULT_HINT: &str = r#"an example is {"kind": "Throttling", "times": 2}"#;
const CLOCK_HINT: &str = r#"an example is {"advance": "61s"}"#;
const ANSWER_HINT: &str = r#"an example is {"stdout": "", "stderr": "no\n", "exit_code": 1}"#;
const ROUTES: &str = "the routes are GET and DELETE /journal, GET /counts, GET and DELETE /faults, PUT and DELETE \
    /faults/NAME, PUT /answers/COMMAND, PUT and DELETE /clock, DELETE /tokens and DELETE /sessions";
