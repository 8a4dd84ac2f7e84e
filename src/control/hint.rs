//! What a person can do about a failed call: derived from what failed, and never what would fail
//! the same way.
#![deny(clippy::wildcard_enum_match_arm)]

use super::answer::Answer;
use super::denial::Denial;
use super::error::Call;
use super::origin::Source;
use super::sign_in::as_typed;
use super::token_time::off_by;
use super::told::Told;
use super::{AwsErrorKind, SignIn, regions, role};
use crate::names::{code, partition};
use std::borrow::Cow;

/// The hint for a failure of this kind, of which this was told.
pub(super) fn hint(kind: AwsErrorKind, told: &Told, call: &Call<'_>) -> Cow<'static, str> {
    match kind {
        AwsErrorKind::Credentials => keys(told, call).into(),
        AwsErrorKind::Denied => denied(told, call).into(),
        AwsErrorKind::LoginNeeded => match call.origin.sign_in() {
            Some(sign_in) => format!("run `{sign_in}`").into(),
            None => code::AWS_LOGIN_NEEDED.advice.into(),
        },
        AwsErrorKind::NotFound => not_found(call).into(),
        AwsErrorKind::NotReady => code::AWS_NOT_READY.advice.into(),
        AwsErrorKind::Throttled => match told.giver() {
            Some(giver) => format!(
                "{} limits how often it is asked: try again in a moment",
                giver.service()
            )
            .into(),
            None => "AWS limits how often tokens are made: try again in a moment".into(),
        },
        AwsErrorKind::Unavailable => unavailable(told, call).into(),
        AwsErrorKind::UntrustedHost => code::AWS_UNTRUSTED_HOST.advice.into(),
    }
}

/// For an environment that AWS does not know, or that only is not AVAILABLE: of the calls for a
/// token, AWS answers both alike.
fn not_found(call: &Call<'_>) -> String {
    let (name, region) = (&call.environment.name, call.region);
    let mut list = vec!["aws", "mwaa", "list-environments", "--region", region];
    if let Some(profile) = &call.environment.profile {
        list.extend(["--profile", profile]);
    }
    let list = as_typed(&list);
    if call.operation == "GetEnvironment" {
        format!(
            "there is no environment {name:?} in {region} for these credentials: correct the name, the region or the \
             account (`{list}` lists what there is)"
        )
    } else {
        format!(
            "AWS gives no token for {name:?} in {region}: it does not exist for these credentials, or is not AVAILABLE \
             (`{list}` lists what there is)"
        )
    }
}

/// For a denial: the action and resource that AWS names, else those that the call is known to need.
fn denied(told: &Told, call: &Call<'_>) -> String {
    let (name, region) = (&call.environment.name, call.region);
    let (code, message) = match told {
        Told::Answer(answer) => (answer.code(), answer.message()),
        Told::Chain(_) | Told::Silence => ("", ""),
    };
    if code.contains("OptIn") {
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
    let advice = match Denial::read(message) {
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
    if let Some(giver) = told.giver()
        && let Some(answer) = &giver.answer
        && let Some(hint) = role::hint(giver, answer, call)
    {
        return hint;
    }
    if let Some(offset) = told.clock_offset(call) {
        return format!("{}; set it right", off_by(offset));
    }
    if told.is_other_region() {
        return format!(
            "the endpoint is one of another region than {}: correct the region, or the endpoint URL",
            call.region
        );
    }
    let source = &call.origin.source;
    let refused = told.refused_keys();
    let code = refused.map_or("", Answer::code);
    let is_expired = code.contains("Expired");
    let is_wrong_secret = code.contains("Signature");
    match source {
        Source::Broken { mend, .. } => mend.clone(),
        Source::Container => "the container's endpoint gave no keys: check that the task has a role (ECS), or that \
                              the Pod Identity agent runs (EKS)"
            .to_owned(),
        Source::Environment { lacks_token: true } => {
            format!("export AWS_SESSION_TOKEN too, because the key in AWS_ACCESS_KEY_ID is a temporary one {RESTART}")
        }
        Source::Environment { lacks_token: false } => {
            let why = if is_expired {
                "the keys in the environment have expired"
            } else if is_wrong_secret {
                "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID"
            } else if refused.is_some() {
                "AWS does not know the key in AWS_ACCESS_KEY_ID"
            } else {
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are needed and not set"
            };
            format!("{why}: export new ones {RESTART}")
        }
        Source::Given => "the keys that the gateway was started with are wrong for this endpoint".to_owned(),
        Source::Instance if says(told, "AWS_EC2_METADATA_DISABLED") => {
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
        Source::Process { profile } if refused.is_some() => {
            format!("AWS does not take the keys that the credential_process of profile {profile:?} gives: run it by hand")
        }
        Source::Process { profile } if is_late(told) => format!(
            "the credential_process of profile {profile:?}{} gave nothing in that time: run it by hand to see what it \
             waits for; if it only is slow, raise limits.mint_try",
            // which of the two it was, nobody tells
            if call.origin.roles.is_empty() { "" } else { ", or AWS STS after it," }
        ),
        Source::Process { profile } => format!(
            "the program that profile {profile:?} has as credential_process gave no keys: run it by hand, and mend \
             what it says"
        ),
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
        Source::WebIdentity {
            lacks_role: true, ..
        } => format!("export AWS_ROLE_ARN too: AWS_WEB_IDENTITY_TOKEN_FILE is of no use without it {RESTART}"),
        Source::WebIdentity { file, .. } => format!(
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
        return no_keys_yet(told, call);
    }
    if let Some(endpoint) = &call.environment.endpoint_url {
        return format!("see that {endpoint} (endpoint_url) is up and plays MWAA");
    }
    match told {
        Told::Answer(answer) => trouble("AWS", answer),
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

/// For a service that gives keys and could not be asked, or failed.
fn no_keys_yet(told: &Told, call: &Call<'_>) -> String {
    let service = match (told.giver(), call.origin.sign_in()) {
        (Some(giver), _) => giver.service(),
        (None, Some(SignIn::Sso(_))) => "IAM Identity Center",
        (None, Some(SignIn::Login(_))) => "AWS Sign-In",
        (None, None) => "AWS STS",
    };
    match told.giver().and_then(|giver| giver.answer.as_ref()) {
        Some(answer) => trouble(&format!("{service}, which gives the keys,"), answer),
        None => format!(
            "{service}, which gives the keys, can't be reached: check the network, its DNS and the proxy"
        ),
    }
}

/// For a service that failed by itself, or that something else answered for.
fn trouble(service: &str, answer: &Answer) -> String {
    if answer.is_unreadable() {
        format!(
            "something on the way to {service} answered instead of it: check the proxy, and AWS_ENDPOINT_URL"
        )
    } else if answer.is_refusal() {
        "the request id tells AWS's support more".to_owned()
    } else {
        format!(
            "{service} has trouble: try again in a moment (https://health.aws.amazon.com says more)"
        )
    }
}

/// Whether the causes tell of this.
fn says(told: &Told, words: &str) -> bool {
    matches!(told, Told::Chain(chain) if chain.text.contains(words))
}

/// Whether the keys took longer than the call.
fn is_late(told: &Told) -> bool {
    matches!(told, Told::Chain(chain) if chain.is_late)
}

const INSTANCE: &str = "the instance gave no keys: give it a role, and let its metadata service be reached from here \
     (in a container it takes a hop limit of 2)";

/// After a variable that is to be exported: a program that runs does not see it.
const RESTART: &str = "(a running gateway must be restarted)";
