//! The trait of every error that ends a request. No other code has to match on the errors.
#![deny(clippy::wildcard_enum_match_arm)]

use super::Code;
use std::borrow::Cow;
use std::time::Duration;

/// The party that caused a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// AWS's API, or the credentials that we were given for it.
    Aws,
    /// The program that sent the request.
    Caller,
    /// This program or its configuration.
    Gateway,
    /// The environment's web server, or the connection to it.
    Upstream,
}

impl Blame {
    /// Returns the word used in metrics and in the documents' table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Caller => "caller",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

/// An error that ends a request.
///
/// `Display` is one line, lower case, without a final period and without a secret. It describes
/// this error only; the cause, if any, is the error's source.
pub trait Fault: std::error::Error {
    /// Returns the stable code, with its status, title and blame.
    fn code(&self) -> &'static Code;

    /// Returns the error and its causes in one line, as the client and the log see it:
    /// `cannot reach host: connection refused`.
    fn detail(&self) -> String {
        let mut detail = self.to_string();
        append_causes(&mut detail, self.source());
        detail
    }

    /// Returns the same without the URLs of [`alternatives`](Self::alternatives).
    fn detail_without_links(&self) -> String {
        let mut detail = format!("{self:#}");
        append_causes(&mut detail, self.source());
        detail
    }

    /// Returns one sentence that says what a person can do about this case. The default is the
    /// code's general advice.
    fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.code().advice)
    }

    /// Returns the time after which a retry makes sense, for `Retry-After` (RFC 9110 section
    /// 10.2.3).
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Returns the methods that are allowed, for `Allow` (RFC 9110 section 10.2.1).
    fn allow(&self) -> Option<&'static str> {
        None
    }

    /// Returns URLs that the client may have meant. The alternate form of `Display` (`{:#}`)
    /// leaves them out of the detail.
    fn alternatives(&self) -> &[String] {
        &[]
    }

    /// Returns true if the connection cannot be used again, because the beginning of the next
    /// request on it is unknown.
    fn ends_connection(&self) -> bool {
        false
    }
}

/// Returns an error and its causes in one line, separated by colons.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    append_causes(&mut chain, error.source());
    chain
}

fn append_causes(text: &mut String, mut cause: Option<&dyn std::error::Error>) {
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
}

/// The `Retry-After` of a gateway that stops: another one may start in its place.
pub const RESTART: Duration = Duration::from_secs(5);
