//! What the gateway says about itself: log lines and metrics.

mod log;
mod metrics;

pub use log::{Format, init};
pub use metrics::{Metrics, Observed, Waiting};
