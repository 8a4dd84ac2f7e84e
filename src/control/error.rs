//! SDK errors sorted into a few kinds, each with the hint that names the fix.
#![deny(clippy::wildcard_enum_match_arm)]

use super::http_client::ConnectError;
use super::sorting::{by_chain, by_code, connection};
use crate::egress::{EgressError, Way};
use crate::names::{Code, Environment, Fault, code, partition};
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
use aws_types::request_id::RequestId as _;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AwsErrorKind {
    /// No credentials, or AWS does not take them.
    Credentials,
    /// The identity lacks a permission.
    Denied,
    /// There is no SSO session, or it has expired.
    LoginNeeded,
    /// The environment does not exist there.
    NotFound,
    /// Too many calls.
    Throttled,
    /// AWS could not be asked, or failed.
    Unavailable,
    /// AWS named a web server that is none of MWAA's.
    UntrustedHost,
}

/// A call to AWS that failed. Holds no part of the reply but its error message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    /// The kind.
    pub kind: AwsErrorKind,
    what: String,
    hint: Cow<'static, str>,
    retry_after: Option<Duration>,
}

/// What a call was about, for the texts.
#[derive(Clone)]
pub(super) struct Call<'a> {
    /// `CreateCliToken`, …
    pub(super) operation: &'static str,
    pub(super) environment: &'a Environment,
    pub(super) region: &'a str,
    /// The way to AWS.
    pub(super) way: Way,
    /// The profile in use, as far as it is known.
    pub(super) profile: Option<&'a str>,
    /// How far our clock is from AWS's, where a reply told its date.
    pub(super) clock_offset: Option<i64>,
}

impl Call<'_> {
    /// Whether the call names an environment.
    fn is_about_one(&self) -> bool {
        !matches!(self.operation, "ListEnvironments" | "GetCallerIdentity")
    }

    /// The sentence that says what failed, and why.
    fn failed(&self, why: &dyn fmt::Display) -> String {
        let (operation, region, way) = (self.operation, self.region, self.way.suffix());
        if self.is_about_one() {
            let name = &self.environment.name;
            format!("{operation} for {name:?} in {region}{way} failed: {why}")
        } else {
            format!("{operation} in {region}{way} failed: {why}")
        }
    }
}

impl AwsError {
    /// Makes an error that no SDK call gave.
    pub fn new(kind: AwsErrorKind, what: &str, hint: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            what: clean(what),
            hint: hint.into(),
            retry_after: None,
        }
    }

    /// The same error, with the time to wait before the next try.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Whether the same call may succeed in a moment, with nothing changed on our side.
    pub fn is_passing(&self) -> bool {
        match self.kind {
            AwsErrorKind::Throttled | AwsErrorKind::Unavailable => true,
            AwsErrorKind::Credentials
            | AwsErrorKind::Denied
            | AwsErrorKind::LoginNeeded
            | AwsErrorKind::NotFound
            | AwsErrorKind::UntrustedHost => false,
        }
    }

    /// Sorts an SDK error. Its `Debug` and `DisplayErrorContext` forms print the raw reply,
    /// which may hold a token, so only code, message and request id are taken.
    pub(super) fn from_sdk<E>(error: &SdkError<E, HttpResponse>, call: &Call<'_>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (kind, said) = match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                let status = service.raw().status().as_u16();
                let id = error
                    .request_id()
                    .map_or_else(String::new, |id| format!(", request {id}"));
                let said = match (meta.code(), meta.message()) {
                    // not JSON, or not this API's
                    (None, None) => format!("a reply that can't be read (HTTP {status}{id})"),
                    (code, message) => format!(
                        "{} (HTTP {status}{id}): {}",
                        code.unwrap_or("no error code"),
                        message.unwrap_or("no message")
                    ),
                };
                (by_code(meta.code(), status), said)
            }
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                (
                    by_code(None, status),
                    format!("a reply that can't be read (HTTP {status})"),
                )
            }
            SdkError::TimeoutError(_) => {
                (AwsErrorKind::Unavailable, "no reply in time".to_owned())
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                let (kind, said) = by_chain(error);
                // the way there failed, and not the search for credentials
                if kind == AwsErrorKind::Unavailable
                    && let Some(connection) = connection(error)
                {
                    let hint = match connection {
                        ConnectError::Egress(error @ EgressError::Proxy { .. }) => error.hint(),
                        ConnectError::Egress(_) | ConnectError::Tls(_) => {
                            hint(kind, &said, call)
                        }
                    };
                    // it names the way itself
                    let call = Call {
                        way: Way::Direct,
                        ..call.clone()
                    };
                    return Self::new(kind, &call.failed(connection), hint);
                }
                (kind, said)
            }
            _ => (
                AwsErrorKind::Unavailable,
                "an error that this version does not know".to_owned(),
            ),
        };
        Self::new(kind, &call.failed(&said), hint(kind, &said, call))
    }
}

fn hint(kind: AwsErrorKind, said: &str, call: &Call<'_>) -> Cow<'static, str> {
    let environment = call.environment;
    let profile = environment.profile.as_deref();
    let (name, region) = (&environment.name, call.region);
    match kind {
        AwsErrorKind::Credentials => {
            if let Some(offset) = call.clock_offset.filter(|offset| offset.abs() > CLOCK_TOLERANCE) {
                return format!("this machine's clock is off by {offset} s; set it right").into();
            }
            match profile {
                Some(profile) => format!("check the credentials of profile {profile:?}").into(),
                None if said.contains("Expired") => {
                    "the credentials have expired; get new ones".into()
                }
                None => "set aws.profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run \
                         with a role; `mwaa-gateway check` shows what is used"
                    .into(),
            }
        }
        AwsErrorKind::Denied if !call.is_about_one() => {
            format!("allow airflow:{} on * for this identity, or name the environments", call.operation).into()
        }
        AwsErrorKind::Denied => format!(
            "allow airflow:{} on arn:{}:airflow:{region}:*:environment/{name} for this identity",
            call.operation,
            partition(region)
        )
        .into(),
        AwsErrorKind::LoginNeeded => match call.profile {
            Some(profile) => format!("run `aws sso login --profile {profile}`").into(),
            None => code::AWS_LOGIN_NEEDED.advice.into(),
        },
        AwsErrorKind::NotFound => format!(
            "there is no environment {name:?} in {region} for these credentials; check the name, \
             the region and the account"
        )
        .into(),
        AwsErrorKind::Throttled => "AWS limits how often tokens are made; it gets better by itself".into(),
        AwsErrorKind::Unavailable => {
            format!("check the network, that the region {region} is right, and endpoint_url").into()
        }
        AwsErrorKind::UntrustedHost => code::AWS_UNTRUSTED_HOST.advice.into(),
    }
}

/// One printable line of a bounded length: the text may come from anywhere.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}')
            {
                ' '
            } else {
                c
            }
        })
        .take(LONGEST_TEXT)
        .collect()
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for AwsError {}

impl Fault for AwsError {
    fn code(&self) -> &'static Code {
        match self.kind {
            AwsErrorKind::Credentials => &code::AWS_CREDENTIALS,
            AwsErrorKind::Denied => &code::AWS_DENIED,
            AwsErrorKind::LoginNeeded => &code::AWS_LOGIN_NEEDED,
            AwsErrorKind::NotFound => &code::AWS_NOT_FOUND,
            AwsErrorKind::Throttled => &code::AWS_THROTTLED,
            AwsErrorKind::Unavailable => &code::AWS_UNAVAILABLE,
            AwsErrorKind::UntrustedHost => &code::AWS_UNTRUSTED_HOST,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        self.hint.clone()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// The longest text taken from a reply.
const LONGEST_TEXT: usize = 600;
/// AWS refuses signatures that are older; less is not the clock's fault. In seconds.
const CLOCK_TOLERANCE: i64 = 240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_bounded_line() {
        let hostile = format!("a\r\nb\u{1b}[31m{}", "x".repeat(2000));
        let cleaned = clean(&hostile);
        assert!(!cleaned.contains(['\r', '\n', '\u{1b}']) && cleaned.len() <= LONGEST_TEXT);
    }
}
