//! Runs Airflow commands through a gateway: the one that runs already, or one of its own in this
//! process. Either way the commands go over the same kind of connection.

mod alone;
mod dial;
mod pin;
mod place;
mod reading;
mod target;
mod told;
mod wire;

pub(super) use target::Target;
pub(super) use told::{Answer, Output, Problem, Step, Succeeded};
pub(super) use wire::{Ask, Form, HangUp, Lost};

use super::Exit;
use super::known::Known;
use super::terminal::Terminal;
use crate::app::StartError;
use crate::config::Config;
use crate::policy::Command;
use alone::Alone;
use place::Place;
use std::time::Duration;
use target::Prepared;
use wire::Wire;

/// A way to a gateway: one connection, over which commands go one after the other.
#[derive(Debug)]
pub(super) struct Client {
    place: Place,
    wire: Wire,
    alone: Option<Alone>,
    /// The environment's local name; without one the gateway takes its default.
    label: Option<String>,
    /// What was asked for, as the person wrote it.
    asked: Option<String>,
    config: Config,
}

/// There is no way to any gateway.
#[derive(Debug)]
pub(super) enum Absent {
    /// The person has been told.
    Told(Exit),
    /// The gateway of our own did not start.
    Start(StartError),
}

impl Absent {
    /// What `control` takes.
    pub(super) fn end(self) -> Result<Exit, StartError> {
        match self {
            Self::Told(exit) => Ok(exit),
            Self::Start(error) => Err(error),
        }
    }
}

impl Client {
    /// Finds the running gateway; where none answers, starts one of our own. Must run inside a
    /// tokio runtime that lives as long as the client.
    pub(super) async fn find(prepared: Prepared, terminal: &Terminal) -> Result<Self, Absent> {
        let Prepared {
            config,
            label,
            asked,
        } = prepared;
        let places = Place::configured(&config).map_err(|unusable| {
            let hint = "`mwaa-gateway check` reports everything about the configuration";
            Absent::Told(terminal.fail(Exit::Configuration, &unusable, Some(hint)))
        })?;
        for place in places {
            match Wire::open(&place).await {
                Ok(wire) => {
                    return Ok(Self {
                        place,
                        wire,
                        alone: None,
                        label,
                        asked,
                        config,
                    });
                }
                Err(stranger) if stranger.is_nobody() => {}
                Err(stranger) => terminal.say(format_args!(
                    "note: nothing was sent to {place}: {stranger}; running without it"
                )),
            }
        }
        let alone = Alone::start(config.clone(), terminal).await?;
        let place = alone.place();
        let opened = Wire::open(&place).await;
        let wire = opened.map_err(|stranger| {
            let hint = "the temporary folder must allow Unix sockets; TMPDIR names another";
            Absent::Told(terminal.fail(Exit::Failed, &stranger, Some(hint)))
        })?;
        Ok(Self {
            place,
            wire,
            alone: Some(alone),
            label,
            asked,
            config,
        })
    }

    /// Whether the gateway is one of our own, which ends with us.
    pub(super) fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// The environment's name, for people.
    pub(super) fn environment(&self) -> Option<&str> {
        self.asked.as_deref()
    }

    /// What tells this gateway's environments from another's of the same names: where it listens
    /// by the configuration, whether or not it runs, and what the configuration names.
    pub(super) fn identity(&self) -> String {
        let config = &self.config;
        let names = config.environments.iter();
        let names: Vec<_> = names
            .map(|entry| entry.environment.name.to_string())
            .collect();
        format!("{} {}", config.listener.address, names.join(" "))
    }

    /// The longest command that the gateway takes, in bytes.
    pub(super) const fn longest_command(&self) -> usize {
        self.config.limits.cli_body
    }

    /// A handle by which a command in flight can be left: see [`HangUp::now`].
    pub(super) fn hang_up(&self) -> HangUp {
        self.wire.hang_up()
    }

    /// Runs a command and tells of each step. A connection that the gateway has closed in the
    /// meantime is opened anew before anything is sent; nothing is ever sent twice but what the
    /// gateway refused because it did not know the environment by this name.
    pub(super) async fn run(
        &mut self,
        command: &Command,
        ask: impl Into<Ask>,
        told: &mut dyn FnMut(Step),
    ) -> Result<Answer, Lost> {
        if !self.wire.is_open().await {
            let wire = Wire::open(&self.place).await;
            self.wire = wire.map_err(|stranger| Lost::Gone(stranger.to_string()))?;
        }
        let (line, patience) = (command.canonical(), patience(&self.config));
        let ask = ask.into();
        let label = self.label.clone();
        let answer = self
            .wire
            .run(label.as_deref(), &line, ask, patience, told)
            .await?;
        match &answer {
            Answer::Fault(problem) if problem.code == UNKNOWN_ENVIRONMENT => {
                let Some(local) = self.other_name() else {
                    return Ok(answer);
                };
                self.label = Some(local.clone());
                // the reply has been read whole, so the connection may be used again
                if !self.wire.is_open().await {
                    let wire = Wire::open(&self.place).await;
                    self.wire = wire.map_err(|stranger| Lost::Gone(stranger.to_string()))?;
                }
                self.wire
                    .run(Some(&local), &line, ask, patience, told)
                    .await
            }
            _ => Ok(answer),
        }
    }

    /// The local name under which the running gateway knows what was asked for by MWAA's name.
    fn other_name(&self) -> Option<String> {
        if self.is_alone() {
            return None;
        }
        let asked = self.asked.as_deref()?;
        let known = Known::running(&self.config, QUICK)?;
        let local = known.find(asked)?.local.clone();
        (self.label.as_deref() != Some(local.as_str())).then_some(local)
    }

    /// Lets the gateway of our own end in order.
    pub(super) async fn end(self) {
        let Self { wire, alone, .. } = self;
        drop(wire);
        if let Some(alone) = alone {
            alone.end().await;
        }
    }
}

/// How long the gateway may say nothing: the sum of its own limits, and a margin.
fn patience(config: &Config) -> Duration {
    let limits = &config.limits;
    let own = [
        limits.queue_wait,
        limits.mint_wait,
        limits.mint_total,
        limits.upstream_dns,
        limits.upstream_connect,
        limits.tunnel_start,
        limits.upstream_tls,
        limits.cli_first_byte,
        limits.cli_first_byte,
        limits.upstream_body_idle,
        MARGIN,
    ];
    own.iter()
        .fold(Duration::ZERO, |sum, limit| sum.saturating_add(*limit))
}

/// What a gateway answers that does not know the environment.
const UNKNOWN_ENVIRONMENT: &str = "route.unknown_environment";
/// A gateway that runs answers a question about its state at once.
const QUICK: Duration = Duration::from_secs(2);
/// What a busy machine may need on top of the limits.
const MARGIN: Duration = Duration::from_secs(30);
