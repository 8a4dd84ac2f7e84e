//! Bounds futures in time, on a worker thread or off it.

use super::{Elapsed, Sweeper};
use std::future::Future;
use std::time::Duration;

/// Bounds futures in time.
pub trait Timer {
    /// The future's output, unless `limit` is over before it.
    fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>>;
}

impl Timer for Sweeper {
    async fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        Self::within(self, limit, future).await
    }
}

/// The runtime's own timers: for work that is rare and does not run on a worker thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct RuntimeTimer;

impl Timer for RuntimeTimer {
    async fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(limit, future)
            .await
            .map_err(|_elapsed| Elapsed)
    }
}
