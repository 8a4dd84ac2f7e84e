//! Which environment, and where the gateway is: the options that commands for a gateway share.

use super::super::Exit;
use super::super::inputs::{Flag, Inputs, Purpose};
use super::super::terminal::Terminal;
use crate::config::Config;
use clap::Args;

/// The options of a command that runs through a gateway: those of `serve`, but one environment.
#[derive(Debug, Args)]
pub(in crate::cli) struct Target {
    #[command(flatten)]
    inputs: Inputs<ToRun>,
}

#[derive(Debug)]
struct ToRun;

impl Purpose for ToRun {
    const FLAGS: &'static [(Flag, &'static str)] = &[
        (
            Flag::Environment,
            "The environment, by its local name or MWAA's; without it the default one",
        ),
        (
            Flag::Region,
            "The AWS region, where no gateway runs and the file names none",
        ),
        (
            Flag::Profile,
            "The AWS profile, where no gateway runs and the file names none",
        ),
        (
            Flag::Listen,
            "Where the gateway listens: IP:port or unix:/path",
        ),
        (
            Flag::Management,
            "The gateway's management address, which knows MWAA's names of environments",
        ),
    ];
}

/// What a [`Client`](super::Client) is made of.
#[derive(Debug)]
pub(in crate::cli) struct Prepared {
    pub(super) config: Config,
    pub(super) label: Option<String>,
    pub(super) asked: Option<String>,
}

impl Target {
    /// Reads the configuration, or tells all that is wrong with it.
    pub(in crate::cli) fn prepare(&self, terminal: &Terminal) -> Result<Prepared, Exit> {
        let config = self.inputs.load(terminal)?;
        // the configuration has turned the name into a local one
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
