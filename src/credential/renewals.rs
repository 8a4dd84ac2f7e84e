//! How often a refused token or session may be replaced. Pure: time is passed in.

use crate::runtime::Moment;
use std::time::Duration;

/// How often what was refused may be replaced: a few times at once, then once in ten seconds.
#[derive(Debug)]
pub(super) struct Renewals {
    most: u32,
    left: u32,
    filled: Option<Moment>,
}

impl Renewals {
    /// At most so many at once.
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            left: most,
            filled: None,
        }
    }

    /// Whether one more may be had now; it counts as had.
    pub(super) fn take(&mut self, now: Moment) -> bool {
        let filled = *self.filled.get_or_insert(now);
        let gained = filled.age(now).as_secs() / RENEWAL_EVERY.as_secs();
        if gained > 0 {
            self.left = self
                .left
                .saturating_add(u32::try_from(gained).unwrap_or(self.most))
                .min(self.most);
            self.filled = Some(now);
        }
        let granted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        granted
    }
}

/// The time in which one renewal is earned back.
const RENEWAL_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewals_run_out_and_come_back() {
        let at = |seconds| {
            let time = Duration::from_secs(seconds);
            Moment::from_clocks(time, time)
        };
        let mut renewals = Renewals::new(5);
        let granted = (0..10).filter(|_| renewals.take(at(0))).count();
        assert_eq!(granted, 5);
        assert!(!renewals.take(at(9)));
        assert!(renewals.take(at(10)));
        assert!(!renewals.take(at(11)));
    }
}
