//! Counters and histograms, rendered as OpenMetrics text. Each gateway has a registry of its own, so
//! that two in one process (tests) do not share numbers.

use mwaa_model::{Code, Entry, EnvName, code};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The metrics of a gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    faults: Family<FaultLabels, Counter>,
    mints: Family<MintLabels, Counter>,
    sign_ins: Family<MintLabels, Counter>,
    audit_lost: Counter,
    queues: QueueFamilies,
    token_age: Family<EnvironmentLabels, Gauge<f64, AtomicU64>>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("mwaa_gateway");
        let metrics = Self {
            requests: Family::default(),
            faults: Family::default(),
            mints: Family::default(),
            sign_ins: Family::default(),
            audit_lost: Counter::default(),
            queues: QueueFamilies::register(&mut registry),
            token_age: Family::default(),
            seconds: Histogram::new(BUCKETS),
            registry: Registry::default(),
        };

        registry.register(
            "requests",
            "Requests, counted when the response ends. If the response broke, kind is fault and status 502",
            metrics.requests.clone(),
        );
        registry.register(
            "faults",
            "Responses of the gateway itself, by fault code",
            metrics.faults.clone(),
        );
        registry.register(
            "mints",
            "CLI tokens requested from AWS; the outcome is ok, retried or a fault code",
            metrics.mints.clone(),
        );
        registry.register(
            "sign_ins",
            "Airflow sessions opened; the outcome is ok, retried or a fault code",
            metrics.sign_ins.clone(),
        );
        registry.register(
            "audit_lost",
            "Lines that are missing from the audit log",
            metrics.audit_lost.clone(),
        );
        registry.register_with_unit(
            "token_age",
            "Age of the CLI token in use; absent if there is none",
            Unit::Seconds,
            metrics.token_age.clone(),
        );
        registry.register_with_unit(
            "request",
            "Time from the head of a request to the head of its response",
            Unit::Seconds,
            metrics.seconds.clone(),
        );

        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// Counts one request that has got its response.
    pub fn count_request(&self, kind: &'static str, status: u16, took: Duration) {
        self.requests
            .get_or_create(&RequestLabels { kind, status })
            .inc();
        // one histogram for all kinds: labels would multiply its buckets
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts one fault.
    pub fn count_fault(&self, code: &'static Code) {
        self.faults.get_or_create(&FaultLabels::new(code)).inc();
    }

    /// Counts one mint of a CLI token.
    pub fn count_mint(&self, entry: &Entry, outcome: &'static str) {
        self.mints
            .get_or_create(&MintLabels::new(entry, outcome))
            .inc();
    }

    /// Counts one login to a web server.
    pub fn count_login(&self, entry: &Entry, outcome: &'static str) {
        self.sign_ins
            .get_or_create(&MintLabels::new(entry, outcome))
            .inc();
    }

    /// Counts one line that is missing in the audit log.
    pub fn count_audit_loss(&self) {
        self.audit_lost.inc();
    }

    /// Returns the metrics of an environment's queue.
    pub fn queue_metrics(&self, entry: &Entry) -> QueueMetrics {
        self.queues.get_or_create(entry)
    }

    /// Returns the number of faults so far by code, for `/status`.
    pub fn fault_counts(&self) -> BTreeMap<&'static str, u64> {
        // only those that have occurred
        let counts = code::ALL.iter().map(|code| {
            let counter = self.faults.get(&FaultLabels::new(code));
            (code.text, counter.map_or(0, |counter| counter.get()))
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Renders all metrics as text, with the gauges of these environments.
    pub fn render(&self, environments: &[EnvironmentSnapshot<'_>]) -> String {
        for snapshot in environments {
            self.queues
                .set_longest(snapshot.entry, snapshot.longest_wait);
            let labels = EnvironmentLabels::new(snapshot.entry);
            match snapshot.token_age {
                Some(age) => {
                    self.token_age.get_or_create(&labels).set(age.as_secs_f64());
                }
                // 0 would be the age of a new token
                None => {
                    self.token_age.remove(&labels);
                }
            }
        }

        let mut text = String::new();
        // writing to a String does not fail
        let _infallible = encode(&mut text, &self.registry);
        text
    }
}

/// The state of one environment at the time of a scrape.
#[derive(Debug)]
pub struct EnvironmentSnapshot<'a> {
    /// The environment.
    pub entry: &'a Entry,
    /// The age of its live token.
    pub token_age: Option<Duration>,
    /// The longest time that a command in its queue has waited so far.
    pub longest_wait: Option<Duration>,
}

/// The metrics of one environment's queue.
#[derive(Debug, Clone)]
pub struct QueueMetrics {
    /// Commands that wait for a slot.
    pub waiting: Gauge,
    /// Commands that have a slot.
    pub running: Gauge,
    /// The time that commands waited for the slot that they got, in seconds.
    pub wait: Histogram,
    /// Commands refused because the queue was full.
    pub full: Counter,
    /// Commands refused because they had waited too long.
    pub timeout: Counter,
    /// Commands whose clients left the queue.
    pub left: Counter,
}

/// The metrics of all queues.
#[derive(Debug, Clone)]
struct QueueFamilies {
    waiting: Family<EnvironmentLabels, Gauge>,
    running: Family<EnvironmentLabels, Gauge>,
    wait: Family<EnvironmentLabels, Histogram, fn() -> Histogram>,
    refused: Family<RefusedLabels, Counter>,
    left: Family<EnvironmentLabels, Counter>,
    longest: Family<EnvironmentLabels, Gauge<f64, AtomicU64>>,
}

impl QueueFamilies {
    fn register(registry: &mut Registry) -> Self {
        let families = Self {
            waiting: Family::default(),
            running: Family::default(),
            wait: Family::new_with_constructor(make_wait_histogram),
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
            "Commands that hold a slot",
            families.running.clone(),
        );
        registry.register_with_unit(
            "queue_wait",
            "Time that commands waited for their slot; 0 if one was free",
            Unit::Seconds,
            families.wait.clone(),
        );
        registry.register_with_unit(
            "queue_longest_wait",
            "Longest time that a command in the queue has waited",
            Unit::Seconds,
            families.longest.clone(),
        );
        registry.register(
            "queue_refused",
            "Commands that got no slot; the reason is full or timeout",
            families.refused.clone(),
        );
        registry.register(
            "queue_left",
            "Commands whose clients left the queue; nothing was sent for them",
            families.left.clone(),
        );
        families
    }

    fn get_or_create(&self, entry: &Entry) -> QueueMetrics {
        let labels = EnvironmentLabels::new(entry);
        let refused = |reason| {
            let labels = RefusedLabels {
                environment: NameLabel::new(entry),
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

    fn set_longest(&self, entry: &Entry, longest_wait: Option<Duration>) {
        // a known environment has its series even if it was never used
        drop(self.get_or_create(entry));
        let longest = longest_wait.unwrap_or_default().as_secs_f64();
        self.longest
            .get_or_create(&EnvironmentLabels::new(entry))
            .set(longest);
    }
}

impl Default for QueueMetrics {
    /// Creates metrics that are not shown.
    fn default() -> Self {
        Self {
            waiting: Gauge::default(),
            running: Gauge::default(),
            wait: make_wait_histogram(),
            full: Counter::default(),
            timeout: Counter::default(),
            left: Counter::default(),
        }
    }
}

fn make_wait_histogram() -> Histogram {
    Histogram::new(WAIT_BUCKETS)
}

/// An environment's name as a label. Cloning it counts a reference and allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct NameLabel(EnvName);

impl EncodeLabelValue for NameLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(self.0.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    code: &'static str,
    blame: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MintLabels {
    environment: NameLabel,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EnvironmentLabels {
    environment: NameLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    environment: NameLabel,
    reason: &'static str,
}

impl FaultLabels {
    const fn new(code: &Code) -> Self {
        Self {
            code: code.text,
            blame: code.blame.as_str(),
        }
    }
}

impl MintLabels {
    fn new(entry: &Entry, outcome: &'static str) -> Self {
        Self {
            environment: NameLabel::new(entry),
            outcome,
        }
    }
}

impl EnvironmentLabels {
    fn new(entry: &Entry) -> Self {
        Self {
            environment: NameLabel::new(entry),
        }
    }
}

impl NameLabel {
    fn new(entry: &Entry) -> Self {
        Self(entry.environment.local.clone())
    }
}

/// From a cached refusal to a long command, in seconds.
const BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

/// From no wait at all to the longest that may be configured, in seconds.
const WAIT_BUCKETS: [f64; 10] = [0.0, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_requests_and_faults_are_rendered() {
        let metrics = Metrics::default();
        metrics.count_request("cli", 200, Duration::from_millis(3));
        metrics.count_fault(&code::FOREIGN_HOST);
        let text = metrics.render(&[]);
        assert!(
            text.contains("mwaa_gateway_requests_total{kind=\"cli\",status=\"200\"} 1"),
            "{text}"
        );
        assert!(text.contains(
            "mwaa_gateway_faults_total{code=\"guard.foreign_host\",blame=\"caller\"} 1"
        ));
        assert!(text.contains("mwaa_gateway_request_seconds_bucket{le=\"0.005\"} 1"));
        assert!(text.ends_with("# EOF\n"));
    }
}
