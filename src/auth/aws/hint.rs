//! Hints: the action that a person can take about a failed call, derived from what failed, and
//! never one that would fail the same way.
#![deny(clippy::wildcard_enum_match_arm)]

use super::classify::{CallError, ProviderError, ProviderKind};
use super::error::CallContext;
use super::http_client::format_clock_offset;
use super::login_command::format_command;
use super::regions::unknown_region;
use super::service_error::{AccessDeniedMessage, ServiceError};
use super::{AwsErrorKind, CredentialSource, LoginCommand};
use mwaa_model::{code, partition};
use std::borrow::Cow;

/// Returns the hint for a failed call, of this kind.
pub(super) fn hint(
    kind: AwsErrorKind,
    error: &CallError,
    context: &CallContext<'_>,
) -> Cow<'static, str> {
    if let Some(hint) = table_hint(kind, error, context) {
        return hint.into();
    }
    match kind {
        AwsErrorKind::Credentials => credentials_hint(error, context).into(),
        AwsErrorKind::Denied => denied_hint(error, context).into(),
        AwsErrorKind::LoginNeeded => match context.origin.login_command() {
            Some(command) => format!("run `{command}`").into(),
            None => code::AWS_LOGIN_NEEDED.advice.into(),
        },
        AwsErrorKind::NotFound => not_found_hint(context).into(),
        AwsErrorKind::NotReady => code::AWS_NOT_READY.advice.into(),
        AwsErrorKind::Throttled => match error.provider() {
            Some(provider) => format!(
                "{} throttled the call: try again in a moment",
                provider.service_name()
            )
            .into(),
            None => "AWS throttled the call: try again in a moment".into(),
        },

        AwsErrorKind::Unavailable => unavailable_hint(error, context).into(),
        AwsErrorKind::UntrustedHost => code::AWS_UNTRUSTED_HOST.advice.into(),
    }
}

/// Returns the hint for a failure that has to do with the table of a fleet; `None` if it has not.
fn table_hint(
    kind: AwsErrorKind,
    error: &CallError,
    context: &CallContext<'_>,
) -> Option<String> {
    if !matches!(context.operation, "GetItem" | "PutItem") {
        return None;
    }

    let name = &context.environment.name;
    let region = context.region;
    let table = format!("arn:{}:dynamodb:{region}:*:table/{name}", partition(region));
    match kind {
        AwsErrorKind::Denied => {
            let advice = AccessDeniedMessage::parse(error.service_message());
            let actions = "the fleet needs dynamodb:GetItem and dynamodb:PutItem";
            Some(match advice {
                Some(denial) => format!("{}; {actions}", denial.hint(&table)),
                None => format!("{actions} on {table} for this identity"),
            })
        }
        AwsErrorKind::NotFound => Some(format!(
            "create the table {name:?} in {region}, or correct fleet.store: \
             docs/operations/fleet.md has the command"
        )),
        AwsErrorKind::NotReady => Some(format!(
            "the table {name:?} needs the partition key `id` (a string) and no sort key: \
             docs/operations/fleet.md has the command"
        )),
        AwsErrorKind::Throttled if error.provider().is_none() => Some(format!(
            "DynamoDB throttled the call: give the table {name:?} on-demand capacity, or more of it"
        )),
        AwsErrorKind::Credentials
        | AwsErrorKind::LoginNeeded
        | AwsErrorKind::Throttled
        | AwsErrorKind::Unavailable
        | AwsErrorKind::UntrustedHost => None,
    }
}

/// Returns the hint for an environment that AWS does not know, or that only is not AVAILABLE: of
/// the calls for a token, AWS answers both alike.
fn not_found_hint(context: &CallContext<'_>) -> String {
    let name = &context.environment.name;
    let region = context.region;
    let mut list = vec!["aws", "mwaa", "list-environments", "--region", region];
    if let Some(profile) = &context.environment.profile {
        list.extend(["--profile", profile]);
    }
    // a command that shows what there is, with the same identity
    let list = format_command(&list);

    if context.operation == "GetEnvironment" {
        format!(
            "there is no environment {name:?} in {region} for these credentials: correct the \
             name, the region or the account (`{list}` lists the environments)"
        )
    } else {
        let failed = if context.operation == "InvokeRestApi" {
            "cannot reach"
        } else {
            "returns no token for"
        };
        format!(
            "AWS {failed} {name:?} in {region}: it does not exist for these \
             credentials, or is not AVAILABLE (`{list}` lists the environments)"
        )
    }
}

/// Returns the hint for a denial: the action and resource that AWS names, else those that the
/// call is known to need.
fn denied_hint(error: &CallError, context: &CallContext<'_>) -> String {
    let name = &context.environment.name;
    let region = context.region;
    // only an answer has a code; other denials have the call's own words
    let code = match error {
        CallError::Service(error) => error.code(),
        CallError::Unanswered(_) | CallError::Timeout => "",
    };
    if code.contains("OptIn") {
        return format!(
            "the region {region} is not enabled in this account: enable it, or correct the \
             region"
        );
    }

    // MWAA User Guide, "Accessing an Amazon MWAA environment": the resources of each action
    let arn =
        |resource: &str| format!("arn:{}:airflow:{region}:*:{resource}", partition(region));
    let resource = match context.operation {
        "ListEnvironments" | "GetCallerIdentity" => "*".to_owned(),
        "CreateWebLoginToken" | "InvokeRestApi" => arn(&format!(
            "role/{name}/ROLE (ROLE: Admin, Op, User, Viewer or Public)"
        )),
        _ => arn(&format!("environment/{name}")),
    };

    let advice = match AccessDeniedMessage::parse(error.service_message()) {
        Some(denial) => denial.hint(&resource),
        None => format!(
            "allow airflow:{} on {resource} for this identity",
            context.operation
        ),
    };
    if context.operation == "ListEnvironments" {
        format!("{advice}, or name the environments")
    } else {
        advice
    }
}

/// Returns the hint for credentials that are missing or that AWS does not accept.
fn credentials_hint(error: &CallError, context: &CallContext<'_>) -> String {
    // the last step first: a role that is refused says nothing about the keys before it
    if let Some(provider) = error.provider()
        && let Some(answer) = &provider.answer
        && let Some(hint) = role_hint(provider, answer, context)
    {
        return hint;
    }

    if let Some(offset) = error.clock_offset(context) {
        return format!("{}; correct the clock", format_clock_offset(offset));
    }
    if error.is_other_region() {
        return format!(
            "the endpoint is not in the region {}: correct the region or the endpoint URL",
            context.region
        );
    }
    source_hint(error, context)
}

/// Returns the hint for a role that STS does not give; `None` if the credentials that asked for
/// it are to blame, or what gave them.
fn role_hint(
    provider: &ProviderError,
    answer: &ServiceError,
    context: &CallContext<'_>,
) -> Option<String> {
    if answer.code().contains("RegionDisabled") {
        return Some(format!(
            "activate STS in {} in the role's account (IAM, account settings), or set another region",
            context.region
        ));
    }

    let denial = AccessDeniedMessage::parse(answer.message());
    let is_denied =
        provider.kind == ProviderKind::Role && answer.kind() == AwsErrorKind::Denied;
    // a trust policy may demand the second factor; an organization's policy does not
    if let Some(profile) = &context.origin.second_factor
        && (is_denied || denial.is_some())
        && !denial
            .as_ref()
            .is_some_and(AccessDeniedMessage::is_by_organization)
    {
        return Some(format!(
            "profile {profile:?} requires MFA (mfa_serial), which the AWS SDK does not \
             support: use a profile with `credential_process = aws configure \
             export-credentials --profile {profile}`"
        ));
    }

    // with several roles AWS's message does not always say which one was refused
    let role = match &context.origin.roles[..] {
        [role] => role,
        _ => "the role",
    };
    if let Some(denial) = denial {
        return Some(denial.hint(role));
    }
    if provider.kind != ProviderKind::Role || provider.refused_credentials().is_some() {
        return None;
    }

    Some(if is_denied {
        format!(
            "allow sts:AssumeRole on {role} for the identity that assumes it, and name that identity in the role's \
             trust policy"
        )
    } else if ["MaxSessionDuration", "DurationSeconds"]
        .iter()
        .any(|word| answer.message().contains(word))
    {
        format!(
            "raise MaxSessionDuration of {role} to an hour or more: the gateway assumes it for \
             an hour"
        )
    } else {
        format!("AWS STS refused to assume {role}: correct role_arn as its message says")
    })
}

/// Returns the hint for the source of the first credentials.
fn source_hint(error: &CallError, context: &CallContext<'_>) -> String {
    let source = &context.origin.source;
    match source {
        CredentialSource::Broken { fix, .. } => fix.clone(),
        CredentialSource::Container => CONTAINER.to_owned(),
        CredentialSource::Environment { lacks_token } => {
            environment_keys_hint(*lacks_token, error)
        }
        CredentialSource::Given => GIVEN.to_owned(),
        CredentialSource::Instance if error.mentions("AWS_EC2_METADATA_DISABLED") => {
            METADATA_DISABLED.to_owned()
        }
        CredentialSource::Instance => INSTANCE.to_owned(),
        CredentialSource::Keys {
            profile,
            lacks_token,
        } => profile_keys_hint(profile, *lacks_token, error),
        CredentialSource::Login(command) => login_hint(command),
        CredentialSource::NoKeys { profile } => format!(
            "profile {profile:?} has no credentials: run `aws configure sso --profile {profile}`, or `{}`, or add keys \
             or a role to it",
            LoginCommand::Login(Some(profile.clone()))
        ),

        CredentialSource::NoProfile { nearest, .. } => match nearest {
            Some(_) => source.to_string(),
            None => format!("{source}; `aws configure list-profiles` lists the profiles"),
        },
        CredentialSource::Nothing => NOTHING.to_owned(),
        CredentialSource::Process { profile } => process_hint(profile, error, context),
        CredentialSource::Unreadable(why) => {
            format!("correct the AWS configuration files: {why}")
        }
        CredentialSource::WebIdentity {
            lacks_role: true, ..
        } => format!("set AWS_ROLE_ARN too: AWS_WEB_IDENTITY_TOKEN_FILE needs it {RESTART}"),
        CredentialSource::WebIdentity { file, .. } => format!(
            "check that {file} exists and has not expired, and that the role trusts its issuer \
             (in Kubernetes: the service account and its role)"
        ),
    }
}

/// The state of a pair of keys that AWS does not accept, by its error code.
#[derive(Clone, Copy)]
enum KeyState {
    Expired,
    Missing,
    Unknown,
    WrongSecret,
}

impl KeyState {
    fn from_error(error: &CallError) -> Self {
        let refused = error.refused_credentials();
        match refused.map(ServiceError::code) {
            Some(code) if code.contains("Expired") => Self::Expired,
            Some(code) if code.contains("Signature") => Self::WrongSecret,
            Some(_) => Self::Unknown,
            None => Self::Missing,
        }
    }
}

fn environment_keys_hint(lacks_token: bool, error: &CallError) -> String {
    if lacks_token {
        return format!(
            "set AWS_SESSION_TOKEN too: the access key in AWS_ACCESS_KEY_ID is temporary \
             {RESTART}"
        );
    }

    // the SDK and AWS say what is wrong with a pair; the profile or variable is known here
    let why = match KeyState::from_error(error) {
        KeyState::Expired => "the access key in the environment variables has expired",
        KeyState::WrongSecret => "AWS_SECRET_ACCESS_KEY does not match AWS_ACCESS_KEY_ID",
        KeyState::Unknown => "AWS does not know the access key in AWS_ACCESS_KEY_ID",
        KeyState::Missing => {
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are required and not set"
        }
    };
    format!("{why}: set new values {RESTART}")
}

fn profile_keys_hint(profile: &str, lacks_token: bool, error: &CallError) -> String {
    if lacks_token {
        return format!(
            "add aws_session_token to profile {profile:?}: its access key is temporary; no \
             restart is needed"
        );
    }

    let why = match KeyState::from_error(error) {
        KeyState::Expired => "has expired",
        KeyState::WrongSecret => "does not match its secret key",
        KeyState::Unknown | KeyState::Missing => "is not known to AWS",
    };
    format!("the access key of profile {profile:?} {why}: replace it; no restart is needed")
}

fn process_hint(profile: &str, error: &CallError, context: &CallContext<'_>) -> String {
    // the program worked, and what it gave is not accepted
    if error.refused_credentials().is_some() {
        return format!(
            "AWS rejects the credentials from the credential_process of profile {profile:?}: \
             run it yourself to check them"
        );
    }

    if error.is_late() {
        // with a role it may have been either of the two; the SDK does not say which
        let or_sts = if context.origin.roles.is_empty() {
            ""
        } else {
            ", or AWS STS after it,"
        };
        return format!(
            "the credential_process of profile {profile:?}{or_sts} returned no credentials in \
             that time: run it yourself to see what it waits for; if it is only slow, raise \
             limits.mint_try"
        );
    }
    format!(
        "the credential_process of profile {profile:?} returned no credentials: run it \
         yourself, and fix the error that it prints"
    )
}

/// Returns the hint for a login that works and does not give credentials.
fn login_hint(command: &LoginCommand) -> String {
    match command {
        LoginCommand::Login(_) => {
            "allow signin:CreateOAuth2Token for this identity (the AWS managed policy \
             SignInLocalDevelopmentAccess allows it)"
                .to_owned()
        }
        LoginCommand::Sso(profile) => format!(
            "the sign-in is valid, but has no access to this account and role: correct \
             sso_account_id and sso_role_name of profile {:?}, or request that permission set",
            profile.as_deref().unwrap_or("default")
        ),
    }
}

/// Returns the hint for an AWS that could not be reached, or failed.
fn unavailable_hint(error: &CallError, context: &CallContext<'_>) -> String {
    if let CallError::Unanswered(chain) = error {
        if let Some(hint) = &chain.way_hint {
            return hint.clone();
        }
        if chain.is_about_credentials {
            return provider_unavailable_hint(error, context);
        }
    }
    if let Some(endpoint) = &context.environment.endpoint_url {
        return format!(
            "check that {endpoint} (endpoint_url) is running and serves the MWAA API"
        );
    }

    match error {
        CallError::Service(answer) => service_failed_hint("AWS", answer),
        // the names contain the region, so a wrong one is the likeliest reason
        CallError::Unanswered(_) if error.mentions("lookup") || error.mentions("resolve") => {
            unknown_region(context.region).unwrap_or_else(|| {
                format!(
                    "the AWS host names in {} do not resolve: check the network and its DNS \
                     (VPN, proxy)",
                    context.region
                )
            })
        }
        CallError::Unanswered(_) if error.mentions("refused") => {
            "the connection was refused: check the proxy, and AWS_ENDPOINT_URL or \
             AWS_ENDPOINT_URL_MWAA if set"
                .to_owned()
        }
        CallError::Unanswered(_) | CallError::Timeout => format!(
            "check the network, the proxy and the region {}",
            context.region
        ),
    }
}

/// Returns the hint for a service that gives credentials and could not be reached, or failed.
fn provider_unavailable_hint(error: &CallError, context: &CallContext<'_>) -> String {
    // the SDK does not always say which service it was: the origin then does
    let service = match (error.provider(), context.origin.login_command()) {
        (Some(provider), _) => provider.service_name(),
        (None, Some(LoginCommand::Sso(_))) => "IAM Identity Center",
        (None, Some(LoginCommand::Login(_))) => "AWS Sign-In",
        (None, None) => "AWS STS",
    };

    match error
        .provider()
        .and_then(|provider| provider.answer.as_ref())
    {
        Some(answer) => {
            service_failed_hint(&format!("{service}, which issues the credentials,"), answer)
        }
        None => format!(
            "{service}, which issues the credentials, cannot be reached: check the network, \
             its DNS and the proxy"
        ),
    }
}

/// Returns the hint for a service that failed by itself, or that something else answered for.
fn service_failed_hint(service: &str, answer: &ServiceError) -> String {
    if answer.is_unreadable() {
        format!(
            "something on the way to {service} responded instead: check the proxy, and AWS_ENDPOINT_URL"
        )
    } else if answer.is_client_error() {
        "give the request ID to AWS Support".to_owned()
    } else {
        format!(
            "{service} has a problem: try again in a moment (see https://health.aws.amazon.com)"
        )
    }
}

const CONTAINER: &str = "the container's credentials endpoint returned no credentials: check \
                         that the task has a role (ECS), or that the Pod Identity Agent is \
                         running (EKS)";
const GIVEN: &str = "the access key that the gateway was started with is wrong for this \
                     endpoint";
const INSTANCE: &str = "the instance metadata service returned no credentials: attach a role \
                        to the instance, and make the service reachable (from a container it \
                        needs a hop limit of 2)";
const METADATA_DISABLED: &str =
    "unset AWS_EC2_METADATA_DISABLED: it disables the instance's role";
const NOTHING: &str = "set aws.profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run \
                       with a role; to sign in, run `aws login` or `aws configure sso`";
/// After a variable that is to be exported: a program that runs does not see it.
const RESTART: &str = "(then restart a running gateway)";
