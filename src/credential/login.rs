//! Signs in: a web token of AWS becomes a session of the environment's Airflow.

use super::error::LoginError;
use super::flights::{Making, Source};
use super::host::believed;
use super::session::Session;
use crate::control::{AwsError, AwsErrorKind, ControlPlane, WebToken, explained};
use crate::names::{Entry, Fault, HostSource, Secret, debug_only};
use crate::runtime::{Moment, uptime};
use crate::telemetry::Metrics;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The head of the web server's reply to a login.
pub struct LoginReply {
    /// Its status.
    pub status: StatusCode,
    /// Its header section.
    pub headers: HeaderMap,
}

debug_only!(LoginReply: status);

/// A login on its way.
pub type LoggingIn<'a> =
    Pin<Box<dyn Future<Output = Result<LoginReply, Arc<dyn Fault + Send + Sync>>> + Send + 'a>>;

/// Posts the login form: the wire, as the sessions need it.
pub trait SignIn: fmt::Debug + Send + Sync {
    /// Posts `form` (`application/x-www-form-urlencoded`) to `path` of the environment's web
    /// server, over verified TLS, with no other credential; follows nothing.
    fn sign_in<'a>(
        &'a self,
        entry: &'a Entry,
        host: &'a str,
        path: &'static str,
        form: &'a Secret<String>,
    ) -> LoggingIn<'a>;
}

/// Makes sessions.
#[derive(Debug)]
pub(super) struct Logins {
    pub(super) control: Arc<dyn ControlPlane>,
    pub(super) door: Arc<dyn SignIn>,
    pub(super) metrics: Arc<Metrics>,
    /// The longest use of a session.
    pub(super) longest: Duration,
}

impl Source for Logins {
    type Item = Session;

    fn make<'a>(&'a self, entry: &'a Entry) -> Making<'a, Session> {
        Box::pin(async move {
            let (minted, host_field) = web_token(self.control.as_ref(), entry).await?;
            let form = form(&minted)?;
            // its life may begin as soon as the form is sent
            let asked = Moment::now();
            let three = entry
                .airflow_version()
                .is_some_and(|version| version.major >= 3);
            let path = if three { AIRFLOW_3 } else { AIRFLOW_2 };
            let reply = self
                .door
                .sign_in(entry, &minted.host, path, &form)
                .await
                .map_err(LoginError::Wire)?;
            let accepted = reply.status.is_success() || reply.status.is_redirection();
            if !accepted {
                return Err(LoginError::Refused {
                    host: minted.host,
                    path,
                    status: reply.status,
                }
                .into());
            }
            let session = Session::new(&minted, host_field, &reply, three, asked, self.longest);
            session.map_err(Into::into)
        })
    }

    fn count(&self, entry: &Entry, outcome: &'static str) {
        self.metrics.sign_in(entry, outcome);
    }

    fn what(&self) -> &'static str {
        "an Airflow session"
    }
}

/// Asks for a web token, and checks and remembers the host that AWS names with it, which comes
/// as the `Host` header's value besides.
pub(super) async fn web_token(
    control: &dyn ControlPlane,
    entry: &Entry,
) -> Result<(WebToken, HeaderValue), AwsError> {
    let (environment, when) = (&entry.environment, uptime());
    let minted = match control.create_web_login_token(environment).await {
        Ok(minted) => minted,
        Err(error) => return Err(explained(control, entry, error).await),
    };
    let host_field = believed(&minted.host, &minted.region, environment)?;
    entry.hosts.named(HostSource::WebToken, &minted.host, when);
    Ok((minted, host_field))
}

/// The form of the login route: one field (MWAA User Guide, "Using the Apache Airflow REST API").
fn form(minted: &WebToken) -> Result<Secret<String>, AwsError> {
    let token = visible(minted)?;
    // room for the longest form, %XX for each byte: text that grows leaves unwiped copies behind
    let room = String::with_capacity("token=".len() + 3 * token.len());
    let mut form = form_urlencoded::Serializer::new(room);
    form.append_pair("token", token);
    Ok(Secret::new(form.finish()))
}

/// The web token, which must be visible ASCII: it becomes part of a form and of a URL.
pub(super) fn visible(minted: &WebToken) -> Result<&str, AwsError> {
    let token = minted.token.reveal();
    if token.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(token);
    }
    Err(AwsError::new(
        AwsErrorKind::Unavailable,
        "AWS gave a web token that is not visible ASCII",
        "check endpoint_url: this is not how MWAA's tokens look",
    ))
}

/// The address that hands a browser over to the environment's own web server: the token
/// travels in the fragment, which no server sees.
pub(super) fn handover(minted: &WebToken) -> Result<HeaderValue, AwsError> {
    let (host, token) = (&minted.host, visible(minted)?);
    let (path, query) = ("/aws_mwaa/aws-console-sso", "?login=true#");
    let url = Secret::concat(&["https://", host, path, query, token]);
    url.into_header().ok_or_else(|| {
        AwsError::new(
            AwsErrorKind::Unavailable,
            "AWS gave a web token that fits no URL",
            "check endpoint_url: this is not how MWAA's tokens look",
        )
    })
}

/// The login route up to Airflow 2.
const AIRFLOW_2: &str = "/aws_mwaa/login";
/// The login route from Airflow 3 on, which mounts Flask plugins below `/pluginsv2`.
const AIRFLOW_3: &str = "/pluginsv2/aws_mwaa/login";
