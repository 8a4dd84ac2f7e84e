//! The only place that reads the time.

use super::platform;
use rustix::time::clock_gettime;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time on two clocks: one that runs while the machine sleeps, and the wall clock.
///
/// Rust's `Instant` stops during sleep (rust-lang/rust#87906), and a wall clock may be set. A
/// token's age has to be right in both cases, so the older reading wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    boot: Duration,
    wall: Duration,
}

impl Timestamp {
    /// Reads both clocks.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of reading the time"
    )]
    pub fn now() -> Self {
        let boot = boot_clock();
        // a clock that was never set may be before 1970
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self { boot, wall }
    }

    /// Returns the time since the machine started; for intervals.
    pub fn boot(self) -> Duration {
        self.boot
    }

    /// Returns the wall clock, since 1970; for times that others read.
    pub fn wall(self) -> Duration {
        self.wall
    }

    /// Returns the age of this moment by the clock that gives the higher one. A wall clock that
    /// jumped back makes nothing younger than the other clock says.
    pub fn age(self, now: Self) -> Duration {
        now.boot
            .saturating_sub(self.boot)
            .max(now.wall.saturating_sub(self.wall))
    }

    /// Creates a moment from two readings, for tests.
    pub const fn from_clocks(boot: Duration, wall: Duration) -> Self {
        Self { boot, wall }
    }
}

/// Returns the time since the machine started, sleep included: for limits and durations, which a
/// change of the wall clock must not affect.
pub fn boot_clock() -> Duration {
    // this clock is never negative
    let boot = clock_gettime(platform::CLOCK);
    Duration::new(
        u64::try_from(boot.tv_sec).unwrap_or(0),
        u32::try_from(boot.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_clock_that_says_more_wins() {
        let then = Timestamp::from_clocks(s(100), s(1_000_000));
        assert_eq!(
            then.age(Timestamp::from_clocks(s(110), s(1_000_010))),
            s(10)
        );
        // suspended for 300 s with a wall clock that lags
        assert_eq!(
            then.age(Timestamp::from_clocks(s(400), s(1_000_010))),
            s(300)
        );
        // the wall clock was set forward
        assert_eq!(
            then.age(Timestamp::from_clocks(s(110), s(1_000_300))),
            s(300)
        );
        // the wall clock was set back: no life extension
        assert_eq!(then.age(Timestamp::from_clocks(s(110), s(999_700))), s(10));
    }

    #[test]
    fn now_moves_forward() {
        let first = Timestamp::now();
        assert!(Timestamp::now().boot() >= first.boot());
        assert!(first.wall() > s(1_600_000_000));
    }
}
