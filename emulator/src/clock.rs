//! The emulator's own clock, which a test can push around.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The system's time plus an offset.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// The time as the emulator sees it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the emulator is an independent witness, so it may not ask the gateway's clock"
    )]
    pub(crate) fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let offset = self.offset_ms.load(Ordering::SeqCst);
        let distance = Duration::from_millis(offset.unsigned_abs());
        if offset < 0 {
            now - distance
        } else {
            now + distance
        }
    }

    /// The time since 1970.
    pub(crate) fn since_epoch(&self) -> Duration {
        self.now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    /// Moves the clock, forward or (negative) back.
    pub(crate) fn shift_ms(&self, by: i64) {
        self.offset_ms.fetch_add(by, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_moves_the_time_both_ways() {
        let clock = Clock::default();
        let start = clock.since_epoch();
        clock.shift_ms(61_000);
        assert!(clock.since_epoch() >= start + Duration::from_secs(61));
        clock.shift_ms(-122_000);
        assert!(clock.since_epoch() + Duration::from_secs(50) < start);
    }
}
