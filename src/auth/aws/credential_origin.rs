//! The origin of an identity's credentials, as the AWS chain looks for them: for hints, and for
//! `login`. The files are read by the SDK's own parser, in the SDK's own order.

use super::LoginCommand;
use aws_config::profile::{self, Profile, ProfileSet};
use aws_types::os_shim_internal::{Env, Fs};
use mwaa_model::{error_chain, find_nearest};
use std::fmt;

/// The origin of an identity's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialOrigin {
    /// The source of the first credentials.
    pub source: CredentialSource,
    /// The roles that are assumed with them, the last one last.
    pub roles: Vec<String>,
    /// The profile of the chain that asks for a second factor, which the SDK never sends.
    pub second_factor: Option<String>,
}

/// The source of the first credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// The profile cannot be used as it is.
    Broken {
        /// The profile.
        profile: String,
        /// The advice for it.
        fix: String,
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
    /// Keys in a profile.
    Keys {
        /// The profile.
        profile: String,
        /// The keys are temporary, and `aws_session_token` is missing.
        lacks_token: bool,
    },
    /// A person's login.
    Login(LoginCommand),
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
        /// One that exists and has a similar name.
        nearest: Option<String>,
    },
    /// Nothing is configured at all; what is left to ask is an instance's metadata.
    Nothing,
    /// The program of a profile's `credential_process`.
    Process {
        /// The profile.
        profile: String,
    },
    /// The file cannot be read.
    Unreadable(String),
    /// A token that a cluster signs, in a file.
    WebIdentity {
        /// The file.
        file: String,
        /// `AWS_ROLE_ARN`, which belongs to it, is missing.
        lacks_role: bool,
    },
}

impl CredentialOrigin {
    /// Finds where the credentials of this profile come from, or those of the AWS chain.
    pub async fn find(profile: Option<&str>) -> Self {
        Self::resolve(&Env::real(), &Fs::real(), profile).await
    }

    /// Returns the command by which a person logs in for it; `None` if no login is needed.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other source is no login, also one that is added"
    )]
    pub fn login_command(&self) -> Option<&LoginCommand> {
        match &self.source {
            CredentialSource::Login(command) => Some(command),
            _ => None,
        }
    }

    async fn resolve(env: &Env, fs: &Fs, named: Option<&str>) -> Self {
        // keys in the environment are first, unless a profile is named
        if named.is_none()
            && let Some(source) = find_environment_keys(env)
        {
            return source.into();
        }

        let overriding = named.map(|name| name.to_owned().into());
        #[expect(
            clippy::default_trait_access,
            reason = "the type is in a crate that is not needed else"
        )]
        let files = Default::default();
        let profiles = match profile::load(fs, env, &files, overriding).await {
            Ok(profiles) => profiles,
            Err(error) => {
                // in one line: what is wrong with a file, and in which line
                let text = error_chain(&error);
                let words: Vec<_> = text.split_whitespace().collect();
                return CredentialSource::Unreadable(words.join(" ")).into();
            }
        };

        // files before the machine, in the order of the SDK's default chain
        let found = ProfileResolver::new(&profiles).resolve(env);
        if named.is_some() {
            return found;
        }
        // without a profile by name the chain continues if there is none, or none with keys
        match &found.source {
            CredentialSource::NoProfile { by: None, .. } | CredentialSource::NoKeys { .. } => {}
            _ => return found,
        }

        match find_machine_source(env) {
            Some(source) => source.into(),
            None if is_default(env, profiles.selected_profile()) => {
                CredentialSource::Nothing.into()
            }
            None => found,
        }
    }
}

impl From<CredentialSource> for CredentialOrigin {
    fn from(source: CredentialSource) -> Self {
        Self {
            source,
            roles: Vec::new(),
            second_factor: None,
        }
    }
}

/// The source in words: "the keys of profile \"team\"".
impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { profile, .. } | Self::NoKeys { profile } => {
                write!(f, "profile {profile:?}, which has no credentials")
            }
            Self::Container => f.write_str("the container's role"),
            Self::Environment { .. } => {
                f.write_str("the access key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
            }
            Self::Given => f.write_str("the gateway's own keys"),
            Self::Instance => f.write_str("the instance's role"),
            Self::Keys { profile, .. } => {
                write!(f, "the access key in profile {profile:?}")
            }
            Self::Login(command) => write!(f, "the sign-in by `{command}`"),

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
            Self::Nothing => f.write_str("no credentials are configured"),
            Self::Process { profile } => {
                write!(f, "the credential_process of profile {profile:?}")
            }
            Self::Unreadable(why) => {
                write!(f, "the AWS configuration files cannot be read: {why}")
            }
            Self::WebIdentity { file, .. } => write!(f, "the web identity token in {file}"),
        }
    }
}

/// Returns the keys in the environment; `None` if one of the two is missing.
fn find_environment_keys(env: &Env) -> Option<CredentialSource> {
    // the SDK takes an empty variable for none
    let get = |name| env.get(name).ok().filter(|value| !value.trim().is_empty());
    let id = get("AWS_ACCESS_KEY_ID")?;
    get("AWS_SECRET_ACCESS_KEY")?;
    Some(CredentialSource::Environment {
        lacks_token: is_temporary(&id) && get("AWS_SESSION_TOKEN").is_none(),
    })
}

/// Returns what the machine gives credentials by: a web identity token, or a container's
/// endpoint. `None` if no variable names either.
fn find_machine_source(env: &Env) -> Option<CredentialSource> {
    let has = |name: &&str| env.get(name).is_ok();
    let lacks_role = !has(&"AWS_ROLE_ARN");
    let file = env.get("AWS_WEB_IDENTITY_TOKEN_FILE").ok();

    match file {
        // a token without its role is skipped by the chain
        Some(file) if !lacks_role => Some(CredentialSource::WebIdentity { file, lacks_role }),
        _ if CONTAINER.iter().any(has) => Some(CredentialSource::Container),
        Some(file) => Some(CredentialSource::WebIdentity { file, lacks_role }),
        None => None,
    }
}

/// Follows `source_profile` from one profile to the next, to the one that gives the first
/// credentials.
struct ProfileResolver<'a> {
    set: &'a ProfileSet,
    seen: Vec<&'a str>,
    roles: Vec<String>,
    second_factor: Option<String>,
}

impl<'a> ProfileResolver<'a> {
    fn new(set: &'a ProfileSet) -> Self {
        Self {
            set,
            seen: Vec::new(),
            roles: Vec::new(),
            second_factor: None,
        }
    }

    fn resolve(mut self, env: &Env) -> CredentialOrigin {
        let source = self.find_source(env);
        // the role that is nearest to the keys is assumed first
        self.roles.reverse();
        CredentialOrigin {
            source,
            roles: self.roles,
            second_factor: self.second_factor,
        }
    }

    fn find_source(&mut self, env: &Env) -> CredentialSource {
        let mut name = self.set.selected_profile();
        loop {
            let Some(profile) = self.set.get_profile(name) else {
                return CredentialSource::NoProfile {
                    name: name.to_owned(),
                    by: self.seen.last().map(|&by| by.to_owned()),
                    nearest: find_nearest(name, self.set.profiles()).map(str::to_owned),
                };
            };
            // a circle would be followed for ever
            if self.seen.contains(&name) {
                let fix = format!(
                    "the source_profile of {name:?} refers back to itself: set it to a profile \
                     that has credentials"
                );
                return broken(profile, fix);
            }
            self.seen.push(name);

            // keys of a profile that is another's source are used before its own role
            if self.seen.len() > 1
                && let Some(keys) = read_profile_keys(profile)
            {
                return keys;
            }
            let role = profile.get("role_arn");
            let Some(role) = role.filter(|_| profile.get("web_identity_token_file").is_none())
            else {
                return self.base_source(profile, env);
            };
            self.roles.push(role.to_owned());
            // the last one that is met is the one that is assumed first
            if profile.get("mfa_serial").is_some() {
                self.second_factor = Some(name.to_owned());
            }

            let fix = match (
                profile.get("source_profile"),
                profile.get("credential_source"),
            ) {
                // a profile may name itself: its role is assumed with its own keys
                (Some(source), None) if source == name => {
                    return self.base_source(profile, env);
                }
                (Some(source), None) => {
                    name = source;
                    continue;
                }
                (None, Some(_)) => return self.base_source(profile, env),
                (Some(_), Some(_)) => format!(
                    "profile {name:?} has both source_profile and credential_source: remove one"
                ),
                (None, None) => format!(
                    "profile {name:?} has a role_arn but no credentials: add source_profile"
                ),
            };
            return broken(profile, fix);
        }
    }

    /// Returns what a profile gives by itself, without a further profile.
    fn base_source(&self, profile: &Profile, env: &Env) -> CredentialSource {
        if let Some(named) = profile.get("credential_source") {
            return parse_credential_source(profile, named);
        }
        // its role belongs to the web identity and is not assumed by the chain
        if let Some(file) = profile.get("web_identity_token_file") {
            return CredentialSource::WebIdentity {
                file: file.to_owned(),
                lacks_role: false,
            };
        }

        // a command for the default profile needs no name
        let login_profile =
            || (!is_default(env, profile.name())).then(|| profile.name().to_owned());
        if SSO.iter().any(|key| profile.get(key).is_some()) {
            return match self.find_sso_fix(profile) {
                Some(fix) => broken(profile, fix),
                None => CredentialSource::Login(LoginCommand::Sso(login_profile())),
            };
        }
        if profile.get("login_session").is_some() {
            return CredentialSource::Login(LoginCommand::Login(login_profile()));
        }

        if profile.get("credential_process").is_some() {
            return CredentialSource::Process {
                profile: profile.name().to_owned(),
            };
        }
        read_profile_keys(profile).unwrap_or_else(|| CredentialSource::NoKeys {
            profile: profile.name().to_owned(),
        })
    }

    /// Returns what to add to a profile for SSO; `None` if it is complete.
    fn find_sso_fix(&self, profile: &Profile) -> Option<String> {
        let name = profile.name();
        let or_configure = format!("or run `aws configure sso --profile {name}`");
        let session_name = profile.get("sso_session");
        let session = session_name.and_then(|session| self.set.sso_session(session));

        let place = match (session_name, session) {
            (Some(session), None) => {
                return Some(format!(
                    "add [sso-session {session}] with sso_region and sso_start_url, {or_configure}"
                ));
            }
            (Some(session), Some(_)) => format!("[sso-session {session}]"),
            // the old form has all in the profile
            (None, _) => format!("profile {name:?}"),
        };
        for key in ["sso_region", "sso_start_url"] {
            let found = match session {
                Some(session) => session.get(key),
                None => profile.get(key),
            };
            if found.is_none() {
                return Some(format!("add {key} to {place}, {or_configure}"));
            }
        }

        let lacking = ["sso_account_id", "sso_role_name"]
            .into_iter()
            .find(|key| profile.get(key).is_none())?;
        Some(format!("add {lacking} to profile {name:?}, {or_configure}"))
    }
}

/// Returns the source that a profile's `credential_source` names, in the words of the AWS CLI.
fn parse_credential_source(profile: &Profile, named: &str) -> CredentialSource {
    match named.to_ascii_lowercase().as_str() {
        "environment" => CredentialSource::Environment { lacks_token: false },
        "ec2instancemetadata" => CredentialSource::Instance,
        "ecscontainer" => CredentialSource::Container,
        _ => {
            let fix = format!(
                "correct the credential_source of profile {:?}: Environment, \
                 Ec2InstanceMetadata or EcsContainer",
                profile.name()
            );
            broken(profile, fix)
        }
    }
}

fn broken(profile: &Profile, fix: String) -> CredentialSource {
    CredentialSource::Broken {
        profile: profile.name().to_owned(),
        fix,
    }
}

/// Returns the keys in a profile; `None` if it has none. Half of a pair is an error.
fn read_profile_keys(profile: &Profile) -> Option<CredentialSource> {
    let name = profile.name();
    match (profile.get(ID), profile.get(SECRET)) {
        (Some(id), Some(_)) => Some(CredentialSource::Keys {
            profile: name.to_owned(),
            lacks_token: is_temporary(id) && profile.get("aws_session_token").is_none(),
        }),
        (None, None) => None,
        (Some(_), None) => Some(broken(profile, format!("add {SECRET} to profile {name:?}"))),
        (None, Some(_)) => Some(broken(profile, format!("add {ID} to profile {name:?}"))),
    }
}

/// Returns true if keys of this id need a session token (IAM User Guide, "Unique identifiers").
fn is_temporary(id: &str) -> bool {
    id.starts_with("ASIA")
}

/// Returns true if the AWS CLI takes this profile when none is named.
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

#[cfg(test)]
mod tests {
    //! The SDK's order, on files and variables in memory.

    use super::*;

    async fn found(
        variables: &[(&str, &str)],
        config: &str,
        named: Option<&str>,
    ) -> CredentialSource {
        let mut env = vec![("HOME", "/home/ann")];
        env.extend(variables);
        let fs = Fs::from_slice(&[("/home/ann/.aws/config", config)]);
        CredentialOrigin::resolve(&Env::from_slice(&env), &fs, named)
            .await
            .source
    }

    fn sso(profile: Option<&str>) -> CredentialSource {
        CredentialSource::Login(LoginCommand::Sso(profile.map(str::to_owned)))
    }

    const CONFIG: &str = "[default]\nsso_start_url = u\nsso_region = r\nsso_account_id = 1\nsso_role_name = n\n\
        [profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n\
        [profile own]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = own\nlogin_session = arn:x\n\
        [profile keys]\naws_access_key_id = AKIA\naws_secret_access_key = x\nrole_arn = arn:aws:iam::1:role/z\n\
        source_profile = role\n[profile onkeys]\nrole_arn = arn:aws:iam::1:role/y\nsource_profile = keys\n";

    #[tokio::test]
    async fn credential_sources_follow_the_order_of_the_sdk() {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
        ];
        let environment = CredentialSource::Environment { lacks_token: false };
        assert_eq!(found(&keys, CONFIG, None).await, environment);
        // a profile by name goes before keys in the environment
        assert_eq!(found(&keys, CONFIG, Some("default")).await, sso(None));
        assert_eq!(found(&[], CONFIG, None).await, sso(None));
        assert_eq!(found(&[], CONFIG, Some("role")).await, sso(None));
        // where another profile is set, the AWS CLI would not take the default one
        let set = [("AWS_PROFILE", "role")];
        assert_eq!(found(&set, CONFIG, None).await, sso(Some("default")));
        let login = LoginCommand::Login(Some("own".to_owned()));
        assert_eq!(
            found(&[], CONFIG, Some("own")).await,
            CredentialSource::Login(login)
        );
        // keys of a profile that is another's source go before its own role
        let found_keys = found(&[], CONFIG, Some("onkeys")).await;
        assert!(
            matches!(found_keys, CredentialSource::Keys { profile, .. } if profile == "keys")
        );
        assert_eq!(found(&[], CONFIG, Some("keys")).await, sso(None));
    }

    /// As the SDK takes them.
    #[tokio::test]
    async fn an_empty_variable_counts_as_unset() {
        let empty = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", " ")];
        assert_eq!(found(&empty, CONFIG, None).await, sso(None));
        let temporary = [
            ("AWS_ACCESS_KEY_ID", "ASIA"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_SESSION_TOKEN", ""),
        ];
        let lacking = CredentialSource::Environment { lacks_token: true };
        assert_eq!(found(&temporary, CONFIG, None).await, lacking);
    }

    #[tokio::test]
    async fn a_web_identity_needs_a_role() {
        let file = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/x");
        let identity = |lacks_role| CredentialSource::WebIdentity {
            file: "/x".to_owned(),
            lacks_role,
        };
        let role = ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x");
        assert_eq!(found(&[file, role], "", None).await, identity(false));
        assert_eq!(found(&[file], "", None).await, identity(true));
        let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost");
        assert_eq!(
            found(&[file, container], "", None).await,
            CredentialSource::Container
        );
    }

    #[tokio::test]
    async fn an_error_in_a_file_names_the_file_and_the_line() {
        let CredentialSource::Unreadable(why) = found(&[], "[default]\nnonsense\n", None).await
        else {
            panic!("read");
        };
        assert!(
            why.contains(".aws/config") && why.contains("line 2"),
            "{why}"
        );
        assert!(!why.contains('\n'), "{why}");
    }

    #[tokio::test]
    async fn without_a_profile_container_and_web_identity_are_used() {
        for (variable, source) in [
            (
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                CredentialSource::Container,
            ),
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                CredentialSource::WebIdentity {
                    file: "/x".to_owned(),
                    lacks_role: true,
                },
            ),
            ("UNRELATED", CredentialSource::Nothing),
        ] {
            assert_eq!(found(&[(variable, "/x")], "", None).await, source);
        }
    }

    #[tokio::test]
    async fn roles_are_listed_in_the_order_of_assumption() {
        let fs = Fs::from_slice(&[("/home/ann/.aws/config", CONFIG)]);
        let env = Env::from_slice(&[("HOME", "/home/ann")]);
        let origin = CredentialOrigin::resolve(&env, &fs, Some("keys")).await;
        assert_eq!(
            origin.roles,
            ["arn:aws:iam::1:role/x", "arn:aws:iam::1:role/z"]
        );
        let origin = CredentialOrigin::resolve(&env, &fs, Some("onkeys")).await;
        assert_eq!(origin.roles, ["arn:aws:iam::1:role/y"]);
    }
}
