//! Where an identity's keys come from, as the AWS chain looks for them: for hints, and for
//! `login`. The files are read by the SDK's own parser, in the SDK's own order.

mod walk;

use super::SignIn;
use aws_config::profile;
use aws_types::os_shim_internal::{Env, Fs};
use std::error::Error;
use std::fmt;
use walk::{Walk, is_default, is_temporary};

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
        /// `AWS_ROLE_ARN`, which goes with it, is missing.
        lacks_role: bool,
    },
}

impl Origin {
    /// The sign-in that a person does for it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other source is no sign-in, also one that is added"
    )]
    pub fn sign_in(&self) -> Option<&SignIn> {
        match &self.source {
            Source::SignIn(sign_in) => Some(sign_in),
            _ => None,
        }
    }

    /// Looks where the keys of this profile come from, or those of the AWS chain.
    pub async fn find(profile: Option<&str>) -> Self {
        Self::look(&Env::real(), &Fs::real(), profile).await
    }

    async fn look(env: &Env, fs: &Fs, named: Option<&str>) -> Self {
        // the SDK takes an empty variable for none
        let set = |name| env.get(name).ok().filter(|value| !value.trim().is_empty());
        let keys = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY"));
        if let (None, (Some(id), Some(_))) = (named, keys) {
            let lacks_token = is_temporary(&id) && set("AWS_SESSION_TOKEN").is_none();
            return Source::Environment { lacks_token }.into();
        }
        let overriding = named.map(|name| name.to_owned().into());
        #[expect(
            clippy::default_trait_access,
            reason = "the type is in a crate that is not needed else"
        )]
        let files = Default::default();
        let profiles = match profile::load(fs, env, &files, overriding).await {
            Ok(profiles) => profiles,
            Err(error) => return Source::Unreadable(in_full(&error)).into(),
        };
        let found = Walk::new(&profiles).walk(env);
        if named.is_some() {
            return found;
        }
        // without a profile by name the chain goes on where there is none, or none with keys
        match &found.source {
            Source::NoProfile { by: None, .. } | Source::NoKeys { .. } => {}
            _ => return found,
        }
        let web = env.get("AWS_WEB_IDENTITY_TOKEN_FILE").ok();
        let web = web.map(|file| Source::WebIdentity {
            file,
            lacks_role: env.get("AWS_ROLE_ARN").is_err(),
        });
        match web {
            Some(Source::WebIdentity {
                lacks_role: true, ..
            })
            | None
                if CONTAINER.iter().any(|name| env.get(name).is_ok()) =>
            {
                Source::Container.into()
            }
            Some(web) => web.into(),
            None if is_default(env, profiles.selected_profile()) => Source::Nothing.into(),
            None => found,
        }
    }
}

/// An error with its causes, in one line: what is wrong with a file, and in which line.
fn in_full(error: &dyn Error) -> String {
    let (mut told, mut next) = (Vec::new(), Some(error));
    while let Some(cause) = next {
        told.push(cause.to_string());
        next = cause.source();
    }
    let words = told.join(": ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
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
            Self::WebIdentity { file, .. } => write!(f, "the web identity token in {file}"),
        }
    }
}

/// Either of these names a container's endpoint.
const CONTAINER: [&str; 2] = [
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

#[cfg(test)]
mod tests;
