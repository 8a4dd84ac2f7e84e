//! The result of reading the configuration, for people and metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When the configuration in use was read, and why a later one is not used.
#[derive(Debug, Default)]
pub struct ConfigurationState(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    loaded: Option<Duration>,
    failure: Option<String>,
    reads: u64,
}

impl ConfigurationState {
    /// Records that a configuration counts from now on: by the wall clock, since 1970.
    pub fn set_loaded(&self, now: Duration) {
        let mut state = self.lock();
        state.loaded = Some(now);
        state.failure = None;
        state.reads += 1;
    }

    /// Records why a configuration is not used. Returns true if that was not recorded already.
    pub fn set_failure(&self, failure: String) -> bool {
        let mut state = self.lock();
        let is_new = state.failure.as_ref() != Some(&failure);
        state.failure = Some(failure);
        state.reads += 1;
        is_new
    }

    /// Returns the time at which the configuration in use was read, since 1970; `None` before the
    /// first.
    pub fn loaded(&self) -> Option<Duration> {
        self.lock().loaded
    }

    /// Returns how often a configuration was read, the start included.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Returns why the last configuration that was read is not used; `None` if it is.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
