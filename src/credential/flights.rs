//! Single flight: for each environment one thing that lives for a while, made at most once at a
//! time, refreshed ahead while in use, and kept when a refresh fails.

use super::error::{CredentialError, MintError};
use super::perishable::Perishable;
use super::slot::{Outcome, Slot, Step, Watch};
use crate::control::{AwsError, AwsErrorKind};
use crate::names::{Entry, EntryId};
use crate::runtime::{Background, Moment};
use dashmap::DashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A thing that is being made.
pub(super) type Making<'a, T> = Pin<Box<dyn Future<Output = Result<T, MintError>> + Send + 'a>>;

/// Makes the things.
pub(super) trait Source: fmt::Debug + Send + Sync + 'static {
    /// What is made.
    type Item: Perishable;

    /// Makes one, in one try.
    fn make<'a>(&'a self, entry: &'a Entry) -> Making<'a, Self::Item>;

    /// Counts and logs how a try or a flight ended: `ok`, `retried` or a fault's code.
    fn count(&self, entry: &Entry, outcome: &'static str);

    /// What it is called in messages.
    fn what(&self) -> &'static str;
}

/// The limits of making.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// All tries of one flight together.
    pub(super) total: Duration,
    /// A request waits so long.
    pub(super) wait: Duration,
}

/// The things of all environments. The map and its guards never leave this file.
#[derive(Debug)]
pub(super) struct Flights<S: Source> {
    source: S,
    limits: Limits,
    background: Background,
    /// An entry's id stands for account, region, identity, endpoint and name together: a
    /// changed environment gets a new id, so nothing outlives what it was made for.
    slots: DashMap<EntryId, Arc<Slot<S::Item>>>,
}

impl<S: Source> Flights<S> {
    /// Makes none yet.
    pub(super) fn new(source: S, limits: Limits, background: Background) -> Arc<Self> {
        Arc::new(Self {
            source,
            limits,
            background,
            slots: DashMap::new(),
        })
    }

    /// The environment's slot.
    pub(super) fn slot(&self, id: EntryId) -> Arc<Slot<S::Item>> {
        if let Some(slot) = self.slots.get(&id) {
            return Arc::clone(&slot);
        }
        Arc::clone(&self.slots.entry(id).or_default())
    }

    /// The live thing, else the one that is being made, else a new one.
    pub(super) async fn obtain(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
    ) -> Result<Arc<S::Item>, CredentialError> {
        let slot = self.slot(entry.id);
        let now = Moment::now();
        if let Some(live) = slot.usable(now) {
            if live.is_due(now)
                && let Some(Step::Make(generation, sender, _)) = slot.refresh(now)
            {
                self.fly(slot, entry, generation, sender, Patience::Refresh);
            }
            return Ok(live);
        }
        let watch = match slot.obtain(now) {
            Step::Use(live) => return Ok(live),
            Step::Wait(watch) => watch,
            Step::Make(generation, sender, watch) => {
                let patience = if slot.is_failing() {
                    Patience::Once
                } else {
                    Patience::Waited
                };
                self.fly(Arc::clone(&slot), entry, generation, sender, patience);
                watch
            }
            Step::Refuse(error, left) => {
                return Err(CredentialError::mint(&error, Some(left)));
            }
        };
        self.wait(&slot, watch).await
    }

    /// Another one than `used`, which could not be brought to its web server; `None` if there
    /// is none to be had now.
    pub(super) async fn replace(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        used: &Arc<S::Item>,
    ) -> Option<Arc<S::Item>> {
        let slot = self.slot(entry.id);
        let watch = match slot.replace(used, Moment::now())? {
            Step::Use(live) => return Some(live),
            Step::Wait(watch) => watch,
            Step::Make(generation, sender, watch) => {
                self.fly(Arc::clone(&slot), entry, generation, sender, Patience::Once);
                watch
            }
            Step::Refuse(..) => return None,
        };
        self.wait(&slot, watch).await.ok()
    }

    async fn wait(
        &self,
        slot: &Slot<S::Item>,
        mut watch: Watch<S::Item>,
    ) -> Result<Arc<S::Item>, CredentialError> {
        let landed = async { watch.wait_for(Option::is_some).await.ok()?.clone() };
        match tokio::time::timeout(self.limits.wait, landed).await {
            Ok(Some(Ok(live))) => Ok(live),
            Ok(Some(Err(error))) => {
                let held = slot.standing(Moment::now()).map(|(_, left)| left);
                Err(CredentialError::mint(&error, held))
            }
            Ok(None) => Err(CredentialError::Gone),
            Err(_) => Err(CredentialError::Slow),
        }
    }

    /// Starts a flight. It ends in time whatever AWS does, and every waiter gets its result.
    fn fly(
        self: &Arc<Self>,
        slot: Arc<Slot<S::Item>>,
        entry: &Arc<Entry>,
        generation: u64,
        sender: watch::Sender<Option<Outcome<S::Item>>>,
        patience: Patience,
    ) {
        let (flights, entry) = (Arc::clone(self), Arc::clone(entry));
        self.background.spawn(async move {
            // what the last try said is worth more than that the next one took too long
            let mut said = None;
            let tries = flights.tries(&entry, patience, &mut said);
            let ended = tokio::time::timeout(flights.limits.total, tries).await;
            let outcome = ended
                .unwrap_or_else(|_elapsed| Err(said.unwrap_or_else(|| flights.late(&entry))))
                .map(Arc::new)
                .map_err(Arc::new);
            flights.report(&entry, &outcome);
            slot.land(generation, &outcome, Moment::now());
            // nobody may be waiting any more, which is fine
            let _unheard = sender.send(Some(outcome));
        });
    }

    async fn tries(
        &self,
        entry: &Entry,
        patience: Patience,
        said: &mut Option<MintError>,
    ) -> Result<S::Item, MintError> {
        let mut tries = 0;
        loop {
            let made = self.source.make(entry).await;
            tries += 1;
            match made {
                Err(error) if error.is_passing() && tries < patience.tries() => {
                    self.source.count(entry, "retried");
                    *said = Some(error);
                    let ceiling = FIRST_PAUSE * 2u32.pow(tries);
                    tokio::time::sleep(ceiling.mul_f64(fastrand::f64())).await;
                }
                done => return done,
            }
        }
    }

    fn late(&self, entry: &Entry) -> MintError {
        let (what, name) = (self.source.what(), &entry.environment.name);
        MintError::Aws(AwsError::new(
            AwsErrorKind::Unavailable,
            &format!("getting {what} for {name:?} took too long"),
            "check the network and the region; limits.mint_total bounds the wait",
        ))
    }

    fn report(&self, entry: &Entry, outcome: &Outcome<S::Item>) {
        use crate::names::Fault as _;
        let (environment, what) = (&entry.environment.local, self.source.what());
        match outcome {
            Ok(_) => {
                self.source.count(entry, "ok");
                tracing::debug!(%environment, "got {what}");
            }
            Err(error) => {
                self.source.count(entry, error.code().text);
                tracing::warn!(%environment, code = error.code().text, %error, hint = %error.hint(), "cannot get {what}");
            }
        }
    }
}

/// How often one flight may try.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// Something live still serves: one try.
    Refresh,
    /// The last flight failed too: one try, so that a failing AWS is not hammered.
    Once,
    /// Requests wait and nothing has failed yet: a hiccup should not reach them.
    Waited,
}

impl Patience {
    const fn tries(self) -> u32 {
        match self {
            Self::Refresh | Self::Once => 1,
            Self::Waited => 3,
        }
    }
}

/// Pauses between tries are random between nothing and this, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
