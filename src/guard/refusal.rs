//! Why the guard refuses a request.

use crate::names::{Code, Fault, code};
use std::borrow::Cow;
use std::fmt;

/// A request that the guard did not admit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuardError {
    /// A form that could be read in two ways, or is not HTTP/1.1 as we serve it.
    Malformed(&'static str),
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// The `Host` is not on the list.
    ForeignHost {
        /// What the client called us.
        host: String,
    },
    /// More header fields than the limit.
    Headers {
        /// The limit.
        limit: usize,
    },
    /// Browser headers where none may be.
    ForeignOrigin(&'static str),
    /// A CLI request that is not `text/plain`.
    ContentType,
    /// A method that is never served.
    Method,
    /// The client's address is outside the networks.
    Peer,
    /// The secret header is missing or wrong.
    Secret,
    /// The target is longer than the limit.
    TargetTooLong,
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentType => {
                f.write_str("the CLI route takes only Content-Type: text/plain in UTF-8")
            }
            Self::Expectation => f.write_str("only Expect: 100-continue can be met"),
            Self::ForeignHost { host } => {
                write!(f, "the Host {host:?} is not one of this gateway's names")
            }
            Self::ForeignOrigin(what) | Self::Malformed(what) => f.write_str(what),
            Self::Headers { limit } => {
                write!(f, "the request has more than {limit} header fields")
            }
            Self::Method => f.write_str("this method is never served"),
            Self::Peer => f.write_str("the client's address is outside listener.networks"),
            Self::Secret => f.write_str("the Mwaa-Gateway-Secret header is missing or wrong"),
            Self::TargetTooLong => {
                f.write_str("the request target is longer than limits.target_size")
            }
        }
    }
}

impl std::error::Error for GuardError {}

impl Fault for GuardError {
    fn code(&self) -> &'static Code {
        match self {
            Self::ContentType => &code::CONTENT_TYPE,
            Self::Expectation => &code::EXPECTATION,
            Self::ForeignHost { .. } => &code::FOREIGN_HOST,
            Self::ForeignOrigin(_) => &code::FOREIGN_ORIGIN,
            Self::Headers { .. } => &code::HEADERS,
            Self::Malformed(_) => &code::MALFORMED,
            Self::Method => &code::METHOD,
            Self::Peer => &code::PEER,
            Self::Secret => &code::SECRET,
            Self::TargetTooLong => &code::TARGET,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::ContentType => {
                "add -H 'Content-Type: text/plain' (curl sends a form type by itself)".into()
            }
            Self::ForeignHost { host } => {
                format!("if {host:?} is meant to reach the gateway, add it to listener.hosts")
                    .into()
            }
            Self::Expectation
            | Self::ForeignOrigin(_)
            | Self::Headers { .. }
            | Self::Malformed(_)
            | Self::Method
            | Self::Peer
            | Self::Secret
            | Self::TargetTooLong => Cow::Borrowed(self.code().advice),
        }
    }

    fn allow(&self) -> Option<&'static str> {
        // a 405 without it breaks RFC 9110 section 15.5.6
        (*self == Self::Method).then_some("POST")
    }

    fn ends_connection(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }
}
