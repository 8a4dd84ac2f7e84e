//! An error that a service of AWS answered with, and the message of a denial taken apart.

use super::AwsErrorKind;
use super::classify::classify_code;
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::error::ErrorMetadata;
use aws_types::request_id::RequestId as _;
use std::fmt;

/// The error of a response. Holds no part of the response but its error message: the rest may
/// hold a token.
#[derive(Debug)]
pub(super) struct ServiceError {
    code: Option<String>,
    message: Option<String>,
    /// `None` where the SDK does not give it.
    status: Option<u16>,
    request_id: Option<String>,
}

impl ServiceError {
    /// Returns the error that a call was answered with; `None` if there was no response.
    pub(super) fn from_sdk<E: ProvideErrorMetadata>(
        error: &SdkError<E, HttpResponse>,
    ) -> Option<Self> {
        let response = error.raw_response()?;
        let none = ErrorMetadata::default();
        let meta = error.as_service_error().map_or(&none, E::meta);

        let mut service_error = Self::new(meta, Some(response.status().as_u16()));
        // the header's id is there also where the body could not be read
        if let Some(id) = error.request_id() {
            service_error.request_id = Some(id.to_owned());
        }
        Some(service_error)
    }

    /// Creates it from what the SDK has read of the response.
    pub(super) fn new(meta: &ErrorMetadata, status: Option<u16>) -> Self {
        Self {
            code: meta.code().map(str::to_owned),
            message: meta.message().map(str::to_owned),
            status,
            request_id: meta.request_id().map(str::to_owned),
        }
    }

    /// Returns AWS's code, empty if there is none.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// Returns AWS's message in full, empty if there is none.
    pub(super) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Returns true if this is not one of the service's own errors. A proxy on the way there
    /// has a page for every status, so the status says nothing.
    pub(super) fn is_unreadable(&self) -> bool {
        self.code.is_none() && self.message.is_none()
    }

    /// Returns true if the service rejects the call (RFC 9110 section 15.5), rather than failing
    /// itself.
    pub(super) fn is_client_error(&self) -> bool {
        !self.is_unreadable()
            && self
                .status
                .is_some_and(|status| (400..500).contains(&status))
    }

    /// Returns the kind of failure.
    pub(super) fn kind(&self) -> AwsErrorKind {
        match self.status {
            // a proxy may answer so too, and means the same
            Some(429) => AwsErrorKind::Throttled,
            _ if self.is_unreadable() => AwsErrorKind::Unavailable,
            status => classify_code(self.code(), status),
        }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts: Vec<String> = Vec::new();
        facts.extend(self.status.map(|status| format!("HTTP {status}")));
        if self.is_unreadable() {
            f.write_str("an invalid response")?;
        } else {
            // the id is what AWS's support asks for
            f.write_str(self.code.as_deref().unwrap_or("no error code"))?;
            facts.extend(self.request_id.as_ref().map(|id| format!("request {id}")));
        }

        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        // the text of a page that is not AWS's may be anything
        if self.is_unreadable() {
            return Ok(());
        }
        let message = self.message.as_deref().unwrap_or("no message");
        write!(f, ": {}", truncate_message(message))
    }
}

/// Returns as much of AWS's message as a person reads. The encoded message is for a program, and
/// what a hint needs is taken from the whole.
pub(super) fn truncate_message(message: &str) -> String {
    let message = message
        .split("Encoded authorization failure message")
        .next()
        .unwrap_or(message)
        .trim();
    let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_LENGTH) else {
        return message.to_owned();
    };

    let cut = message.get(..end).unwrap_or(message);
    // not within a word, unless it is endless
    let cut = match cut.rsplit_once(' ') {
        Some((whole, rest)) if rest.len() < MAX_MESSAGE_LENGTH / 2 => whole,
        _ => cut,
    };
    format!("{cut}…")
}

/// AWS's message about a denied call: the action, the resource and the policy (IAM User Guide,
/// "Troubleshoot access denied error messages").
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccessDeniedMessage<'a> {
    action: &'a str,
    resource: Option<&'a str>,
    reason: DenialReason<'a>,
}

/// The reason of a denial.
#[derive(Debug, PartialEq, Eq)]
enum DenialReason<'a> {
    /// A policy denies it, which no other policy can change: its kind, and its ARN where AWS
    /// names it.
    ExplicitDeny(&'a str, Option<&'a str>),
    /// A policy that bounds what others allow does not allow it.
    Bounded(&'a str),
    /// No policy allows it.
    NotAllowed,
}

impl<'a> AccessDeniedMessage<'a> {
    /// Parses AWS's message; `None` if it is not one of these.
    pub(super) fn parse(message: &'a str) -> Option<Self> {
        let action = find_word_after(message, "not authorized to perform: ")?;
        let resource = find_word_after(message, "on resource: ");

        let reason = if let Some(rest) = find_text_after(message, "explicit deny") {
            let policy = rest.strip_prefix(" in ");
            let arn = policy.and_then(|policy| find_word_after(policy, ": "));
            DenialReason::ExplicitDeny(
                policy.map_or("a policy", |policy| parse_policy_kind(policy, "")),
                arn.filter(|arn| arn.starts_with("arn:")),
            )
        } else if let Some(policy) = find_text_after(message, "because no ") {
            let kind = parse_policy_kind(policy, " allows");
            // these two grant; all others only limit what these grant
            if ["identity-based policy", "resource-based policy"].contains(&kind) {
                DenialReason::NotAllowed
            } else {
                DenialReason::Bounded(kind)
            }
        } else {
            DenialReason::NotAllowed
        };

        Some(Self {
            action,
            resource,
            reason,
        })
    }

    /// Returns what to do about it. `default_resource` is used if AWS names no resource.
    pub(super) fn hint(&self, default_resource: &str) -> String {
        let action = self.action;
        let resource = self.resource.unwrap_or(default_resource);

        match self.reason {
            DenialReason::ExplicitDeny(policy, arn) => format!(
                "{policy}{} denies it, so another allow does not help: ask {} to stop denying \
                 {action} on {resource} there",
                arn.map_or_else(String::new, |arn| format!(" ({arn})")),
                get_policy_owner(policy)
            ),
            DenialReason::Bounded("role trust policy") => {
                format!("add this identity to the trust policy of {resource}")
            }
            DenialReason::Bounded(policy) => format!(
                "the {policy} does not include {action}, so an allow for this identity does \
                 not help: ask {} to allow it on {resource} there",
                get_policy_owner(policy)
            ),

            DenialReason::NotAllowed if action == "sts:AssumeRole" => format!(
                "allow sts:AssumeRole on {resource} for the identity that assumes it, and name that identity in the \
                 role's trust policy"
            ),
            DenialReason::NotAllowed if action.starts_with("sts:") => {
                format!("name this identity, with {action}, in the trust policy of {resource}")
            }
            DenialReason::NotAllowed => {
                format!("allow {action} on {resource} for this identity")
            }
        }
    }

    /// Returns true if the organization denies it, which no setting of the identity changes.
    pub(super) fn is_by_organization(&self) -> bool {
        matches!(
            self.reason,
            DenialReason::ExplicitDeny(policy, _) if get_policy_owner(policy) == ORGANIZATION
        )
    }
}

/// Returns the words for the one who can change a policy of this kind.
fn get_policy_owner(policy: &str) -> &'static str {
    let has = |word: &str| policy.contains(word);
    if has("service control") || has("resource control") {
        ORGANIZATION
    } else if has("boundary") {
        "the administrator of this identity's permissions boundary"
    } else if has("endpoint") {
        "the administrator of the VPC endpoint"
    } else if has("session") {
        "the administrator of the session policy (for SSO: the permission set)"
    } else {
        "the administrator of that policy"
    }
}

/// Returns the kind of a policy: the text up to `end`, a colon or a full stop.
fn parse_policy_kind<'a>(text: &'a str, end: &str) -> &'a str {
    let text = match text.split_once(end) {
        Some((kind, _)) if !end.is_empty() => kind,
        _ => text,
    };
    let text = text.split([':', '.', ',', ';']).next().unwrap_or(text);
    // a message of another form must not make an endless hint
    text.get(..60).unwrap_or(text).trim()
}

fn find_text_after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.split_once(words).map(|(_, rest)| rest)
}

fn find_word_after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let word = find_text_after(text, words)?.split_whitespace().next()?;
    let word = word.trim_end_matches(['.', ',', ';']);
    (!word.is_empty() && word.len() < MAX_WORD_LENGTH).then_some(word)
}

/// As much as is taken from one message of AWS, in characters: a denial with its reason.
const MAX_MESSAGE_LENGTH: usize = 300;
/// ARNs are at most 2048 bytes; MWAA's are far shorter.
const MAX_WORD_LENGTH: usize = 300;
const ORGANIZATION: &str = "the administrator of your AWS organization";

#[cfg(test)]
mod tests {
    use super::*;

    fn service_error(code: Option<&str>, status: u16) -> ServiceError {
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code);
        }
        ServiceError::new(&meta.build(), Some(status))
    }

    /// A proxy's page has a status too.
    #[test]
    fn a_response_without_an_aws_code_is_not_a_denial() {
        for status in [200, 400, 401, 403, 404, 500, 502] {
            let kind = service_error(None, status).kind();
            assert_eq!(kind, AwsErrorKind::Unavailable, "{status}");
        }
        assert_eq!(service_error(None, 429).kind(), AwsErrorKind::Throttled);
        let denied = service_error(Some("AccessDeniedException"), 403);
        assert_eq!(denied.kind(), AwsErrorKind::Denied);
        assert!(denied.is_client_error() && !service_error(None, 403).is_client_error());
    }

    #[test]
    fn a_long_message_is_truncated_between_words() {
        let encoded = format!(
            "You are not authorized. Encoded authorization failure message: {}",
            "x".repeat(700)
        );
        assert_eq!(truncate_message(&encoded), "You are not authorized.");
        let text = truncate_message(&"word ".repeat(100));
        assert!(
            text.ends_with("word…") && text.chars().count() <= MAX_MESSAGE_LENGTH + 1,
            "{text}"
        );
        assert_eq!(
            truncate_message(&"é".repeat(900)).chars().count(),
            MAX_MESSAGE_LENGTH + 1
        );
        assert_eq!(truncate_message("short"), "short");
    }

    const WHO: &str =
        "User: arn:aws:sts::123456789012:assumed-role/Ops/ann is not authorized to perform:";
    const ROLE: &str = "arn:aws:airflow:eu-west-1:123456789012:role/prod/Admin";

    fn hint(rest: &str) -> String {
        let message = format!("{WHO} {rest}");
        AccessDeniedMessage::parse(&message)
            .expect("a denial")
            .hint("PLACE")
    }

    #[test]
    fn the_hint_names_the_resource_that_aws_names() {
        let web = "airflow:CreateWebLoginToken";
        let text = format!("allow {web} on {ROLE} for this identity");
        for end in [
            "",
            " because no identity-based policy allows the airflow:CreateWebLoginToken action",
        ] {
            assert_eq!(hint(&format!("{web} on resource: {ROLE}{end}")), text);
        }
        let unnamed = hint("airflow:GetEnvironment");
        assert_eq!(
            unnamed,
            "allow airflow:GetEnvironment on PLACE for this identity"
        );
    }

    #[test]
    fn the_hint_for_an_explicit_deny_names_the_denying_policy() {
        let web = format!("airflow:CreateWebLoginToken on resource: {ROLE}");
        for (end, expected) in [
            (
                "with an explicit deny in a service control policy",
                ["so another allow does not help", "your AWS organization"],
            ),
            (
                "with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/No",
                [
                    "an identity-based policy (arn:aws:iam::1:policy/No) denies it",
                    "the administrator of that policy",
                ],
            ),
            (
                "because no permissions boundary allows the airflow:CreateWebLoginToken action",
                [
                    "the permissions boundary does not include",
                    "permissions boundary to allow",
                ],
            ),
            (
                "because no VPC endpoint policy allows the airflow:CreateWebLoginToken action",
                [
                    "the VPC endpoint policy does not include",
                    "the administrator of the VPC endpoint",
                ],
            ),
        ] {
            let text = hint(&format!("{web} {end}"));
            for part in expected {
                assert!(text.contains(part), "{end}: {text}");
            }
            assert!(text.contains(ROLE), "{text}");
        }
    }

    #[test]
    fn the_hint_for_a_denied_assume_role_names_the_trust_policy() {
        let role = "arn:aws:iam::123456789012:role/x";
        let text = hint(&format!("sts:AssumeRole on resource: {role}"));
        assert!(
            text.contains("trust policy") && text.contains(role),
            "{text}"
        );
        let text = hint(&format!(
            "sts:AssumeRole on resource: {role} because no role trust policy allows the sts:AssumeRole action"
        ));
        assert_eq!(
            text,
            format!("add this identity to the trust policy of {role}")
        );
        let text = hint("sts:AssumeRoleWithWebIdentity");
        assert!(
            text.contains("sts:AssumeRoleWithWebIdentity, in the trust policy"),
            "{text}"
        );
    }

    #[test]
    fn a_policy_that_denies_is_named_by_its_arn() {
        let arn = "arn:aws:organizations::1:policy/o-x/service_control_policy/p-x";
        let scp = format!(
            "sts:AssumeRole on resource: {ROLE} with an explicit deny in a service control policy"
        );
        let text = hint(&format!("{scp}: {arn}"));
        assert!(
            text.contains(&format!("a service control policy ({arn}) denies it")),
            "{text}"
        );
        assert!(!hint(&format!("{scp}.")).contains("(arn"), "{text}");
        // AWS does not always say where
        let text = hint(&format!(
            "airflow:X on resource: {ROLE} with an explicit deny"
        ));
        assert!(
            text.contains("a policy denies it, so another allow does not help"),
            "{text}"
        );
    }

    #[test]
    fn other_texts_are_not_parsed_as_a_denial() {
        for text in [
            "",
            "Access Denied",
            "not authorized to perform: ",
            &"x".repeat(900),
        ] {
            assert_eq!(AccessDeniedMessage::parse(text), None, "{text}");
        }
        let long = format!("{WHO} airflow:X on resource: {}", "x".repeat(900));
        assert_eq!(
            AccessDeniedMessage::parse(&long)
                .expect("a denial")
                .resource,
            None
        );
    }
}
