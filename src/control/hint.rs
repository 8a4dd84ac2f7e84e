//! What a person can do about a failed call: derived from what failed, and never what would fail
//! the same way.
#![deny(clippy::wildcard_enum_match_arm)]

use super::denial::Denial;
use super::error::Call;
use super::origin::{Origin, Source};
use super::token_time::off_by;
use super::told::Told;
use super::{AwsErrorKind, SignIn, regions};
use crate::names::{code, partition};
use std::borrow::Cow;

/// The hint for a failure of this kind, of which this was told.
pub(super) fn hint(kind: AwsErrorKind, told: &Told, call: &Call<'_>) -> Cow<'static, str> {
    let (name, region) = (&call.environment.name, call.region);
    match kind {
        AwsErrorKind::Credentials => keys(told, call).into(),
        AwsErrorKind::Denied => denied(told, call).into(),
        AwsErrorKind::LoginNeeded => match call.origin.sign_in() {
            Some(sign_in) => format!("run `{sign_in}`").into(),
            None => code::AWS_LOGIN_NEEDED.advice.into(),
        },
        AwsErrorKind::NotFound => format!(
            "there is no environment {name:?} in {region} for these credentials; check the name, \
             the region and the account (`mwaa-gateway environments` lists what there is)"
        )
        .into(),
        AwsErrorKind::NotReady => code::AWS_NOT_READY.advice.into(),
        AwsErrorKind::Throttled => {
            "AWS limits how often tokens are made; it gets better by itself".into()
        }
        AwsErrorKind::Unavailable => unavailable(told, call).into(),
        AwsErrorKind::UntrustedHost => code::AWS_UNTRUSTED_HOST.advice.into(),
    }
}

/// For a denial: the action and resource that AWS names, else those that the call is known to need.
fn denied(told: &Told, call: &Call<'_>) -> String {
    let (name, region) = (&call.environment.name, call.region);
    if told.code().is_some_and(|code| code.contains("OptIn")) {
        return format!(
            "this account has not enabled the region {region}: enable it, or correct the region"
        );
    }
    let arn = |what: &str| format!("arn:{}:airflow:{region}:*:{what}", partition(region));
    let place = match call.operation {
        "ListEnvironments" | "GetCallerIdentity" => "*".to_owned(),
        "CreateWebLoginToken" => arn(&format!(
            "role/{name}/ROLE (ROLE: Admin, Op, User, Viewer or Public)"
        )),
        _ => arn(&format!("environment/{name}")),
    };
    let advice = match told.message().and_then(Denial::read) {
        Some(denial) => denial.advice(&place),
        None => format!(
            "allow airflow:{} on {place} for this identity",
            call.operation
        ),
    };
    if call.operation == "ListEnvironments" {
        format!("{advice}, or name the environments")
    } else {
        advice
    }
}

/// For credentials that are not there or that AWS does not take.
fn keys(told: &Told, call: &Call<'_>) -> String {
    if let Some(offset) = call
        .clock_offset
        .filter(|offset| offset.abs() > CLOCK_TOLERANCE)
    {
        return format!("{}; set it right", off_by(offset));
    }
    let Origin {
        source,
        roles,
        second_factor,
    } = call.origin;
    if let Some(denial) = told.message().and_then(Denial::read) {
        return match second_factor {
            Some(profile) => format!(
                "profile {profile:?} wants a second factor (mfa_serial), which the AWS SDK never sends: use a \
                 profile with `credential_process = aws configure export-credentials --profile {profile}`"
            ),
            None => denial.advice(roles.last().map_or("the role", String::as_str)),
        };
    }
    let code = told.code().unwrap_or_default();
    let is_expired = code.contains("Expired");
    let is_wrong_secret = code.contains("Signature");
    match source {
        Source::Broken { mend, .. } => mend.clone(),
        Source::Container => "the container's endpoint gave no keys: check that the task has a role (ECS), or that \
                              the Pod Identity agent runs (EKS)"
            .to_owned(),
        Source::Environment { lacks_token: true } => {
            "set AWS_SESSION_TOKEN too, because the key in AWS_ACCESS_KEY_ID is a temporary one; then start again"
                .to_owned()
        }
        Source::Environment { lacks_token: false } => {
            let why = if is_expired {
                "the keys in the environment have expired"
            } else if is_wrong_secret {
                "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID"
            } else if told.is_answer() {
                "AWS does not know the key in AWS_ACCESS_KEY_ID"
            } else {
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are needed and not set"
            };
            format!("{why}: set them anew and start again, because a running program does not see new variables")
        }
        Source::Given => "the keys that the gateway was started with are wrong for this endpoint".to_owned(),
        Source::Instance if told.has("AWS_EC2_METADATA_DISABLED") => {
            "unset AWS_EC2_METADATA_DISABLED, which keeps the instance's role from being asked for".to_owned()
        }
        Source::Instance => INSTANCE.to_owned(),
        Source::Keys {
            profile,
            lacks_token: true,
        } => format!(
            "add aws_session_token to profile {profile:?}, because its key is a temporary one; no restart is needed"
        ),
        Source::Keys { profile, .. } => {
            let why = if is_expired {
                "have expired"
            } else if is_wrong_secret {
                "do not belong together"
            } else {
                "are not known to AWS"
            };
            format!("the keys of profile {profile:?} {why}: put new ones there; no restart is needed")
        }
        Source::NoKeys { profile } => format!(
            "profile {profile:?} has no credentials: run `aws configure sso --profile {profile}`, or `{}`, or add keys \
             or a role to it",
            SignIn::Login(Some(profile.clone()))
        ),
        Source::NoProfile { nearest, .. } => match nearest {
            Some(_) => source.to_string(),
            None => format!("{source}; `aws configure list-profiles` lists what there is"),
        },
        Source::Nothing => "set aws.profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role; \
                            a person signs in with `aws login` or `aws configure sso`"
            .to_owned(),
        Source::Process { profile } if told.is_answer() => {
            format!("AWS does not take the keys that the credential_process of profile {profile:?} gives: run it by hand")
        }
        Source::Process { profile } => format!(
            "the program that profile {profile:?} has as credential_process gave no keys: run it by hand, and mend \
             what it says"
        ),
        Source::SignIn(sign_in) if told.is_answer() => format!("run `{sign_in}`"),
        Source::SignIn(SignIn::Login(_)) => {
            "allow signin:CreateOAuth2Token for this identity (AWS's policy SignInLocalDevelopmentAccess does)"
                .to_owned()
        }
        Source::SignIn(SignIn::Sso(profile)) => format!(
            "the sign-in is good, but gives no keys for this account and role: correct sso_account_id and \
             sso_role_name of profile {:?}, or ask for that permission set",
            profile.as_deref().unwrap_or("default")
        ),
        Source::Unreadable(why) => format!("mend AWS's configuration files: {why}"),
        Source::WebIdentity { file } => format!(
            "see that {file} is there and fresh, and that the role trusts its issuer (in Kubernetes: the service \
             account and its role)"
        ),
    }
}

/// For AWS that could not be asked, or failed.
fn unavailable(told: &Told, call: &Call<'_>) -> String {
    if let Told::Chain(chain) = told
        && let Some(hint) = &chain.way
    {
        return hint.clone();
    }
    if let Told::Chain(chain) = told
        && chain.is_about_keys
    {
        let service = match call.origin.sign_in() {
            Some(SignIn::Sso(_)) => "IAM Identity Center",
            Some(SignIn::Login(_)) => "AWS Sign-In",
            None => "AWS STS",
        };
        return format!(
            "{service}, which gives the keys, can't be reached: check the network, its DNS and the proxy"
        );
    }
    if let Some(endpoint) = &call.environment.endpoint_url {
        return format!("see that {endpoint} (endpoint_url) is up and plays MWAA");
    }
    match told {
        Told::Answer { status, .. } if *status >= 500 => {
            "AWS has trouble; it is tried again by itself (https://health.aws.amazon.com says more)".to_owned()
        }
        Told::Answer { .. } => "the request id tells AWS's support more".to_owned(),
        Told::Unreadable(_) => {
            "something between here and AWS changes replies; check the proxy, and AWS_ENDPOINT_URL".to_owned()
        }
        Told::Chain(chain) if chain.text.contains("lookup") || chain.text.contains("resolve") => {
            regions::doubt(call.region).unwrap_or_else(|| {
                format!(
                    "AWS's names in {} do not resolve: check the network and its DNS (VPN, proxy)",
                    call.region
                )
            })
        }
        Told::Chain(chain) if chain.text.contains("refused") => {
            "nobody listens there: check the proxy, and AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_MWAA where one is set"
                .to_owned()
        }
        Told::Chain(_) | Told::Silence => {
            format!("check the network, the proxy, and that the region {} is right", call.region)
        }
    }
}

const INSTANCE: &str = "the instance gave no keys: give it a role, and let its metadata service be reached from here \
     (in a container it takes a hop limit of 2)";

/// AWS refuses signatures that are older; less is not the clock's fault. In seconds.
const CLOCK_TOLERANCE: i64 = 240;
