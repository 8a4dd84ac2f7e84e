//! The numbers that metrics count with. What each request changes has one writer, a worker thread or
//! a queue; what is rare is counted under a lock.

use super::scrape::Sample;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A number that one thread at a time writes, and that any thread reads.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    pub(super) fn add(&self, number: u64) {
        // no other thread can write in between, so this need not be one step
        self.set(self.get().wrapping_add(number));
    }

    pub(super) fn increment(&self) {
        self.add(1);
    }
}

/// Times by buckets.
#[derive(Debug)]
pub(super) struct Histogram {
    /// The upper bound of each bucket, in seconds, and the number of times that are in no lower one.
    buckets: Vec<(f64, Count)>,
    /// All times together, in nanoseconds.
    sum: Count,
}

impl Histogram {
    pub(super) fn new(bounds: &[f64]) -> Self {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        Self {
            buckets: bounds.map(|bound| (bound, Count::default())).collect(),
            sum: Count::default(),
        }
    }

    pub(super) fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        // the last bound is infinite
        if let Some((_, cell)) = self.buckets.iter().find(|(bound, _)| seconds <= *bound) {
            cell.increment();
        }
        self.sum
            .add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Returns the number of all times.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, cell)| cell.get()).sum()
    }

    /// Returns the sum of all times.
    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum.get())
    }

    pub(super) fn add(&self, other: &Self) {
        for ((_, cell), (_, other)) in self.buckets.iter().zip(&other.buckets) {
            cell.add(other.get());
        }
        self.sum.add(other.sum.get());
    }

    pub(super) fn sample(&self) -> Sample {
        let buckets = self.buckets.iter();
        Sample::Times {
            sum: Duration::from_nanos(self.sum.get()),
            buckets: buckets.map(|(bound, cell)| (*bound, cell.get())).collect(),
        }
    }
}

/// Counters by label that are rarely written.
#[derive(Debug)]
pub(super) struct Counters<L>(Mutex<BTreeMap<L, u64>>);

impl<L> Default for Counters<L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<L: Ord> Counters<L> {
    pub(super) fn count(&self, labels: L) {
        *lock(&self.0).entry(labels).or_insert(0) += 1;
    }

    /// Returns the counters as they are now.
    pub(super) fn read(&self) -> MutexGuard<'_, BTreeMap<L, u64>> {
        lock(&self.0)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
