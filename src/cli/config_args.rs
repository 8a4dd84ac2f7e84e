//! The options that choose the configuration, and those that override it. Each command takes those
//! that mean something to it, and has its own help for them.

use crate::ExitStatus;
use crate::terminal::Terminal;
use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, parser::ValueSource};
use mwaa_app::{ConfigProblem, ConfigSource, ExternalInputs};
use mwaa_config::{Config, Diagnostics, EffectiveConfig, Override, Overrides, SearchPath, env};
use mwaa_egress::ProxyEnv;
use mwaa_runtime::{LARGEST_BUNDLE, read_regular_file};
use mwaa_telemetry::Log;
use std::io;
use std::marker::PhantomData;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;

/// An option beside `--config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
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
    /// Returns its name, its value's, and the variable that is read without it.
    const fn names(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::Environments => ("environment", "NAME", None),
            Self::Environment => ("environment", "ENV", Some(env::ENVIRONMENT)),
            Self::Region => ("region", "REGION", Some(env::REGION)),
            Self::Profile => ("profile", "PROFILE", Some(env::PROFILE)),
            Self::Listen => ("listen", "ADDR", Some(env::LISTEN)),
            Self::Management => ("management", "ADDR", Some(env::MANAGEMENT)),
        }
    }

    fn to_arg(self, help: &'static str) -> Arg {
        let (name, value, variable) = self.names();
        let arg = Arg::new(name).long(name).value_name(value).help(help);
        let arg = match variable {
            Some(variable) => arg.env(variable),
            None => arg,
        };

        match self {
            // `-e` is for commands that take one environment
            Self::Environments => arg.action(ArgAction::Append).value_delimiter(','),
            Self::Environment => arg.short('e'),
            Self::Region | Self::Profile | Self::Listen | Self::Management => arg,
        }
    }
}

/// The flags of a command.
pub(crate) trait ConfigFlags {
    /// Each flag with its help.
    const FLAGS: &'static [(Flag, &'static str)];
}

/// Declares the flags of a command, each with its help.
macro_rules! config_flags {
    (struct $name:ident; $($flag:ident: $help:literal,)+) => {
        #[derive(Debug)]
        struct $name;

        impl $crate::config_args::ConfigFlags for $name {
            const FLAGS: &'static [($crate::config_args::Flag, &'static str)] =
                &[$(($crate::config_args::Flag::$flag, $help)),+];
        }
    };
}
pub(crate) use config_flags;

/// The configuration file of a command, and the values that override it.
#[derive(Debug)]
pub(crate) struct ConfigArgs<F> {
    file: Option<PathBuf>,
    overrides: Overrides,
    flags: PhantomData<F>,
}

impl<F: ConfigFlags> Args for ConfigArgs<F> {
    fn augment_args(command: clap::Command) -> clap::Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .env(env::CONFIG)
            .value_parser(path_parser())
            .help("The configuration file");
        let flags = F::FLAGS.iter().map(|(flag, help)| flag.to_arg(help));
        command.arg(config).args(flags)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<F: ConfigFlags> FromArgMatches for ConfigArgs<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_variable = |name| matches.value_source(name) == Some(ValueSource::EnvVariable);
        // a variable that is empty counts as not set
        let file = matches
            .get_one::<PathBuf>("config")
            .filter(|path| !path.as_os_str().is_empty() || !is_variable("config"));

        let mut overrides = Overrides::default();
        for (flag, _) in F::FLAGS {
            let (name, _, variable) = flag.names();
            // errors name the flag or the variable, as the person wrote it
            let origin = match variable.filter(|_| is_variable(name)) {
                Some(variable) => variable.to_owned(),
                None => format!("--{name}"),
            };

            let values = matches.get_many::<String>(name).into_iter().flatten();
            let mut given = values
                .filter(|value| !value.is_empty() || !is_variable(name))
                .map(|value| Override::new(origin.clone(), value));
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
            file: file.cloned(),
            overrides,
            flags: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<F> ConfigArgs<F> {
    /// Returns the environment that is named, as it is written.
    pub(crate) fn environment(&self) -> Option<String> {
        let given = self.overrides.environments.first()?;
        Some(given.value.clone())
    }

    /// Returns the profile that is given, not that of the file.
    pub(crate) fn profile(&self) -> Option<&str> {
        let given = self.overrides.profile.as_ref()?;
        Some(&given.value)
    }

    /// Returns the management address of the gateway to ask: the one that is given, so that the
    /// configuration need not be right, else the configuration's.
    pub(crate) fn management_address(
        &self,
        terminal: &Terminal,
    ) -> Result<SocketAddr, ExitStatus> {
        let Some(given) = &self.overrides.management else {
            return Ok(self.load(terminal)?.management.address);
        };
        given.value.parse().map_err(|source| {
            let text = format!("{}: {}", given.origin, given.value);
            let error = AddressError { text, source };
            let hint = "write it as `127.0.0.1:9180`";
            terminal.fail(ExitStatus::Usage, &error, Some(hint))
        })
    }

    /// Returns a warning for a person whose variable seems to choose what is served.
    pub(crate) fn find_unused_variable(&self) -> Option<String> {
        // a flag shows that the person knows
        let name = env::environment().filter(|_| self.overrides.environments.is_empty())?;
        let (variable, name) = (env::ENVIRONMENT, name.escape_debug());
        Some(format!(
            "{variable} does not change which environments are served: to serve only {name}, \
             use --environment {name}"
        ))
    }

    /// Reads the configuration.
    pub(crate) fn read(&self) -> Result<Config, Diagnostics> {
        let search = SearchPath::from_environment();
        mwaa_config::load(self.file.as_deref(), &self.overrides, &search)
    }

    /// Returns the way to read the same file again, with the same flags and variables. `file` is the
    /// one that was found at the start: one that the search would find first by now does not count.
    pub(crate) fn source(&self, file: Option<PathBuf>) -> ConfigSource {
        let overrides = self.overrides.clone();
        ConfigSource::new(move || {
            let search = SearchPath::from_environment();
            let config = mwaa_config::load_again(file.as_deref(), &overrides, &search)
                .map_err(|problems| ConfigProblem::list(&problems))?;
            let inputs = read_external_inputs().map_err(|(file, error)| {
                vec![ConfigProblem {
                    text: format!("AWS_CA_BUNDLE: {}: {error}", file.display()),
                    hint: None,
                }]
            })?;
            Ok((config, inputs))
        })
    }

    /// Reads the configuration, or prints all its problems.
    pub(crate) fn load(&self, terminal: &Terminal) -> Result<Config, ExitStatus> {
        self.read()
            .map_err(|problems| print_problems(&problems, terminal))
    }

    /// Reads the configuration without the files of the TLS listener, which the command makes; or
    /// prints all its problems.
    pub(crate) fn load_without_certificates(
        &self,
        terminal: &Terminal,
    ) -> Result<Config, ExitStatus> {
        let overrides = Overrides {
            makes_certificates: true,
            ..self.overrides.clone()
        };
        mwaa_config::load(
            self.file.as_deref(),
            &overrides,
            &SearchPath::from_environment(),
        )
        .map_err(|problems| print_problems(&problems, terminal))
    }

    /// Reads every key with its value and the value's source, or prints all problems.
    pub(crate) fn load_effective(
        &self,
        terminal: &Terminal,
    ) -> Result<EffectiveConfig, ExitStatus> {
        let search = SearchPath::from_environment();
        mwaa_config::effective(self.file.as_deref(), &self.overrides, &search)
            .map_err(|problems| print_problems(&problems, terminal))
    }
}

fn print_problems(problems: &Diagnostics, terminal: &Terminal) -> ExitStatus {
    terminal.error(problems.to_string().trim_end());
    ExitStatus::Configuration
}

/// A flag holds no address.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct AddressError {
    text: String,
    source: AddrParseError,
}

/// Returns a parser of paths, of which no shell may have replaced `~/`.
pub(crate) fn path_parser() -> ValueParser {
    OsStringValueParser::new()
        .try_map(mwaa_config::parse_path)
        .into()
}

/// Reads the environment variables that add to the configuration.
pub(crate) fn load_external_inputs(terminal: &Terminal) -> Result<ExternalInputs, ExitStatus> {
    read_external_inputs().map_err(|(file, error)| {
        let file = file.display();
        let hint = format!("AWS_CA_BUNDLE is set to {file}; correct or unset it");
        terminal.fail(ExitStatus::Configuration, &error, Some(&hint))
    })
}

/// Reads them without a terminal. Fails with the file of `AWS_CA_BUNDLE` if that cannot be read.
fn read_external_inputs() -> Result<ExternalInputs, (PathBuf, io::Error)> {
    let read_bundle =
        |file: PathBuf| read_regular_file(&file, LARGEST_BUNDLE).map_err(|error| (file, error));
    Ok(ExternalInputs {
        ca_bundle: env::aws_ca_bundle().map(read_bundle).transpose()?,
        proxies: ProxyEnv {
            https_proxy: env::https_proxy(),
            all_proxy: env::all_proxy(),
            no_proxy: env::no_proxy(),
        },
        log: Log::current(),
        // only the demo has a key, and only `serve` a service manager
        ..ExternalInputs::default()
    })
}
