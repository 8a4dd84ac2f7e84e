//! When a failed call may be tried again. Pure: time is passed in.

use crate::runtime::Moment;
use std::sync::Arc;
use std::time::Duration;

/// The failures of one kind of call since its last success.
#[derive(Debug)]
pub struct Backoff<E> {
    failures: u32,
    held: Option<Held<E>>,
}

#[derive(Debug)]
struct Held<E> {
    since: Moment,
    hold: Duration,
    error: Arc<E>,
}

impl<E> Default for Backoff<E> {
    fn default() -> Self {
        Self {
            failures: 0,
            held: None,
        }
    }
}

impl<E> Backoff<E> {
    /// The failure that still stands, with the time until the next try; `None` if a try is due.
    pub fn standing(&self, now: Moment) -> Option<(Arc<E>, Duration)> {
        let held = self.held.as_ref()?;
        let left = held
            .hold
            .checked_sub(held.since.age(now))
            .filter(|left| !left.is_zero())?;
        Some((Arc::clone(&held.error), left))
    }

    /// Whether there was a failure since its last success.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Notes a failed flight; `passing` is a failure that may be over in a moment.
    pub fn failed(&mut self, error: Arc<E>, passing: bool, now: Moment) {
        let hold = if passing {
            let exponent = self.failures.min(4);
            // up to a quarter more, so that many gateways do not come back at once
            (FIRST_HOLD * 2u32.pow(exponent))
                .min(LONGEST_HOLD)
                .mul_f64(1.0 + 0.25 * fastrand::f64())
        } else {
            STANDING_HOLD
        };
        self.failures = self.failures.saturating_add(1);
        self.held = Some(Held {
            since: now,
            hold,
            error,
        });
    }

    /// Notes a success.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

/// The hold after the first failed flight (which itself has tried more than once).
const FIRST_HOLD: Duration = Duration::from_secs(2);
/// The longest hold: a minute of throttling sees no more than ten tries.
const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// For failures that a person has to mend: the same answer, without asking AWS each time.
const STANDING_HOLD: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    fn at(seconds: u64) -> Moment {
        Moment::from_clocks(Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    #[test]
    fn a_minute_of_throttling_is_ten_tries_at_most() {
        let mut backoff = Backoff::default();
        let mut tries = 0;
        for second in 0..60 {
            if backoff.standing(at(second)).is_none() {
                tries += 1;
                backoff.failed(Arc::new(()), true, at(second));
            }
        }
        // the first flight holds up to three calls
        assert!((5..=8).contains(&tries), "{tries}");
    }

    #[test]
    fn what_a_person_must_mend_is_asked_again_after_five_seconds() {
        let mut backoff = Backoff::default();
        backoff.failed(Arc::new(()), false, at(0));
        assert!(backoff.standing(at(4)).is_some());
        assert!(backoff.standing(at(5)).is_none());
        assert!(backoff.is_failing());
        backoff.succeeded();
        assert!(!backoff.is_failing());
    }
}
