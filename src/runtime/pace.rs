//! How slowly a body may arrive. Pure: time is passed in.

use std::time::Duration;

/// The bounds of a body on its way here: short pauses alone do not make an end, since a sender
/// of one byte at a time would hold its connection for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The longest pause.
    pub idle: Duration,
    /// The least average, in bytes a second, over the time that was waited beyond `idle`.
    pub rate: usize,
}

impl Pace {
    /// Whether so many bytes are enough for the time that was waited for them.
    pub fn is_kept(self, bytes: u64, waited: Duration) -> bool {
        let late = waited.saturating_sub(self.idle).as_millis();
        let owed = late.saturating_mul(self.rate as u128) / 1000;
        u128::from(bytes) >= owed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_body_has_the_pause_for_nothing_and_owes_the_rate_beyond_it() {
        let pace = Pace {
            idle: Duration::from_secs(10),
            rate: 1000,
        };
        let kept = |bytes, seconds| pace.is_kept(bytes, Duration::from_secs(seconds));
        assert!(kept(0, 10) && !kept(0, 11));
        assert!(kept(5000, 15) && !kept(4999, 15));
        assert!(!kept(u64::MAX, u64::MAX), "too long for any body");
    }
}
