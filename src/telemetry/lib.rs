//! The log, the metrics, and the audit log.

pub mod audit;
mod line_writer;
mod log;
mod metrics;
mod refusals;

pub use audit::Audit;
pub use log::{Format, LogError, LogGuard, init};
pub use metrics::{EnvironmentSnapshot, Metrics, QueueMetrics, WorkerMetrics};
pub use refusals::{RecentRefusals, RefusedRequest};
