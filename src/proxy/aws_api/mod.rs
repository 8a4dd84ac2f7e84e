//! The MWAA API on a listener, for AWS SDKs and the AWS CLI. Their signatures are not checked and not
//! forwarded; a token that they get is a local one, which is good for nothing but this gateway.

mod real_token;
mod rest_api;

use crate::admission::{AwsCall, ValidatedRequest, split_host};
use crate::context::RequestContext;
use crate::discover;
use crate::error::ProxyError;
use crate::response::{self, Response};
use crate::state::{ListenerUrl, ReverseProxy};
use crate::web::MAX_DOCUMENT;
use bytes::Bytes;
use mwaa_auth::LocalTokenUse;
use mwaa_http1::name::MWAA_GATEWAY_INVOKE;
use mwaa_model::{AwsTokens, Code, Entry, Fault, code};
use mwaa_policy::may_read_secrets;
use mwaa_runtime::Timestamp;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Answers a call. An error has the form that AWS gives it, so that an SDK makes its typed exception
/// of it.
pub(crate) async fn respond(
    proxy: &ReverseProxy,
    mut request: ValidatedRequest,
    call: &AwsCall,
    ctx: &RequestContext,
) -> Response {
    ctx.set_kind(AWS_CALL, None);
    ctx.set_environment(None);

    match answer(proxy, &mut request, call, ctx).await {
        Ok((document, None)) => response::from_aws(document, ctx.id()),
        Ok((document, Some(exception))) => {
            response::from_aws_exception(exception, document, ctx.id())
        }
        Err(failure) => {
            let fault = failure.error.fault();
            ctx.fail(fault);
            response::from_aws_fault(fault, failure.may_have_acted, ctx.id())
        }
    }
}

/// Returns the document of a call, and the exception that it is, if it is one.
async fn answer(
    proxy: &ReverseProxy,
    request: &mut ValidatedRequest,
    call: &AwsCall,
    ctx: &RequestContext,
) -> Result<(Bytes, Option<&'static str>), Failure> {
    if request.headers().contains(MWAA_GATEWAY_INVOKE) {
        return Err(AwsCallError::Gateway.into());
    }

    let document = match call {
        AwsCall::Other(operation) => return Err(AwsCallError::NotOffered(operation).into()),
        AwsCall::ListEnvironments => list_environments(proxy, request, ctx).await?,
        AwsCall::GetEnvironment(name) => {
            let entry = find_environment(proxy, name, ctx).await?;
            let document = proxy.state.credentials.describe(&entry).await?;
            // the host that local tokens are for; clients take the URL of the REST API from here
            let is_local = entry.environment.aws_tokens == AwsTokens::Local;
            let host = is_local.then(|| describe_host(proxy, &entry, ctx));
            let shows_all = may_read_secrets(&entry, ctx.listener());
            return Ok((adapt(&document, host, shows_all)?, None));
        }
        AwsCall::InvokeRestApi(name) => {
            let entry = find_environment(proxy, name, ctx).await?;
            return rest_api::invoke(proxy, &entry, request, ctx).await;
        }
        AwsCall::CreateCliToken(name) => {
            let entry = find_environment(proxy, name, ctx).await?;
            match entry.environment.aws_tokens {
                AwsTokens::Real => real_token::cli(proxy, &entry, ctx).await?,
                AwsTokens::Local => {
                    let host = called_host(proxy, ctx);
                    let (token, host) = issue(proxy, &entry, LocalTokenUse::Cli, host, ctx);
                    json!({ "CliToken": token, "WebServerHostname": host })
                }
            }
        }
        AwsCall::CreateWebLoginToken(name) => {
            let entry = find_environment(proxy, name, ctx).await?;
            match entry.environment.aws_tokens {
                AwsTokens::Real => real_token::web(proxy, &entry, ctx).await?,
                AwsTokens::Local => create_web_token(proxy, &entry, ctx),
            }
        }
    };

    Ok((Bytes::from(document.to_string()), None))
}

/// Returns the document of `CreateWebLoginToken` with a local token.
fn create_web_token(proxy: &ReverseProxy, entry: &Arc<Entry>, ctx: &RequestContext) -> Value {
    let host = ui_host(proxy, entry, ctx);
    let (token, host) = issue(proxy, entry, LocalTokenUse::Web, host, ctx);
    // known once the gateway has logged in there; AWS is not asked for it
    let identity = proxy.state.credentials.session_state(entry).identity;
    let identity = identity.as_deref();
    json!({
        "WebToken": token,
        "WebServerHostname": host,
        "IamIdentity": identity.and_then(|identity| identity.iam.as_deref()),
        "AirflowIdentity": identity.and_then(|identity| identity.airflow.as_deref()),
    })
}

/// A call without a document.
struct Failure {
    error: ProxyError,
    /// Airflow may have acted.
    may_have_acted: bool,
}

impl<E: Into<ProxyError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            may_have_acted: false,
        }
    }
}

/// Returns AWS's description of an environment with another host of the web server, if there is one,
/// and without the values of Airflow's configuration options unless the client may see secrets:
/// passwords are among them. Fails if the document cannot be read.
fn adapt(
    document: &[u8],
    host: Option<String>,
    shows_all: bool,
) -> Result<Bytes, AwsCallError> {
    let unreadable = |error: serde_json::Error| AwsCallError::Broken(error.to_string());
    let mut document: Value = serde_json::from_slice(document).map_err(unreadable)?;

    let url = document.pointer_mut("/Environment/WebserverUrl");
    if let (Some(url), Some(host)) = (url, host) {
        *url = host.into();
    }
    let options = document.pointer_mut("/Environment/AirflowConfigurationOptions");
    if let Some(options) = options
        .and_then(Value::as_object_mut)
        .filter(|_| !shows_all)
    {
        options.values_mut().for_each(|value| *value = "***".into());
    }
    Ok(Bytes::from(document.to_string()))
}

/// Returns a token and the host where it is valid: `host`, or that of the listener's twin.
fn issue(
    proxy: &ReverseProxy,
    entry: &Entry,
    purpose: LocalTokenUse,
    host: String,
    ctx: &RequestContext,
) -> (String, String) {
    let (listener, host) = match find_tls_twin(proxy, entry, &host, ctx) {
        Some((twin, host)) => (&twin.policy.name, host),
        None => (&ctx.listener().name, host),
    };
    let now = Timestamp::now().wall();
    let name = &entry.environment.local;
    let tokens = &proxy.state.local_tokens;
    (tokens.issue(purpose, name, listener, now), host)
}

/// Returns the host for `WebserverUrl`: a client may send it requests without a token. It means this
/// environment also then, unless this machine cannot resolve a name that does.
fn describe_host(proxy: &ReverseProxy, entry: &Entry, ctx: &RequestContext) -> String {
    let host = ui_host(proxy, entry, ctx);
    let Some((twin, there)) = find_tls_twin(proxy, entry, &host, ctx) else {
        return host;
    };
    let (bare, _) = split_host(&host);
    let local = &entry.environment.local;
    let is_named = bare.strip_suffix(".localhost") == Some(local.as_str());
    let is_own = twin.policy.environment.as_ref() == Some(local);
    if is_named || is_own || is_default(proxy, entry) {
        there
    } else {
        host
    }
}

/// Returns a listener which serves the same requests over TLS, if the called one is plain, and its
/// host: clients write `https://` before it.
fn find_tls_twin<'a>(
    proxy: &'a ReverseProxy,
    entry: &Entry,
    host: &str,
    ctx: &RequestContext,
) -> Option<(&'a ListenerUrl, String)> {
    let (bare, port) = split_host(host);
    if ctx.scheme() != "http" || !(is_loopback(bare) || bare.ends_with(".localhost")) {
        return None;
    }
    let urls = &proxy.state.urls;
    let name = &entry.environment.local;
    let twin = urls.find_tls_twin(&ctx.listener().name, name, port.unwrap_or(80))?;
    Some((twin, format!("{bare}:{}", twin.port()?)))
}

/// Returns true if a host that names no environment means this one.
fn is_default(proxy: &ReverseProxy, entry: &Entry) -> bool {
    let directory = proxy.state.registry.snapshot();
    let default = directory.default_entry();
    default.is_some_and(|default| default.id == entry.id)
}

/// Returns the environment with this name of MWAA's, or else with this local name. Several may have
/// the same name, in several regions: the default one is meant, or else the first. Fails if there is
/// none on this listener.
async fn find_environment(
    proxy: &ReverseProxy,
    name: &str,
    ctx: &RequestContext,
) -> Result<Arc<Entry>, AwsCallError> {
    if !is_environment_name(name) {
        return Err(AwsCallError::Name(name.to_owned()));
    }
    let find = || {
        let directory = Arc::clone(&proxy.state.registry.snapshot());
        let default = directory.default_entry().into_iter();
        let mut entries = default
            .chain(directory.entries())
            .filter(|entry| serves(ctx, entry));
        let by_name = entries.find(|entry| *entry.environment.name == *name);
        let local = || directory.find(name).filter(|entry| serves(ctx, entry));
        by_name.or_else(local).map(Arc::clone)
    };

    let mut found = find();
    if found.is_none() {
        // it may have been created a moment ago
        discover(proxy).await;
        found = find();
    }
    let entry = found.ok_or_else(|| AwsCallError::Unknown(name.to_owned()))?;
    let local = &entry.environment.local;
    ctx.set_environment(Some(local.clone()));
    ctx.set_kind(AWS_CALL, Some(local));
    ctx.set_entry(&entry);
    Ok(entry)
}

/// Returns the page of names that `MaxResults` and `NextToken` ask for, as AWS does: 25 at most.
async fn list_environments(
    proxy: &ReverseProxy,
    request: &ValidatedRequest,
    ctx: &RequestContext,
) -> Result<Value, AwsCallError> {
    let query = request.target().query().unwrap_or_default();
    let (mut size, mut start) = (MAX_PAGE, 0_usize);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "MaxResults" => {
                let asked = value.parse().ok();
                let fits = asked.filter(|size| (1..=MAX_PAGE).contains(size));
                size = fits.ok_or(AwsCallError::MaxResults)?;
            }
            "NextToken" if value.is_empty() => {}
            "NextToken" => start = value.parse().map_err(|_text| AwsCallError::NextToken)?,
            _ => {}
        }
    }

    if proxy.state.registry.snapshot().entries().is_empty() {
        discover(proxy).await;
    }
    let directory = Arc::clone(&proxy.state.registry.snapshot());
    let served = directory
        .entries()
        .iter()
        .filter(|entry| serves(ctx, entry));
    let mut names: Vec<&str> = served.map(|entry| &*entry.environment.name).collect();
    names.sort_unstable();
    names.dedup();

    let next = start.saturating_add(size);
    let page = names.get(start..next.min(names.len())).unwrap_or_default();
    Ok(if next < names.len() {
        json!({ "Environments": page, "NextToken": next.to_string() })
    } else {
        json!({ "Environments": page })
    })
}

/// Returns true if this listener serves the environment.
fn serves(ctx: &RequestContext, entry: &Entry) -> bool {
    let only = ctx.listener().environment.as_ref();
    only.is_none_or(|only| *only == entry.environment.local)
}

/// Returns the host that the client called, less the prefix that an SDK puts before it. A request
/// with the token reaches its environment there, whatever the default one is.
fn called_host(proxy: &ReverseProxy, ctx: &RequestContext) -> String {
    let host = ctx.host().to_ascii_lowercase();
    let hosts = &proxy.state.admission.hosts;
    hosts.without_prefix(&host).to_owned()
}

/// Returns the host of the environment's UI. A browser does not show a token's fragment to a server,
/// so the host has to name the environment, unless the called one can mean no other or the name
/// cannot be resolved here.
fn ui_host(proxy: &ReverseProxy, entry: &Entry, ctx: &RequestContext) -> String {
    let called = called_host(proxy, ctx);
    let (name, port) = split_host(&called);
    let is_only = ctx.listener().environment.is_some() || is_default(proxy, entry);
    if is_only || !is_loopback(name) {
        return called;
    }

    let own = format!("{}.localhost", entry.environment.local);
    if proxy.state.resolver.is_local(&own) == Some(false) {
        return called;
    }
    match port {
        Some(port) => format!("{own}:{port}"),
        None => own,
    }
}

/// Returns true for `localhost` and for addresses of this machine, without a port.
fn is_loopback(host: &str) -> bool {
    let inner = host.trim_start_matches('[').trim_end_matches(']');
    let address = inner.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns true for a name of MWAA's (API reference, `CreateEnvironment`).
fn is_environment_name(name: &str) -> bool {
    name.len() <= 80
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// A call that is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum AwsCallError {
    #[error("the response broke: {0}")]
    Broken(String),
    #[error("browsers get no token of AWS's")]
    Browser,
    #[error("the call's document is not valid: {0}")]
    Document(String),
    #[error("the call comes from a gateway that calls this one in place of AWS")]
    Gateway,
    #[error("MaxResults must be a number from 1 to {MAX_PAGE}")]
    MaxResults,
    #[error("{0:?} is not the name of an environment")]
    Name(String),
    #[error("NextToken is not one of this gateway's")]
    NextToken,
    #[error("the gateway does not offer {0} of the MWAA API")]
    NotOffered(&'static str),
    #[error("Airflow's response is longer than {} MiB", MAX_DOCUMENT >> 20)]
    TooLong,
    #[error("there is no environment {0:?} on this listener")]
    Unknown(String),
}

impl Fault for AwsCallError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Broken(_) => &code::UPSTREAM_BROKEN,
            Self::Document(_)
            | Self::MaxResults
            | Self::Name(_)
            | Self::NextToken
            | Self::TooLong => &code::AWS_PARAMETER,
            Self::Browser => &code::FOREIGN_ORIGIN,
            Self::Gateway | Self::NotOffered(_) => &code::AWS_OPERATION,
            Self::Unknown(_) => &code::UNKNOWN_ENVIRONMENT,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown(_) => {
                "`mwaa-gateway environments` lists the names; add others to the configuration"
                    .into()
            }
            Self::Gateway => {
                "unset AWS_ENDPOINT_URL_MWAA where that gateway starts, or correct endpoint_url"
                    .into()
            }
            Self::TooLong => {
                "ask for less with `limit`, or use /api/… of the gateway, which has no limit"
                    .into()
            }
            Self::Broken(_)
            | Self::Browser
            | Self::Document(_)
            | Self::MaxResults
            | Self::Name(_)
            | Self::NextToken
            | Self::NotOffered(_) => self.code().advice.into(),
        }
    }
}

/// The kind of these calls in metrics and logs.
const AWS_CALL: &str = "aws";
/// The longest page of `ListEnvironments`.
const MAX_PAGE: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_the_gateway_and_hides_secrets() {
        let document = br#"{"Environment": {"WebserverUrl": "x.example", "AirflowConfigurationOptions": {"smtp.smtp_password": "canary"}}}"#;
        let adapted = adapt(document, Some("localhost:8080".to_owned()), false).unwrap();
        assert_eq!(
            adapted,
            r#"{"Environment":{"AirflowConfigurationOptions":{"smtp.smtp_password":"***"},"WebserverUrl":"localhost:8080"}}"#
        );
        let same = adapt(document, None, true).unwrap();
        assert!(same.ends_with(br#"canary"},"WebserverUrl":"x.example"}}"#));
        assert!(adapt(b"canary", None, false).is_err());
        let none = adapt(br#"{"Environment": {}}"#, Some("x".to_owned()), false).unwrap();
        assert_eq!(none, r#"{"Environment":{}}"#);
    }
}
