//! Whose rules a command line is judged by: those of the configuration, where there is one.

use super::Exit;
use super::inputs::{Flag, Inputs, Purpose};
use super::terminal::Terminal;
use crate::config::{Config, EnvironmentEntry};
use crate::names::{AirflowVersion, EnvName, Environment, ListenerRules};
use crate::policy::{Match, Rulebook, release_for};
use clap::Args;

/// The options that say whose.
#[derive(Debug, Args)]
pub(super) struct RulesOption {
    #[command(flatten)]
    inputs: Inputs<ToJudge>,
    /// Judge for this Airflow version [default: the environment's by the configuration, else 2.10.3]
    #[arg(long, value_name = "VERSION")]
    airflow_version: Option<AirflowVersion>,
}

#[derive(Debug)]
struct ToJudge;

impl Purpose for ToJudge {
    const FLAGS: &'static [(Flag, &'static str)] = &[(
        Flag::Environment,
        "Judge by this environment's rules; without it by the default one's, or by MWAA's list",
    )];
}

/// The rules, and the version that they are read at.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) version: AirflowVersion,
    environment: Environment,
    /// Those of the first listener.
    listener: ListenerRules,
    /// Further listeners by which the environment is reached, and which keep something back.
    pub(super) others: Vec<ListenerRules>,
}

impl Bench {
    /// The rules of the first listener and of the environment.
    pub(super) fn rules(&self) -> Rulebook<'_> {
        self.at(&self.listener)
    }

    /// The same at another listener.
    pub(super) fn at<'a>(&'a self, listener: &'a ListenerRules) -> Rulebook<'a> {
        Rulebook {
            environment: &self.environment,
            listener: Some(listener),
        }
    }
}

impl RulesOption {
    /// Reads the configuration, and says what it judges by where that is not plain.
    pub(super) fn bench(&self, terminal: &Terminal) -> Result<Bench, Exit> {
        let config = self.inputs.load(terminal)?;
        let entry = chosen(&config);
        let environment = match entry {
            Some(entry) => entry.environment.clone(),
            None => unnamed(),
        };
        let version = self.airflow_version.or(environment.airflow_version);
        if let Some(entry) = entry {
            let local = &entry.environment.local;
            let policy = environment.policy.word();
            let rules = if entry.configured {
                format!("note: judged by the rules of {local}: policy {policy}")
            } else {
                let name = &environment.name;
                format!(
                    "note: no environment `{name}` is configured; judged by the defaults: \
                     policy {policy}"
                )
            };
            terminal.say(match version {
                Some(version) => format!("{rules}, Airflow {version}"),
                None => format!(
                    "{rules}, and Airflow {USUAL}, because its version is not configured; \
                     --airflow-version names another"
                ),
            });
        } else if !config.environments.is_empty() {
            terminal.say(
                "note: judged by MWAA's list: there are several environments, and -e names one",
            );
        }
        let version = version.unwrap_or(USUAL);
        let (release, how) = release_for(version);
        if how != Match::Exact {
            terminal.say(format_args!(
                "MWAA has no list for Airflow {version}; this is the one of {}",
                release.version()
            ));
        }
        let serves =
            |only: Option<&EnvName>| only.is_none_or(|only| *only == environment.local);
        let others = config.listeners.iter();
        let others = others
            .filter(|own| serves(own.environment.as_ref()) && own.rules.restrict())
            .map(|own| own.rules.clone());
        Ok(Bench {
            version,
            others: others.collect(),
            listener: config.listener.rules.clone(),
            environment,
        })
    }
}

/// The environment that is named, else the default or only one.
fn chosen(config: &Config) -> Option<&EnvironmentEntry> {
    match config.environments.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|entry| entry.default),
    }
}

/// What stands in for an environment where none is named: one with MWAA's list and no rules.
fn unnamed() -> Environment {
    let name = EnvName::new("environment").expect("a DNS label");
    Environment::new(name, "environment")
}

/// The version where nobody names one.
const USUAL: AirflowVersion = AirflowVersion::new(2, 10, 3);
