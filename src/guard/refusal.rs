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
    /// A path that could be read in two ways.
    Path(PathFault),
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
    /// A head that is larger than the limit.
    HeadTooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
        /// How much of it are cookies, in bytes.
        cookies: usize,
    },
    /// What a browser fetches before anybody has clicked.
    FetchedAhead,
    /// A request that another proxy passed on.
    Forwarded,
    /// Browser headers where none may be.
    ForeignOrigin(&'static str),
    /// Another page asks for what only our own may.
    ForeignPage(&'static str),
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

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFault {
    /// It begins with two slashes.
    BaseUrl,
    /// A byte that is not allowed in a path, or that servers read differently.
    Byte,
    /// A segment that is a dot or two dots, also after decoding.
    Dots,
    /// An empty segment.
    Empty,
    /// An escape that is invalid or could hide something.
    Escape,
    /// It is no absolute path.
    Relative,
    /// A path that means something to the gateway, spelled in an unusual way.
    Reserved,
}

impl PathFault {
    const fn what(self) -> &'static str {
        match self {
            Self::BaseUrl => "the path begins with two slashes: the base URL ends in /",
            Self::Byte => "the path contains a byte that servers read differently",
            Self::Dots => "the path contains a dot segment",
            Self::Empty => "the path contains an empty segment",
            Self::Escape => "the path contains an escape that could be read in two ways",
            Self::Relative => "the target is not an absolute path",
            Self::Reserved => "a path of the gateway's own is spelled in an unusual way",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::BaseUrl => {
                "remove the slash at the end of the base URL, as in http://localhost:8080"
            }
            Self::Byte => {
                "send a semicolon as %3B; a backslash only as %5C, in names below /api/vN/ and /ui/"
            }
            Self::Dots => "send the path that is meant, without . and .. segments",
            Self::Empty => {
                "remove one of the two slashes; only names below /api/vN/ and /ui/ may hold empty \
                 segments"
            }
            Self::Escape => {
                "escapes must be complete, UTF-8 and no control characters; %2F, %5C and %25 are \
                 for names below /api/vN/ and /ui/, and none may spell aws_mwaa"
            }
            Self::Relative => "send a path that begins with a slash",
            Self::Reserved => "write it in lower case and without escapes, as in /aws_mwaa/cli",
        }
    }
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
            Self::FetchedAhead => {
                f.write_str("a browser prefetched this before anybody clicked")
            }
            Self::ForeignOrigin(what) | Self::ForeignPage(what) | Self::Malformed(what) => {
                f.write_str(what)
            }
            Self::Forwarded => f.write_str(
                "the request was passed on by another proxy (it has Forwarded or X-Forwarded-*)",
            ),
            Self::HeadTooLarge {
                size,
                limit,
                cookies,
            } => write!(
                f,
                "the head has {size} bytes, {cookies} of them cookies; limits.head_size is {limit}"
            ),
            Self::Headers { limit } => {
                write!(f, "the request has more than {limit} header fields")
            }
            Self::Method => f.write_str("this method is never served"),
            Self::Path(fault) => f.write_str(fault.what()),
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
            Self::FetchedAhead | Self::ForeignOrigin(_) | Self::ForeignPage(_) => {
                &code::FOREIGN_ORIGIN
            }
            Self::Forwarded => &code::FORWARDED,
            Self::HeadTooLarge { .. } | Self::Headers { .. } => &code::HEADERS,
            Self::Malformed(_) | Self::Path(_) => &code::MALFORMED,
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
            Self::FetchedAhead => "open the address in a tab: prefetches are refused".into(),
            Self::HeadTooLarge { size, cookies, .. } if cookies * 2 < *size => {
                "send fewer or shorter header fields, or raise limits.head_size".into()
            }
            Self::ForeignPage(_) => {
                "open the address in the browser itself; a script sends no Origin and no Referer"
                    .into()
            }
            Self::Headers { .. } => {
                "send fewer header fields, or raise limits.header_count".into()
            }
            Self::Path(fault) => fault.hint().into(),
            Self::Expectation
            | Self::Forwarded
            | Self::ForeignOrigin(_)
            | Self::HeadTooLarge { .. }
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
        matches!(self, Self::Malformed(_) | Self::Path(_))
    }
}
