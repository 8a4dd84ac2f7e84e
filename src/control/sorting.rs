//! Which kind of failure an SDK error is: by its code, its status, or its chain of causes.

use super::AwsErrorKind;
use super::http_client::ConnectError;
use std::error::Error;

/// Sorts by error code where there is one, else by status.
pub(super) fn by_code(code: Option<&str>, status: u16) -> AwsErrorKind {
    let code = code.unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if has(&["Throttl", "TooManyRequests", "SlowDown", "LimitExceeded"]) || status == 429 {
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
    ]) || matches!(status, 401 | 403)
    {
        AwsErrorKind::Denied
    } else if has(&["ResourceNotFound"]) || status == 404 {
        AwsErrorKind::NotFound
    } else {
        AwsErrorKind::Unavailable
    }
}

/// Credential failures arrive in the same variant as network failures: only the chain tells.
pub(super) fn by_chain(error: &dyn Error) -> (AwsErrorKind, String) {
    let mut chain = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        chain.push(cause.to_string());
        next = cause.source();
    }
    let text = chain.join(": ");
    let lower = text.to_ascii_lowercase();
    let credentials = [
        "credential",
        "identity",
        "provider",
        "assume role",
        "web identity",
    ];
    let login = LOGIN.iter().any(|words| lower.contains(words));
    let kind = if login {
        AwsErrorKind::LoginNeeded
    } else if credentials.iter().any(|word| lower.contains(word)) {
        AwsErrorKind::Credentials
    } else {
        AwsErrorKind::Unavailable
    };
    (kind, text)
}

/// The connection that did not come about, if that is the cause.
pub(super) fn connection<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a ConnectError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What the SDK says when a login is missing or over, in lower case; the last is the SSO portal's
/// own word. A bare "sso" would be found in "processor" and in people's paths.
const LOGIN: [&str; 4] = [
    "sso token",
    "sso oidc",
    "/.aws/sso/cache/",
    "unauthorizedexception",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_address_is_no_lapsed_login() {
        let told = |text: &str| {
            let cause: Box<dyn Error + Send + Sync> = text.into();
            let outer = aws_smithy_runtime_api::client::result::ConnectorError::io(cause);
            by_chain(&outer).0
        };
        for (text, kind) in [
            (
                "dns error: failed to lookup address information: No address associated with hostname",
                AwsErrorKind::Unavailable,
            ),
            (
                "failed to load the cached SSO token",
                AwsErrorKind::LoginNeeded,
            ),
            (
                "credential_process /opt/processor gave an error",
                AwsErrorKind::Credentials,
            ),
        ] {
            assert_eq!(told(text), kind, "{text}");
        }
    }

    #[test]
    fn codes_beat_statuses() {
        for (code, status, kind) in [
            (Some("ThrottlingException"), 400, AwsErrorKind::Throttled),
            (None, 429, AwsErrorKind::Throttled),
            (Some("AccessDeniedException"), 403, AwsErrorKind::Denied),
            (None, 403, AwsErrorKind::Denied),
            (
                Some("ExpiredTokenException"),
                403,
                AwsErrorKind::Credentials,
            ),
            (Some("InvalidClientTokenId"), 403, AwsErrorKind::Credentials),
            (
                Some("ResourceNotFoundException"),
                404,
                AwsErrorKind::NotFound,
            ),
            (
                Some("InternalServerException"),
                500,
                AwsErrorKind::Unavailable,
            ),
            (None, 503, AwsErrorKind::Unavailable),
        ] {
            assert_eq!(by_code(code, status), kind, "{code:?} {status}");
        }
    }
}
