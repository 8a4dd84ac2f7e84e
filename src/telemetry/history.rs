//! What a gateway did in the last hour, minute by minute, for the overview. Only the counters are
//! read: at the end of each minute, and when someone looks.

use super::cells::lock;
use mwaa_model::EnvName;
use mwaa_runtime::boot_clock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

/// The activity of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Requests that were answered, without those for the gateway's own pages.
    pub requests: u64,
    /// Responses that were faults of the gateway.
    pub faults: u64,
    /// The most commands that waited at once.
    pub waiting: u64,
    /// CLI tokens that were requested from AWS.
    pub mints: u64,
}

/// The activity so far, by environment. `waiting` is the most since the last minute began.
pub(super) type Totals = BTreeMap<Option<EnvName>, Activity>;

impl Activity {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.faults += other.faults;
        self.waiting += other.waiting;
        self.mints += other.mints;
    }

    /// Returns what happened since `before`.
    fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            faults: self.faults.saturating_sub(before.faults),
            waiting: self.waiting,
            mints: self.mints.saturating_sub(before.mints),
        }
    }
}

/// The minutes of the last hour.
#[derive(Debug)]
pub(super) struct History(Mutex<Minutes>);

#[derive(Debug)]
struct Minutes {
    /// The number of the current minute on the boot clock.
    current: u64,
    /// The totals at its beginning.
    before: Totals,
    /// The minutes before it, the oldest first, with the environments in which something happened.
    ended: VecDeque<Vec<(Option<EnvName>, Activity)>>,
}

impl Default for History {
    fn default() -> Self {
        Self(Mutex::new(Minutes {
            current: number(boot_clock()),
            before: Totals::new(),
            ended: VecDeque::new(),
        }))
    }
}

impl History {
    /// Ends the minutes that are over by now, on the boot clock. `take` returns the totals, and begins
    /// to look for the most commands that wait in the next minute.
    pub(super) fn end_minutes(&self, now: Duration, take: impl FnOnce() -> Totals) {
        let mut minutes = lock(&self.0);
        let passed = number(now).saturating_sub(minutes.current);
        if passed == 0 {
            return;
        }

        let totals = take();
        let ended = minutes.since(&totals);
        minutes.ended.push_back(ended);
        // the machine may have slept
        for _ in 1..passed.min(MINUTES as u64) {
            minutes.ended.push_back(Vec::new());
        }
        let surplus = minutes.ended.len().saturating_sub(MINUTES - 1);
        minutes.ended.drain(..surplus);
        minutes.current = number(now);
        minutes.before = totals;
    }

    /// Returns the minutes of an environment, or of all, the oldest first and the current one last.
    pub(super) fn last_hour(
        &self,
        only: Option<&EnvName>,
        totals: &Totals,
    ) -> [Activity; MINUTES] {
        let minutes = lock(&self.0);
        let current = minutes.since(totals);
        let mut hour = [Activity::default(); MINUTES];
        let newest_first = std::iter::once(&current).chain(minutes.ended.iter().rev());
        for (sum, minute) in hour.iter_mut().rev().zip(newest_first) {
            let shown = minute
                .iter()
                .filter(|(name, _)| only.is_none() || name.as_ref() == only);
            shown.for_each(|(_, activity)| sum.add(*activity));
        }
        hour
    }
}

impl Minutes {
    /// Returns what happened in the current minute. An idle gateway has nothing to remember.
    fn since(&self, totals: &Totals) -> Vec<(Option<EnvName>, Activity)> {
        let changes = totals.iter().map(|(name, total)| {
            let before = self.before.get(name).copied().unwrap_or_default();
            (name.clone(), total.since(before))
        });
        changes
            .filter(|(_, change)| *change != Activity::default())
            .collect()
    }
}

/// Returns the number of the minute on the boot clock.
const fn number(now: Duration) -> u64 {
    now.as_secs() / 60
}

/// The minutes that are kept, with the current one.
pub(super) const MINUTES: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(requests: u64, waiting: u64) -> Totals {
        let of = |requests, waiting| Activity {
            requests,
            waiting,
            ..Activity::default()
        };
        let demo = EnvName::new("demo");
        Totals::from([(demo, of(requests, waiting)), (None, of(1, 0))])
    }

    #[test]
    fn each_minute_has_what_happened_in_it() {
        let history = History::default();
        let start = Duration::from_secs(lock(&history.0).current * 60);
        let minute = |n| start + Duration::from_mins(n);
        history.end_minutes(minute(0), || panic!("the minute is not over"));
        history.end_minutes(minute(1), || totals(5, 2));
        history.end_minutes(minute(4), || totals(5, 0));

        let demo = EnvName::new("demo");
        let hour = history.last_hour(demo.as_ref(), &totals(9, 1));
        let requests: Vec<_> = hour.iter().map(|minute| minute.requests).collect();
        assert_eq!(requests[MINUTES - 6..], [0, 5, 0, 0, 0, 4]);
        assert_eq!(
            (hour[MINUTES - 5].waiting, hour[MINUTES - 1].waiting),
            (2, 1)
        );
        let all = history.last_hour(None, &totals(9, 1));
        assert_eq!(all[MINUTES - 5].requests, 6);

        history.end_minutes(minute(1000), || totals(9, 0));
        let later = history.last_hour(None, &totals(9, 0));
        assert_eq!(later, [Activity::default(); MINUTES]);
        assert_eq!(lock(&history.0).ended.len(), MINUTES - 1);
    }
}
