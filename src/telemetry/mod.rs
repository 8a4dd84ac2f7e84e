//! What the gateway says about itself: log lines, metrics, and the audit log.

pub mod audit;
mod log;
mod metrics;
mod queue;
mod refusals;
mod writer;

pub use audit::{Audit, AuditError};
pub use log::{Format, Log, StartError, init};
pub use metrics::{Metrics, Observed};
pub use queue::QueueMetrics;
pub use refusals::{Refusal, Refusals};
