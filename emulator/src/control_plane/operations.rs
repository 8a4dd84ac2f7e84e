//! What each operation answers, and the answers of calls that are scripted to go wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::super::environment::Environment;
use super::super::fault::ControlFault;
use super::super::identity::Holder;
use super::super::journal::TokenKind;
use super::reply::Reply;
use super::{Call, Operation, not_found};

/// The answer of a call about an environment that exists.
pub(super) async fn succeed(call: &Call<'_>, environment: Option<&Environment>) -> Reply {
    let outcome = match (call.operation, environment) {
        (Operation::CreateCliToken, Some(environment)) => cli_token(call, environment).await,
        (Operation::CreateWebLoginToken, Some(environment)) => {
            web_login(call, environment).await
        }
        (Operation::GetEnvironment, Some(environment)) => {
            let described = environment.describe(&call.shared.settings);
            Ok(Reply::ok(json!({ "Environment": described })))
        }
        (Operation::InvokeRestApi, Some(environment)) => {
            super::rest_api::invoke(call, environment).await
        }
        (Operation::ListEnvironments, _) => list(call),
        _ => Err(Reply::error(
            404,
            "UnknownOperationException",
            "no such operation",
        )),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

async fn cli_token(call: &Call<'_>, environment: &Environment) -> Result<Reply, Reply> {
    let token = mint(call, None, environment).await?;
    let body = json!({ "CliToken": token, "WebServerHostname": environment.public_host() });
    Ok(Reply::ok(body).with_token(&token, call.shared))
}

/// CreateWebLoginToken: for callers to which IAM grants a role in Airflow.
async fn web_login(call: &Call<'_>, environment: &Environment) -> Result<Reply, Reply> {
    let script = &call.shared.script;
    let denied = script.web_login_denied.take().is_some();
    let mut caller = call.caller.filter(|_| !denied).cloned();
    if let Some(identity) = script.web_login_identity.take()
        && let Some(caller) = &mut caller
    {
        caller.iam_identity = identity;
    }
    let granted = caller.and_then(|caller| Some((caller.holder()?, caller.iam_identity)));
    let (holder, iam_identity) = granted.ok_or_else(no_role)?;
    let token = mint(call, Some(&holder), environment).await?;
    let body = json!({
        "WebToken": token,
        "WebServerHostname": environment.public_host(),
        "IamIdentity": iam_identity,
        "AirflowIdentity": holder.identity,
    });
    Ok(Reply::ok(body).with_token(&token, call.shared))
}

pub(super) fn no_role() -> Reply {
    let text = "No Airflow role granted in IAM.";
    Reply::error(403, "AccessDeniedException", text).capitalised()
}

async fn mint(
    call: &Call<'_>,
    holder: Option<&Holder>,
    environment: &Environment,
) -> Result<String, Reply> {
    let shared = call.shared;
    let (name, life) = (&environment.seed.name, shared.settings.token_life);
    let token = shared
        .tokens
        .issue(holder, name, life, &shared.script)
        .await;
    let token = token
        .map_err(|error| Reply::error(500, "InternalServerException", &error.to_string()))?;
    let kind = holder.map_or(TokenKind::Cli, |_| TokenKind::Web);
    shared.journal.minted(kind);
    Ok(token)
}

/// ListEnvironments: names in order, 25 a page unless `MaxResults` asks for fewer.
fn list(call: &Call<'_>) -> Result<Reply, Reply> {
    let invalid = |what: &str| Reply::error(400, "ValidationException", what);
    let (mut size, mut start) = (PAGE, 0);
    for (name, value) in form_urlencoded::parse(call.query.as_bytes()) {
        match &*name {
            "MaxResults" => {
                let asked = value.parse().ok().filter(|size| (1..=PAGE).contains(size));
                size = asked.ok_or_else(|| invalid("MaxResults must be between 1 and 25"))?;
            }
            "NextToken" => {
                start = page_start(&value).ok_or_else(|| invalid("NextToken is not valid"))?;
            }
            _ => {}
        }
    }
    let environments = call.shared.environments.iter();
    let mut names: Vec<&str> = environments.map(|one| one.seed.name.as_str()).collect();
    names.sort_unstable();
    let page: Vec<&str> = names.iter().skip(start).take(size).copied().collect();
    let reply = Reply::ok(json!({ "Environments": page }));
    let next = start.saturating_add(size);
    if next >= names.len() {
        return Ok(reply);
    }
    let token = URL_SAFE_NO_PAD.encode(format!("page:{next}"));
    Ok(reply.with("NextToken", &token))
}

fn page_start(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("page:")?.parse().ok()
}

/// The answer of a call that is scripted to go wrong.
pub(super) async fn fail(
    fault: &ControlFault,
    call: &Call<'_>,
    environment: Option<&Environment>,
) -> Reply {
    match fault {
        ControlFault::AccessDenied => access_denied(call),
        ControlFault::BareTooManyRequests => Reply::bare(429, "Too Many Requests"),
        ControlFault::Error(status, code, message) => Reply::error(*status, code, message),
        ControlFault::ExpiredToken => {
            let text = "The security token included in the request is expired";
            Reply::error(403, "ExpiredTokenException", text)
        }
        ControlFault::EmptyToken => {
            Reply::ok(json!({ "CliToken": "", "WebToken": "", "WebServerHostname": "" }))
        }
        ControlFault::GarbageJson => Reply::raw(200, "application/json", "{\"CliToken\": \"ey"),
        ControlFault::HostileToken => {
            let token = "eyJ0\r\nX-Injected: yes\r\n\r\n";
            let host = environment.map(Environment::public_host);
            let body =
                json!({ "CliToken": token, "WebToken": token, "WebServerHostname": host });
            Reply::ok(body)
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
        ControlFault::NotFound => not_found(call.name.as_deref().unwrap_or_default()),
        ControlFault::Throttling => Reply::error(400, "ThrottlingException", "Rate exceeded"),
        ControlFault::TooManyRequests => {
            Reply::error(429, "TooManyRequestsException", "Too Many Requests")
        }
        ControlFault::Validation => {
            Reply::error(400, "ValidationException", "1 validation error detected")
        }
        ControlFault::ForeignHost(host) => succeed(call, environment)
            .await
            .with("WebServerHostname", host),
        // the caller delays the answer, or keeps it
        ControlFault::Drop | ControlFault::Hang | ControlFault::Slow(_) => {
            succeed(call, environment).await
        }
    }
}

/// The error that names principal, action and resource.
fn access_denied(call: &Call<'_>) -> Reply {
    let settings = &call.shared.settings;
    let account = &settings.account;
    let (action, name) = (
        call.operation.name(),
        call.name.as_deref().unwrap_or_default(),
    );
    let resource = match call.operation {
        Operation::CreateWebLoginToken | Operation::InvokeRestApi => {
            settings.arn(&format!("role/{name}/Admin"))
        }
        Operation::ListEnvironments => "*".to_owned(),
        _ => settings.arn(&format!("environment/{name}")),
    };
    let message = format!(
        "User: arn:aws:sts::{account}:assumed-role/emulator/session is not authorized \
         to perform: airflow:{action} on resource: {resource}"
    );
    let reply = Reply::error(403, "AccessDeniedException", &message);
    if call.operation == Operation::CreateWebLoginToken {
        return reply.capitalised();
    }
    reply
}

/// The largest page of ListEnvironments, and the default.
const PAGE: usize = 25;
