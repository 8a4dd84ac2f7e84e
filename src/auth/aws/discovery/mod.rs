//! Finds every environment of the account in each place, a region and an identity: asked at the
//! start until something is known, and again when a request or a page needs more. The gateway
//! serves what it knows in the meantime.

mod local_names;
mod places;

pub use local_names::assign_local_names;

use super::{AwsError, AwsErrorKind, MwaaApi};
use crate::run_in_background;
use futures_util::future::join_all;
use mwaa_model::{Entry, EnvName, Environment, Region, Registry, code};
use mwaa_runtime::{BackgroundTasks, Timestamp, boot_clock};
use places::State;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tracing::Instrument as _;

/// Settings of the search.
#[derive(Debug)]
pub struct DiscoverySettings {
    /// Region and identity of each place.
    pub places: Vec<Environment>,
    /// The local name of the environment that serves requests which name none.
    pub default: Option<EnvName>,
    /// The limit of one question.
    pub limit: Duration,
}

/// Called with each environment that was not known before.
pub type NewEntryCallback = Box<dyn Fn(&Arc<Entry>) + Send + Sync>;

/// The environments of one place: their names, and what they have in common.
#[derive(Debug, Clone)]
pub struct EnvironmentList {
    /// Region and identity; the region is the real one, also where the configuration names none.
    pub template: Environment,
    /// MWAA's names.
    pub names: Vec<String>,
}

/// The state of one place, by its last answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceState {
    /// The region, if it is known.
    pub region: Option<String>,
    /// The AWS profile, if one is configured.
    pub profile: Option<String>,
    /// The number of its environments; `None` before the first answer.
    pub found: Option<usize>,
    /// The reason if the last question got no answer, or an empty one.
    pub trouble: Option<String>,
}

/// The search for environments.
pub struct Discovery {
    api: Arc<dyn MwaaApi>,
    background: BackgroundTasks,
    /// The limit of one question.
    limit: Duration,
    on_new_entry: NewEntryCallback,
    /// The time of the last question; locked while AWS is asked, so that there is one question
    /// at a time.
    asking: Arc<AsyncMutex<Option<Timestamp>>>,
    state: Mutex<State>,
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Discovery {
    /// Creates the search. It adds to `known`, and what that holds now will stay; `on_new_entry`
    /// is called for each environment that is new.
    pub fn new(
        api: Arc<dyn MwaaApi>,
        background: BackgroundTasks,
        settings: DiscoverySettings,
        known: Arc<Registry>,
        on_new_entry: NewEntryCallback,
    ) -> Arc<Self> {
        Arc::new(Self {
            api,
            background,
            limit: settings.limit,
            on_new_entry,
            asking: Arc::default(),
            state: Mutex::new(State::new(settings.places, settings.default, known)),
        })
    }

    /// Returns the search of another configuration. What was found in places that both have is in
    /// `known` at once, without a question to AWS.
    pub fn succeed(
        &self,
        api: Arc<dyn MwaaApi>,
        settings: DiscoverySettings,
        known: Arc<Registry>,
        on_new_entry: NewEntryCallback,
    ) -> Arc<Self> {
        let mut state = State::new(settings.places, settings.default, known);
        let new = state.adopt(&self.state());
        new.iter().for_each(&on_new_entry);
        Arc::new(Self {
            api,
            background: self.background.clone(),
            limit: settings.limit,
            on_new_entry,
            asking: Arc::clone(&self.asking),
            state: Mutex::new(state),
        })
    }

    /// Asks until there is something to serve, or AWS has said that there is nothing more than
    /// what is configured. After that it is asked on demand only.
    pub fn start(self: &Arc<Self>) {
        // weak: the search of a configuration that was replaced ends
        let discovery = Arc::downgrade(self);
        let task = async move {
            let mut pause = FIRST_PAUSE;
            while let Some(discovery) = discovery.upgrade() {
                let asking = Arc::clone(&discovery.asking).lock_owned().await;
                discovery.update(asking).await;
                if discovery.state().is_enough() {
                    return;
                }
                drop(discovery);
                tracing::debug!(?pause, "retrying the discovery");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };

        self.background
            .spawn(tracing::debug_span!("discovery"), task);
    }

    /// Asks again, for a request that names an unknown environment or for a page.
    ///
    /// AWS is not asked again within 30 s, or 5 s after a failure, since a person may have logged
    /// in. The question continues if its caller is dropped; callers that come in the meantime
    /// wait for its answer and leave nothing behind.
    pub async fn refresh(self: &Arc<Self>) {
        // a question is under way: its answer will do for this caller too
        let Ok(asking) = Arc::clone(&self.asking).try_lock_owned() else {
            drop(self.asking.lock().await);
            return;
        };
        let hold = if self.trouble().is_some() {
            REFRESH_AFTER_FAILURE
        } else {
            REFRESH_INTERVAL
        };
        if asking.is_some_and(|then| then.age(Timestamp::now()) <= hold) {
            return;
        }

        let discovery = Arc::clone(self);
        let task = async move { discovery.update(asking).await };
        let task = task.instrument(tracing::debug_span!("discovery"));
        // the answer is in the state
        let _ended = run_in_background(&self.background, task).await;
    }

    /// Returns why there is nothing to serve yet, or not all there is.
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble()
    }

    /// Returns the error if there is nothing at all to serve, and AWS or the credentials for it
    /// are to blame.
    pub fn error(&self) -> Option<AwsError> {
        self.state().error()
    }

    /// Returns the state of each place, in the order of the configuration.
    pub fn places(&self) -> Vec<PlaceState> {
        self.state().places()
    }

    /// Asks all places at once, and publishes the environments that they name.
    async fn update(&self, mut asking: OwnedMutexGuard<Option<Timestamp>>) {
        let begun = boot_clock();
        *asking = Some(Timestamp::now());
        let configured = self.state().configured();
        let places = self.state().templates();
        tracing::debug!(places = places.len(), "discovery started");

        // what is configured has to be recognized among what is found, so by its real region
        let configured = resolve_regions(self.api.as_ref(), configured, self.limit).await;
        // all places at once: one that is slow must not delay the others' environments by more than the limit
        let requests = places
            .iter()
            .map(|place| list_environments(self.api.as_ref(), place, self.limit));
        for (index, answer) in join_all(requests).await.into_iter().enumerate() {
            self.state().set_answer(index, answer);
        }

        // the lock is released before the callback, which may call back
        let new = self.state().publish(&configured);
        tracing::debug!(new = new.len(), took = ?boot_clock().saturating_sub(begun), "discovery done");
        new.iter().for_each(&self.on_new_entry);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the environments of one place. Fails if AWS does, or does not answer within `limit`.
pub async fn list_environments(
    api: &dyn MwaaApi,
    place: &Environment,
    limit: Duration,
) -> Result<EnvironmentList, AwsError> {
    let requests = async {
        // the region first: it needs no call, and names the place
        let region = api.region(place).await?;
        let names = api.list_environments(place).await?;
        Ok((region, names))
    };
    let (region, names) =
        tokio::time::timeout(limit, requests)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(AwsError::new(
                    AwsErrorKind::Unavailable,
                    &format!("no response to ListEnvironments within {limit:?}"),
                    code::AWS_UNAVAILABLE.advice,
                ))
            })?;

    let template = Environment {
        region: Region::new(&region).or_else(|| place.region.clone()),
        ..place.clone()
    };
    Ok(EnvironmentList { template, names })
}

/// Returns the same environments, with the AWS chain's regions where they have none of their
/// own and the chain names one within the limit.
pub async fn resolve_regions(
    api: &dyn MwaaApi,
    mut environments: Vec<Environment>,
    limit: Duration,
) -> Vec<Environment> {
    for environment in environments.iter_mut().filter(|one| one.region.is_none()) {
        let region = tokio::time::timeout(limit, api.region(environment)).await;
        if let Ok(Ok(region)) = region {
            environment.region = Region::new(&region);
        }
    }
    environments
}

/// Returns a place as the configuration writes it: `PROFILE@REGION`.
pub fn format_place(place: &Environment) -> String {
    let region = place
        .region
        .as_ref()
        .map_or("the default region", Region::as_str);
    match &place.profile {
        Some(profile) => format!("{profile}@{region}"),
        None => region.to_owned(),
    }
}

/// The pause after the first question that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause: a login is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Between questions that an unknown name or a page causes.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);
/// The same after a failure: as long as a failure that a person has to fix is held elsewhere.
const REFRESH_AFTER_FAILURE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
