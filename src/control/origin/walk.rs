//! From one profile to the next, to the one that gives the first keys.

use super::super::SignIn;
use super::{Origin, Source};
use crate::names::nearest;
use aws_config::profile::{Profile, ProfileSet};
use aws_types::os_shim_internal::Env;

/// The way from one profile to the next.
pub(super) struct Walk<'a> {
    set: &'a ProfileSet,
    seen: Vec<&'a str>,
    roles: Vec<String>,
    second_factor: Option<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(set: &'a ProfileSet) -> Self {
        Self {
            set,
            seen: Vec::new(),
            roles: Vec::new(),
            second_factor: None,
        }
    }

    pub(super) fn walk(mut self, env: &Env) -> Origin {
        let source = self.source(env);
        // what is nearest to the keys is assumed first
        self.roles.reverse();
        Origin {
            source,
            roles: self.roles,
            second_factor: self.second_factor,
        }
    }

    fn source(&mut self, env: &Env) -> Source {
        let mut name = self.set.selected_profile();
        loop {
            let Some(profile) = self.set.get_profile(name) else {
                return Source::NoProfile {
                    name: name.to_owned(),
                    by: self.seen.last().map(|&by| by.to_owned()),
                    nearest: nearest(name, self.set.profiles()).map(str::to_owned),
                };
            };
            if self.seen.contains(&name) {
                let mend = format!(
                    "the source_profile of {name:?} leads back to itself: name one that has keys or a sign-in"
                );
                return broken(profile, mend);
            }
            self.seen.push(name);
            if self.seen.len() > 1
                && let Some(keys) = keys(profile)
            {
                return keys;
            }
            let role = profile.get("role_arn");
            let Some(role) = role.filter(|_| profile.get("web_identity_token_file").is_none())
            else {
                return self.base(profile, env);
            };
            self.roles.push(role.to_owned());
            if profile.get("mfa_serial").is_some() {
                self.second_factor = Some(name.to_owned());
            }
            match (
                profile.get("source_profile"),
                profile.get("credential_source"),
            ) {
                (Some(source), None) if source == name => return self.base(profile, env),
                (Some(source), None) => name = source,
                (None, Some(_)) => return self.base(profile, env),
                (Some(_), Some(_)) => {
                    let mend = format!(
                        "profile {name:?} has both source_profile and credential_source: take one away"
                    );
                    return broken(profile, mend);
                }
                (None, None) => {
                    let mend = format!(
                        "profile {name:?} has a role_arn and nothing to assume it with: add source_profile"
                    );
                    return broken(profile, mend);
                }
            }
        }
    }

    /// What a profile without a further one gives.
    fn base(&self, profile: &Profile, env: &Env) -> Source {
        let own = || (!is_default(env, profile.name())).then(|| profile.name().to_owned());
        if let Some(named) = profile.get("credential_source") {
            return match named.to_ascii_lowercase().as_str() {
                "environment" => Source::Environment { lacks_token: false },
                "ec2instancemetadata" => Source::Instance,
                "ecscontainer" => Source::Container,
                _ => {
                    let mend = format!(
                        "correct the credential_source of profile {:?}: Environment, \
                         Ec2InstanceMetadata or EcsContainer",
                        profile.name()
                    );
                    broken(profile, mend)
                }
            };
        }
        if let Some(file) = profile.get("web_identity_token_file") {
            return Source::WebIdentity {
                file: file.to_owned(),
                lacks_role: false,
            };
        }
        if SSO.iter().any(|key| profile.get(key).is_some()) {
            return match self.lacks(profile) {
                Some(mend) => broken(profile, mend),
                None => Source::SignIn(SignIn::Sso(own())),
            };
        }
        if profile.get("login_session").is_some() {
            return Source::SignIn(SignIn::Login(own()));
        }
        if profile.get("credential_process").is_some() {
            return Source::Process {
                profile: profile.name().to_owned(),
            };
        }
        keys(profile).unwrap_or_else(|| Source::NoKeys {
            profile: profile.name().to_owned(),
        })
    }

    /// What a profile with SSO lacks to be one.
    fn lacks(&self, profile: &Profile) -> Option<String> {
        let name = profile.name();
        let again = format!("or run `aws configure sso --profile {name}`");
        let place = match profile.get("sso_session") {
            Some(session) if self.set.sso_session(session).is_none() => {
                return Some(format!(
                    "add [sso-session {session}] with sso_region and sso_start_url, {again}"
                ));
            }
            Some(session) => format!("[sso-session {session}]"),
            None => format!("profile {name:?}"),
        };
        let session = profile.get("sso_session");
        let session = session.and_then(|session| self.set.sso_session(session));
        for key in ["sso_region", "sso_start_url"] {
            let found = match session {
                Some(session) => session.get(key),
                None => profile.get(key),
            };
            if found.is_none() {
                return Some(format!("add {key} to {place}, {again}"));
            }
        }
        let lacking = ["sso_account_id", "sso_role_name"]
            .into_iter()
            .find(|key| profile.get(key).is_none())?;
        Some(format!("add {lacking} to profile {name:?}, {again}"))
    }
}

fn broken(profile: &Profile, mend: String) -> Source {
    Source::Broken {
        profile: profile.name().to_owned(),
        mend,
    }
}

/// The keys that stand in a profile, or the half of them.
fn keys(profile: &Profile) -> Option<Source> {
    let name = profile.name();
    match (profile.get(ID), profile.get(SECRET)) {
        (Some(id), Some(_)) => Some(Source::Keys {
            profile: name.to_owned(),
            lacks_token: is_temporary(id) && profile.get("aws_session_token").is_none(),
        }),
        (None, None) => None,
        (Some(_), None) => Some(broken(profile, format!("add {SECRET} to profile {name:?}"))),
        (None, Some(_)) => Some(broken(profile, format!("add {ID} to profile {name:?}"))),
    }
}

/// Whether keys of this id need a session token (IAM User Guide, "Unique identifiers").
pub(super) fn is_temporary(id: &str) -> bool {
    id.starts_with("ASIA")
}

/// Whether the AWS CLI takes this profile when none is named.
pub(super) fn is_default(env: &Env, profile: &str) -> bool {
    let another = env.get("AWS_PROFILE").is_ok_and(|set| set != DEFAULT);
    profile == DEFAULT && !another
}

const DEFAULT: &str = "default";
const ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
/// Any of these makes a profile one of SSO.
const SSO: [&str; 5] = [
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_account_id",
    "sso_role_name",
];
