//! SDK errors sorted into a few kinds, with as much of AWS's own words as a person reads.
#![deny(clippy::wildcard_enum_match_arm)]

use super::answer::Answer;
use super::hint::hint;
use super::origin::Origin;
use super::sorting::Chain;
use super::told::Told;
use crate::egress::Way;
use crate::names::{Code, Described, Environment, Fault, code};
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
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
    /// A person has to sign in, for the first time or again.
    LoginNeeded,
    /// The environment does not exist there.
    NotFound,
    /// The environment is not in a state in which AWS gives what is asked.
    NotReady,
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
    /// Where the keys come from.
    pub(super) origin: &'a Origin,
    /// The call had its keys and was sent.
    pub(super) was_sent: bool,
    /// The limit of the call, in which its keys have to come too.
    pub(super) limit: Duration,
    /// How far our clock is from AWS's, where a reply told its date.
    pub(super) clock_offset: Option<i64>,
}

impl Call<'_> {
    /// Whether the call names an environment.
    fn is_about_one(&self) -> bool {
        !matches!(self.operation, "ListEnvironments" | "GetCallerIdentity")
    }

    /// The sentence that says what failed, and why.
    fn failed(&self, why: &Told) -> String {
        // a proxy that gave no connection is named there
        let way = match why {
            Told::Chain(chain) if chain.text.contains("the proxy ") => String::new(),
            Told::Answer(_) | Told::Chain(_) | Told::Silence => self.way.suffix(),
        };
        let (operation, region) = (self.operation, self.region);
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
            | AwsErrorKind::NotReady
            | AwsErrorKind::UntrustedHost => false,
        }
    }

    /// Sorts an SDK error. Its `Debug` and `DisplayErrorContext` forms print the raw reply,
    /// which may hold a token, so only code, message and request id are taken.
    pub(super) fn from_sdk<E>(error: &SdkError<E, HttpResponse>, call: &Call<'_>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let told = match (Answer::of(error), error) {
            (Some(answer), _) => Told::Answer(answer),
            (None, SdkError::TimeoutError(_)) if call.was_sent => Told::Silence,
            (None, SdkError::TimeoutError(_)) => Told::Chain(Chain::late(call.limit)),
            (None, _) => Told::Chain(Chain::read(error)),
        };
        let kind = told.kind(call);
        Self::new(kind, &call.failed(&told), hint(kind, &told, call))
    }

    /// Whether the environment's state may be the reason.
    pub fn may_be_the_state(&self) -> bool {
        matches!(self.kind, AwsErrorKind::NotFound | AwsErrorKind::NotReady)
    }

    /// The same error, now that AWS has said how the environment is.
    #[must_use]
    pub fn with_state(self, described: &Described) -> Self {
        match described.status_meaning() {
            Some(meaning) => Self {
                kind: AwsErrorKind::NotReady,
                what: format!("{}; AWS says that the environment is {}", self.what, described.status),
                hint: meaning.into(),
                retry_after: self.retry_after,
            },
            None => Self {
                hint: format!(
                    "AWS says that the environment is {}, so this may pass; if it does not, the request id \
                     tells AWS's support more",
                    described.status
                )
                .into(),
                ..self
            },
        }
    }

    /// The same error, where AWS does not say how the environment is.
    #[must_use]
    pub fn without_state(mut self, why: &Self) -> Self {
        if self.kind == AwsErrorKind::NotFound && why.kind == AwsErrorKind::NotFound {
            // that call does not depend on the state
            self.hint.clone_from(&why.hint);
        } else if why.kind == AwsErrorKind::Denied {
            let action = "allow airflow:GetEnvironment, and its state is told here";
            self.hint = format!("{}; {action}", self.hint).into();
        }
        self
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
            AwsErrorKind::NotReady => &code::AWS_NOT_READY,
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
