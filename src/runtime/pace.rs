//! The least speed of a body.

use std::time::Duration;

/// The least speed of a body. A limit for pauses alone would not be enough: a sender of one byte
/// at a time would hold its connection for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLimit {
    /// The longest pause.
    pub idle: Duration,
    /// The least average, in bytes a second, over the time that was waited beyond `idle`.
    pub rate: usize,
}

impl PaceLimit {
    /// Returns true if these bytes are enough for the time that was waited for them.
    pub fn is_kept(self, bytes: u64, waited: Duration) -> bool {
        // the first pause is free
        let late = waited.saturating_sub(self.idle).as_millis();
        let owed = late.saturating_mul(self.rate as u128) / 1000;
        u128::from(bytes) >= owed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_allowed_pause_a_body_must_keep_the_rate() {
        let pace = PaceLimit {
            idle: Duration::from_secs(10),
            rate: 1000,
        };
        let kept = |bytes, seconds| pace.is_kept(bytes, Duration::from_secs(seconds));
        assert!(kept(0, 10) && !kept(0, 11));
        assert!(kept(5000, 15) && !kept(4999, 15));
        assert!(!kept(u64::MAX, u64::MAX), "too long for any body");
    }
}
