//! The log with its access lines, the metrics, the audit log, and traces.

pub mod access;
pub mod audit;
mod cells;
mod configuration_state;
mod history;
mod line_writer;
mod log;
mod metrics;
mod process;
mod refusals;
mod scrape;
pub mod traces;

pub use access::{AccessLine, AccessLog};
pub use audit::Audit;
pub use configuration_state::ConfigurationState;
pub use history::Activity;
pub use log::{FilterError, Format, Log, LogError, LogGuard, init};
pub use metrics::{
    EnvironmentSnapshot, FleetSnapshot, GatewaySnapshot, LOCAL_PAGE, Metrics, QueueMetrics,
    RequestLabels, StoreTotals, WorkerMetrics,
};
pub use refusals::{RecentRefusals, RefusedRequest};
pub use scrape::MetricsFormat;
