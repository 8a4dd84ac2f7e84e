//! Holds failed calls back. Pure: time is passed in.

use mwaa_runtime::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The failures of one kind of call since its last success.
#[derive(Debug)]
pub(crate) struct Backoff<E> {
    failures: u32,
    last: Option<HeldError<E>>,
}

/// A failure that is returned again, without another call, until its hold is over.
#[derive(Debug)]
struct HeldError<E> {
    since: Timestamp,
    hold: Duration,
    error: Arc<E>,
}

impl<E> Default for Backoff<E> {
    fn default() -> Self {
        Self {
            failures: 0,
            last: None,
        }
    }
}

impl<E> Backoff<E> {
    /// Returns the failure that is still held, with the time until the next try. `None` if a
    /// try is due.
    pub(crate) fn current(&self, now: Timestamp) -> Option<(Arc<E>, Duration)> {
        let last = self.last.as_ref()?;
        // a hold of which nothing is left is over
        let left = last
            .hold
            .checked_sub(last.since.age(now))
            .filter(|left| !left.is_zero())?;
        Some((Arc::clone(&last.error), left))
    }

    /// Returns true if there was a failure since the last success.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Records a failure, which is held from now on. `is_transient` is true for one that may be
    /// over in a moment.
    pub(crate) fn record_failure(&mut self, error: Arc<E>, is_transient: bool, now: Timestamp) {
        let hold = if is_transient {
            // bounded before the power, which would overflow
            let exponent = self.failures.min(4);
            // up to a quarter more, so that many gateways do not come back at once
            (FIRST_HOLD * 2u32.pow(exponent))
                .min(LONGEST_HOLD)
                .mul_f64(1.0 + 0.25 * fastrand::f64())
        } else {
            PERMANENT_HOLD
        };

        self.failures = self.failures.saturating_add(1);
        self.last = Some(HeldError {
            since: now,
            hold,
            error,
        });
    }

    /// Clears all failures, after a success.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The hold after the first failure (a mint has then tried more than once already).
const FIRST_HOLD: Duration = Duration::from_secs(2);
/// The longest hold: a minute of throttling sees no more than ten tries.
const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// For failures that a person has to fix: the same answer, without a call to AWS each time.
const PERMANENT_HOLD: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_clocks(Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    #[test]
    fn a_minute_of_throttling_causes_at_most_eight_tries() {
        let mut backoff = Backoff::default();
        let mut tries = 0;
        for second in 0..60 {
            if backoff.current(at(second)).is_none() {
                tries += 1;
                backoff.record_failure(Arc::new(()), true, at(second));
            }
        }
        // the first mint makes up to three calls
        assert!((5..=8).contains(&tries), "{tries}");
    }

    #[test]
    fn a_permanent_failure_is_retried_after_five_seconds() {
        let mut backoff = Backoff::default();
        backoff.record_failure(Arc::new(()), false, at(0));
        assert!(backoff.current(at(4)).is_some());
        assert!(backoff.current(at(5)).is_none());
        assert!(backoff.is_failing());
        backoff.reset();
        assert!(!backoff.is_failing());
    }
}
