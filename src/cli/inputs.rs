//! The options that say which configuration to use: shared by `serve` and `check`.

use super::Exit;
use super::terminal::Terminal;
use crate::app::Extras;
use crate::config::{self, Config, Given, Overrides, Search, env};
use clap::{ArgMatches, Args, FromArgMatches, parser::ValueSource};
use std::fmt;
use std::path::PathBuf;

/// Which configuration, and what beats it.
#[derive(Debug)]
pub(super) struct Inputs {
    config: Option<PathBuf>,
    overrides: Overrides,
}

/// The flags; each has a variable of the same spelling.
#[derive(Debug, Args)]
struct Flags {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = env::CONFIG)]
    config: Option<PathBuf>,
    /// Serve this environment (may be given several times): a name of the file, or MWAA's
    #[arg(long, value_name = "NAME", env = env::ENVIRONMENT, value_delimiter = ',')]
    environment: Vec<String>,
    /// The AWS region
    #[arg(long, value_name = "REGION", env = env::REGION)]
    region: Option<String>,
    /// The AWS profile
    #[arg(long, value_name = "PROFILE", env = env::PROFILE)]
    profile: Option<String>,
    /// The address to listen on: IP:port or unix:/path
    #[arg(long, value_name = "ADDR", env = env::LISTEN)]
    listen: Option<String>,
    /// The address of health and metrics
    #[arg(long, value_name = "ADDR", env = env::MANAGEMENT)]
    management: Option<String>,
}

impl Args for Inputs {
    fn augment_args(command: clap::Command) -> clap::Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for Inputs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = Flags::from_arg_matches(matches)?;
        // a complaint names what the person wrote: the flag, or the variable
        let origin = |id: &str, flag: &'static str, variable: &'static str| match matches
            .value_source(id)
        {
            Some(ValueSource::EnvVariable) => variable,
            _ => flag,
        };
        let given = |value: Option<String>, id: &str, flag, variable| {
            value.map(|value| Given::new(origin(id, flag, variable), value))
        };
        let named = origin("environment", "--environment", env::ENVIRONMENT);
        Ok(Self {
            config: flags.config,
            overrides: Overrides {
                environments: flags
                    .environment
                    .into_iter()
                    .map(|name| Given::new(named, name))
                    .collect(),
                region: given(flags.region, "region", "--region", env::REGION),
                profile: given(flags.profile, "profile", "--profile", env::PROFILE),
                listen: given(flags.listen, "listen", "--listen", env::LISTEN),
                management: given(
                    flags.management,
                    "management",
                    "--management",
                    env::MANAGEMENT,
                ),
            },
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Inputs {
    /// The environments that flags or variables name, as they are written.
    pub(super) fn environments(&self) -> Vec<&str> {
        let named = self.overrides.environments.iter();
        named.map(|given| given.value.as_str()).collect()
    }

    /// The configuration with all its environments, whichever are named; quietly.
    pub(super) fn all_environments(&self) -> Option<Config> {
        let overrides = Overrides {
            environments: Vec::new(),
            ..self.overrides.clone()
        };
        let search = Search::from_environment();
        config::load(self.config.as_deref(), &overrides, &search).ok()
    }

    /// Reads the configuration, or tells all that is wrong with it.
    pub(super) fn load(&self, terminal: &Terminal) -> Result<Config, Exit> {
        config::load(
            self.config.as_deref(),
            &self.overrides,
            &Search::from_environment(),
        )
        .map_err(|problems| {
            terminal.say(problems.to_string().trim_end());
            Exit::Configuration
        })
    }
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
    let https_proxy = env::https_proxy();
    if !https_proxy.as_deref().is_none_or(is_proxy) {
        return Err(terminal.fail(
            Exit::Configuration,
            &BadProxy,
            Some("write it as http://HOST:PORT or https://HOST:PORT, or unset it"),
        ));
    }
    Ok(Extras {
        ca_bundle,
        https_proxy,
        no_proxy: env::no_proxy(),
        static_key: None,
    })
}

/// Whether the gateway can use it: a proxy that is left out in silence would be bypassed.
fn is_proxy(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        uri.host().is_some_and(|host| !host.is_empty())
            && matches!(uri.scheme_str(), Some("http" | "https"))
    })
}

/// The variable names a proxy that can't be used. It may hold a password, so it is not shown.
#[derive(Debug)]
struct BadProxy;

impl fmt::Display for BadProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HTTPS_PROXY is not the URL of an HTTP proxy")
    }
}

impl std::error::Error for BadProxy {}

#[cfg(test)]
mod tests {
    use super::is_proxy;

    #[test]
    fn proxies_are_http_urls() {
        for good in [
            "http://proxy:3128",
            "https://user:secret@proxy:443",
            "http://[::1]:1/",
        ] {
            assert!(is_proxy(good), "{good}");
        }
        for bad in [
            "://",
            "socks5://proxy:1080",
            "proxy:3128",
            "http://",
            "nonsense",
        ] {
            assert!(!is_proxy(bad), "{bad}");
        }
    }
}
