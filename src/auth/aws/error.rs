//! The error of a call to AWS: its kind, its text with as much of AWS's own words as a person
//! reads, and what to do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use super::classify::CallError;
use super::hint::hint;
use super::{CredentialOrigin, MwaaApi};
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
use mwaa_egress::Route;
use mwaa_model::{Code, Entry, Environment, EnvironmentInfo, Fault, code};
use mwaa_runtime::Timestamp;
use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AwsErrorKind {
    /// There are no credentials, or AWS does not accept them.
    Credentials,
    /// The identity lacks a permission.
    Denied,
    /// A person has to log in, for the first time or again.
    LoginNeeded,
    /// The environment does not exist there.
    NotFound,
    /// The environment is not in a state in which AWS gives what is asked.
    NotReady,
    /// Too many calls.
    Throttled,
    /// AWS could not be reached, or failed.
    Unavailable,
    /// AWS named a web server that is not one of MWAA's.
    UntrustedHost,
}

/// A call to AWS that failed. Holds no part of the response but its error message.
///
/// It has no source: the SDK's errors print the raw response, which may hold a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AwsError {
    /// The kind.
    pub kind: AwsErrorKind,
    message: String,
    hint: Cow<'static, str>,
}

impl AwsError {
    /// Creates an error that no SDK call gave.
    pub fn new(kind: AwsErrorKind, message: &str, hint: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: sanitize(message),
            hint: hint.into(),
        }
    }

    /// Creates the error of an SDK call.
    ///
    /// The SDK error's `Debug` and `DisplayErrorContext` print the raw response, which may hold a
    /// token, so only code, message and request id are taken.
    pub(super) fn from_sdk<E>(
        error: &SdkError<E, HttpResponse>,
        context: &CallContext<'_>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let error = CallError::from_sdk(error, context);

        let kind = error.kind(context);
        Self::new(
            kind,
            &context.format_failure(&error),
            hint(kind, &error, context),
        )
    }

    /// Returns true if the same call may succeed in a moment, with nothing changed on our side.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            AwsErrorKind::Throttled | AwsErrorKind::Unavailable => true,
            AwsErrorKind::Credentials
            | AwsErrorKind::Denied
            | AwsErrorKind::LoginNeeded
            | AwsErrorKind::NotFound
            | AwsErrorKind::NotReady
            | AwsErrorKind::UntrustedHost => false,
        }
    }

    /// Returns true if the environment's state may be the reason.
    pub fn is_state_related(&self) -> bool {
        matches!(self.kind, AwsErrorKind::NotFound | AwsErrorKind::NotReady)
    }

    /// Returns the same error, explained by what AWS says about the environment.
    #[must_use]
    pub fn with_state(self, described: &EnvironmentInfo) -> Self {
        match described.status_meaning() {
            Some(meaning) => Self {
                kind: AwsErrorKind::NotReady,
                message: format!(
                    "{}; the environment's status is {}",
                    self.message, described.status
                ),
                hint: meaning.into(),
            },

            None => Self {
                hint: format!(
                    "the environment's status is {}, so try again in a moment; if the error \
                     persists, give the request ID to AWS Support",
                    described.status
                )
                .into(),
                ..self
            },
        }
    }

    /// Returns the same error, where AWS does not describe the environment either.
    #[must_use]
    pub fn without_state(mut self, why: &Self) -> Self {
        if self.kind == AwsErrorKind::NotFound && why.kind == AwsErrorKind::NotFound {
            // `GetEnvironment` does not depend on the state, so the environment does not exist
            self.hint.clone_from(&why.hint);
        } else if why.kind == AwsErrorKind::Denied {
            let action = "allow airflow:GetEnvironment to see the environment's status here";
            self.hint = format!("{}; {action}", self.hint).into();
        }
        self
    }
}

impl Fault for AwsError {
    fn code(&self) -> &'static Code {
        match self.kind {
            AwsErrorKind::Credentials => &code::AWS_CREDENTIALS,
            AwsErrorKind::Denied => &code::AWS_DENIED,
            AwsErrorKind::LoginNeeded => &code::AWS_LOGIN_NEEDED,
            AwsErrorKind::NotFound => &code::AWS_NOT_FOUND,
            AwsErrorKind::NotReady => &code::AWS_NOT_READY,
            AwsErrorKind::Throttled => &code::AWS_THROTTLED,
            AwsErrorKind::Unavailable => &code::AWS_UNAVAILABLE,
            AwsErrorKind::UntrustedHost => &code::AWS_UNTRUSTED_HOST,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        self.hint.clone()
    }
}

/// Returns the error of a token with what AWS says about the environment, where that may be the
/// reason. AWS is asked once, within a limit of its own.
pub(crate) async fn with_environment_state(
    api: &dyn MwaaApi,
    entry: &Entry,
    error: AwsError,
) -> AwsError {
    if !error.is_state_related() {
        return error;
    }

    let request = api.get_environment(&entry.environment);
    match tokio::time::timeout(STATE_TIMEOUT, request).await {
        Ok(Ok(described)) => {
            let error = error.with_state(&described);
            // what was asked for this error is known to the pages too
            entry.set_info(described, Timestamp::now().wall());
            error
        }
        Ok(Err(why)) => error.without_state(&why),
        Err(_elapsed) => error,
    }
}

/// The subject of a call, for the texts.
#[derive(Clone)]
pub(super) struct CallContext<'a> {
    /// `CreateCliToken`, …
    pub(super) operation: &'static str,
    pub(super) environment: &'a Environment,
    pub(super) region: &'a str,
    /// The route to AWS.
    pub(super) route: Route,
    /// The origin of the credentials.
    pub(super) origin: &'a CredentialOrigin,
    /// The call had its credentials and was sent.
    pub(super) was_sent: bool,
    /// The limit of the call, in which its credentials have to come too.
    pub(super) limit: Duration,
    /// The seconds by which our clock is ahead of AWS's, if a response had its date.
    pub(super) clock_offset: Option<i64>,
}

impl CallContext<'_> {
    /// Returns the sentence about what failed, and why.
    fn format_failure(&self, error: &CallError) -> String {
        // a proxy that gave no connection is named in the error already
        let route = if error.mentions("the proxy ") {
            String::new()
        } else {
            self.route.suffix()
        };
        let operation = self.operation;
        let region = self.region;

        if matches!(operation, "ListEnvironments" | "GetCallerIdentity") {
            format!("{operation} in {region}{route} failed: {error}")
        } else {
            let name = &self.environment.name;
            format!("{operation} for {name:?} in {region}{route} failed: {error}")
        }
    }
}

/// Returns one printable line of a bounded length: the text may come from anywhere. Besides
/// control characters, the line separators and the marks that turn the direction of text are
/// replaced, by which a terminal could be made to show something else.
fn sanitize(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}')
            {
                ' '
            } else {
                c
            }
        })
        .take(MAX_TEXT_LENGTH)
        .collect()
}

/// A request waits for the token: what is not there by then is left out.
const STATE_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest text taken from a response.
const MAX_TEXT_LENGTH: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_one_line_of_limited_length() {
        let hostile = format!("a\r\nb\u{1b}[31m{}", "x".repeat(2000));
        let cleaned = sanitize(&hostile);
        assert!(!cleaned.contains(['\r', '\n', '\u{1b}']) && cleaned.len() <= MAX_TEXT_LENGTH);
    }
}
