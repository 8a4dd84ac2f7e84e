//! What every error of every room answers, so that nobody outside has to match on it.
#![deny(clippy::wildcard_enum_match_arm)]

use super::Code;
use std::borrow::Cow;
use std::time::Duration;

/// Whose doing a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// AWS's API, or the credentials that we were given for it.
    Aws,
    /// The program that sent the request.
    Caller,
    /// This program or its configuration.
    Gateway,
    /// The environment's web server, or the way to it.
    Upstream,
}

impl Blame {
    /// The word used in metrics and in the README's table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Caller => "caller",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

/// An error that ends a request. `Display` is the detail: one line, lower case, no final
/// period, no secret.
pub trait Fault: std::error::Error {
    /// The stable code, with its status, title and blame.
    fn code(&self) -> &'static Code;

    /// One sentence that tells the person what to do about this very case. The code's general
    /// advice stands in where a case has nothing better.
    fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.code().advice)
    }

    /// When it makes sense to ask again, for `Retry-After` (RFC 9110 section 10.2.3).
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The methods that would do, for `Allow` (RFC 9110 section 10.2.1).
    fn allow(&self) -> Option<&'static str> {
        None
    }

    /// Where the person may have wanted to go, as URLs. The alternate form of `Display` (`{:#}`)
    /// leaves them out of the detail.
    fn elsewhere(&self) -> &[String] {
        &[]
    }

    /// Whether nobody can tell where the next request on this connection would begin.
    fn ends_connection(&self) -> bool {
        false
    }
}
