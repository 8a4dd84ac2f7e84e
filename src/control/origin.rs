//! Where an identity's keys come from, as the AWS chain looks for them: for hints, and for
//! `login`. The files are read by the SDK's own parser, in the SDK's own order.

use super::SignIn;
use crate::names::nearest;
use aws_config::profile::{self, Profile, ProfileSet};
use aws_types::os_shim_internal::{Env, Fs};
use std::fmt;

/// Where the keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What gives the first keys.
    pub source: Source,
    /// The roles that are assumed with them, the last one last.
    pub roles: Vec<String>,
    /// The profile of the chain that asks for a second factor, which the SDK never sends.
    pub second_factor: Option<String>,
}

/// What gives the first keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The profile cannot be used as it stands.
    Broken {
        /// The profile.
        profile: String,
        /// What to do about it.
        mend: String,
    },
    /// A container's endpoint.
    Container,
    /// `AWS_ACCESS_KEY_ID` and its companions.
    Environment {
        /// The keys are temporary, and `AWS_SESSION_TOKEN` is missing.
        lacks_token: bool,
    },
    /// The gateway's own: it makes its calls with keys that were given to it.
    Given,
    /// The instance's metadata.
    Instance,
    /// Keys that stand in a profile.
    Keys {
        /// The profile.
        profile: String,
        /// The keys are temporary, and `aws_session_token` is missing.
        lacks_token: bool,
    },
    /// A profile that has no keys and names nothing that gives some.
    NoKeys {
        /// The profile.
        profile: String,
    },
    /// A profile that does not exist.
    NoProfile {
        /// Its name.
        name: String,
        /// The profile whose `source_profile` it is.
        by: Option<String>,
        /// One that exists and sounds like it.
        nearest: Option<String>,
    },
    /// Nothing is configured at all; what is left to ask is an instance's metadata.
    Nothing,
    /// The program of a profile's `credential_process`.
    Process {
        /// The profile.
        profile: String,
    },
    /// A person's sign-in.
    SignIn(SignIn),
    /// The file cannot be read.
    Unreadable(String),
    /// A token that a cluster signs, in a file.
    WebIdentity {
        /// The file.
        file: String,
    },
}

impl Origin {
    /// Looks where the keys of this profile come from, or those of the AWS chain.
    pub async fn find(profile: Option<&str>) -> Self {
        Self::look(&Env::real(), &Fs::real(), profile).await
    }

    pub(super) async fn look(env: &Env, fs: &Fs, named: Option<&str>) -> Self {
        let keys = (
            env.get("AWS_ACCESS_KEY_ID"),
            env.get("AWS_SECRET_ACCESS_KEY"),
        );
        if let (None, (Ok(id), Ok(_))) = (named, keys) {
            let lacks_token = is_temporary(&id) && env.get("AWS_SESSION_TOKEN").is_err();
            return Source::Environment { lacks_token }.into();
        }
        let overriding = named.map(|name| name.to_owned().into());
        #[expect(
            clippy::default_trait_access,
            reason = "the type is in a crate that is not needed else"
        )]
        let files = Default::default();
        let set = match profile::load(fs, env, &files, overriding).await {
            Ok(set) => set,
            Err(error) => return Source::Unreadable(error.to_string()).into(),
        };
        let found = Walk::new(&set).walk(env);
        if named.is_some() {
            return found;
        }
        // without a profile by name the chain goes on where there is none, or none with keys
        match &found.source {
            Source::NoProfile { by: None, .. } | Source::NoKeys { .. } => {}
            _ => return found,
        }
        if let Ok(file) = env.get("AWS_WEB_IDENTITY_TOKEN_FILE") {
            Source::WebIdentity { file }.into()
        } else if CONTAINER.iter().any(|name| env.get(name).is_ok()) {
            Source::Container.into()
        } else if is_default(env, set.selected_profile()) {
            Source::Nothing.into()
        } else {
            found
        }
    }
}

impl From<Source> for Origin {
    fn from(source: Source) -> Self {
        Self {
            source,
            roles: Vec::new(),
            second_factor: None,
        }
    }
}

/// What is used, in words: "the keys of profile \"team\"".
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { profile, .. } | Self::NoKeys { profile } => {
                write!(f, "profile {profile:?}, which gives no keys")
            }
            Self::Container => f.write_str("the container's role"),
            Self::Environment { .. } => {
                f.write_str("the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
            }
            Self::Given => f.write_str("the gateway's own keys"),
            Self::Instance => f.write_str("the instance's role"),
            Self::Keys { profile, .. } => {
                write!(f, "the keys that stand in profile {profile:?}")
            }
            Self::NoProfile { name, by, nearest } => {
                write!(f, "there is no profile {name:?}")?;
                if let Some(by) = by {
                    write!(f, ", which profile {by:?} has as source_profile")?;
                }
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest:?}?"),
                    None => Ok(()),
                }
            }
            Self::Nothing => f.write_str("no keys are configured"),
            Self::Process { profile } => {
                write!(
                    f,
                    "the program that is profile {profile:?}'s credential_process"
                )
            }
            Self::SignIn(sign_in) => write!(f, "the sign-in by `{sign_in}`"),
            Self::Unreadable(why) => write!(f, "AWS's files can't be read: {why}"),
            Self::WebIdentity { file } => write!(f, "the web identity token in {file}"),
        }
    }
}

/// The way from one profile to the next.
struct Walk<'a> {
    set: &'a ProfileSet,
    seen: Vec<&'a str>,
    roles: Vec<String>,
    second_factor: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(set: &'a ProfileSet) -> Self {
        Self {
            set,
            seen: Vec::new(),
            roles: Vec::new(),
            second_factor: None,
        }
    }

    fn walk(mut self, env: &Env) -> Origin {
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
fn is_temporary(id: &str) -> bool {
    id.starts_with("ASIA")
}

/// Whether the AWS CLI takes this profile when none is named.
fn is_default(env: &Env, profile: &str) -> bool {
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
/// Either of these names a container's endpoint.
const CONTAINER: [&str; 2] = [
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
