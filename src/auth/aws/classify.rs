//! Sorts failed calls into a few kinds: by AWS's error code, by its status, or by the chain of
//! causes of a call that AWS never answered.
#![deny(clippy::wildcard_enum_match_arm)]

use super::error::CallContext;
use super::http_client::{ConnectError, clock_offset};
use super::service_error::{ServiceError, truncate_message};
use super::{AwsErrorKind, CredentialOrigin, CredentialSource, LoginCommand};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_signin::operation::create_o_auth2_token::CreateOAuth2TokenError;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use mwaa_egress::EgressError;
use mwaa_model::Fault as _;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A failed call.
pub(super) enum CallError {
    /// AWS answered with an error.
    Service(ServiceError),
    /// The call was sent, and AWS did not answer in time.
    Timeout,
    /// AWS did not answer, for these reasons.
    Unanswered(CauseChain),
}

impl CallError {
    /// Takes from an SDK error what may be shown.
    pub(super) fn from_sdk<E>(
        error: &SdkError<E, HttpResponse>,
        context: &CallContext<'_>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match (ServiceError::from_sdk(error), error) {
            (Some(answer), _) => Self::Service(answer),
            (None, SdkError::TimeoutError(_)) if context.was_sent => Self::Timeout,
            // the limit of a call covers its credentials too
            (None, SdkError::TimeoutError(_)) => {
                Self::Unanswered(CauseChain::new_late(context.limit))
            }
            (None, _) => Self::Unanswered(CauseChain::read(error)),
        }
    }

    /// Returns the message of AWS's error; empty if AWS did not answer.
    pub(super) fn service_message(&self) -> &str {
        match self {
            Self::Service(error) => error.message(),
            Self::Unanswered(_) | Self::Timeout => "",
        }
    }

    /// Returns the service that gives credentials and failed to; `None` if none did.
    pub(super) fn provider(&self) -> Option<&ProviderError> {
        match self {
            Self::Unanswered(chain) => chain.provider.as_ref(),
            Self::Service(_) | Self::Timeout => None,
        }
    }

    /// Returns AWS's answer if it is that it does not accept the first credentials.
    pub(super) fn refused_credentials(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(error) => {
                (error.kind() == AwsErrorKind::Credentials).then_some(error)
            }
            Self::Unanswered(_) | Self::Timeout => self.provider()?.refused_credentials(),
        }
    }

    /// Returns the seconds by which our clock is ahead of AWS's, if that is why the credentials
    /// are refused.
    pub(super) fn clock_offset(&self, context: &CallContext<'_>) -> Option<i64> {
        self.refused_credentials()?;
        // the clock of the service that refused, which may not be MWAA
        let offset = match self.provider() {
            Some(provider) => provider.clock_offset,
            None => context.clock_offset,
        };
        offset.filter(|offset| offset.abs() > CLOCK_TOLERANCE)
    }

    /// Returns true if the call was signed for another region than the one that answered.
    pub(super) fn is_other_region(&self) -> bool {
        self.refused_credentials()
            .is_some_and(|error| error.message().contains("scoped to a valid region"))
    }

    /// Returns true if the causes mention these words.
    pub(super) fn mentions(&self, words: &str) -> bool {
        matches!(self, Self::Unanswered(chain) if chain.text.contains(words))
    }

    /// Returns true if the credentials took longer than the call may take.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Unanswered(chain) if chain.is_late)
    }

    /// Returns the kind of failure.
    pub(super) fn kind(&self, context: &CallContext<'_>) -> AwsErrorKind {
        let kind = match self {
            Self::Service(error) => error.kind(),
            Self::Unanswered(chain) => chain.kind(context.origin),
            Self::Timeout => AwsErrorKind::Unavailable,
        };

        // where a person logs in, the next login gives other credentials
        let needs_others = kind == AwsErrorKind::Credentials
            && self.refused_credentials().is_some()
            && self.clock_offset(context).is_none()
            && !self.is_other_region();
        if needs_others && context.origin.login_command().is_some() {
            AwsErrorKind::LoginNeeded
        } else {
            kind
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(f),
            Self::Unanswered(chain) => match &chain.provider {
                Some(
                    provider @ ProviderError {
                        answer: Some(answer),
                        ..
                    },
                ) => {
                    // with its answer, the causes around it say nothing more
                    write!(f, "{provider} returned {answer}")
                }
                _ => f.write_str(&truncate_message(&chain.text)),
            },
            Self::Timeout => f.write_str("no response in time"),
        }
    }
}

/// The causes of a call that AWS never answered. Failures of credentials and of the network have
/// the same variant of the SDK's error; only the chain says which it was.
#[derive(Debug, Default)]
pub(super) struct CauseChain {
    /// There were no credentials to sign with.
    pub(super) is_about_credentials: bool,
    /// The network failed, on the way to AWS or to what gives the credentials.
    is_network: bool,
    /// The credentials did not come in time.
    is_late: bool,
    /// The service that gives credentials and failed to.
    pub(super) provider: Option<ProviderError>,
    /// The hint if the way to AWS gave no connection, or none that can be trusted.
    pub(super) way_hint: Option<String>,
    /// All texts that say something.
    pub(super) text: String,
}

impl CauseChain {
    /// Reads the causes of an SDK error; the error itself only repeats them.
    pub(super) fn read(error: &dyn Error) -> Self {
        let mut chain = Self::default();
        let mut texts: Vec<String> = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            chain.read_cause(cause);

            let text = cause.to_string();
            if let Some(text) = strip_boilerplate(&text)
                // some causes print their own cause too
                && texts.last().is_none_or(|last| last != text && !last.ends_with(&format!(": {text}")))
            {
                texts.push(text.to_owned());
            }
            next = cause.source();
        }

        chain.text = texts.join(": ");
        if chain.text.is_empty() {
            // all of it was boilerplate
            let text = if chain.is_about_credentials {
                "there are no credentials"
            } else {
                "the call could not be sent"
            };
            text.clone_into(&mut chain.text);
        }
        chain
    }

    fn read_cause(&mut self, cause: &(dyn Error + 'static)) {
        if let Some(error) = cause.downcast_ref::<CredentialsError>() {
            self.is_about_credentials = true;
            self.is_late |= matches!(error, CredentialsError::ProviderTimedOut(_));
            // its service was not asked: the reason is further down the chain
            self.provider = None;
        }
        if let Some(provider) = ProviderError::read(cause) {
            self.is_network |= provider.is_timeout;
            self.provider = Some(provider);
        }
        self.is_network |= cause
            .downcast_ref::<ConnectorError>()
            .is_some_and(|error| error.is_io() || error.is_timeout());

        match cause.downcast_ref() {
            Some(ConnectError::Egress(error @ EgressError::Proxy { .. })) => {
                self.way_hint = Some(error.hint().into_owned());
            }
            Some(ConnectError::Tls { why, .. }) if why.contains("unknown authority") => {
                self.way_hint = Some(FOREIGN_AUTHORITY.to_owned());
            }
            Some(ConnectError::Egress(_) | ConnectError::Tls { .. }) | None => {}
        }
    }

    /// Returns the chain of a call that was never sent: its credentials did not come within this
    /// limit.
    fn new_late(limit: Duration) -> Self {
        Self {
            is_about_credentials: true,
            is_late: true,
            text: format!(
                "no credentials within {}",
                humantime::format_duration(limit)
            ),
            ..Self::default()
        }
    }

    /// Returns the kind of failure, which depends on where the credentials would come from.
    fn kind(&self, origin: &CredentialOrigin) -> AwsErrorKind {
        if !self.is_about_credentials {
            return AwsErrorKind::Unavailable;
        }
        if let Some(provider) = &self.provider {
            match &provider.answer {
                Some(answer) => {
                    if let Some(kind) = provider.kind(answer) {
                        return kind;
                    }
                }
                // no answer and a broken network: the credentials are not to blame
                None if self.is_network => return AwsErrorKind::Unavailable,
                None => {}
            }
        }

        // the SDK has no types for these, only texts
        let lower = self.text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        match &origin.source {
            // these are asked on this machine, so a failed connection means that they are not
            // there
            CredentialSource::Container
            | CredentialSource::Instance
            | CredentialSource::Nothing
            | CredentialSource::Process { .. }
            | CredentialSource::WebIdentity {
                lacks_role: true, ..
            } => AwsErrorKind::Credentials,

            _ if self.is_network || self.is_late => AwsErrorKind::Unavailable,
            CredentialSource::Login(LoginCommand::Sso(_)) if has(&SSO_NEEDED) => {
                AwsErrorKind::LoginNeeded
            }
            // another login would end the same way
            CredentialSource::Login(LoginCommand::Login(_)) if has(&NOT_PERMITTED) => {
                AwsErrorKind::Credentials
            }
            CredentialSource::Login(LoginCommand::Login(_)) if has(&LOGIN_NEEDED) => {
                AwsErrorKind::LoginNeeded
            }
            CredentialSource::Broken { .. }
            | CredentialSource::Environment { .. }
            | CredentialSource::Given
            | CredentialSource::Keys { .. }
            | CredentialSource::Login(_)
            | CredentialSource::NoKeys { .. }
            | CredentialSource::NoProfile { .. }
            | CredentialSource::Unreadable(_)
            | CredentialSource::WebIdentity { .. } => AwsErrorKind::Credentials,
        }
    }
}

/// A service that gives credentials and failed to.
#[derive(Debug)]
pub(super) struct ProviderError {
    pub(super) kind: ProviderKind,
    /// Its answer; `None` if it could not be asked.
    pub(super) answer: Option<ServiceError>,
    is_timeout: bool,
    /// The seconds by which our clock is ahead of its clock.
    clock_offset: Option<i64>,
}

/// The calls that give credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProviderKind {
    /// The credentials of an `aws login`: the first ones.
    Login,
    /// A role, with the first credentials.
    Role,
    /// The credentials of an SSO login: the first ones.
    Sso,
    /// The credentials for a web identity token: the first ones.
    WebIdentity,
}

impl ProviderError {
    /// Reads one of a failure's causes: the SDK hides its calls for credentials in them. `None`
    /// if this is not one.
    fn read(cause: &(dyn Error + 'static)) -> Option<Self> {
        // a downcast for each call that aws-config makes
        Self::from_call::<AssumeRoleError>(cause, ProviderKind::Role)
            .or_else(|| {
                let kind = ProviderKind::WebIdentity;
                Self::from_call::<AssumeRoleWithWebIdentityError>(cause, kind)
            })
            .or_else(|| Self::from_call::<GetRoleCredentialsError>(cause, ProviderKind::Sso))
            .or_else(|| Self::from_call::<CreateOAuth2TokenError>(cause, ProviderKind::Login))
            .or_else(|| Self::from_login(cause))
    }

    /// Reads a cause that is a failed call with this error.
    fn from_call<E>(cause: &(dyn Error + 'static), kind: ProviderKind) -> Option<Self>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let error: &SdkError<E, HttpResponse> = cause.downcast_ref()?;
        let date = error
            .raw_response()
            .and_then(|response| response.headers().get("date"))
            .and_then(|date| httpdate::parse_http_date(date).ok());
        Some(Self {
            kind,
            answer: ServiceError::from_sdk(error),
            is_timeout: matches!(error, SdkError::TimeoutError(_)),
            clock_offset: clock_offset(date),
        })
    }

    /// Reads a cause that is AWS Sign-In's answer, of which the SDK keeps less: no status.
    fn from_login(cause: &(dyn Error + 'static)) -> Option<Self> {
        let error: &CreateOAuth2TokenError = cause.downcast_ref()?;
        // a call without an answer is the next cause, and is read there
        if error
            .source()
            .is_some_and(<dyn Error>::is::<SdkError<CreateOAuth2TokenError, HttpResponse>>)
        {
            return None;
        }

        Some(Self {
            kind: ProviderKind::Login,
            answer: Some(ServiceError::new(error.meta(), None)),
            is_timeout: false,
            clock_offset: None,
        })
    }

    /// Returns the kind of failure that this answer means; `None` if the causes around it say
    /// more.
    fn kind(&self, answer: &ServiceError) -> Option<AwsErrorKind> {
        match answer.kind() {
            AwsErrorKind::Throttled => Some(AwsErrorKind::Throttled),
            // STS reports an identity provider that it cannot reach with a status of 400
            AwsErrorKind::Unavailable
                if !answer.is_client_error() || answer.code().contains("IDPCommunication") =>
            {
                Some(AwsErrorKind::Unavailable)
            }

            AwsErrorKind::Credentials
            | AwsErrorKind::Denied
            | AwsErrorKind::LoginNeeded
            | AwsErrorKind::NotFound
            | AwsErrorKind::NotReady
            | AwsErrorKind::Unavailable
            | AwsErrorKind::UntrustedHost => match self.kind {
                ProviderKind::Login => None,
                // the portal's own word for a login that is over
                ProviderKind::Sso if answer.code().contains("Unauthorized") => {
                    Some(AwsErrorKind::LoginNeeded)
                }
                ProviderKind::Role | ProviderKind::Sso | ProviderKind::WebIdentity => {
                    Some(AwsErrorKind::Credentials)
                }
            },
        }
    }

    /// Returns the answer if it is that the first credentials are no good.
    pub(super) fn refused_credentials(&self) -> Option<&ServiceError> {
        let answer = self.answer.as_ref()?;
        let is_refused =
            self.kind == ProviderKind::Role && answer.kind() == AwsErrorKind::Credentials;
        // of a role only: the other services are asked without keys
        is_refused.then_some(answer)
    }

    /// Returns the name by which people know the service.
    pub(super) fn service_name(&self) -> &'static str {
        match self.kind {
            ProviderKind::Login => "AWS Sign-In",
            ProviderKind::Role | ProviderKind::WebIdentity => "AWS STS",
            ProviderKind::Sso => "IAM Identity Center",
        }
    }
}

/// The service, and the call by the name of its API.
impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = match self.kind {
            ProviderKind::Login => "CreateOAuth2Token",
            ProviderKind::Role => "AssumeRole",
            ProviderKind::Sso => "GetRoleCredentials",
            ProviderKind::WebIdentity => "AssumeRoleWithWebIdentity",
        };
        write!(f, "{} ({operation})", self.service_name())
    }
}

/// Returns the kind of failure of an error code, or of a status if the code says nothing.
pub(super) fn classify_code(code: &str, status: Option<u16>) -> AwsErrorKind {
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));

    // codes first: AWS uses one status for many things
    if has(&THROTTLED_CODES) || status == Some(429) {
        AwsErrorKind::Throttled
    } else if has(&CREDENTIAL_CODES) {
        AwsErrorKind::Credentials
    } else if has(&DENIED_CODES) || matches!(status, Some(401 | 403)) {
        AwsErrorKind::Denied
    } else if has(&["ResourceNotFound"]) || status == Some(404) {
        AwsErrorKind::NotFound
    } else if has(&["Validation"]) {
        AwsErrorKind::NotReady
    } else {
        AwsErrorKind::Unavailable
    }
}

/// Returns the text without what the SDK says of every failure; `None` if nothing is left.
fn strip_boilerplate(text: &str) -> Option<&str> {
    let text = text.strip_prefix(UNBUILT).unwrap_or(text).trim();
    // the hint has this in better words
    let text = text.split(UNDEFINED).next().unwrap_or(text);
    if text.starts_with(ATTEMPTS) {
        return Some("no credentials found");
    }

    let is_empty = text.is_empty()
        || BOILERPLATE.contains(&text)
        || text.starts_with("unhandled error")
        || text.starts_with("client error (");
    (!is_empty).then_some(text)
}

/// For TLS that is opened somewhere between here and AWS.
const FOREIGN_AUTHORITY: &str = "if it is your own authority (such as a company proxy that \
                                 inspects TLS), set AWS_CA_BUNDLE to its certificate";
/// AWS refuses signatures that are five minutes off; less is not the clock's fault. In seconds.
const CLOCK_TOLERANCE: i64 = 240;

/// Parts of the error codes for too many calls.
const THROTTLED_CODES: [&str; 5] = [
    "Throttl",
    "TooManyRequests",
    "SlowDown",
    "LimitExceeded",
    "ThroughputExceeded",
];
/// Parts of the error codes for credentials that AWS does not accept.
const CREDENTIAL_CODES: [&str; 10] = [
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
];
/// Parts of the error codes for a missing permission.
const DENIED_CODES: [&str; 4] = [
    "AccessDenied",
    "NotAuthorized",
    "Forbidden",
    "OptInRequired",
];

/// Texts of the SDK around the one that says what has happened.
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
/// Parts of the SDK's texts about an SSO login that is missing or over, in lower case.
const SSO_NEEDED: [&str; 3] = ["sso token", "sso oidc", "/sso/cache/"];
/// The same of `aws login`.
const LOGIN_NEEDED: [&str; 2] = ["login token", "/login/cache/"];
/// The same if the identity may not use its `aws login`.
const NOT_PERMITTED: [&str; 1] = ["insufficient permissions"];

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(text: &str, source: CredentialSource) -> AwsErrorKind {
        let cause =
            ConnectorError::other(Box::new(CredentialsError::provider_error(text)), None);
        // `CauseChain::read` looks only at the causes of what it is given
        let outer = ConnectorError::io(Box::new(cause));
        CauseChain::read(&outer).kind(&source.into())
    }

    #[test]
    fn only_sso_and_login_sources_can_need_a_login() {
        let sso = || CredentialSource::Login(LoginCommand::Sso(None));
        let login = || CredentialSource::Login(LoginCommand::Login(None));
        let process = || CredentialSource::Process {
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
            assert_eq!(classify(text, source), kind, "{text}");
        }
    }

    #[test]
    fn a_failed_dns_lookup_is_a_network_error() {
        let dns = "dns error: failed to lookup address information";
        let outer = ConnectorError::other(Box::new(ConnectorError::io(dns.into())), None);
        let chain = CauseChain::read(&outer);
        assert!(chain.is_network && !chain.is_about_credentials);
        let nothing = CredentialSource::Nothing.into();
        assert_eq!(chain.kind(&nothing), AwsErrorKind::Unavailable);
        assert_eq!(chain.text, dns);
    }

    #[test]
    fn the_error_code_takes_precedence_over_the_status() {
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
            assert_eq!(classify_code(code, Some(status)), kind, "{code:?} {status}");
        }
    }
}
