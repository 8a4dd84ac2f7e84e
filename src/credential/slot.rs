//! The state machine of one token: none, minting, live, stale but usable, expired.
//!
//! At most one mint is in flight, and it belongs to the slot, not to the caller who happened
//! to be first: callers only watch it. A failed refresh leaves the live token alone.

use super::live::Live;
use crate::control::{AwsError, Backoff};
use crate::runtime::Moment;
use arc_swap::ArcSwapOption;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How a flight ended.
pub(super) type Outcome = Result<Arc<Live>, Arc<AwsError>>;

/// Watches a flight; `None` until it has ended.
pub(super) type Watch = watch::Receiver<Option<Outcome>>;

/// One token's place.
#[derive(Debug, Default)]
pub(super) struct Slot {
    live: ArcSwapOption<Live>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    flight: Option<Watch>,
    generation: u64,
    backoff: Backoff,
    renewals: Renewals,
}

/// What a caller is to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Start a mint with this generation; report through the sender.
    Mint(u64, watch::Sender<Option<Outcome>>, Watch),
    /// A mint is on its way: wait for it.
    Wait(Watch),
    /// Use this token.
    Use(Arc<Live>),
    /// The last failure stands, for so long.
    Refuse(Arc<AwsError>, Duration),
}

impl Slot {
    /// The token, if it is usable now. No lock: this is every request's path.
    pub(super) fn usable(&self, now: Moment) -> Option<Arc<Live>> {
        self.live
            .load()
            .as_ref()
            .filter(|live| live.is_usable(now))
            .map(Arc::clone)
    }

    /// What to do about a slot that has no usable token.
    pub(super) fn obtain(&self, now: Moment) -> Step {
        let mut state = self.lock();
        // another thread may have been faster
        if let Some(live) = self.usable(now) {
            return Step::Use(live);
        }
        if let Some(flight) = state.in_flight() {
            return Step::Wait(flight.clone());
        }
        match state.backoff.standing(now) {
            Some((error, left)) => Step::Refuse(error, left),
            None => state.take_off(),
        }
    }

    /// Whether to replace a usable token ahead of time, now that it is in use.
    pub(super) fn refresh(&self, now: Moment) -> Option<Step> {
        let mut state = self.lock();
        // another thread may have been faster
        let due = self
            .live
            .load()
            .as_ref()
            .is_some_and(|live| live.is_due(now));
        let free = state.in_flight().is_none() && state.backoff.standing(now).is_none();
        (due && free).then(|| state.take_off())
    }

    /// Ends a flight. A success becomes the live token; a failure leaves what is there.
    pub(super) fn land(&self, generation: u64, outcome: &Outcome, now: Moment) {
        let mut state = self.lock();
        if state.generation != generation {
            // a flight that was given up has no say any more
            return;
        }
        state.flight = None;
        match outcome {
            Ok(live) => {
                state.backoff.succeeded();
                self.live.store(Some(Arc::clone(live)));
            }
            Err(error) => state.backoff.failed(Arc::clone(error), now),
        }
    }

    /// The web server refused this generation's token. Says whether a new one may be asked for;
    /// a web server that refuses everything must not turn each request into a mint.
    pub(super) fn refused(&self, generation: u64, now: Moment) -> bool {
        let mut state = self.lock();
        let current = self.live.load().as_ref().map(|live| live.generation);
        if current != Some(generation) {
            // somebody has replaced it already: the new one is worth a try
            return true;
        }
        if !state.renewals.take(now) {
            return false;
        }
        self.live.store(None);
        true
    }

    /// Whether the last flight failed.
    pub(super) fn is_failing(&self) -> bool {
        self.lock().backoff.is_failing()
    }

    /// The failure that stands now, and for how long no mint will be tried.
    pub(super) fn standing(&self, now: Moment) -> Option<(Arc<AwsError>, Duration)> {
        self.lock().backoff.standing(now)
    }

    /// Whether a mint is in flight.
    pub(super) fn is_minting(&self) -> bool {
        self.lock().in_flight().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The flight, unless its task is gone without a word: waiting for it would never end.
    fn in_flight(&self) -> Option<&Watch> {
        self.flight
            .as_ref()
            .filter(|flight| flight.has_changed().is_ok())
    }

    fn take_off(&mut self) -> Step {
        let (sender, watch) = watch::channel(None);
        self.generation += 1;
        self.flight = Some(watch.clone());
        Step::Mint(self.generation, sender, watch)
    }
}

/// How often refused tokens may be replaced: a few at once, then one in ten seconds.
#[derive(Debug)]
struct Renewals {
    left: u32,
    filled: Option<Moment>,
}

impl Default for Renewals {
    fn default() -> Self {
        Self {
            left: RENEWALS,
            filled: None,
        }
    }
}

impl Renewals {
    fn take(&mut self, now: Moment) -> bool {
        let filled = *self.filled.get_or_insert(now);
        let gained = filled.age(now).as_secs() / RENEWAL_EVERY.as_secs();
        if gained > 0 {
            self.left = self
                .left
                .saturating_add(u32::try_from(gained).unwrap_or(RENEWALS))
                .min(RENEWALS);
            self.filled = Some(now);
        }
        let granted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        granted
    }
}

/// Renewals that may follow each other at once.
const RENEWALS: u32 = 5;
/// The time in which one renewal is earned back.
const RENEWAL_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::AwsErrorKind;
    use crate::credential::live::tests::live;

    fn at(seconds: u64) -> Moment {
        Moment::from_clocks(Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    fn failed() -> Outcome {
        Err(Arc::new(AwsError::new(AwsErrorKind::Throttled, "x", "y")))
    }

    #[test]
    fn one_flight_at_a_time_and_failures_stand() {
        let slot = Slot::default();
        let Step::Mint(generation, _sender, _watch) = slot.obtain(at(0)) else {
            panic!("no mint")
        };
        assert!(matches!(slot.obtain(at(0)), Step::Wait(_)));
        slot.land(generation, &failed(), at(1));
        assert!(matches!(slot.obtain(at(1)), Step::Refuse(..)));
        assert!(matches!(slot.obtain(at(60)), Step::Mint(..)));
    }

    #[test]
    fn a_flight_that_was_replaced_has_no_say() {
        let slot = Slot::default();
        let Step::Mint(first, ..) = slot.obtain(at(0)) else {
            panic!("no mint")
        };
        slot.land(first, &failed(), at(0));
        let Step::Mint(second, _sender, _) = slot.obtain(at(60)) else {
            panic!("no mint")
        };
        slot.land(first, &failed(), at(61));
        assert!(slot.is_minting(), "the second flight goes on");
        assert_ne!(first, second);
    }

    #[test]
    fn a_flight_whose_task_is_gone_holds_nobody_up() {
        let slot = Slot::default();
        let Step::Mint(_, sender, _watch) = slot.obtain(at(0)) else {
            panic!("no mint")
        };
        assert!(slot.is_minting());
        drop(sender);
        assert!(!slot.is_minting());
        assert!(matches!(slot.obtain(at(0)), Step::Mint(..)));
    }

    #[test]
    fn a_token_is_refreshed_once_and_only_when_due() {
        let slot = Slot::default();
        for start in [0, 40] {
            let step = match start {
                0 => slot.obtain(at(0)),
                _ => slot.refresh(at(start)).expect("it is due"),
            };
            let Step::Mint(generation, _sender, _) = step else {
                panic!("no mint")
            };
            assert!(slot.refresh(at(start)).is_none(), "one at a time");
            slot.land(
                generation,
                &Ok(Arc::new(live(at(start), generation))),
                at(start),
            );
            // a thread that had seen the token before this one
            assert!(slot.refresh(at(start)).is_none());
        }
    }

    #[test]
    fn renewals_run_out_and_come_back() {
        let mut renewals = Renewals::default();
        let granted = (0..10).filter(|_| renewals.take(at(0))).count();
        assert_eq!(granted, 5);
        assert!(!renewals.take(at(9)));
        assert!(renewals.take(at(10)));
        assert!(!renewals.take(at(11)));
    }
}
