//! The numbers of the queues.

use super::metrics::{EnvironmentLabels, Name};
use crate::names::Entry;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The numbers of one environment's queue.
#[derive(Debug, Clone)]
pub struct QueueMetrics {
    /// Commands that wait for a slot.
    pub waiting: Gauge,
    /// Commands that have a slot.
    pub running: Gauge,
    /// How long commands waited that got a slot, in seconds.
    pub wait: Histogram,
    /// Commands refused because as many waited as may.
    pub full: Counter,
    /// Commands refused because they had waited as long as they may.
    pub timeout: Counter,
    /// Commands whose clients left the line.
    pub left: Counter,
}

/// The numbers of all queues.
#[derive(Debug, Clone)]
pub(super) struct QueueFamilies {
    waiting: Family<EnvironmentLabels, Gauge>,
    running: Family<EnvironmentLabels, Gauge>,
    wait: Family<EnvironmentLabels, Histogram, fn() -> Histogram>,
    refused: Family<RefusedLabels, Counter>,
    left: Family<EnvironmentLabels, Counter>,
    longest: Family<EnvironmentLabels, Gauge<f64, AtomicU64>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    environment: Name,
    reason: &'static str,
}

impl QueueFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self {
            waiting: Family::default(),
            running: Family::default(),
            wait: Family::new_with_constructor(waits),
            refused: Family::default(),
            left: Family::default(),
            longest: Family::default(),
        };
        registry.register(
            "queue_waiting",
            "Commands that wait for a slot",
            families.waiting.clone(),
        );
        registry.register(
            "queue_running",
            "Commands that have a slot",
            families.running.clone(),
        );
        registry.register_with_unit(
            "queue_wait",
            "How long commands waited for the slot that they got",
            Unit::Seconds,
            families.wait.clone(),
        );
        registry.register_with_unit(
            "queue_longest_wait",
            "How long the command that has waited longest has waited",
            Unit::Seconds,
            families.longest.clone(),
        );
        registry.register(
            "queue_refused",
            "Commands that got no slot, by reason",
            families.refused.clone(),
        );
        registry.register(
            "queue_left",
            "Commands whose clients left the line",
            families.left.clone(),
        );
        families
    }

    pub(super) fn of(&self, entry: &Entry) -> QueueMetrics {
        let environment = Name(entry.environment.local.clone());
        let labels = EnvironmentLabels {
            environment: environment.clone(),
        };
        let refused = |reason| {
            let environment = environment.clone();
            let labels = RefusedLabels {
                environment,
                reason,
            };
            self.refused.get_or_create_owned(&labels)
        };
        QueueMetrics {
            waiting: self.waiting.get_or_create_owned(&labels),
            running: self.running.get_or_create_owned(&labels),
            wait: self.wait.get_or_create_owned(&labels),
            full: refused("full"),
            timeout: refused("timeout"),
            left: self.left.get_or_create_owned(&labels),
        }
    }

    /// Sets what is only known at the moment of a scrape.
    pub(super) fn observe(&self, entry: &Entry, longest_wait: Option<Duration>) {
        // a series for an environment that is known, also while it was never used
        drop(self.of(entry));
        let labels = EnvironmentLabels {
            environment: Name(entry.environment.local.clone()),
        };
        let longest = longest_wait.unwrap_or_default().as_secs_f64();
        self.longest.get_or_create(&labels).set(longest);
    }
}

impl Default for QueueMetrics {
    /// Numbers that nobody shows.
    fn default() -> Self {
        Self {
            waiting: Gauge::default(),
            running: Gauge::default(),
            wait: waits(),
            full: Counter::default(),
            timeout: Counter::default(),
            left: Counter::default(),
        }
    }
}

fn waits() -> Histogram {
    Histogram::new(BUCKETS)
}

/// From no wait at all to the longest that may be configured, in seconds.
const BUCKETS: [f64; 10] = [0.0, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0];
