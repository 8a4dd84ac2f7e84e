//! The state machine of one environment's token or session: absent, being made, live, stale but
//! usable, expired. Pure: time is passed in.
//!
//! At most one mint is pending, and it belongs to the entry, not to the caller who happened to
//! be first: callers only wait for it. A failed refresh leaves what is live alone.

use super::backoff::Backoff;
use super::error::MintError;
use super::lifetime::Expiring;
use arc_swap::ArcSwapOption;
use mwaa_runtime::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The result of a mint.
pub(super) type MintResult<T> = Result<Arc<T>, Arc<MintError>>;

/// Receives the result of a pending mint; `None` until it has ended.
pub(super) type MintReceiver<T> = watch::Receiver<Option<MintResult<T>>>;

/// One environment's token or session.
#[derive(Debug)]
pub(super) struct CacheEntry<T> {
    live: ArcSwapOption<T>,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    pending: Option<MintReceiver<T>>,
    /// The number of the last mint that was started.
    generation: u64,
    backoff: Backoff<MintError>,
    /// Renewals of items that the web server has accepted before.
    renewals: RenewalBudget,
    /// Renewals after a redirect to the login page. The web server redirects users
    /// without the right to a page too; that must not use up the budget for dead sessions.
    redirect_renewals: RenewalBudget,
    /// Renewals of items that it has not accepted before.
    first_renewals: RenewalBudget,
    /// Queries for the web server's host.
    host_queries: RenewalBudget,
}

impl<T: Expiring> Default for CacheEntry<T> {
    fn default() -> Self {
        Self {
            live: ArcSwapOption::empty(),
            state: Mutex::new(State {
                pending: None,
                generation: 0,
                backoff: Backoff::default(),
                renewals: RenewalBudget::new(5),
                redirect_renewals: RenewalBudget::new(5),
                first_renewals: RenewalBudget::new(1),
                host_queries: RenewalBudget::new(5),
            }),
        }
    }
}

/// A mint that the caller must run and [`complete`](CacheEntry::complete).
///
/// A handle that is dropped instead fails those who wait for it, and the next caller starts
/// another mint.
#[derive(Debug)]
#[must_use]
pub(super) struct MintHandle<T> {
    generation: u64,
    sender: watch::Sender<Option<MintResult<T>>>,
}

impl<T> MintHandle<T> {
    /// Returns a receiver of the mint's result.
    pub(super) fn subscribe(&self) -> MintReceiver<T> {
        self.sender.subscribe()
    }
}

/// The way to a token or session.
#[derive(Debug)]
pub(super) enum Lookup<T> {
    /// Start this mint.
    Start(MintHandle<T>),
    /// Wait for the pending one.
    Wait(MintReceiver<T>),
    /// Use this item.
    Use(Arc<T>),
    /// Fail: the last failure is held for so long.
    Refuse(Arc<MintError>, Duration),
}

impl<T: Expiring> CacheEntry<T> {
    /// Returns the live item if it is usable. Takes no lock: every request calls this.
    pub(super) fn get(&self, now: Timestamp) -> Option<Arc<T>> {
        self.live
            .load()
            .as_ref()
            .filter(|live| live.is_usable(now))
            .map(Arc::clone)
    }

    /// Returns the live item, or the way to one if there is none.
    pub(super) fn get_or_start(&self, now: Timestamp) -> Lookup<T> {
        let mut state = self.lock();

        // another thread may have been faster
        if let Some(live) = self.get(now) {
            return Lookup::Use(live);
        }
        if let Some(pending) = state.pending() {
            return Lookup::Wait(pending.clone());
        }

        match state.backoff.current(now) {
            Some((error, left)) => Lookup::Refuse(error, left),
            None => Lookup::Start(state.start()),
        }
    }

    /// Starts to replace a live item ahead of its end. `None` if it is not due, or if a mint is
    /// pending or held back.
    pub(super) fn start_refresh(&self, now: Timestamp) -> Option<MintHandle<T>> {
        let mut state = self.lock();

        // looked at again under the lock: another thread may have been faster
        let is_due = self
            .live
            .load()
            .as_ref()
            .is_some_and(|live| live.is_due(now));
        let is_free = state.pending().is_none() && state.backoff.current(now).is_none();
        (is_due && is_free).then(|| state.start())
    }

    /// Ends a mint. A success becomes the live item; a failure leaves what is there. All who
    /// wait get the result.
    pub(super) fn complete(&self, mint: MintHandle<T>, result: MintResult<T>, now: Timestamp) {
        let MintHandle { generation, sender } = mint;
        let mut state = self.lock();

        // after `clear` a mint that was pending serves those who wait for it and is not kept
        if state.generation == generation {
            state.pending = None;
            match &result {
                Ok(item) => {
                    state.backoff.reset();
                    self.live.store(Some(Arc::clone(item)));
                }
                Err(error) => {
                    let is_transient = error.is_transient();
                    state
                        .backoff
                        .record_failure(Arc::clone(error), is_transient, now);
                }
            }
        }
        drop(state);

        // after the change, so that those who wake up find it; all may have left by now
        let _unheard = sender.send(Some(result));
    }

    /// Removes what the web server refused, and returns true if another one may be used. A web
    /// server that refuses everything must not turn each request into a mint.
    ///
    /// `is_redirect` is true if the refusal was a redirect to the login page.
    pub(super) fn try_renew(&self, used: &Arc<T>, is_redirect: bool, now: Timestamp) -> bool {
        let mut state = self.lock();
        if !self.is_live(used) {
            // it was replaced in the meantime: the new one is worth a try
            return true;
        }

        if !state.take_renewal(used, is_redirect, now) {
            return false;
        }
        self.live.store(None);
        true
    }

    /// Returns the way to another item than `used`, whose web server could not be reached and may
    /// have moved. `None` if there is no other one for now.
    ///
    /// The live item stays until it is replaced, since the network may be down for a moment only.
    pub(super) fn replace(&self, used: &Arc<T>, now: Timestamp) -> Option<Lookup<T>> {
        let mut state = self.lock();
        if !self.is_live(used) {
            return self.get(now).map(Lookup::Use);
        }
        if let Some(pending) = state.pending() {
            return Some(Lookup::Wait(pending.clone()));
        }

        // a renewal is taken only if a mint follows
        let is_free = state.backoff.current(now).is_none();
        let may_start = is_free && state.take_renewal(used, false, now);
        may_start.then(|| Lookup::Start(state.start()))
    }

    /// Returns true if AWS may be asked for the web server's host now.
    pub(super) fn take_host_query(&self, now: Timestamp) -> bool {
        self.lock().host_queries.take(now)
    }

    /// Removes this item if it is the live one.
    pub(super) fn remove(&self, used: &Arc<T>) {
        let _state = self.lock();
        if self.is_live(used) {
            self.live.store(None);
        }
    }

    /// Replaces the live item by what the web server made of it, unless it is gone by now.
    pub(super) fn update(&self, used: &Arc<T>, by: T) {
        let _state = self.lock();
        if self.is_live(used) {
            self.live.store(Some(Arc::new(by)));
        }
    }

    /// Removes the live item and returns it. A pending mint serves those who wait for it and is
    /// not kept.
    pub(super) fn clear(&self) -> Option<Arc<T>> {
        let mut state = self.lock();
        state.generation += 1;
        state.pending = None;
        self.live.swap(None)
    }

    /// Returns true if the last mint failed.
    pub(super) fn is_failing(&self) -> bool {
        self.lock().backoff.is_failing()
    }

    /// Returns the failure that is held, and the time for which no mint is tried.
    pub(super) fn current_failure(&self, now: Timestamp) -> Option<(Arc<MintError>, Duration)> {
        self.lock().backoff.current(now)
    }

    /// Returns true if a mint is pending.
    pub(super) fn is_pending(&self) -> bool {
        self.lock().pending().is_some()
    }

    /// Returns true if `used` itself is live, not one that has taken its place.
    fn is_live(&self, used: &Arc<T>) -> bool {
        let live = self.live.load();
        live.as_ref().is_some_and(|live| Arc::ptr_eq(live, used))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Expiring> State<T> {
    /// Returns the pending mint, unless its task ended without a result: waiting for that would
    /// never end.
    fn pending(&self) -> Option<&MintReceiver<T>> {
        self.pending
            .as_ref()
            .filter(|pending| pending.has_changed().is_ok())
    }

    fn take_renewal(&mut self, used: &T, is_redirect: bool, now: Timestamp) -> bool {
        // separate budgets, so that one kind of refusal cannot use up what another needs
        let budget = match (used.was_accepted(), is_redirect) {
            (false, _) => &mut self.first_renewals,
            (true, false) => &mut self.renewals,
            (true, true) => &mut self.redirect_renewals,
        };
        budget.take(now)
    }

    fn start(&mut self) -> MintHandle<T> {
        let (sender, receiver) = watch::channel(None);
        self.generation += 1;
        self.pending = Some(receiver);
        MintHandle {
            generation: self.generation,
            sender,
        }
    }
}

/// Limits how often something is renewed: a few times at once, then once in ten seconds.
#[derive(Debug)]
struct RenewalBudget {
    capacity: u32,
    available: u32,
    filled: Option<Timestamp>,
}

impl RenewalBudget {
    /// Creates a full budget of so many renewals.
    const fn new(capacity: u32) -> Self {
        Self {
            capacity,
            available: capacity,
            filled: None,
        }
    }

    /// Takes one renewal; returns false if there is none.
    fn take(&mut self, now: Timestamp) -> bool {
        let filled = *self.filled.get_or_insert(now);
        // earned back in whole steps; the remainder of a step is lost, which only makes it slower
        let gained = filled.age(now).as_secs() / RENEWAL_INTERVAL.as_secs();
        if gained > 0 {
            self.available = self
                .available
                .saturating_add(u32::try_from(gained).unwrap_or(self.capacity))
                .min(self.capacity);
            self.filled = Some(now);
        }

        let is_granted = self.available > 0;
        self.available = self.available.saturating_sub(1);
        is_granted
    }
}

/// The time in which one renewal is earned back.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{AwsError, AwsErrorKind};
    use crate::cli_token::CliToken;
    use crate::cli_token::tests::live;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_clocks(Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    fn failed() -> MintResult<CliToken> {
        let error = AwsError::new(AwsErrorKind::Throttled, "x", "y");
        Err(Arc::new(MintError::Aws(error)))
    }

    fn start(entry: &CacheEntry<CliToken>, now: Timestamp) -> MintHandle<CliToken> {
        match entry.get_or_start(now) {
            Lookup::Start(mint) => mint,
            other => panic!("no mint: {other:?}"),
        }
    }

    #[test]
    fn one_mint_at_a_time_and_failures_are_held() {
        let entry = CacheEntry::<CliToken>::default();
        let mint = start(&entry, at(0));
        assert!(matches!(entry.get_or_start(at(0)), Lookup::Wait(_)));
        entry.complete(mint, failed(), at(1));
        assert!(matches!(entry.get_or_start(at(1)), Lookup::Refuse(..)));
        assert!(matches!(entry.get_or_start(at(60)), Lookup::Start(..)));
    }

    #[test]
    fn a_mint_that_was_replaced_changes_nothing() {
        let entry = CacheEntry::<CliToken>::default();
        let first = start(&entry, at(0));
        assert!(entry.clear().is_none());
        let second = start(&entry, at(60));
        assert_ne!(first.generation, second.generation);
        entry.complete(first, failed(), at(61));
        assert!(entry.is_pending(), "the second mint continues");
    }

    #[test]
    fn a_dropped_mint_does_not_block_the_next() {
        let entry = CacheEntry::<CliToken>::default();
        let mint = start(&entry, at(0));
        assert!(entry.is_pending());
        drop(mint);
        assert!(!entry.is_pending());
        assert!(matches!(entry.get_or_start(at(0)), Lookup::Start(..)));
    }

    #[test]
    fn a_token_is_refreshed_once_and_only_when_due() {
        let entry = CacheEntry::<CliToken>::default();
        for begin in [0, 40] {
            let mint = match begin {
                0 => start(&entry, at(0)),
                _ => entry.start_refresh(at(begin)).expect("it is due"),
            };
            assert!(entry.start_refresh(at(begin)).is_none(), "one at a time");
            entry.complete(mint, Ok(Arc::new(live(at(begin)))), at(begin));
            // a thread that had seen the token before this one
            assert!(entry.start_refresh(at(begin)).is_none());
        }
    }

    #[test]
    fn a_token_that_replaced_a_refused_one_is_kept() {
        let entry = CacheEntry::<CliToken>::default();
        let mint = start(&entry, at(0));
        let old = Arc::new(live(at(0)));
        entry.complete(mint, Ok(Arc::clone(&old)), at(0));
        entry.update(&old, live(at(1)));
        assert!(entry.try_renew(&old, false, at(1)), "another is there");
        let new = entry.get(at(1)).expect("it stays");
        assert!(!Arc::ptr_eq(&old, &new));
        entry.update(&old, live(at(2)));
        let same = entry.get(at(2)).expect("it stays");
        assert!(Arc::ptr_eq(&new, &same), "updated from what is gone");
    }

    #[test]
    fn a_mint_that_was_pending_at_a_clear_is_discarded() {
        let entry = CacheEntry::<CliToken>::default();
        let mint = start(&entry, at(0));
        assert!(entry.clear().is_none());
        entry.complete(mint, Ok(Arc::new(live(at(0)))), at(0));
        assert!(entry.get(at(0)).is_none());
        assert!(matches!(entry.get_or_start(at(0)), Lookup::Start(..)));
    }

    #[test]
    fn renewals_are_limited_and_refilled_over_time() {
        let mut renewals = RenewalBudget::new(5);
        let granted = (0..10).filter(|_| renewals.take(at(0))).count();
        assert_eq!(granted, 5);
        assert!(!renewals.take(at(9)));
        assert!(renewals.take(at(10)));
        assert!(!renewals.take(at(11)));
    }
}
