//! What the gateway says about itself: log lines and metrics.

mod log;
mod metrics;
mod refusals;
mod writer;

pub use log::{Format, Log, StartError, init};
pub use metrics::{Metrics, Observed, Waiting};
pub use refusals::{Refusal, Refusals};
