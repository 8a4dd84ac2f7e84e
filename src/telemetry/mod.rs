//! What the gateway says about itself: log lines and metrics.

mod log;
mod metrics;
mod queue;
mod refusals;
mod writer;

pub use log::{Format, Log, StartError, init};
pub use metrics::{Metrics, Observed};
pub use queue::QueueMetrics;
pub use refusals::{Refusal, Refusals};
