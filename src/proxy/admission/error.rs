//! The errors of admission.

use mwaa_model::{Code, Fault, PathError, TargetError, code};
use std::borrow::Cow;

/// A request that is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// A form that could be read in two ways, or is not HTTP/1.1 as the gateway serves it.
    #[error("{0}")]
    Malformed(&'static str),
    /// A path that could be read in two ways.
    #[error(transparent)]
    Path(PathError),
    /// An `Expect` other than `100-continue`.
    #[error("only Expect: 100-continue is supported")]
    Expectation,
    /// The `Host` is none of the gateway's names.
    #[error("the Host {host:?} is not one of this gateway's names")]
    ForeignHost {
        /// The name by which the client called.
        host: String,
    },
    /// A request that a browser sends before a person has clicked.
    #[error("a browser sent this as a prefetch")]
    Prefetched,
    /// A request that another proxy passed on.
    #[error(
        "the request came through another proxy (it has a Forwarded or X-Forwarded-* \
         header)"
    )]
    Forwarded,
    /// A browser's request to a route that is closed to browsers.
    #[error("{0}")]
    ForeignOrigin(&'static str),
    /// A request of another site's page that only the same origin may send.
    #[error("{0}")]
    ForeignPage(&'static str),
    /// A CLI request that is not `text/plain`.
    #[error("the CLI route accepts only Content-Type: text/plain in UTF-8")]
    ContentType,
    /// A method that is never served.
    #[error("this method is not supported")]
    Method,
    /// The client's address is outside the networks.
    #[error("the client's address is outside listener.networks")]
    Peer,
    /// The secret header is missing or wrong.
    #[error("the Mwaa-Gateway-Secret header is missing or wrong")]
    Secret,
    /// The target is longer than the limit.
    #[error("the request target is longer than limits.target_size")]
    TargetTooLong,
}

impl From<TargetError> for AdmissionError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::TooLong => Self::TargetTooLong,
            TargetError::Path(error) => Self::Path(error),
        }
    }
}

impl Fault for AdmissionError {
    fn code(&self) -> &'static Code {
        match self {
            Self::ContentType => &code::CONTENT_TYPE,
            Self::Expectation => &code::EXPECTATION,
            Self::ForeignHost { .. } => &code::FOREIGN_HOST,
            Self::Prefetched | Self::ForeignOrigin(_) | Self::ForeignPage(_) => {
                &code::FOREIGN_ORIGIN
            }
            Self::Forwarded => &code::FORWARDED,
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
                "add -H 'Content-Type: text/plain' (curl's default is a form type)".into()
            }
            Self::ForeignHost { host } => {
                format!("to use {host:?} as a name of the gateway, add it to listener.hosts")
                    .into()
            }
            Self::Prefetched => "open the address in a tab: prefetches are refused".into(),
            Self::ForeignPage(_) => {
                "open the address in the browser directly; from a script, send no Origin and \
                 no Referer"
                    .into()
            }
            Self::Path(error) => error.hint().into(),

            Self::Expectation
            | Self::Forwarded
            | Self::ForeignOrigin(_)
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
