//! The log, the metrics, and the audit log.

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

pub use audit::Audit;
pub use configuration_state::ConfigurationState;
pub use history::Activity;
pub use log::{Format, LogError, LogGuard, init};
pub use metrics::{
    EnvironmentSnapshot, FleetSnapshot, GatewaySnapshot, LOCAL_PAGE, Metrics, QueueMetrics,
    RequestLabels, StoreTotals, WorkerMetrics,
};
pub use refusals::{RecentRefusals, RefusedRequest};
pub use scrape::MetricsFormat;
