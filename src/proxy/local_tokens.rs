//! Local tokens in requests: the environment that one names, and the login that exchanges one for a
//! cookie.

use crate::admission::{HostName, ValidatedRequest};
use crate::body::{self, ReadError};
use crate::context::RequestContext;
use crate::error::ProxyError;
use crate::response::{self, Response};
use crate::routing::RoutingError;
use crate::state::ReverseProxy;
use mwaa_auth::{LocalTokenError, LocalTokenUse, LocalTokens};
use mwaa_http1::name::{AUTHORIZATION, COOKIE};
use mwaa_http1::{Headers, to_str};
use mwaa_model::{Code, EnvName, Fault, ReservedPath, code};
use mwaa_runtime::Timestamp;
use std::sync::Arc;

/// Returns the environment of the local token that the request carries, if it carries one: of
/// `CreateCliToken` for a command, of a login for anything else. Fails if the token is not valid, or
/// has a form that could be read in two ways: the request must not reach another environment instead.
/// Any other credential is ignored.
pub(crate) fn find_environment(
    proxy: &ReverseProxy,
    request: &ValidatedRequest,
    ctx: &RequestContext,
) -> Result<Option<EnvName>, LocalTokenFault> {
    // most requests have none
    if !request.has_credential() {
        return Ok(None);
    }

    let headers = request.headers();
    let target = request.target();
    let purpose = match target.reserved() {
        Some(ReservedPath::Cli) => LocalTokenUse::Cli,
        Some(ReservedPath::Handover) => LocalTokenUse::Session,
        None if request.aws_call().is_none() => LocalTokenUse::Session,
        _ => return Ok(None),
    };

    if let Some(token) = find_bearer(headers)? {
        return check(proxy, token, purpose, request, ctx).map(Some);
    }
    let is_named =
        ctx.listener().environment.is_some() || *request.host_name() != HostName::Plain;
    // a script whose token was lost means one environment among several, perhaps not the default one
    let has_several = || proxy.state.registry.snapshot().entries().len() > 1;
    if !is_named && has_empty_bearer(headers) && has_several() {
        return Err(LocalTokenFault::Empty);
    }
    // a browser sends its cookies to every port and path; they decide only where nothing else does
    if purpose == LocalTokenUse::Cli || is_named || target.is_logout() {
        return Ok(None);
    }
    find_by_cookie(proxy, request, ctx)
}

/// Returns the environment of the request's cookie. Below `/api/v1` and `/api/v2` the cookie of that
/// version counts; elsewhere two valid cookies must be for the same environment. Fails if none is
/// valid.
fn find_by_cookie(
    proxy: &ReverseProxy,
    request: &ValidatedRequest,
    ctx: &RequestContext,
) -> Result<Option<EnvName>, LocalTokenFault> {
    let path = request.target().path();
    let mut found = None;
    let mut failure = None;
    for (cookie, token) in find_cookies(request.headers()) {
        let is_other = match cookie {
            "session" => path.starts_with("/api/v2/"),
            _ => path.starts_with("/api/v1/"),
        };
        if is_other {
            continue;
        }

        match check(proxy, token, LocalTokenUse::Session, request, ctx) {
            // cookies do not know about ports: it is from another listener of this machine
            Err(LocalTokenFault::Invalid(LocalTokenError::Listener)) => {}
            Err(error) => failure = Some(error),
            Ok(name) if found.as_ref().is_some_and(|found| *found != name) => {
                return Err(LocalTokenFault::Ambiguous);
            }
            Ok(name) => found = Some(name),
        }
    }

    match (found, failure) {
        (None, Some(failure)) => Err(failure),
        (found, _) => Ok(found),
    }
}

/// Answers `POST /aws_mwaa/login`, also below `/pluginsv2` (Airflow 3): exchanges a local web token
/// for a cookie, under the name that Airflow's version has for it. Nothing is sent to the web server.
pub(crate) async fn login(
    proxy: &ReverseProxy,
    mut request: ValidatedRequest,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    let pace = proxy.state.limits.body_pace;
    let form = body::read(request.body_mut(), MAX_LOGIN, pace, &proxy.timer)
        .await
        .map_err(|error| match error {
            ReadError::TooLarge { limit } => ReadError::LongLogin { limit },
            error => error,
        })?;
    let token = form_urlencoded::parse(&form).find(|(name, _)| name == "token");
    let token = token.map(|(_, value)| value).unwrap_or_default();
    let name = check(proxy, &token, LocalTokenUse::Web, &request, ctx)?;

    let found = proxy
        .state
        .registry
        .snapshot()
        .find(name.as_str())
        .map(Arc::clone);
    let entry = found.ok_or(LocalTokenFault::Invalid(LocalTokenError::Foreign))?;
    ctx.set_kind(LOCAL_LOGIN, Some(&name));
    ctx.set_environment(Some(name.clone()));
    // only Airflow 3 has routes below this prefix: clients find the version by it
    let version = proxy.state.versions.resolve(&entry).await?;
    let path = request.target().path();
    if version.major < 3 && path.starts_with("/pluginsv2/") {
        let path = path.to_owned();
        return Err(RoutingError::UnknownPath { path }.into());
    }

    let now = Timestamp::now().wall();
    let listener = &ctx.listener().name;
    let session = proxy
        .state
        .local_tokens
        .issue(LocalTokenUse::Session, &name, listener, now);
    let (cookie, other) = if version.major < 3 {
        ("session", "_token")
    } else {
        ("_token", "session")
    };
    let is_secure = ctx.scheme() == "https";
    let mut response = response::set_local_cookie(cookie, &session, is_secure, ctx.id());
    // an earlier login to an environment of the other version would mean that one still
    if find_cookies(request.headers()).any(|(name, _)| name == other) {
        response::clear_local_cookie(&mut response, other);
    }
    Ok(response)
}

/// Returns the environment of a token. Fails if the token is not valid for this use on this listener
/// and host.
fn check(
    proxy: &ReverseProxy,
    token: &str,
    purpose: LocalTokenUse,
    request: &ValidatedRequest,
    ctx: &RequestContext,
) -> Result<EnvName, LocalTokenFault> {
    let listener = ctx.listener();
    let now = Timestamp::now().wall();
    let tokens = &proxy.state.local_tokens;
    let check = |listener: &str| tokens.check(token, purpose, listener, now);
    let name = check(&listener.name).or_else(|error| {
        // the token may be for the listener that serves the same requests over TLS
        let own = proxy.state.urls.find(&listener.name);
        let mut twins = own.iter().flat_map(|own| &own.tls_twins);
        let found = (error == LocalTokenError::Listener)
            .then(|| twins.find_map(|twin| check(twin).ok()))
            .flatten();
        found.ok_or(LocalTokenFault::Invalid(error))
    })?;

    let called = match (&listener.environment, request.host_name()) {
        (Some(only), _) => Some(only),
        (None, HostName::Environment(called)) => Some(called),
        (None, HostName::Plain) => None,
    };
    match called {
        Some(called) if *called != name => Err(LocalTokenFault::Environment {
            token: name,
            called: called.clone(),
        }),
        _ => Ok(name),
    }
}

/// Returns the local token of `Authorization: Bearer`. Fails if a field has one in another form, or if
/// there is another field.
fn find_bearer(headers: &Headers) -> Result<Option<&str>, LocalTokenFault> {
    let mut fields = headers.get_all(AUTHORIZATION);
    if !fields.clone().any(LocalTokens::is_within) {
        return Ok(None);
    }

    let (first, second) = (fields.next(), fields.next());
    match first
        .and_then(to_str)
        .and_then(|value| value.split_once(' '))
    {
        Some((scheme, token))
            if second.is_none()
                && scheme.eq_ignore_ascii_case("bearer")
                && LocalTokens::is_local(token) =>
        {
            Ok(Some(token))
        }
        _ => Err(LocalTokenFault::Ambiguous),
    }
}

/// Returns true for `Authorization: Bearer` without a token, or with the word that a language has for
/// a missing value.
fn has_empty_bearer(headers: &Headers) -> bool {
    let fields = headers.get_all(AUTHORIZATION);
    let mut values = fields.filter_map(to_str);
    values.any(|value| {
        let value = value.trim();
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        scheme.eq_ignore_ascii_case("bearer") && MISSING.contains(&token.trim())
    })
}

/// Returns true if the request has a cookie of a local login.
pub(crate) fn has_cookie(headers: &Headers) -> bool {
    find_cookies(headers).next().is_some()
}

/// Returns the local tokens of cookies with Airflow's names (RFC 6265 section 4.2.1).
fn find_cookies(headers: &Headers) -> impl Iterator<Item = (&str, &str)> {
    let fields = headers.get_all(COOKIE);
    let cookies = fields.filter_map(to_str).flat_map(|value| value.split(';'));
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(name, value)| {
            matches!(*name, "session" | "_token") && LocalTokens::is_within(value.as_bytes())
        })
}

/// A local token that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LocalTokenFault {
    /// The token itself is not valid here.
    #[error("the token is not accepted: {0}")]
    Invalid(LocalTokenError),
    /// There are two, or one in a form that could be read in two ways.
    #[error("the request has several tokens, or one that is not written as `Bearer TOKEN`")]
    Ambiguous,
    /// There is none where one would name the environment.
    #[error(
        "`Authorization: Bearer` has no token, so it does not say which environment is meant"
    )]
    Empty,
    /// The host or the listener is another environment's.
    #[error("the token is for the environment {token}, not for {called}")]
    Environment {
        /// The token's environment.
        token: EnvName,
        /// The environment that the request is for.
        called: EnvName,
    },
}

impl Fault for LocalTokenFault {
    fn code(&self) -> &'static Code {
        &code::LOCAL_TOKEN
    }
}

/// Texts of a token that a script did not get: of a shell, jq, Python and JavaScript.
const MISSING: [&str; 5] = ["", "\"\"", "null", "None", "undefined"];
/// The kind of a login with a local token in metrics and logs.
const LOCAL_LOGIN: &str = "local_login";
/// A form with a token is shorter, in bytes.
const MAX_LOGIN: usize = 64 * 1024;
