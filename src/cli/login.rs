//! `login`: runs the sign-in to AWS that an environment needs, as the hints name it.

use crate::config_args::{ConfigArgs, config_flags};
use crate::serve::block_on;
use crate::signals::{INTERRUPT, Signals};
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use clap::Args;
use mwaa_app::StartError;
use mwaa_auth::aws::{CredentialOrigin, CredentialSource, LoginCommand};
use mwaa_config::Config;
use std::collections::BTreeMap;
use std::io;
use std::process;
use tokio::process::Command;

/// The options of `login`.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    config: ConfigArgs<LoginFlags>,
    /// Print the command without running it
    #[arg(long)]
    print: bool,
}

config_flags! {
    struct LoginFlags;
    Environment: "The environment whose profile to use [default: the default environment]",
    Profile: "The AWS profile to use, if the file has none or several",
}

pub(crate) fn run(args: &LoginArgs, terminal: &Terminal) -> RunResult {
    let config = args.config.load(terminal)?;
    let profile =
        find_profile(&config, args.config.profile()).map_err(|error| error.print(terminal))?;

    Ok(block_on(terminal, async {
        let origin = CredentialOrigin::find(profile.as_deref()).await;
        // keys, roles and containers need no login
        let CredentialSource::Login(sign_in) = &origin.source else {
            return Ok(report_no_login(&origin.source, terminal));
        };
        if args.print {
            terminal.print(format_args!("{sign_in}\n"));
            return Ok(ExitStatus::Success);
        }

        terminal.info(format_args!("running `{sign_in}`"));
        let mut signals = Signals::listen().map_err(StartError::Thread)?;

        match run_login(sign_in, &mut signals).await {
            Ok((Some(signal), _)) => Ok(ExitStatus::Signal(signal)),
            Ok((None, status)) if status.success() => {
                terminal.info(
                    "signed in; a running gateway uses the new credentials without a \
                     restart",
                );
                Ok(ExitStatus::Success)
            }
            Ok((None, status)) => {
                Ok(LoginError::Failed(sign_in.clone(), status).print(terminal))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(LoginError::NotInstalled.print(terminal))
            }
            Err(error) => Ok(LoginError::NotStarted(error).print(terminal)),
        }
    }))
}

/// Returns the profile of the environment, or of the places where environments are looked for. If
/// these have several, `given` chooses one of them. `None` is the AWS chain's own.
fn find_profile(config: &Config, given: Option<&str>) -> Result<Option<String>, LoginError> {
    let mut profiles = BTreeMap::<Option<&str>, Vec<String>>::new();
    let places = &config.aws.discover_in;
    let entries = match config.environments.iter().find(|entry| entry.default) {
        Some(default) => std::slice::from_ref(default),
        None => config.environments.as_slice(),
    };

    // a default is what single commands use, so the others need no login
    let has_default = entries.iter().any(|entry| entry.default);
    let mut searches = config.discovers() && !has_default;
    for entry in entries {
        if entry.configured || places.is_empty() {
            let users = profiles.entry(entry.environment.profile.as_deref());
            users.or_default().push(entry.environment.local.to_string());
        } else {
            // only -e names it: it is found at one of the places
            searches = true;
        }
    }

    for place in places.iter().filter(|_| searches) {
        let profile = place.profile.as_deref().or(config.aws.profile.as_deref());
        let users = profiles.entry(profile).or_default();
        users.push(place.region.to_string());
    }

    let profile = match profiles.len() {
        0 => config.aws.profile.as_deref(),
        1 => profiles.into_keys().next().flatten(),
        _ if given.is_some() && profiles.contains_key(&given) => given,
        _ => {
            let list = profiles.into_iter().map(|(profile, users)| {
                let profile = profile.unwrap_or("the default profile");
                format!("{profile} ({})", users.join(", "))
            });
            let list = list.collect::<Vec<_>>().join(", ");
            return Err(LoginError::SeveralProfiles(list));
        }
    };
    Ok(profile.map(str::to_owned))
}

/// Reports the source of credentials that needs no login, or that no login can help.
fn report_no_login(source: &CredentialSource, terminal: &Terminal) -> ExitStatus {
    match source {
        CredentialSource::Broken { .. }
        | CredentialSource::NoKeys { .. }
        | CredentialSource::NoProfile { .. }
        | CredentialSource::Nothing
        | CredentialSource::Unreadable(_) => {
            LoginError::NoLogin(source.clone()).print(terminal)
        }
        _ => {
            terminal.info(format_args!("no sign-in needed: the gateway uses {source}"));
            ExitStatus::Success
        }
    }
}

/// Runs the login at this terminal, without a shell. Returns the first signal that came, and the
/// login's status.
async fn run_login(
    sign_in: &LoginCommand,
    signals: &mut Signals,
) -> io::Result<(Option<u8>, process::ExitStatus)> {
    let words = sign_in.command();
    let (program, arguments) = words.split_first().unwrap_or((&"aws", &[]));
    let mut child = Command::new(program)
        .args(arguments)
        // a login that waits for a browser must not outlive us
        .kill_on_drop(true)
        .spawn()?;

    let mut received = None;
    loop {
        tokio::select! {
            status = child.wait() => return Ok((received, status?)),
            // Ctrl-C reaches the login too, which may have something to tidy up
            number = signals.next() => {
                if received.is_some() || number != INTERRUPT {
                    child.start_kill()?;
                }
                received = Some(number);
            }
        }
    }
}

/// There was no login, or it failed.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    /// With each profile and its users.
    #[error("the environments have different profiles: {0}")]
    SeveralProfiles(String),
    #[error("no profile to sign in to: {0}")]
    NoLogin(CredentialSource),
    /// It has printed the reason itself.
    #[error("`{0}` failed ({1})")]
    Failed(LoginCommand, process::ExitStatus),
    #[error("the AWS CLI is not installed: `aws` is not on the PATH")]
    NotInstalled,
    #[error("cannot start `aws`")]
    NotStarted(#[source] io::Error),
}

impl LoginError {
    fn print(&self, terminal: &Terminal) -> ExitStatus {
        let (exit, hint) = match self {
            Self::SeveralProfiles(_) => (
                ExitStatus::Usage,
                "choose one: an environment with -e, or a profile with --profile",
            ),
            Self::NoLogin(CredentialSource::Broken { fix, .. }) => {
                (ExitStatus::Unavailable, fix.as_str())
            }
            Self::NoLogin(_) => (
                ExitStatus::Unavailable,
                "`aws login` or `aws configure sso` creates a profile to sign in to; --profile \
                 chooses one",
            ),
            Self::Failed(LoginCommand::Login(_), _) => (
                ExitStatus::Failure,
                "`aws login` needs version 2.32 of the AWS CLI: check `aws --version`",
            ),
            Self::Failed(LoginCommand::Sso(_), _) => (
                ExitStatus::Failure,
                "if it printed no reason: it needs version 2 of the AWS CLI, check `aws \
                 --version`",
            ),
            Self::NotInstalled | Self::NotStarted(_) => (
                ExitStatus::Unavailable,
                "install it: \
                 https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html; \
                 --print shows the command to run elsewhere",
            ),
        };

        terminal.fail(exit, self, Some(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_config::{Override, Overrides, SearchPath};

    fn of(text: &str) -> Result<Option<String>, String> {
        given(text, None, None)
    }

    fn given(
        text: &str,
        environment: Option<&str>,
        chosen: Option<&str>,
    ) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mwaa-gateway.toml");
        std::fs::write(&file, text).unwrap();
        let overrides = Overrides {
            environments: environment
                .map(|name| Override::new("-e", name))
                .into_iter()
                .collect(),
            ..Overrides::default()
        };
        let config =
            mwaa_config::load(Some(&file), &overrides, &SearchPath::from_environment())
                .unwrap();
        find_profile(&config, chosen).map_err(|error| error.to_string())
    }

    #[test]
    fn login_uses_the_profile_of_the_chosen_environment() {
        assert_eq!(of("aws.profile = \"a\""), Ok(Some("a".to_owned())));
        let two = "aws.profile = \"a\"\n[environments.x]\n[environments.y]\n";
        assert_eq!(of(two), Ok(Some("a".to_owned())));
        let other = format!("{two}profile = \"b\"\n");
        assert!(of(&other).is_err_and(|error| error.ends_with("a (x), b (y)")));
        assert_eq!(given(&other, None, Some("b")), Ok(Some("b".to_owned())));
        assert!(given(&other, None, Some("c")).is_err());
        assert_eq!(
            of(&format!("{other}default = true\n")),
            Ok(Some("b".to_owned()))
        );
        assert_eq!(of("[environments.x]\n"), Ok(None));
    }

    #[test]
    fn login_uses_the_profiles_of_discover_in() {
        let corp = || Ok(Some("corp".to_owned()));
        let one = "aws.discover_in = [\"corp@eu-west-1\", \"corp@us-east-1\"]\n";
        assert_eq!(of(one), corp());
        // -e names one that is found there
        assert_eq!(given(one, Some("reports"), None), corp());
        let two =
            "aws.discover_in = [\"corp@eu-west-1\", \"eu-west-1\"]\naws.profile = \"a\"\n";
        assert!(of(two).is_err_and(|error| error.ends_with("a (eu-west-1), corp (eu-west-1)")));
        assert_eq!(given(two, None, Some("corp")), corp());
        assert!(given(two, Some("reports"), None).is_err());
        let named = format!("{two}[environments.x]\nprofile = \"b\"\n");
        assert_eq!(given(&named, Some("x"), None), Ok(Some("b".to_owned())));
        assert_eq!(
            of(&format!("{named}default = true\n")),
            Ok(Some("b".to_owned()))
        );
    }
}
