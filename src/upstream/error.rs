//! How the way to the web server, or the web server, failed.
#![deny(clippy::wildcard_enum_match_arm)]

use super::payload::UploadFate;
use crate::egress::EgressError;
use crate::names::{Code, Fault, code};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// An exchange that gave no usable reply.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The connection broke, or the reply is not HTTP, after the request was (partly) written.
    Broken {
        /// The web server.
        host: String,
        /// How.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The head of the reply breaks HTTP in a way that makes its body doubtful.
    Malformed {
        /// The web server.
        host: String,
        /// How.
        what: &'static str,
    },
    /// No reply in time.
    Timeout {
        /// The web server.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The TLS handshake failed.
    Tls {
        /// The web server, and the way to it.
        host: String,
        /// Why, in words for people.
        why: String,
    },
    /// It was written once more because nobody knew what became of the first time, and there
    /// is no usable reply to that either.
    Twice {
        /// What was seen of the first time.
        first: String,
        /// What became of the second.
        second: Box<Self>,
    },
    /// The client's body was not passed on to its end.
    Upload(UploadFate),
    /// No connection came about.
    Unreachable(EgressError),
}

impl UpstreamError {
    /// Whether the request was written, so that nobody knows what became of it.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Twice { .. } => true,
            Self::Tls { .. } | Self::Upload(_) | Self::Unreachable(_) => false,
        }
    }

    /// Whether there was no connection to write to: the host may be there no more.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Tls { .. } | Self::Unreachable(_))
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { host, source } => {
                let cause = source
                    .source()
                    .map_or_else(|| source.to_string(), |cause| format!("{source}: {cause}"));
                write!(
                    f,
                    "the exchange with {host} broke off ({cause}); outcome: unknown"
                )
            }
            Self::Malformed { host, what } => {
                write!(
                    f,
                    "the reply of {host} is malformed: {what}; outcome: unknown"
                )
            }
            Self::Timeout { host, after } => write!(
                f,
                "{host} gave no reply within {}; outcome: unknown",
                humantime::format_duration(*after)
            ),
            Self::Twice { first, second } => {
                write!(f, "{first}; written once more: {second}; outcome: unknown")
            }
            Self::Tls { host, why } => write!(f, "no trusted TLS connection to {host}: {why}"),
            Self::Upload(fate) => fate.fmt(f),
            Self::Unreachable(error) => error.fmt(f),
        }
    }
}

impl Error for UpstreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken { source, .. } => Some(source.as_ref()),
            Self::Unreachable(error) => Some(error),
            Self::Twice { second, .. } => Some(second),
            Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Tls { .. }
            | Self::Upload(_) => None,
        }
    }
}

impl Fault for UpstreamError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Twice { second, .. } if second.is_outcome_unknown() => second.code(),
            Self::Broken { .. } | Self::Malformed { .. } | Self::Twice { .. } => {
                &code::UPSTREAM_BROKEN
            }
            Self::Timeout { .. } => &code::UPSTREAM_TIMEOUT,
            Self::Tls { .. } => &code::UPSTREAM_TLS,
            Self::Unreachable(error) => error.code(),
            Self::Upload(UploadFate::TooLarge) => &code::TOO_LARGE,
            Self::Upload(UploadFate::Silent) => &code::BODY_TIMEOUT,
            Self::Upload(UploadFate::Broken | UploadFate::Complete | UploadFate::Underway) => {
                &code::MALFORMED
            }
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Unreachable(error) => error.hint(),
            Self::Tls { why, .. } => untrusted(why).into(),
            Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Twice { .. }
            | Self::Upload(_) => self.code().advice.into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable(error) => error.retry_after(),
            Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Tls { .. }
            | Self::Twice { .. }
            | Self::Upload(_) => None,
        }
    }

    fn ends_connection(&self) -> bool {
        matches!(self, Self::Upload(_))
    }
}

/// What to do about a TLS failure, by the words of [`tls::Failure`](crate::egress::tls::Failure).
fn untrusted(why: &str) -> &'static str {
    if why.contains("another name") {
        "something else answers there: correct connect_to, the proxy or the tunnel; or set custom_domain if the \
         name is yours"
    } else if why.contains("unknown authority") {
        "if the authority is yours (a company proxy that opens TLS has one), name its certificate in ca_file"
    } else if why.contains("has expired") {
        "see that this machine's clock is right and that the way leads to MWAA; a certificate of yours is to be \
         renewed"
    } else {
        code::UPSTREAM_TLS.advice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::tls;

    #[test]
    fn a_certificate_for_another_name_points_at_the_way() {
        let named =
            rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForName);
        let why = tls::explain(&std::io::Error::other(named)).to_string();
        assert!(untrusted(&why).contains("correct connect_to"), "{why}");
    }
}
