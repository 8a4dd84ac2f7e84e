//! How the way to the web server, or the web server, failed.
#![deny(clippy::wildcard_enum_match_arm)]

use super::payload::UploadFate;
use crate::names::{Code, Fault, code};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
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
        /// The web server.
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
    Unreachable {
        /// What was dialled.
        address: String,
        /// Why.
        source: io::Error,
    },
}

impl UpstreamError {
    /// Whether the request was written, so that nobody knows what became of it.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Twice { .. } => true,
            Self::Tls { .. } | Self::Upload(_) | Self::Unreachable { .. } => false,
        }
    }

    /// Whether there was no connection to write to: the host may be there no more.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Tls { .. } | Self::Unreachable { .. })
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
            Self::Unreachable { address, source } => {
                write!(f, "cannot connect to {address}: {source}")
            }
        }
    }
}

impl Error for UpstreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken { source, .. } => Some(source.as_ref()),
            Self::Unreachable { source, .. } => Some(source),
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
            Self::Unreachable { .. } => &code::UPSTREAM_UNREACHABLE,
            Self::Upload(UploadFate::TooLarge) => &code::TOO_LARGE,
            Self::Upload(UploadFate::Silent) => &code::BODY_TIMEOUT,
            Self::Upload(UploadFate::Broken | UploadFate::Complete | UploadFate::Underway) => {
                &code::MALFORMED
            }
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        if let Self::Unreachable { address, source } = self {
            return unreachable(address, source);
        }
        if let Self::Tls { why, .. } = self {
            return untrusted(why).into();
        }
        self.code().advice.into()
    }

    fn ends_connection(&self) -> bool {
        matches!(self, Self::Upload(_))
    }
}

/// What to do where no connection came about.
fn unreachable(address: &str, source: &io::Error) -> Cow<'static, str> {
    let is_here = address
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.ip().is_loopback());
    if is_here && source.kind() == io::ErrorKind::ConnectionRefused {
        return format!("nobody listens at {address}: start the tunnel that connect_to leads to, or correct it").into();
    }
    if source.to_string().contains("lookup") {
        return "its name does not resolve here: a private web server's needs its VPC's DNS (a VPN), or connect_to"
            .into();
    }
    code::UPSTREAM_UNREACHABLE.advice.into()
}

/// What to do about a TLS failure, by the words of [`explain_tls`].
fn untrusted(why: &str) -> &'static str {
    if why.contains("another name") {
        "something else answers there: correct connect_to, or set custom_domain if the name is yours"
    } else if why.contains("unknown authority") {
        "if the authority is yours (a company proxy that opens TLS has one), name its certificate in ca_file"
    } else if why.contains("has expired") {
        "see that this machine's clock is right and that connect_to leads to MWAA; a certificate of yours is to be \
         renewed"
    } else {
        code::UPSTREAM_TLS.advice
    }
}

/// A TLS failure in words for people.
pub(super) fn explain_tls(error: &io::Error) -> String {
    use rustls::CertificateError as Bad;
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return error.to_string();
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum that may grow; its own text stands in"
    )]
    match tls {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet (is this machine's clock right?)".to_owned()
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            Bad::UnknownIssuer => {
                "its certificate is from an unknown authority (set ca_file if it is your own)"
                    .to_owned()
            }
            Bad::BadSignature => {
                "its certificate is signed by another authority of the same name (is ca_file up \
                 to date?)"
                    .to_owned()
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_fit_the_failure() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let dns =
            io::Error::other("failed to lookup address information: Name or service not known");
        let late = io::Error::from(io::ErrorKind::TimedOut);
        for (address, source, told) in [
            (
                "127.0.0.1:8443",
                refused,
                "nobody listens at 127.0.0.1:8443: start the tunnel",
            ),
            (
                "x.airflow.amazonaws.com:443",
                dns,
                "its name does not resolve here",
            ),
            (
                "x.airflow.amazonaws.com:443",
                late,
                code::UPSTREAM_UNREACHABLE.advice,
            ),
        ] {
            let error = UpstreamError::Unreachable {
                address: address.to_owned(),
                source,
            };
            assert!(error.hint().starts_with(told), "{}", error.hint());
        }
        let named =
            rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForName);
        let why = explain_tls(&io::Error::other(named));
        assert!(untrusted(&why).contains("correct connect_to"), "{why}");
    }
}
