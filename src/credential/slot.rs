//! The state machine of one token or session: none, being made, live, stale but usable, expired.
//!
//! At most one flight is in the air, and it belongs to the slot, not to the caller who happened
//! to be first: callers only watch it. A failed refresh leaves what is live alone.

use super::error::MintError;
use super::perishable::Perishable;
use super::renewals::Renewals;
use crate::control::Backoff;
use crate::runtime::Moment;
use arc_swap::ArcSwapOption;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How a flight ended.
pub(super) type Outcome<T> = Result<Arc<T>, Arc<MintError>>;

/// Watches a flight; `None` until it has ended.
pub(super) type Watch<T> = watch::Receiver<Option<Outcome<T>>>;

/// The place of one environment's token or session.
#[derive(Debug)]
pub(super) struct Slot<T> {
    live: ArcSwapOption<T>,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    flight: Option<Watch<T>>,
    generation: u64,
    backoff: Backoff<MintError>,
    /// For what the web server has accepted before.
    renewals: Renewals,
    /// The same where the web server only redirects to its login page, which it does with
    /// people who lack a right too: those must not use up what a real end needs.
    redirect_renewals: Renewals,
    /// For what it has not accepted before.
    first_renewals: Renewals,
    /// For questions where the web server is.
    questions: Renewals,
}

impl<T: Perishable> Default for Slot<T> {
    fn default() -> Self {
        Self {
            live: ArcSwapOption::empty(),
            state: Mutex::new(State {
                flight: None,
                generation: 0,
                backoff: Backoff::default(),
                renewals: Renewals::new(5),
                redirect_renewals: Renewals::new(5),
                first_renewals: Renewals::new(1),
                questions: Renewals::new(5),
            }),
        }
    }
}

/// What a caller is to do.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// Make one with this generation; report through the sender.
    Make(u64, watch::Sender<Option<Outcome<T>>>, Watch<T>),
    /// One is being made: wait for it.
    Wait(Watch<T>),
    /// Use this one.
    Use(Arc<T>),
    /// The last failure stands, for so long.
    Refuse(Arc<MintError>, Duration),
}

impl<T: Perishable> Slot<T> {
    /// The token, if it is usable now. No lock: this is every request's path.
    pub(super) fn usable(&self, now: Moment) -> Option<Arc<T>> {
        self.live
            .load()
            .as_ref()
            .filter(|live| live.is_usable(now))
            .map(Arc::clone)
    }

    /// What to do about a slot that has no usable token.
    pub(super) fn obtain(&self, now: Moment) -> Step<T> {
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
    pub(super) fn refresh(&self, now: Moment) -> Option<Step<T>> {
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
    pub(super) fn land(&self, generation: u64, outcome: &Outcome<T>, now: Moment) {
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
            Err(error) => {
                let passing = error.is_passing();
                state.backoff.failed(Arc::clone(error), passing, now);
            }
        }
    }

    /// The web server refused what was used, or redirected to its login page. Says whether a new
    /// one may be asked for; a web server that refuses everything must not turn each request
    /// into a mint.
    pub(super) fn refused(&self, used: &Arc<T>, redirected: bool, now: Moment) -> bool {
        let mut state = self.lock();
        if !self.is_live(used) {
            // somebody has replaced it already: the new one is worth a try
            return true;
        }
        if !state.may_renew(used, redirected, now) {
            return false;
        }
        self.live.store(None);
        true
    }

    /// What was used could not be brought to its web server, which may be there no more: what
    /// to do for another one, or nothing if it is to be left alone. What is live stays until it
    /// is replaced, since a network may be down for a moment only.
    pub(super) fn replace(&self, used: &Arc<T>, now: Moment) -> Option<Step<T>> {
        let mut state = self.lock();
        if !self.is_live(used) {
            return self.usable(now).map(Step::Use);
        }
        if let Some(flight) = state.in_flight() {
            return Some(Step::Wait(flight.clone()));
        }
        let may = state.backoff.standing(now).is_none() && state.may_renew(used, false, now);
        may.then(|| state.take_off())
    }

    /// Whether AWS may be asked where the web server is.
    pub(super) fn may_ask(&self, now: Moment) -> bool {
        self.lock().questions.take(now)
    }

    /// Drops this one if it is live: it is worth nothing any more.
    pub(super) fn discard(&self, used: &Arc<T>) {
        let _state = self.lock();
        if self.is_live(used) {
            self.live.store(None);
        }
    }

    /// Replaces what is live by what the web server made of it, unless it has gone since.
    pub(super) fn amend(&self, used: &Arc<T>, by: T) {
        let _state = self.lock();
        if self.is_live(used) {
            self.live.store(Some(Arc::new(by)));
        }
    }

    /// Lets go of what is live, and gives it. A flight in the air serves whoever waits for it,
    /// and leaves nothing behind.
    pub(super) fn forget(&self) -> Option<Arc<T>> {
        let mut state = self.lock();
        state.generation += 1;
        state.flight = None;
        self.live.swap(None)
    }

    /// Whether the last flight failed.
    pub(super) fn is_failing(&self) -> bool {
        self.lock().backoff.is_failing()
    }

    /// The failure that stands now, and for how long no mint will be tried.
    pub(super) fn standing(&self, now: Moment) -> Option<(Arc<MintError>, Duration)> {
        self.lock().backoff.standing(now)
    }

    /// Whether one is being made.
    pub(super) fn is_making(&self) -> bool {
        self.lock().in_flight().is_some()
    }

    /// Whether it is the live one itself, not one that has taken its place.
    fn is_live(&self, used: &Arc<T>) -> bool {
        let live = self.live.load();
        live.as_ref().is_some_and(|live| Arc::ptr_eq(live, used))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Perishable> State<T> {
    /// The flight, unless its task is gone without a word: waiting for it would never end.
    fn in_flight(&self) -> Option<&Watch<T>> {
        self.flight
            .as_ref()
            .filter(|flight| flight.has_changed().is_ok())
    }

    fn may_renew(&mut self, used: &T, redirected: bool, now: Moment) -> bool {
        let renewals = match (used.was_accepted(), redirected) {
            (false, _) => &mut self.first_renewals,
            (true, false) => &mut self.renewals,
            (true, true) => &mut self.redirect_renewals,
        };
        renewals.take(now)
    }

    fn take_off(&mut self) -> Step<T> {
        let (sender, watch) = watch::channel(None);
        self.generation += 1;
        self.flight = Some(watch.clone());
        Step::Make(self.generation, sender, watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{AwsError, AwsErrorKind};
    use crate::credential::live::Live;
    use crate::credential::live::tests::live;

    fn at(seconds: u64) -> Moment {
        Moment::from_clocks(Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    fn failed() -> Outcome<Live> {
        let error = AwsError::new(AwsErrorKind::Throttled, "x", "y");
        Err(Arc::new(MintError::Aws(error)))
    }

    #[test]
    fn one_flight_at_a_time_and_failures_stand() {
        let slot = Slot::<Live>::default();
        let Step::Make(generation, _sender, _watch) = slot.obtain(at(0)) else {
            panic!("no mint")
        };
        assert!(matches!(slot.obtain(at(0)), Step::Wait(_)));
        slot.land(generation, &failed(), at(1));
        assert!(matches!(slot.obtain(at(1)), Step::Refuse(..)));
        assert!(matches!(slot.obtain(at(60)), Step::Make(..)));
    }

    #[test]
    fn a_flight_that_was_replaced_has_no_say() {
        let slot = Slot::<Live>::default();
        let Step::Make(first, ..) = slot.obtain(at(0)) else {
            panic!("no mint")
        };
        slot.land(first, &failed(), at(0));
        let Step::Make(second, _sender, _) = slot.obtain(at(60)) else {
            panic!("no mint")
        };
        slot.land(first, &failed(), at(61));
        assert!(slot.is_making(), "the second flight goes on");
        assert_ne!(first, second);
    }

    #[test]
    fn a_flight_whose_task_is_gone_holds_nobody_up() {
        let slot = Slot::<Live>::default();
        let Step::Make(_, sender, _watch) = slot.obtain(at(0)) else {
            panic!("no mint")
        };
        assert!(slot.is_making());
        drop(sender);
        assert!(!slot.is_making());
        assert!(matches!(slot.obtain(at(0)), Step::Make(..)));
    }

    #[test]
    fn a_token_is_refreshed_once_and_only_when_due() {
        let slot = Slot::<Live>::default();
        for start in [0, 40] {
            let step = match start {
                0 => slot.obtain(at(0)),
                _ => slot.refresh(at(start)).expect("it is due"),
            };
            let Step::Make(generation, _sender, _) = step else {
                panic!("no mint")
            };
            assert!(slot.refresh(at(start)).is_none(), "one at a time");
            slot.land(generation, &Ok(Arc::new(live(at(start)))), at(start));
            // a thread that had seen the token before this one
            assert!(slot.refresh(at(start)).is_none());
        }
    }

    #[test]
    fn what_took_the_place_of_the_refused_one_stays() {
        let slot = Slot::<Live>::default();
        let Step::Make(generation, _sender, _) = slot.obtain(at(0)) else {
            panic!("no mint")
        };
        let old = Arc::new(live(at(0)));
        slot.land(generation, &Ok(Arc::clone(&old)), at(0));
        slot.amend(&old, live(at(1)));
        assert!(slot.refused(&old, false, at(1)), "another is there");
        let new = slot.usable(at(1)).expect("it stays");
        assert!(!Arc::ptr_eq(&old, &new));
        slot.amend(&old, live(at(2)));
        let same = slot.usable(at(2)).expect("it stays");
        assert!(Arc::ptr_eq(&new, &same), "amended from what is gone");
    }

    #[test]
    fn what_was_in_the_air_when_all_was_forgotten_does_not_stay() {
        let slot = Slot::<Live>::default();
        let Step::Make(generation, _sender, _) = slot.obtain(at(0)) else {
            panic!("no mint")
        };
        assert!(slot.forget().is_none());
        slot.land(generation, &Ok(Arc::new(live(at(0)))), at(0));
        assert!(slot.usable(at(0)).is_none());
        assert!(matches!(slot.obtain(at(0)), Step::Make(..)));
    }
}
