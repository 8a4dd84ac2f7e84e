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
            "The AWS profile to sign in, where the file names none",
        ),
    ];
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let config = match options.inputs.load(terminal) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let profile = match profile(&config) {
        Ok(profile) => profile,
        Err(error) => {
            return terminal.fail(Exit::Usage, &error, Some("name one of them with -e"));
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
                    SignIn::Login(_) => Some(
                        "`aws login` came with version 2.32 of the AWS CLI: see `aws --version`",
                    ),
                    SignIn::Sso(_) => None,
                };
                terminal.fail(Exit::Failed, &Failed(sign_in.clone(), status), hint)
            }
            Err(error) => terminal.fail(Exit::Unavailable, &NotStarted(error), Some(INSTALL)),
        })
    })
}

/// The profile of the environment that is meant; `None` is the AWS chain's own.
fn profile(config: &Config) -> Result<Option<String>, Several> {
    let mut profiles = BTreeMap::<Option<String>, Vec<String>>::new();
    let meant = match config.environments.iter().find(|entry| entry.default) {
        Some(default) => std::slice::from_ref(default),
        None => config.environments.as_slice(),
    };
    for entry in meant {
        let profile = entry.environment.profile.as_deref().map(str::to_owned);
        let locals = profiles.entry(profile).or_default();
        locals.push(entry.environment.local.to_string());
    }
    if profiles.len() > 1 {
        return Err(Several(profiles.into_values().flatten().collect()));
    }
    Ok(match profiles.pop_first() {
        Some((profile, _)) => profile,
        None => config.aws.profile.clone(),
    })
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

/// The environments need more than one sign-in.
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

const INSTALL: &str = "install it as https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html \
     says; --print tells the command to run elsewhere";
const SET_UP: &str =
    "`aws login` or `aws configure sso` make a profile that signs in; --profile names one";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Overrides, Search};

    fn of(text: &str) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mwaa-gateway.toml");
        std::fs::write(&file, text).unwrap();
        let config = config::load(
            Some(&file),
            &Overrides::default(),
            &Search::from_environment(),
        )
        .unwrap();
        profile(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_profile_is_that_of_what_is_meant() {
        assert_eq!(of("aws.profile = \"a\""), Ok(Some("a".to_owned())));
        let two = "aws.profile = \"a\"\n[environments.x]\n[environments.y]\n";
        assert_eq!(of(two), Ok(Some("a".to_owned())));
        let other = format!("{two}profile = \"b\"\n");
        assert!(of(&other).is_err_and(|told| told.ends_with("x, y")));
        assert_eq!(
            of(&format!("{other}default = true\n")),
            Ok(Some("b".to_owned()))
        );
        assert_eq!(of("[environments.x]\n"), Ok(None));
    }
}
