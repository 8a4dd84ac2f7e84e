//! What `environments` lists: every environment, how it is by AWS's account, and its local URLs.

use super::local_urls::Listeners;
use super::search::search;
use super::{Extras, StartError, settings};
use crate::config::Config;
use crate::control::{AwsError, AwsErrorKind, ControlPlane as _, Sdk, discovery};
use crate::names::{Described, Entry, EnvName, Fault as _};
use crate::runtime::Background;
use futures_util::future::join_all;
use std::sync::Arc;

/// One environment.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// The local name.
    pub local: String,
    /// MWAA's name.
    pub name: String,
    /// Its region, the AWS chain's where none is configured.
    pub region: Option<String>,
    /// Its AWS profile, if one is configured.
    pub profile: Option<String>,
    /// The configured version, else the one that AWS told.
    pub airflow_version: Option<String>,
    /// What AWS said.
    pub described: Option<Described>,
    /// Whether it serves requests that name no environment.
    pub default: bool,
    /// Its URLs on this machine, the best one for a browser first.
    pub urls: Vec<String>,
}

/// Everything that was asked.
#[derive(Debug)]
pub struct Survey {
    /// The environments, those of the configuration first.
    pub environments: Vec<Surveyed>,
    /// What could not be asked, each for people.
    pub troubles: Vec<Trouble>,
}

/// Something that could not be asked.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The environment or place.
    pub subject: String,
    /// What kind of failure it was.
    pub kind: AwsErrorKind,
    /// Why, and what to do.
    pub text: String,
    /// Whether what is asked for is known all the same.
    pub harmless: bool,
}

/// Asks AWS for the environments and for how each is. No gateway needs to run.
pub async fn survey(config: &Config, extras: &Extras) -> Result<Survey, StartError> {
    let egress = settings::egress(config, extras, &Background::current())?;
    let sdk = Sdk::new(settings::control(config, extras, &egress));
    let searched = search(&sdk, config).await;
    let mut troubles = Vec::new();
    for (place, answer) in searched.places {
        if let Err(error) = answer {
            troubles.push(trouble(&place, &error, false));
        }
    }
    let entries = &searched.entries;
    let limit = config.limits.mint_total;
    let asked = entries
        .iter()
        .map(|entry| sdk.get_environment(&entry.environment));
    let answers = join_all(asked).await;
    let all = entries
        .iter()
        .map(|entry| entry.environment.clone())
        .collect();
    let regions = discovery::with_regions(&sdk, all, limit).await;
    let listeners = Listeners::configured(config);
    let default = default(config, entries);
    let mut environments = Vec::new();
    for ((entry, answer), placed) in entries.iter().zip(answers).zip(regions) {
        let known = &entry.environment;
        let described = answer
            .map_err(|error| {
                // a configured version makes this permission optional
                let harmless = known.airflow_version.is_some();
                troubles.push(trouble(known.local.as_str(), &error, harmless));
            })
            .ok();
        let told = described
            .as_ref()
            .and_then(|described| described.airflow_version);
        let default = default.as_ref() == Some(&known.local);
        environments.push(Surveyed {
            local: known.local.to_string(),
            name: known.name.to_string(),
            region: placed.region.map(|region| region.to_string()),
            profile: known.profile.as_deref().map(str::to_owned),
            airflow_version: known
                .airflow_version
                .or(told)
                .map(|version| version.to_string()),
            described,
            default,
            urls: listeners.of(known, default),
        });
    }
    Ok(Survey {
        environments,
        troubles,
    })
}

/// The only environment, or the one that is marked.
fn default(config: &Config, entries: &[Arc<Entry>]) -> Option<EnvName> {
    let marked = config.environments.iter().find(|entry| entry.default);
    let only = match entries {
        [only] => Some(&only.environment.local),
        _ => None,
    };
    marked
        .map(|entry| &entry.environment.local)
        .or(only)
        .cloned()
}

fn trouble(subject: &str, error: &AwsError, harmless: bool) -> Trouble {
    Trouble {
        subject: subject.to_owned(),
        kind: error.kind,
        text: format!("{}: {error}; {}", error.code().text, error.hint()),
        harmless,
    }
}

/// An environment's local name, MWAA's name and URLs, as far as the configuration tells.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The local name.
    pub local: String,
    /// MWAA's name.
    pub name: String,
    /// Whether it serves requests that name no environment.
    pub default: bool,
    /// Its URLs on this machine, the best one for a browser first.
    pub urls: Vec<String>,
}

/// The environments that the configuration names; AWS is not asked.
pub fn configured(config: &Config) -> Vec<Configured> {
    let entries = settings::entries(config);
    let listeners = Listeners::configured(config);
    // among those that AWS may list besides, an only one is not the only one
    let alone = if config.discovers() {
        &[]
    } else {
        entries.as_slice()
    };
    let default = default(config, alone);
    let one = |entry: &Arc<Entry>| {
        let environment = &entry.environment;
        let default = default.as_ref() == Some(&environment.local);
        Configured {
            local: environment.local.to_string(),
            name: environment.name.to_string(),
            default,
            urls: listeners.of(environment, default),
        }
    };
    entries.iter().map(one).collect()
}

/// Where the shared listener is reached on this machine, by the configuration.
pub fn shared_url(config: &Config) -> Option<String> {
    Listeners::configured(config).shared()
}
