//! Which environment, and where the gateway is: the options that commands for a gateway share.

use super::super::Exit;
use super::super::inputs::Inputs;
use super::super::terminal::Terminal;
use crate::config::Config;
use clap::{ArgMatches, Args, FromArgMatches};

/// The options of a command that runs through a gateway: those of `serve`, but one environment.
#[derive(Debug)]
pub(in crate::cli) struct Target {
    inputs: Inputs,
}

impl Args for Target {
    fn augment_args(command: clap::Command) -> clap::Command {
        one_environment(Inputs::augment_args(command))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        one_environment(Inputs::augment_args_for_update(command))
    }
}

fn one_environment(command: clap::Command) -> clap::Command {
    command.mut_arg("environment", |argument| {
        argument
            .short('e')
            .value_name("ENV")
            .help("The environment, by its local name or MWAA's; without it the default one")
    })
}

impl FromArgMatches for Target {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Inputs::from_arg_matches(matches).map(|inputs| Self { inputs })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.inputs.update_from_arg_matches(matches)
    }
}

/// What a [`Client`](super::Client) is made of.
#[derive(Debug)]
pub(in crate::cli) struct Prepared {
    pub(super) config: Config,
    pub(super) label: Option<String>,
    pub(super) asked: Option<String>,
}

impl Target {
    /// The configuration, with the one environment that is named, or with all.
    pub(in crate::cli) fn config(&self, terminal: &Terminal) -> Result<Config, Exit> {
        self.inputs.load(terminal)
    }

    /// Reads the configuration, or tells all that is wrong with it.
    pub(in crate::cli) fn prepare(&self, terminal: &Terminal) -> Result<Prepared, Exit> {
        let config = self.inputs.load(terminal)?;
        // the configuration has turned the name into a local one; a variable may name several,
        // for `serve`, and then no single one is meant
        let (asked, label) = match (
            self.inputs.environments().as_slice(),
            config.environments.as_slice(),
        ) {
            ([asked], [entry]) => (
                Some((*asked).to_owned()),
                Some(entry.environment.local.to_string()),
            ),
            _ => (None, None),
        };
        Ok(Prepared {
            config,
            label,
            asked,
        })
    }
}
