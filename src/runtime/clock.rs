//! The only place that reads the time.

use super::platform;
use rustix::time::{ClockId, clock_gettime};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point in time on two clocks: one that runs while the machine sleeps, and the wall clock.
///
/// Rust's `Instant` stops during sleep (rust-lang/rust#87906), and a wall clock may be set. A
/// token's age has to be right in both cases, so the older reading wins.
///
/// Both are in nanoseconds: every request copies and compares some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    boot: u64,
    wall: u64,
}

impl Timestamp {
    /// Reads both clocks; on a worker thread at most once in a turn of its runtime.
    pub fn now() -> Self {
        TURN.with(Turn::now)
    }

    /// Returns the time since the machine started; for intervals.
    pub const fn boot(self) -> Duration {
        Duration::from_nanos(self.boot)
    }

    /// Returns the wall clock, since 1970; for times that others read.
    pub const fn wall(self) -> Duration {
        Duration::from_nanos(self.wall)
    }

    /// Returns the age of this moment by the clock that gives the higher one. A wall clock that
    /// jumped back makes nothing younger than the other clock says.
    pub fn age(self, now: Self) -> Duration {
        let boot = now.boot.saturating_sub(self.boot);
        Duration::from_nanos(boot.max(now.wall.saturating_sub(self.wall)))
    }

    /// Returns the moment that is so long before this one.
    #[must_use]
    pub fn before(self, age: Duration) -> Self {
        let age = to_nanos(age);
        Self {
            boot: self.boot.saturating_sub(age),
            wall: self.wall.saturating_sub(age),
        }
    }

    /// Creates a moment from two readings, for tests.
    pub fn from_clocks(boot: Duration, wall: Duration) -> Self {
        Self {
            boot: to_nanos(boot),
            wall: to_nanos(wall),
        }
    }
}

/// Returns the time since the machine started, sleep included: for limits and durations, which a
/// change of the wall clock must not affect. On a worker thread it is read at most once in a turn.
pub fn boot_clock() -> Duration {
    Timestamp::now().boot()
}

/// Returns the processor time that all threads of this process have used.
pub fn process_time() -> Duration {
    Duration::from_nanos(read_clock(ClockId::ProcessCPUTime))
}

/// Makes this thread read its clocks once in a turn: [`end_turn`] has to be called between turns.
pub fn keep_time_for_a_turn() {
    TURN.with(|turn| turn.is_kept.set(true));
}

/// Ends a turn: the next question for the time reads the clocks again.
pub fn end_turn() {
    TURN.with(|turn| turn.uses_left.set(0));
}

/// The last reading of a thread's clocks.
struct Turn {
    /// True on the threads that say when a turn ends.
    is_kept: Cell<bool>,
    /// The number of times that the last reading may still be used: a thread that is never idle has no
    /// end of a turn.
    uses_left: Cell<u32>,
    last: Cell<Timestamp>,
}

impl Turn {
    fn now(&self) -> Timestamp {
        let uses_left = self.uses_left.get();
        if uses_left > 0 {
            self.uses_left.set(uses_left - 1);
            return self.last.get();
        }

        let now = read_clocks();
        if self.is_kept.get() {
            self.uses_left.set(MAX_USES);
            self.last.set(now);
        }
        now
    }
}

thread_local! {
    static TURN: Turn = const {
        Turn {
            is_kept: Cell::new(false),
            uses_left: Cell::new(0),
            last: Cell::new(Timestamp { boot: 0, wall: 0 }),
        }
    };
}

/// A reading is used for some ten requests at most.
const MAX_USES: u32 = 64;

fn read_clocks() -> Timestamp {
    let shift = ClockShift::of_this_thread();
    Timestamp {
        boot: read_clock(platform::CLOCK) + shift,
        wall: read_clock(ClockId::Realtime) + shift,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one home of reading the time"
)]
fn read_clock(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // a wall clock that was never set may be before 1970
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(NANOS).saturating_add(nanos)
}

/// Returns a time in nanoseconds, which is less than 584 years.
fn to_nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// The distance by which the clocks of some threads are ahead, so that a test sets the time and does
/// not wait for it. Clones share the distance, which is zero unless a test changes it.
#[derive(Debug, Clone, Default)]
pub struct ClockShift(Arc<AtomicU64>);

thread_local! {
    static SHIFT: RefCell<ClockShift> = RefCell::default();
}

impl ClockShift {
    /// Returns the shift of this thread, for the threads that it starts.
    pub fn current() -> Self {
        SHIFT.with_borrow(Clone::clone)
    }

    /// Makes this thread's clocks follow this shift.
    pub fn enter(self) {
        SHIFT.set(self);
    }

    /// Moves the clocks forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(to_nanos(by), Ordering::SeqCst);
    }

    /// Returns the shift in nanoseconds.
    fn of_this_thread() -> u64 {
        SHIFT.with_borrow(|shift| shift.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_age_is_the_larger_of_both_clocks() {
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
    fn a_shift_moves_both_clocks_of_the_threads_that_follow_it() {
        let shift = ClockShift::default();
        shift.enter();
        let (first, boot) = (Timestamp::now(), boot_clock());
        ClockShift::current().advance(s(3600));
        let second = Timestamp::now();
        assert!(second.boot() >= first.boot() + s(3600));
        assert!(second.wall() + s(60) >= first.wall() + s(3600));
        assert!(boot_clock() >= boot + s(3600));

        let other = std::thread::spawn(boot_clock).join().unwrap();
        assert!(other < boot + s(3600));
    }

    #[test]
    fn now_moves_forward() {
        let first = Timestamp::now();
        assert!(Timestamp::now().boot() >= first.boot());
        assert!(first.wall() > s(1_600_000_000));
    }
}
