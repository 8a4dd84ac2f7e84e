//! The errors of the web server and of the connection to it.
#![deny(clippy::wildcard_enum_match_arm)]

use super::request::UploadState;
use mwaa_egress::EgressError;
use mwaa_egress::tls::{CertificateFault, HandshakeError};
use mwaa_http1::ResponseError;
use mwaa_model::{Code, Fault, code, error_chain};
use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

/// An exchange without a usable response.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The connection broke, or the response is not HTTP, after the request was (partly) written.
    #[error("the connection to {host} was lost ({}); outcome: unknown", error_chain(cause.as_ref()))]
    Broken {
        /// The web server.
        host: String,
        /// The cause. It is part of the text, which ends with the outcome.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The head of the response breaks HTTP in a way that makes its body doubtful.
    #[error("the response of {host} is malformed: {what}; outcome: unknown")]
    Malformed {
        /// The web server.
        host: String,
        /// The reason.
        what: ResponseError,
    },
    /// No response in time.
    #[error("{host} did not respond within {}; outcome: unknown", humantime::format_duration(*after))]
    Timeout {
        /// The web server.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The TLS handshake failed.
    #[error("no trusted TLS connection to {host}")]
    Tls {
        /// The web server, and the route to it.
        host: String,
        /// The reason.
        source: HandshakeError,
    },
    /// It was sent a second time because the outcome of the first was unknown, and that gave no
    /// usable response either.
    #[error("{first}; sent again: {}; outcome: unknown", second.detail())]
    Repeated {
        /// The result of the first attempt.
        first: String,
        /// The error of the second. It is part of the text, which ends with the outcome.
        second: Box<Self>,
    },
    /// The slot may have passed to another gateway of the fleet before the first byte was written.
    #[error(
        "the command took too long until its first byte, and its slot in the fleet has expired; nothing was sent"
    )]
    SlotLost,
    /// The client's body was not passed on to its end.
    #[error(transparent)]
    Upload(UploadState),
    /// No connection could be opened.
    #[error(transparent)]
    Unreachable(EgressError),
}

impl UpstreamError {
    /// Returns true if the request was written and no response came, so that it may have run.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Repeated { .. } => true,
            Self::Tls { .. } | Self::Upload(_) | Self::Unreachable(_) | Self::SlotLost => false,
        }
    }

    /// Returns true if there was no connection to write to: the host may no longer exist.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Tls { .. } | Self::Unreachable(_))
    }
}

impl Fault for UpstreamError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Repeated { second, .. } if second.is_outcome_unknown() => second.code(),
            Self::Broken { .. } | Self::Malformed { .. } | Self::Repeated { .. } => {
                &code::UPSTREAM_BROKEN
            }
            Self::Timeout { .. } => &code::UPSTREAM_TIMEOUT,
            Self::Tls { .. } => &code::UPSTREAM_TLS,
            Self::Unreachable(error) => error.code(),
            Self::SlotLost => &code::FLEET_UNAVAILABLE,
            Self::Upload(UploadState::TooLarge) => &code::TOO_LARGE,
            Self::Upload(UploadState::Silent) => &code::BODY_TIMEOUT,
            Self::Upload(
                UploadState::Broken | UploadState::Complete | UploadState::InProgress,
            ) => &code::MALFORMED,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Unreachable(error) => error.hint(),
            Self::Tls { source, .. } => tls_hint(source).into(),
            Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Repeated { .. }
            | Self::SlotLost
            | Self::Upload(_) => self.code().advice.into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable(error) => error.retry_after(),
            Self::SlotLost => Some(Duration::from_secs(1)),
            Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::Timeout { .. }
            | Self::Tls { .. }
            | Self::Repeated { .. }
            | Self::Upload(_) => None,
        }
    }

    fn ends_connection(&self) -> bool {
        matches!(self, Self::Upload(_))
    }
}

/// Returns the hint for a failed TLS handshake.
fn tls_hint(error: &HandshakeError) -> &'static str {
    match error.certificate_fault() {
        Some(CertificateFault::OtherName) => {
            "another server responded: correct connect_to, the proxy or the tunnel; or set \
             custom_domain if the name is yours"
        }
        Some(CertificateFault::UnknownIssuer) => {
            "if it is your own authority (such as a company proxy that inspects TLS), set \
             ca_file to its certificate"
        }
        Some(CertificateFault::Expired) => {
            "check this machine's clock and the route (connect_to, proxy, tunnel); if the \
             certificate is yours, renew it"
        }
        None => code::UPSTREAM_TLS.advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_for_a_wrong_certificate_name_names_connect_to() {
        let named =
            rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForName);
        let error = HandshakeError::from(std::io::Error::other(named));
        let hint = tls_hint(&error);
        assert!(hint.contains("correct connect_to"), "{error}: {hint}");
    }
}
