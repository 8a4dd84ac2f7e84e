//! Single flight: for each environment one token or session, made at most once at a time,
//! refreshed ahead of its end while it is in use, and kept when a refresh fails.
//!
//! [`SingleFlight::get`] looks into the [`CacheEntry`], which decides; [`SingleFlight::start`] runs
//! what has to be made, as a background task that no caller owns.

use super::cache_entry::{CacheEntry, Lookup, MintHandle, MintReceiver, MintResult};
use super::error::{AuthError, MintError};
use super::lifetime::Expiring;
use super::sharing;
use crate::Settings;
use crate::aws::{AwsError, AwsErrorKind};
use mwaa_fleet::Fleet;
use mwaa_model::{Entry, EntryId, EntryTable, Fault as _};
use mwaa_runtime::{BackgroundTasks, Timer as _, Timestamp, boot_clock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// An item that is being made.
pub(super) type MintFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, MintError>> + Send + 'a>>;

/// Makes the items.
pub(super) trait Source: fmt::Debug + Send + Sync + 'static {
    /// The token or session.
    type Item: Expiring;

    /// Its form in the store of a fleet.
    type Stored: Clone + Serialize + DeserializeOwned + Send + Sync;

    /// Its name in the store of a fleet.
    const KIND: &'static str;

    /// An item of another gateway is used until this part of its use.
    const FRESH: f64;

    /// Returns an item for the store.
    fn export(&self, item: &Self::Item) -> Self::Stored;

    /// Checks an item of the store, which was requested at this time or later and is used for so
    /// long. `None` if it cannot be used.
    fn import(
        &self,
        entry: &Entry,
        stored: Self::Stored,
        requested: Timestamp,
        usable: Duration,
    ) -> Option<Self::Item>;

    /// Makes one, in one try.
    fn make<'a>(&'a self, entry: &'a Entry) -> MintFuture<'a, Self::Item>;

    /// Counts how a try or a mint ended: `ok`, `retried`, `shared` or a fault's code.
    fn count(&self, entry: &Entry, outcome: &'static str);

    /// Returns the name of an item in messages, such as `a CLI token`.
    fn name(&self) -> &'static str;
}

/// The items of all environments.
#[derive(Debug)]
pub(super) struct SingleFlight<S: Source> {
    source: S,
    settings: Settings,
    background: BackgroundTasks,
    /// An entry's id is for account, region, identity, endpoint and name together: a changed
    /// environment gets a new id, so nothing outlives what it was made for.
    entries: Arc<EntryTable<CacheEntry<S::Item>>>,
    /// The fleet that shares the items, and the id in its store of the last item of each environment,
    /// 0 if there was none.
    fleet: Option<(Arc<Fleet>, Arc<EntryTable<AtomicU64>>)>,
}

impl<S: Source> SingleFlight<S> {
    /// Creates an empty cache.
    pub(super) fn new(
        source: S,
        settings: Settings,
        background: BackgroundTasks,
        fleet: Option<Arc<Fleet>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            source,
            settings,
            background,
            entries: Arc::default(),
            fleet: fleet.map(|fleet| (fleet, Arc::default())),
        })
    }

    /// Returns a cache that makes items in another way, and has the items of this one.
    pub(super) fn succeed(&self, source: S, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            source,
            settings,
            background: self.background.clone(),
            entries: Arc::clone(&self.entries),
            fleet: self.fleet.clone(),
        })
    }

    /// Returns the environment's cache entry.
    pub(super) fn cache_entry(&self, id: EntryId) -> &CacheEntry<S::Item> {
        self.entries.get_or_init(id, CacheEntry::default)
    }

    /// Returns the live item, else the one that is being made, else a new one. Fails if it
    /// cannot be made, or not within the time that a request waits.
    pub(super) async fn get(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
    ) -> Result<Arc<S::Item>, AuthError> {
        let cached = self.cache_entry(entry.id);
        let now = Timestamp::now();

        if let Some(item) = cached.get(now) {
            // refreshed beside the requests that use it, so that none has to wait
            if item.is_due(now)
                && let Some(mint) = cached.start_refresh(now)
            {
                self.start(entry, mint, 1);
            }
            return Ok(item);
        }

        let receiver = match cached.get_or_start(now) {
            Lookup::Use(item) => return Ok(item),
            Lookup::Wait(receiver) => receiver,
            Lookup::Start(mint) => {
                // after a failure one try: an AWS that fails gets no more load than needed
                let max_tries = if cached.is_failing() { 1 } else { MAX_TRIES };
                self.start(entry, mint, max_tries)
            }
            Lookup::Refuse(error, left) => return Err(AuthError::mint(&error, Some(left))),
        };
        // rare: boxed, so that not every request has room for it
        Box::pin(self.wait(cached, receiver)).await
    }

    /// Returns another item than `used`, whose web server could not be reached. `None` if there
    /// is none to be had now.
    pub(super) async fn replace(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        used: &Arc<S::Item>,
    ) -> Option<Arc<S::Item>> {
        let cached = self.cache_entry(entry.id);

        let receiver = match cached.replace(used, Timestamp::now())? {
            Lookup::Use(item) => return Some(item),
            Lookup::Wait(receiver) => receiver,
            Lookup::Start(mint) => self.start(entry, mint, 1),
            Lookup::Refuse(..) => return None,
        };
        Box::pin(self.wait(cached, receiver)).await.ok()
    }

    async fn wait(
        &self,
        cached: &CacheEntry<S::Item>,
        mut receiver: MintReceiver<S::Item>,
    ) -> Result<Arc<S::Item>, AuthError> {
        // a result that is there already is seen too: the mint may have been faster than this call
        let result = async { receiver.wait_for(Option::is_some).await.ok()?.clone() };

        match self
            .background
            .within(self.settings.mint_wait, result)
            .await
        {
            Ok(Some(Ok(item))) => Ok(item),
            Ok(Some(Err(error))) => {
                // the failure is held back by now, which sets the time of the next try
                let held = cached
                    .current_failure(Timestamp::now())
                    .map(|(_, left)| left);
                Err(AuthError::mint(&error, held))
            }
            // the task ended without a result: the runtime is shutting down
            Ok(None) => Err(AuthError::Gone),
            Err(_elapsed) => Err(AuthError::Slow),
        }
    }

    /// Starts a mint and returns a receiver of its result. It ends in time whatever AWS does,
    /// also if every caller leaves.
    fn start(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        mint: MintHandle<S::Item>,
        max_tries: u32,
    ) -> MintReceiver<S::Item> {
        // before the task has the handle
        let receiver = mint.subscribe();
        let item = self.source.name();
        let span = tracing::debug_span!("mint", environment = %entry.environment.local, item);
        let single_flight = Arc::clone(self);
        let entry = Arc::clone(entry);

        let task = async move {
            let begun = boot_clock();
            tracing::debug!(max_tries, "mint started");
            let result = single_flight.make(&entry, max_tries).await;
            // counted before the waiters continue, so that metrics are never behind responses
            single_flight.report(&entry, &result, boot_clock().saturating_sub(begun));
            let cached = single_flight.cache_entry(entry.id);
            cached.complete(mint, result, Timestamp::now());
        };
        self.background.spawn(span, task);
        receiver
    }

    /// Makes an item within the time of a mint.
    async fn make(&self, entry: &Entry, max_tries: u32) -> MintResult<S::Item> {
        // if the last try takes too long, the error of the one before it says more
        let mut last_error = None;
        let tries = self.try_to_make(entry, max_tries, &mut last_error);
        tokio::time::timeout(self.settings.mint_total, tries)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(last_error.unwrap_or_else(|| self.timeout_error(entry)))
            })
            .map(Arc::new)
            .map_err(Arc::new)
    }

    async fn try_to_make(
        &self,
        entry: &Entry,
        max_tries: u32,
        last_error: &mut Option<MintError>,
    ) -> Result<S::Item, MintError> {
        let mut tries = 0;
        loop {
            // without a limit of its own: a call to AWS has one, and all tries together have another
            let made = match &self.fleet {
                None => sharing::make(&self.source, entry).await,
                Some((fleet, known)) => {
                    let known = known.get_or_init(entry.id, AtomicU64::default);
                    let total = self.settings.mint_total;
                    sharing::find_or_make(&self.source, fleet, entry, known, total).await
                }
            };
            tries += 1;

            match made {
                Err(error) if error.is_transient() && tries < max_tries => {
                    self.source.count(entry, "retried");
                    // full jitter: clients that were throttled together do not return together
                    let pause = (FIRST_PAUSE * 2u32.pow(tries)).mul_f64(fastrand::f64());
                    tracing::debug!(
                        tries,
                        ?pause,
                        code = error.code().text,
                        "retrying the mint"
                    );
                    *last_error = Some(error);
                    tokio::time::sleep(pause).await;
                }
                result => return result,
            }
        }
    }

    fn timeout_error(&self, entry: &Entry) -> MintError {
        let item = self.source.name();
        let name = &entry.environment.name;
        MintError::Aws(AwsError::new(
            AwsErrorKind::Unavailable,
            &format!("getting {item} for {name:?} took too long"),
            "check the network and the region; limits.mint_total limits the time",
        ))
    }

    fn report(&self, entry: &Entry, result: &MintResult<S::Item>, took: Duration) {
        let environment = &entry.environment.local;
        let item = self.source.name();
        match result {
            Ok(_) => {
                tracing::debug!(%environment, ?took, "got {item}");
            }
            Err(error) => {
                self.source.count(entry, error.code().text);
                // one line a mint, however many requests wait for it
                tracing::warn!(%environment, code = error.code().text, error = %error.detail(), hint = %error.hint(), "cannot get {item}");
            }
        }
    }
}

/// The tries of a mint that requests wait for when nothing has failed yet: a hiccup should not
/// reach them.
const MAX_TRIES: u32 = 3;
/// Pauses between tries are random between nothing and this, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
