//! `login`: the sign-in to AWS that an environment needs, as the hints name it.

use super::Exit;
use super::inputs::{Flag, Inputs, Purpose};
use super::serve::control;
use super::signals::{INTERRUPT, Signals};
use super::terminal::Terminal;
use crate::app::StartError;
use crate::config::Config;
use crate::control::{Origin, SignIn, Source};
use clap::Args;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use tokio::process::Command;

/// The options of `login`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    inputs: Inputs<ToSignIn>,
    /// Print the command and run nothing
    #[arg(long)]
    print: bool,
}

#[derive(Debug)]
struct ToSignIn;

impl Purpose for ToSignIn {
    const FLAGS: &'static [(Flag, &'static str)] = &[
        (
            Flag::Environment,
            "The environment whose profile to sign in; without it the default one",
        ),
        (
            Flag::Profile,
            "The AWS profile to sign in, where the file names none or several",
        ),
    ];
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let config = match options.inputs.load(terminal) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let profile = match profile(&config, options.inputs.profile()) {
        Ok(profile) => profile,
        Err(error) => {
            return terminal.fail(Exit::Usage, &error, Some(CHOOSE));
        }
    };
    control(terminal, async {
        let origin = Origin::find(profile.as_deref()).await;
        let Source::SignIn(sign_in) = &origin.source else {
            return Ok(nothing_to_do(&origin, terminal));
        };
        if options.print {
            terminal.data(format_args!("{sign_in}\n"));
            return Ok(Exit::Done);
        }
        terminal.say(format_args!("running `{sign_in}`"));
        let mut signals = Signals::listen().map_err(StartError::Thread)?;
        Ok(match signed_in(sign_in, &mut signals).await {
            Ok(Ended::By(signal)) => Exit::Signal(signal),
            Ok(Ended::With(status)) if status.success() => {
                terminal.say("signed in; a running gateway takes it up by itself");
                Exit::Done
            }
            Ok(Ended::With(status)) => {
                let hint = match sign_in {
                    SignIn::Login(_) => {
                        "`aws login` came with version 2.32 of the AWS CLI: see `aws --version`"
                    }
                    SignIn::Sso(_) => {
                        "if it did not say why: it needs version 2 of the AWS CLI, see `aws --version`"
                    }
                };
                terminal.fail(Exit::Failed, &Failed(sign_in.clone(), status), Some(hint))
            }
            Err(error) => terminal.fail(Exit::Unavailable, &NotStarted(error), Some(INSTALL)),
        })
    })
}

/// The profile that is meant: that of the environment, or of the places where environments are
/// looked for; where these have several, the given one of them. `None` is the AWS chain's own.
fn profile(config: &Config, given: Option<&str>) -> Result<Option<String>, Several> {
    let mut profiles = BTreeMap::<Option<&str>, Vec<String>>::new();
    let places = &config.aws.discover_in;
    let entries = match config.environments.iter().find(|entry| entry.default) {
        Some(default) => std::slice::from_ref(default),
        None => config.environments.as_slice(),
    };
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
    let meant = match profiles.len() {
        0 => config.aws.profile.as_deref(),
        1 => profiles.into_keys().next().flatten(),
        _ if given.is_some() && profiles.contains_key(&given) => given,
        _ => {
            let list = profiles.into_iter().map(|(profile, users)| {
                format!(
                    "{} ({})",
                    profile.unwrap_or("the usual one"),
                    users.join(", ")
                )
            });
            return Err(Several(list.collect()));
        }
    };
    Ok(meant.map(str::to_owned))
}

/// Says what is used where nobody signs in.
fn nothing_to_do(origin: &Origin, terminal: &Terminal) -> Exit {
    let source = &origin.source;
    match source {
        Source::Broken { mend, .. } => {
            terminal.fail(Exit::Unavailable, &NoKeys(source.clone()), Some(mend))
        }
        Source::NoKeys { .. }
        | Source::NoProfile { .. }
        | Source::Nothing
        | Source::Unreadable(_) => {
            terminal.fail(Exit::Unavailable, &NoKeys(source.clone()), Some(SET_UP))
        }
        _ => {
            terminal.say(format_args!(
                "there is nothing to sign in to: the gateway uses {source}"
            ));
            Exit::Done
        }
    }
}

/// How the sign-in ended.
enum Ended {
    /// A signal to us ended it: this one.
    By(u8),
    With(ExitStatus),
}

/// Runs the sign-in at this terminal, without a shell.
async fn signed_in(sign_in: &SignIn, signals: &mut Signals) -> io::Result<Ended> {
    let words = sign_in.command();
    let (program, arguments) = words.split_first().unwrap_or((&"aws", &[]));
    let mut child = Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .spawn()?;
    let mut ending = None;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status?;
                return Ok(ending.map_or(Ended::With(status), Ended::By));
            }
            // Ctrl-C reaches the sign-in too, which may have something to tidy up
            number = signals.next() => {
                if ending.replace(number).is_some() || number != INTERRUPT {
                    child.start_kill()?;
                }
            }
        }
    }
}

/// The environments need more than one sign-in: each profile with who uses it.
#[derive(Debug)]
struct Several(Vec<String>);

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the environments have different profiles: {}",
            self.0.join(", ")
        )
    }
}

impl std::error::Error for Several {}

/// There is nothing that a sign-in could help.
#[derive(Debug)]
struct NoKeys(Source);

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is nothing to sign in to: {}", self.0)
    }
}

impl std::error::Error for NoKeys {}

/// The sign-in ended badly; it has said why itself.
#[derive(Debug)]
struct Failed(SignIn, ExitStatus);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed ({})", self.0, self.1)
    }
}

impl std::error::Error for Failed {}

/// The sign-in's program could not be started.
#[derive(Debug)]
struct NotStarted(io::Error);

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.kind() == io::ErrorKind::NotFound {
            f.write_str("the AWS CLI is not installed: there is no `aws` on the PATH")
        } else {
            write!(f, "cannot start `aws`: {}", self.0)
        }
    }
}

impl std::error::Error for NotStarted {}

const CHOOSE: &str = "name one of them: an environment with -e, or a profile with --profile";
const INSTALL: &str = "install it as https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html \
     says; --print tells the command to run elsewhere";
const SET_UP: &str =
    "`aws login` or `aws configure sso` make a profile that signs in; --profile names one";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Given, Overrides, Search};

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
                .map(|name| Given::new("-e", name))
                .into_iter()
                .collect(),
            ..Overrides::default()
        };
        let config =
            config::load(Some(&file), &overrides, &Search::from_environment()).unwrap();
        profile(&config, chosen).map_err(|error| error.to_string())
    }

    #[test]
    fn the_profile_is_that_of_what_is_meant() {
        assert_eq!(of("aws.profile = \"a\""), Ok(Some("a".to_owned())));
        let two = "aws.profile = \"a\"\n[environments.x]\n[environments.y]\n";
        assert_eq!(of(two), Ok(Some("a".to_owned())));
        let other = format!("{two}profile = \"b\"\n");
        assert!(of(&other).is_err_and(|told| told.ends_with("a (x), b (y)")));
        assert_eq!(given(&other, None, Some("b")), Ok(Some("b".to_owned())));
        assert!(given(&other, None, Some("c")).is_err());
        assert_eq!(
            of(&format!("{other}default = true\n")),
            Ok(Some("b".to_owned()))
        );
        assert_eq!(of("[environments.x]\n"), Ok(None));
    }

    #[test]
    fn the_places_of_the_search_have_profiles_too() {
        let corp = || Ok(Some("corp".to_owned()));
        let one = "aws.discover_in = [\"corp@eu-west-1\", \"corp@us-east-1\"]\n";
        assert_eq!(of(one), corp());
        // -e names one that is found there
        assert_eq!(given(one, Some("reports"), None), corp());
        let two =
            "aws.discover_in = [\"corp@eu-west-1\", \"eu-west-1\"]\naws.profile = \"a\"\n";
        assert!(of(two).is_err_and(|told| told.ends_with("a (eu-west-1), corp (eu-west-1)")));
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
