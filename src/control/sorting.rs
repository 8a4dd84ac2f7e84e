//! Which kind of failure an SDK error is: by its code, its status, or its chain of causes.

use super::giver::Giver;
use super::http_client::ConnectError;
use super::origin::{Origin, Source};
use super::{AwsErrorKind, SignIn};
use crate::egress::EgressError;
use crate::names::Fault as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use std::error::Error;
use std::time::Duration;

/// Sorts by error code where there is one, else by status.
pub(super) fn by_code(code: &str, status: Option<u16>) -> AwsErrorKind {
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if has(&["Throttl", "TooManyRequests", "SlowDown", "LimitExceeded"]) || status == Some(429)
    {
        AwsErrorKind::Throttled
    } else if has(&[
        "ExpiredToken",
        "InvalidClientTokenId",
        "UnrecognizedClient",
        "SignatureDoesNotMatch",
        "InvalidSignature",
        "MissingAuthenticationToken",
        "RequestExpired",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "RequestTimeTooSkewed",
    ]) {
        AwsErrorKind::Credentials
    } else if has(&[
        "AccessDenied",
        "NotAuthorized",
        "Forbidden",
        "OptInRequired",
    ]) || matches!(status, Some(401 | 403))
    {
        AwsErrorKind::Denied
    } else if has(&["ResourceNotFound"]) || status == Some(404) {
        AwsErrorKind::NotFound
    } else if has(&["Validation"]) {
        AwsErrorKind::NotReady
    } else {
        AwsErrorKind::Unavailable
    }
}

/// What the causes of a call say that AWS never answered. Failures of credentials and of the
/// network arrive in the same variant: only the chain tells.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The keys could not be got.
    pub(super) is_about_keys: bool,
    /// The network failed, on the way to AWS or to what gives the keys.
    pub(super) is_network: bool,
    /// The keys did not come in time.
    pub(super) is_late: bool,
    /// The service that gives keys and failed to.
    pub(super) giver: Option<Giver>,
    /// The way to AWS gave no connection, or none that can be trusted: what to do about it.
    pub(super) way: Option<String>,
    /// All that is worth telling.
    pub(super) text: String,
}

impl Chain {
    pub(super) fn read(error: &dyn Error) -> Self {
        let mut chain = Self::default();
        let mut told: Vec<String> = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            if let Some(keys) = cause.downcast_ref::<CredentialsError>() {
                chain.is_about_keys = true;
                chain.is_late |= matches!(keys, CredentialsError::ProviderTimedOut(_));
                // it was not asked: what comes further on is why
                chain.giver = None;
            }
            if let Some(giver) = Giver::read(cause) {
                chain.is_network |= giver.is_silent;
                chain.giver = Some(giver);
            }
            chain.is_network |= cause
                .downcast_ref::<ConnectorError>()
                .is_some_and(|failed| failed.is_io() || failed.is_timeout());
            match cause.downcast_ref() {
                Some(ConnectError::Egress(error @ EgressError::Proxy { .. })) => {
                    chain.way = Some(error.hint().into_owned());
                }
                Some(ConnectError::Tls { why, .. }) if why.contains("unknown authority") => {
                    chain.way = Some(FOREIGN_AUTHORITY.to_owned());
                }
                Some(ConnectError::Egress(_) | ConnectError::Tls { .. }) | None => {}
            }
            let text = cause.to_string();
            if let Some(text) = worth(&text)
                && told.last().is_none_or(|last| last != text)
            {
                told.push(text.to_owned());
            }
            next = cause.source();
        }
        chain.text = told.join(": ");
        if chain.text.is_empty() {
            // all of it was boilerplate
            let empty = if chain.is_about_keys {
                "there are no credentials"
            } else {
                "the call could not be made"
            };
            empty.clone_into(&mut chain.text);
        }
        chain
    }

    /// The keys of a call did not come within this limit, so it was never sent.
    pub(super) fn late(limit: Duration) -> Self {
        Self {
            is_about_keys: true,
            is_late: true,
            text: format!(
                "the keys did not come within {}",
                humantime::format_duration(limit)
            ),
            ..Self::default()
        }
    }

    /// Sorts it, by where the keys would come from.
    pub(super) fn kind(&self, origin: &Origin) -> AwsErrorKind {
        if !self.is_about_keys {
            return AwsErrorKind::Unavailable;
        }
        if let Some(giver) = &self.giver {
            let told = giver.answer.as_ref().map(|answer| giver.kind(answer));
            match told {
                Some(Some(kind)) => return kind,
                None if self.is_network => return AwsErrorKind::Unavailable,
                Some(None) | None => {}
            }
        }
        let lower = self.text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        match &origin.source {
            // whatever is asked there is on this machine: nobody is there
            Source::Container
            | Source::Instance
            | Source::Nothing
            | Source::Process { .. }
            | Source::WebIdentity {
                lacks_role: true, ..
            } => AwsErrorKind::Credentials,
            _ if self.is_network || self.is_late => AwsErrorKind::Unavailable,
            Source::SignIn(SignIn::Sso(_)) if has(&SSO) => AwsErrorKind::LoginNeeded,
            Source::SignIn(SignIn::Login(_)) if has(&NO_LEAVE) => AwsErrorKind::Credentials,
            Source::SignIn(SignIn::Login(_)) if has(&LOGIN) => AwsErrorKind::LoginNeeded,
            _ => AwsErrorKind::Credentials,
        }
    }
}

/// The text without what the SDK says of every failure.
fn worth(text: &str) -> Option<&str> {
    let text = text.strip_prefix(UNBUILT).unwrap_or(text).trim();
    // which the hint tells better
    let text = text.split(UNDEFINED).next().unwrap_or(text);
    if text.starts_with(ATTEMPTS) {
        return Some("no credentials found");
    }
    let empty = text.is_empty()
        || BOILERPLATE.contains(&text)
        || text.starts_with("unhandled error")
        || text.starts_with("client error (");
    (!empty).then_some(text)
}

/// For TLS that somebody between here and AWS opens.
const FOREIGN_AUTHORITY: &str = "if the authority is yours (a company proxy that opens TLS has one), name its \
    certificate in AWS_CA_BUNDLE";
/// What the SDK says around what has happened.
const BOILERPLATE: [&str; 10] = [
    "an error occurred while loading an access token",
    "an error occurred while loading credentials",
    "dispatch failure",
    "dns error",
    "io error",
    "other",
    "service error",
    "the credential provider was not enabled",
    "the credentials provider was not properly configured",
    "unexpected credentials error",
];
/// Before what is wrong with a profile.
const UNBUILT: &str = "ProfileFile provider could not be built: ";
/// Before where a missing profile is named.
const UNDEFINED: &str = ": could not find source profile";
/// Before a list of everything that has no keys.
const ATTEMPTS: &str = "no credentials found in chain";
/// What the SDK says when an SSO login is missing or over, in lower case.
const SSO: [&str; 3] = ["sso token", "sso oidc", "/sso/cache/"];
/// The same of `aws login`.
const LOGIN: [&str; 2] = ["login token", "/login/cache/"];
/// Another login would end the same way.
const NO_LEAVE: [&str; 1] = ["insufficient permissions"];

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(text: &str, source: Source) -> AwsErrorKind {
        let cause =
            ConnectorError::other(Box::new(CredentialsError::provider_error(text)), None);
        // what `Chain::read` is given is never looked at itself
        let outer = ConnectorError::io(Box::new(cause));
        Chain::read(&outer).kind(&source.into())
    }

    #[test]
    fn what_a_person_can_sign_in_to_wants_a_login() {
        let sso = || Source::SignIn(SignIn::Sso(None));
        let login = || Source::SignIn(SignIn::Login(None));
        let process = || Source::Process {
            profile: "x".to_owned(),
        };
        for (text, source, kind) in [
            (
                "failed to load the cached SSO token",
                sso(),
                AwsErrorKind::LoginNeeded,
            ),
            (
                "ForbiddenException: No access",
                sso(),
                AwsErrorKind::Credentials,
            ),
            (
                "cached Login token is expired",
                login(),
                AwsErrorKind::LoginNeeded,
            ),
            (
                "failed to refresh cached Login token: insufficient permissions",
                login(),
                AwsErrorKind::Credentials,
            ),
            // its own words are none of ours
            (
                "the SSO token of /opt/processor",
                process(),
                AwsErrorKind::Credentials,
            ),
        ] {
            assert_eq!(sorted(text, source), kind, "{text}");
        }
    }

    #[test]
    fn a_name_without_an_address_is_the_network_s() {
        let dns = "dns error: failed to lookup address information";
        let outer = ConnectorError::other(Box::new(ConnectorError::io(dns.into())), None);
        let chain = Chain::read(&outer);
        assert!(chain.is_network && !chain.is_about_keys);
        let nobody = Source::Nothing.into();
        assert_eq!(chain.kind(&nobody), AwsErrorKind::Unavailable);
        assert_eq!(chain.text, dns);
    }

    #[test]
    fn codes_beat_statuses() {
        for (code, status, kind) in [
            ("ThrottlingException", 400, AwsErrorKind::Throttled),
            ("", 429, AwsErrorKind::Throttled),
            ("AccessDeniedException", 403, AwsErrorKind::Denied),
            ("", 403, AwsErrorKind::Denied),
            ("ExpiredTokenException", 403, AwsErrorKind::Credentials),
            ("InvalidClientTokenId", 403, AwsErrorKind::Credentials),
            ("ResourceNotFoundException", 404, AwsErrorKind::NotFound),
            ("ValidationException", 400, AwsErrorKind::NotReady),
            ("InternalServerException", 500, AwsErrorKind::Unavailable),
            ("", 503, AwsErrorKind::Unavailable),
        ] {
            assert_eq!(by_code(code, Some(status)), kind, "{code:?} {status}");
        }
    }
}
