//! Finds every environment of the account in each place, a region and an identity: asked at the
//! start until something is known, and again when somebody looks for more. The gateway serves
//! meanwhile what it knows.

mod naming;
mod state;

pub use naming::environments;

use super::{AwsError, AwsErrorKind, ControlPlane};
use crate::names::{Entry, EnvName, Environment, Fault as _, Known, Region, code};
use crate::runtime::{Background, Moment};
use futures_util::future::join_all;
use state::State;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, oneshot};

/// What one place has: the environments' names, and what they have in common.
#[derive(Debug, Clone)]
pub struct Found {
    /// Region and identity; the region is the real one, also where the configuration names none.
    pub template: Environment,
    /// MWAA's names.
    pub names: Vec<String>,
}

/// How one place answered last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceState {
    /// The region, if it is known.
    pub region: Option<String>,
    /// The AWS profile, if one is configured.
    pub profile: Option<String>,
    /// How many environments it has; `None` before the first answer.
    pub found: Option<usize>,
    /// Why it gave no answer when it was asked last.
    pub trouble: Option<String>,
}

/// Where to search, and how.
#[derive(Debug)]
pub struct Search {
    /// Region and identity of each place.
    pub places: Vec<Environment>,
    /// The local name of the environment that serves requests which name none.
    pub default: Option<EnvName>,
    /// The limit of one question.
    pub limit: Duration,
}

/// What to do with an environment that was not known before.
pub type Welcome = Box<dyn Fn(&Arc<Entry>) + Send + Sync>;

/// The search for environments.
pub struct Discovery {
    control: Arc<dyn ControlPlane>,
    background: Background,
    /// The limit of one question.
    limit: Duration,
    welcome: Welcome,
    /// Held while AWS is asked; when it was asked last.
    asking: Arc<AsyncMutex<Option<Moment>>>,
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
    /// Makes the search. It adds to `known`, and what that holds now will stay; `welcome` is
    /// called for each environment that is new.
    pub fn new(
        control: Arc<dyn ControlPlane>,
        background: Background,
        search: Search,
        known: Arc<Known>,
        welcome: Welcome,
    ) -> Arc<Self> {
        Arc::new(Self {
            control,
            background,
            limit: search.limit,
            welcome,
            asking: Arc::default(),
            state: Mutex::new(State::new(search.places, search.default, known)),
        })
    }

    /// Asks until there is something to serve, or AWS has said that there is nothing more than
    /// what is configured. After that it is asked on demand only.
    pub fn start(self: &Arc<Self>) {
        let search = Arc::clone(self);
        self.background.spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let asking = Arc::clone(&search.asking).lock_owned().await;
                search.ask(asking).await;
                if search.state().is_enough() {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }

    /// Asks again, for a request that names an unknown environment or for a page. AWS is not
    /// asked again within 30 s, or 5 s where it gave no answer: somebody may have signed in. The
    /// question continues if its caller goes away; callers that
    /// come meanwhile wait for its answer and leave nothing behind.
    pub async fn look_again(self: &Arc<Self>) {
        let Ok(asking) = Arc::clone(&self.asking).try_lock_owned() else {
            drop(self.asking.lock().await);
            return;
        };
        let hold = if self.trouble().is_some() {
            MENDED
        } else {
            NEWS
        };
        if asking.is_some_and(|then| then.age(Moment::now()) <= hold) {
            return;
        }
        let search = Arc::clone(self);
        let (tell, told) = oneshot::channel::<()>();
        self.background.spawn(async move {
            search.ask(asking).await;
            drop(tell);
        });
        // a sender that is gone has asked
        let _done = told.await;
    }

    /// Why there is nothing to serve yet, or not all there is.
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble()
    }

    /// Why there is nothing at all to serve, where AWS or the credentials for it are to blame.
    pub fn fault(&self) -> Option<AwsError> {
        self.state().fault()
    }

    /// How each place answered last, in the order of the configuration.
    pub fn places(&self) -> Vec<PlaceState> {
        self.state().places()
    }

    /// Asks all places at once.
    async fn ask(&self, mut asking: OwnedMutexGuard<Option<Moment>>) {
        *asking = Some(Moment::now());
        let configured = self.state().configured();
        let taken = with_regions(self.control.as_ref(), configured, self.limit).await;
        let places = self.state().templates();
        let asked = places
            .iter()
            .map(|place| list(self.control.as_ref(), place, self.limit));
        for (index, answer) in join_all(asked).await.into_iter().enumerate() {
            self.state().note(index, answer);
        }
        let new = self.state().publish(&taken);
        new.iter().for_each(&self.welcome);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks one place within the limit.
pub async fn list(
    control: &dyn ControlPlane,
    place: &Environment,
    limit: Duration,
) -> Result<Found, AwsError> {
    let told = async {
        let region = control.region(place).await?;
        let names = control.list_environments(place).await?;
        Ok((region, names))
    };
    let (region, names) = tokio::time::timeout(limit, told)
        .await
        .unwrap_or_else(|_late| {
            Err(AwsError::new(
                AwsErrorKind::Unavailable,
                &format!("ListEnvironments was not answered within {limit:?}"),
                code::AWS_UNAVAILABLE.advice,
            ))
        })?;
    let template = Environment {
        region: Region::new(&region).or_else(|| place.region.clone()),
        ..place.clone()
    };
    Ok(Found { template, names })
}

/// The same environments, with the AWS chain's regions where they have none of their own and
/// the chain tells one within the limit.
pub async fn with_regions(
    control: &dyn ControlPlane,
    mut environments: Vec<Environment>,
    limit: Duration,
) -> Vec<Environment> {
    for environment in environments.iter_mut().filter(|one| one.region.is_none()) {
        let asked = tokio::time::timeout(limit, control.region(environment)).await;
        if let Ok(Ok(region)) = asked {
            environment.region = Region::new(&region);
        }
    }
    environments
}

/// A failure with its code and what to do about it.
fn explain(error: &AwsError) -> String {
    format!("{}: {error}; {}", error.code().text, error.hint())
}

/// The pause after the first failed question.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause: a login done meanwhile is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Between questions that a look-up of an unknown name or a page brings about.
const NEWS: Duration = Duration::from_secs(30);
/// The same after a failure, as long as one of another kind stands.
const MENDED: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
