//! How often something that a web server refused may be replaced: a web server that refuses
//! everything must not turn each request into a mint. Pure: time is passed in.

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
    pub(super) const fn new(most: u32) -> Self {
        Self {
            most,
            left: most,
            filled: None,
        }
    }

    /// Takes one, if there is one.
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

    fn at(seconds: u64) -> Moment {
        Moment::from_clocks(Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    #[test]
    fn renewals_run_out_and_come_back() {
        let mut renewals = Renewals::new(5);
        let granted = (0..10).filter(|_| renewals.take(at(0))).count();
        assert_eq!(granted, 5);
        assert!(!renewals.take(at(9)));
        assert!(renewals.take(at(10)));
        assert!(!renewals.take(at(11)));
    }
}
