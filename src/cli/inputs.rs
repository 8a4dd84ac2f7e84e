//! The options that say which configuration to use, and what beats it. Every command has those
//! that mean something to it, and says what they do there.

use super::Exit;
use super::terminal::Terminal;
use crate::app::Extras;
use crate::config::{self, Config, Given, Overrides, Problems, Search, env};
use crate::egress::Surroundings;
use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, parser::ValueSource};
use std::error::Error;
use std::marker::PhantomData;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;

/// An option beside `--config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    /// Any number of environments, by the flag alone: the variable is for single commands.
    Environments,
    /// One environment.
    Environment,
    Region,
    Profile,
    Listen,
    Management,
}

impl Flag {
    /// Its name, its value's, and the variable that stands in for it.
    const fn spelling(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::Environments => ("environment", "NAME", None),
            Self::Environment => ("environment", "ENV", Some(env::ENVIRONMENT)),
            Self::Region => ("region", "REGION", Some(env::REGION)),
            Self::Profile => ("profile", "PROFILE", Some(env::PROFILE)),
            Self::Listen => ("listen", "ADDR", Some(env::LISTEN)),
            Self::Management => ("management", "ADDR", Some(env::MANAGEMENT)),
        }
    }

    fn argument(self, help: &'static str) -> Arg {
        let (name, value, variable) = self.spelling();
        let argument = Arg::new(name).long(name).value_name(value).help(help);
        let argument = match variable {
            Some(variable) => argument.env(variable),
            None => argument,
        };
        match self {
            Self::Environments => argument.action(ArgAction::Append).value_delimiter(','),
            Self::Environment => argument.short('e'),
            Self::Region | Self::Profile | Self::Listen | Self::Management => argument,
        }
    }

    /// Whence the value came, as the person wrote it: the flag, or the variable.
    fn origin(self, source: Option<ValueSource>) -> String {
        let (name, _, variable) = self.spelling();
        match (source, variable) {
            (Some(ValueSource::EnvVariable), Some(variable)) => variable.to_owned(),
            _ => format!("--{name}"),
        }
    }
}

/// A command's choice of them.
pub(super) trait Purpose {
    /// Each with what it does there.
    const FLAGS: &'static [(Flag, &'static str)];
}

/// Which configuration, and what beats it; for this purpose.
#[derive(Debug)]
pub(super) struct Inputs<P> {
    config: Option<PathBuf>,
    overrides: Overrides,
    purpose: PhantomData<P>,
}

impl<P: Purpose> Args for Inputs<P> {
    fn augment_args(command: clap::Command) -> clap::Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .env(env::CONFIG)
            .value_parser(path())
            .help("The configuration file");
        let flags = P::FLAGS.iter().map(|(flag, help)| flag.argument(help));
        command.arg(config).args(flags)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<P: Purpose> FromArgMatches for Inputs<P> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut overrides = Overrides::default();
        for (flag, _) in P::FLAGS {
            let (name, ..) = flag.spelling();
            let source = matches.value_source(name);
            let values = matches.get_many::<String>(name).into_iter().flatten();
            let mut given = values
                // a variable that is empty counts as not set
                .filter(|value| !value.is_empty() || source != Some(ValueSource::EnvVariable))
                .map(|value| Given::new(flag.origin(source), value));
            match flag {
                Flag::Environments | Flag::Environment => {
                    overrides.environments = given.collect();
                }
                Flag::Region => overrides.region = given.next(),
                Flag::Profile => overrides.profile = given.next(),
                Flag::Listen => overrides.listen = given.next(),
                Flag::Management => overrides.management = given.next(),
            }
        }
        Ok(Self {
            config: matches
                .get_one::<PathBuf>("config")
                .filter(|path| {
                    let source = matches.value_source("config");
                    !path.as_os_str().is_empty() || source != Some(ValueSource::EnvVariable)
                })
                .cloned(),
            overrides,
            purpose: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<P: Purpose> Inputs<P> {
    /// The environments that are named, as they are written.
    pub(super) fn environments(&self) -> Vec<&str> {
        let named = self.overrides.environments.iter();
        named.map(|given| given.value.as_str()).collect()
    }

    /// The profile that is given, not that of the file.
    pub(super) fn profile(&self) -> Option<&str> {
        let given = self.overrides.profile.as_ref()?;
        Some(&given.value)
    }

    /// The management address of a gateway to ask: what is given, as it is, without a look at
    /// the configuration; else the configuration's.
    pub(super) fn management(&self, terminal: &Terminal) -> Result<SocketAddr, Exit> {
        match &self.overrides.management {
            None => Ok(self.load(terminal)?.management.address),
            Some(given) => given.value.parse().map_err(|error: AddrParseError| {
                let what: Box<dyn Error> =
                    format!("{}: {}: {error}", given.origin, given.value).into();
                let hint = "write it as `127.0.0.1:9180`";
                terminal.fail(Exit::Usage, what.as_ref(), Some(hint))
            }),
        }
    }

    /// What to tell somebody whose variable seems to say what is served.
    pub(super) fn idle_variable(&self) -> Option<String> {
        let name = env::environment().filter(|_| self.overrides.environments.is_empty())?;
        let (variable, name) = (env::ENVIRONMENT, name.escape_debug());
        Some(format!(
            "{variable} chooses the environment of single commands, and not what is served: \
             to serve only that one, use --environment {name}"
        ))
    }

    /// Reads the configuration.
    pub(super) fn read(&self) -> Result<Config, Problems> {
        let search = Search::from_environment();
        config::load(self.config.as_deref(), &self.overrides, &search)
    }

    /// Reads the configuration, or tells all that is wrong with it.
    pub(super) fn load(&self, terminal: &Terminal) -> Result<Config, Exit> {
        self.read().map_err(|problems| {
            terminal.tell(problems.to_string().trim_end());
            Exit::Configuration
        })
    }
}

/// Takes a path, of which no shell may have replaced `~/`.
pub(super) fn path() -> ValueParser {
    OsStringValueParser::new().try_map(config::path).into()
}

/// What the environment variables say beside the configuration.
pub(super) fn extras(terminal: &Terminal) -> Result<Extras, Exit> {
    let ca_bundle = match env::aws_ca_bundle() {
        None => None,
        Some(file) => Some(std::fs::read(&file).map_err(|error| {
            let hint = format!(
                "AWS_CA_BUNDLE names {}; correct or unset it",
                file.display()
            );
            terminal.fail(Exit::Configuration, &error, Some(&hint))
        })?),
    };
    Ok(Extras {
        ca_bundle,
        proxies: Surroundings {
            https_proxy: env::https_proxy(),
            all_proxy: env::all_proxy(),
            no_proxy: env::no_proxy(),
        },
        static_key: None,
    })
}
