//! The environments for commands that run without a gateway: those of the configuration, and those
//! that AWS lists.

use super::local_urls::LocalUrls;
use super::{ExternalInputs, StartError, settings};
use futures_util::future::join_all;
use mwaa_auth::aws::{AwsClient, AwsError, AwsErrorKind, MwaaApi as _, discovery};
use mwaa_config::Config;
use mwaa_model::{Entry, EntryId, EnvName, Environment, EnvironmentInfo, Fault as _};
use mwaa_runtime::BackgroundTasks;
use std::sync::Arc;

/// An environment of the configuration.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct LocalEnvironment {
    /// The local name.
    pub local: String,
    /// MWAA's name.
    pub name: String,
    /// True if it serves requests that name no environment.
    pub default: bool,
    /// Its URLs on this machine, the best one for a browser first.
    pub urls: Vec<String>,
}

/// Returns the environments that the configuration names. AWS is not called.
pub fn configured_environments(config: &Config) -> Vec<LocalEnvironment> {
    let entries = settings::create_entries(config);
    let urls = LocalUrls::from_config(config);
    // AWS may list more, so an only environment of the configuration need not be the only one
    let only = if config.discovers() {
        &[]
    } else {
        entries.as_slice()
    };
    let default = default_environment(config, only);

    let environments = entries.iter().map(|entry| {
        let environment = &entry.environment;
        let is_default = default.as_ref() == Some(&environment.local);
        LocalEnvironment {
            local: environment.local.to_string(),
            name: environment.name.to_string(),
            default: is_default,
            urls: urls.environment_urls(environment, is_default),
        }
    });
    environments.collect()
}

/// The environments that `environments` lists.
#[derive(Debug)]
pub struct EnvironmentList {
    /// The environments, those of the configuration first.
    pub environments: Vec<EnvironmentListEntry>,
    /// The calls to AWS that failed.
    pub errors: Vec<ListError>,
}

/// An environment, and AWS's description of it.
#[derive(Debug, Clone)]
pub struct EnvironmentListEntry {
    /// The local name.
    pub local: String,
    /// MWAA's name.
    pub name: String,
    /// Its region, the AWS chain's if none is configured.
    pub region: Option<String>,
    /// Its AWS profile, if one is configured.
    pub profile: Option<String>,
    /// The configured version, else AWS's.
    pub airflow_version: Option<String>,
    /// AWS's description, if there is one.
    pub info: Option<EnvironmentInfo>,
    /// True if it serves requests that name no environment.
    pub default: bool,
    /// Its URLs on this machine, the best one for a browser first.
    pub urls: Vec<String>,
}

/// A call to AWS that failed.
#[derive(Debug, Clone)]
pub struct ListError {
    /// The environment or place.
    pub subject: String,
    /// The kind of failure.
    pub kind: AwsErrorKind,
    /// The reason and the hint.
    pub text: String,
    /// True if the list is complete all the same.
    pub harmless: bool,
}

impl ListError {
    fn new(subject: &str, error: &AwsError, harmless: bool) -> Self {
        Self {
            subject: subject.to_owned(),
            kind: error.kind,
            text: format!(
                "{}: {}; {}",
                error.code().text,
                error.detail(),
                error.hint()
            ),
            harmless,
        }
    }
}

/// Calls AWS for the environments and for a description of each. No gateway needs to run.
///
/// Fails if the configuration's proxies cannot be used; a failed call is one of the list's errors.
pub async fn list_environments(
    config: &Config,
    inputs: &ExternalInputs,
) -> Result<EnvironmentList, StartError> {
    let connector = settings::load_connector(config, inputs, &BackgroundTasks::current())?;
    let aws = AwsClient::new(settings::aws(config, inputs, &connector));
    let found = find_environments(&aws, config).await;
    let mut errors = Vec::new();
    for (place, names) in &found.places {
        if let Err(error) = names {
            errors.push(ListError::new(place, error, false));
        }
    }

    // all at once: a person waits for the table
    let environments = found.entries.iter().map(|entry| &entry.environment);
    let descriptions = join_all(environments.clone().map(|one| aws.get_environment(one))).await;
    let with_regions = discovery::resolve_regions(
        &aws,
        environments.cloned().collect(),
        config.limits.mint_total,
    )
    .await;

    // no gateway is asked, so the URLs are those that it would have
    let urls = LocalUrls::from_config(config);
    let default = default_environment(config, &found.entries);
    let mut environments = Vec::new();
    for (environment, description) in with_regions.into_iter().zip(descriptions) {
        if let Err(error) = &description {
            // a configured version makes this permission optional
            let harmless = environment.airflow_version.is_some();
            errors.push(ListError::new(environment.local.as_str(), error, harmless));
        }
        let is_default = default.as_ref() == Some(&environment.local);
        let urls = urls.environment_urls(&environment, is_default);
        environments.push(create_entry(
            environment,
            description.ok(),
            is_default,
            urls,
        ));
    }
    Ok(EnvironmentList {
        environments,
        errors,
    })
}

fn create_entry(
    environment: Environment,
    info: Option<EnvironmentInfo>,
    default: bool,
    urls: Vec<String>,
) -> EnvironmentListEntry {
    let described_version = info.as_ref().and_then(|it| it.airflow_version);
    let version = environment.airflow_version.or(described_version);
    EnvironmentListEntry {
        local: environment.local.to_string(),
        name: environment.name.to_string(),
        region: environment.region.map(|region| region.to_string()),
        profile: environment.profile.as_deref().map(str::to_owned),
        airflow_version: version.map(|version| version.to_string()),
        info,
        default,
        urls,
    }
}

/// Returns the environment that is marked as the default, else the only one.
fn default_environment(config: &Config, entries: &[Arc<Entry>]) -> Option<EnvName> {
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

/// The environments that were found, and the answer of each place.
pub(super) struct DiscoveryResult {
    /// The configured environments first.
    pub(super) entries: Vec<Arc<Entry>>,
    /// Each place with the names of its environments, or the reason why they could not be listed.
    pub(super) places: Vec<(String, Result<Vec<String>, AwsError>)>,
}

/// Returns the environments of the configuration and, if it wants that, those that AWS lists.
pub(super) async fn find_environments(aws: &AwsClient, config: &Config) -> DiscoveryResult {
    let mut entries = settings::create_entries(config);
    let mut places = Vec::new();
    if !config.discovers() {
        return DiscoveryResult { entries, places };
    }

    // a place that fails is reported, and the others are still listed
    let limit = config.limits.mint_total;
    let mut answers = Vec::new();
    for place in settings::discovery_places(config) {
        let answer = discovery::list_environments(aws, &place, limit).await;
        let place = answer.as_ref().map_or(&place, |found| &found.template);
        let names = answer.as_ref().map(|found| found.names.clone());
        places.push((format_place(place), names.map_err(Clone::clone)));
        answers.extend(answer);
    }

    // an environment that is both configured and listed is taken once: they are compared by region
    let configured = entries.iter().map(|entry| entry.environment.clone());
    let configured = discovery::resolve_regions(aws, configured.collect(), limit).await;
    let listed = discovery::assign_local_names(&configured, &answers);
    let ids = (0..).map(EntryId).skip(entries.len());
    entries.extend(
        ids.zip(listed)
            .map(|(id, environment)| Arc::new(Entry::new(id, environment))),
    );
    DiscoveryResult { entries, places }
}

/// Returns a place in the words of the configuration.
fn format_place(place: &Environment) -> String {
    let region = place.region.as_ref();
    let region = region.map_or("the default region", |region| region.as_str());
    match &place.profile {
        Some(profile) => format!("{profile}@{region}"),
        None => region.to_owned(),
    }
}
