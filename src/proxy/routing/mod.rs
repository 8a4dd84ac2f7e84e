//! The environment and the kind of a request: turns a [`ValidatedRequest`] into a
//! [`RoutedRequest`], or into a request for one of our own pages. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

mod local_page;
mod login;

pub use local_page::{LocalPage, LocalPageRequest};

use crate::admission::{AwsCall, HostName, ValidatedRequest};
use crate::context::RequestContext;
use http::Method;
use mwaa_model::{
    Code, Directory, Entry, EnvName, Fault, ReservedPath, Target, code, is_opaque,
};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The destination of a request.
#[derive(Debug)]
pub enum Destination {
    /// An environment.
    Environment(RoutedRequest),
    /// A page of our own.
    LocalPage(LocalPageRequest),
    /// The MWAA API.
    AwsCall(ValidatedRequest, AwsCall),
    /// A login with a token of the gateway's.
    LocalLogin(ValidatedRequest),
}

/// A request that has an environment.
#[derive(Debug)]
pub struct RoutedRequest {
    /// The request.
    pub request: ValidatedRequest,
    /// The environment that it is for.
    pub entry: Arc<Entry>,
    /// Its kind.
    pub kind: RequestKind,
}

/// The kinds of request to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// A command for `/aws_mwaa/cli`.
    Cli,
    /// `/aws_mwaa/aws-console-sso`: redirects a browser to the real host.
    Handover,
    /// Airflow's login page. The gateway logs in by itself, so it only redirects back.
    Login,
    /// Airflow's logout.
    Logout,
    /// The REST API: `/api/v1/…`, `/api/v2/…`.
    Rest,
    /// `/auth/token`, `/auth/token/cli`: the login of a client of Airflow 3.
    Token,
    /// Anything else: Airflow's UI.
    Ui,
}

impl RequestKind {
    /// The word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Handover => "handover",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Rest => "rest",
            Self::Token => "token",
            Self::Ui => "ui",
        }
    }
}

/// A request without a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// The path does not have the method.
    #[error("this path takes only {allow}")]
    Method {
        /// The methods that it has.
        allow: &'static str,
    },
    /// A login that no Airflow has, or that must not be forwarded.
    #[error("there is no login page at {path:?}")]
    NoLogin {
        /// The path.
        path: String,
    },
    /// A page's script requests one of our own pages, or the hand-over.
    #[error("this page is for people, not for scripts")]
    NotForScripts,
    /// The request names no environment, or one that does not exist.
    #[error(fmt = fmt_unknown_environment)]
    UnknownEnvironment {
        /// The name.
        name: Option<String>,
        /// The URLs of the environments that exist.
        urls: Vec<String>,
    },
    /// Nothing is served at this path.
    #[error("nothing is served at {path:?}")]
    UnknownPath {
        /// The path.
        path: String,
    },
}

/// The alternate form leaves the URLs out: see [`Fault::alternatives`].
#[expect(
    clippy::ref_option,
    reason = "thiserror passes the fields by reference"
)]
fn fmt_unknown_environment(
    name: &Option<String>,
    urls: &[String],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match name {
        Some(name) => write!(f, "there is no environment {name:?}")?,
        None => f.write_str("the request names no environment")?,
    }

    match urls {
        [] => f.write_str("; the gateway has no environments"),
        _ if f.alternate() => Ok(()),
        urls => write!(f, "; the environments are: {}", urls.join(", ")),
    }
}

impl Fault for RoutingError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Method { .. } => &code::METHOD,
            Self::NotForScripts => &code::FOREIGN_ORIGIN,
            Self::UnknownEnvironment { .. } => &code::UNKNOWN_ENVIRONMENT,
            Self::NoLogin { .. } | Self::UnknownPath { .. } => &code::NO_ROUTE,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Method { allow } => format!("use {allow}").into(),
            Self::NoLogin { .. } => {
                "send requests without a login: the gateway logs in by itself".into()
            }
            Self::NotForScripts => "open the page in a browser tab".into(),
            Self::UnknownEnvironment { urls, .. } if urls.is_empty() => {
                "run `mwaa-gateway check`: it shows your AWS identity and the environments \
                 that it can list"
                    .into()
            }
            Self::UnknownEnvironment { .. } | Self::UnknownPath { .. } => {
                self.code().advice.into()
            }
        }
    }

    fn alternatives(&self) -> &[String] {
        match self {
            Self::UnknownEnvironment { urls, .. } => urls,
            Self::Method { .. }
            | Self::NoLogin { .. }
            | Self::NotForScripts
            | Self::UnknownPath { .. } => &[],
        }
    }

    fn allow(&self) -> Option<&'static str> {
        match self {
            Self::Method { allow } => Some(allow),
            Self::NoLogin { .. }
            | Self::NotForScripts
            | Self::UnknownEnvironment { .. }
            | Self::UnknownPath { .. } => None,
        }
    }
}

/// Returns true if the request is for an environment that is not known, so that it is worth
/// looking for new ones. A request that names none qualifies only while there is none at all.
pub fn is_unknown(
    request: &ValidatedRequest,
    named: Option<&EnvName>,
    ctx: &RequestContext,
    directory: &Directory,
) -> bool {
    // these know for themselves when they need another environment
    if request.aws_call().is_some() {
        return false;
    }
    match find_environment_name(request, named, ctx) {
        Some(name) => directory.find(name).is_none(),
        // one of our own pages needs no environment
        None => {
            directory.entries().is_empty()
                && matches!(local_page::find(request, ctx, false), Ok(None))
        }
    }
}

/// Returns the destination. The environment is the listener's own, else the one that the Host names,
/// else that of a local token (`named`), else the only or default one; the kind depends on the path
/// and method alone. What the gateway itself answers comes first. Fails if there is no such
/// environment or path, or if the client may not use it.
pub fn route(
    request: ValidatedRequest,
    named: Option<&EnvName>,
    ctx: &RequestContext,
    directory: &Directory,
) -> Result<Destination, RoutingError> {
    if let Some(call) = request.aws_call().cloned() {
        return Ok(Destination::AwsCall(request, call));
    }
    if login::is_mwaa_login(request.target()) {
        return match *request.method() {
            Method::POST => Ok(Destination::LocalLogin(request)),
            _ => Err(RoutingError::Method { allow: "POST" }),
        };
    }

    // with one environment there is nothing to find out
    if directory.entries().len() > 1 && local_page::is_console_login(&request, ctx) {
        return Ok(Destination::LocalPage(LocalPageRequest {
            page: LocalPage::ConsoleLogin,
            scope: None,
        }));
    }

    // without a name it is the only environment, or the configured default
    let name = find_environment_name(&request, named, ctx);
    let found = match name {
        Some(name) => directory.find(name),
        None => directory.default_entry(),
    };
    let unknown = || RoutingError::UnknownEnvironment {
        name: name.map(str::to_owned),
        urls: make_urls(directory, ctx),
    };

    if let Some(page) = local_page::find(&request, ctx, name.is_some() || found.is_some())? {
        let scope = find_scope(page, name, found).map_err(|Missing| unknown())?;
        if page == LocalPage::Events && !local_page::may_watch(&request, ctx, scope.as_ref()) {
            return Err(RoutingError::NotForScripts);
        }
        return Ok(Destination::LocalPage(LocalPageRequest { page, scope }));
    }

    // the kind first: a path that no environment has is the more useful error
    let kind = find_kind(&request, ctx)?;
    let entry = Arc::clone(found.ok_or_else(unknown)?);
    Ok(Destination::Environment(RoutedRequest {
        request,
        entry,
        kind,
    }))
}

/// There is no environment where a page needs one.
struct Missing;

/// Returns the environment that a page is about; `None` if it is about all, or about none. `name` is
/// that of the host, and `found` its environment, or else the default one. Fails if the host names an
/// environment that does not exist.
fn find_scope(
    page: LocalPage,
    name: Option<&str>,
    found: Option<&Arc<Entry>>,
) -> Result<Option<Arc<Entry>>, Missing> {
    match (page, name) {
        // a page on an environment's own host shows that environment alone
        (LocalPage::Overview | LocalPage::Events | LocalPage::SignedOut, Some(_)) => {
            found.cloned().map(Some).ok_or(Missing)
        }
        // on a bare host it is about the default environment
        (LocalPage::SignedOut, None) => Ok(found.cloned()),
        (LocalPage::Overview | LocalPage::Events, None)
        | (
            LocalPage::ConsoleLogin
            | LocalPage::Icon
            | LocalPage::LiveScript
            | LocalPage::LoginScript
            | LocalPage::Script
            | LocalPage::Style,
            _,
        ) => Ok(None),
    }
}

/// Returns the kind of a request. Fails if the path has no such method, or if the client may not use
/// it.
fn find_kind(
    request: &ValidatedRequest,
    ctx: &RequestContext,
) -> Result<RequestKind, RoutingError> {
    let path = request.target().path();
    let method = request.method();

    match request.target().reserved() {
        Some(ReservedPath::Cli) if *method == Method::POST => Ok(RequestKind::Cli),
        Some(ReservedPath::Cli) => Err(RoutingError::Method { allow: "POST" }),
        Some(ReservedPath::Handover) if !matches!(*method, Method::GET | Method::POST) => {
            Err(RoutingError::Method { allow: "GET, POST" })
        }
        // each hand-over costs a web token
        Some(ReservedPath::Handover) if !local_page::is_for_people(ctx.user_agent().fetch) => {
            Err(RoutingError::NotForScripts)
        }
        Some(ReservedPath::Handover) => Ok(RequestKind::Handover),
        // our own pages and the login were found before
        Some(ReservedPath::Mwaa | ReservedPath::Own) => Err(RoutingError::UnknownPath {
            path: path.to_owned(),
        }),
        None if request.target().is_logout() => Ok(RequestKind::Logout),
        // no password may reach a web server, by any reading of the path
        None if request.target().readings().any(login::is_login_page) => Ok(RequestKind::Login),
        None if login::is_token_login(request.target().readings(), method)? => {
            Ok(RequestKind::Token)
        }
        None => Ok(find_airflow_kind(path)),
    }
}

/// Returns true for the path of a REST API that may be forwarded. Fails for a login.
pub fn is_rest_api(target: &Target, method: &Method) -> Result<bool, RoutingError> {
    let is_ours = target.reserved().is_some()
        || target.is_logout()
        || target.readings().any(login::is_login_page)
        || login::is_token_login(target.readings(), method)?;
    Ok(!is_ours && find_airflow_kind(target.path()) == RequestKind::Rest)
}

/// Returns the kind of a path that is Airflow's: the REST API, or else the UI.
fn find_airflow_kind(path: &str) -> RequestKind {
    if path.starts_with("/api/") && is_opaque(path) {
        RequestKind::Rest
    } else {
        RequestKind::Ui
    }
}

/// Returns the environment that the request names. A listener that serves only one names it for all
/// of its requests.
fn find_environment_name<'a>(
    request: &'a ValidatedRequest,
    named: Option<&'a EnvName>,
    ctx: &'a RequestContext,
) -> Option<&'a str> {
    match (&ctx.listener().environment, request.host_name()) {
        (Some(only), _) => Some(only.as_str()),
        (None, HostName::Environment(name)) => Some(name.as_str()),
        (None, HostName::Plain) => named.map(EnvName::as_str),
    }
}

/// Returns the URLs of all environments.
fn make_urls(directory: &Directory, ctx: &RequestContext) -> Vec<String> {
    let scheme = ctx.scheme();
    // the port that the client used: a port of a container or of SSH may be forwarded to ours
    let port = ctx.port();
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    directory
        .entries()
        .iter()
        .map(|entry| format!("{scheme}://{}.localhost{port}", entry.environment.local))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_airflow_2_and_3_are_routed_by_kind() {
        for (path, kind) in [
            ("/", RequestKind::Ui),
            ("/home", RequestKind::Ui),
            ("/api/v1/dags", RequestKind::Rest),
            ("/api/v2/dags/", RequestKind::Rest),
            ("/api/v2//dags", RequestKind::Rest),
            ("/api/v3/dags", RequestKind::Rest),
            ("/api/vx/dags", RequestKind::Ui),
            ("/ui/dags", RequestKind::Ui),
            ("/auth/users/list/", RequestKind::Ui),
            ("/loginx", RequestKind::Ui),
        ] {
            assert_eq!(find_airflow_kind(path), kind, "{path}");
        }
    }
}
