//! Counters and histograms, in OpenMetrics text. A registry of our own, so that two gateways
//! in one process (tests) do not share numbers.

use super::queue::{QueueFamilies, QueueMetrics};
use crate::names::{Code, Entry, code};
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

/// Everything that is counted.
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

/// A name as a label without an allocation for each event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name(pub(super) crate::names::EnvName);

impl EncodeLabelValue for Name {
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
    environment: Name,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EnvironmentLabels {
    pub(super) environment: Name,
}

/// What one environment looks like at the moment of a scrape.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The environment.
    pub entry: &'a Entry,
    /// The age of its live token.
    pub token_age: Option<Duration>,
    /// How long the command that has waited longest has waited.
    pub longest_wait: Option<Duration>,
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
            "Requests answered, by kind and status",
            metrics.requests.clone(),
        );
        registry.register(
            "faults",
            "Replies made by the gateway itself, by fault code",
            metrics.faults.clone(),
        );
        registry.register(
            "mints",
            "CLI tokens asked of AWS, by outcome",
            metrics.mints.clone(),
        );
        registry.register(
            "sign_ins",
            "Airflow sessions opened with a web token, by outcome",
            metrics.sign_ins.clone(),
        );
        registry.register(
            "audit_lost",
            "Lines that are missing in the audit log",
            metrics.audit_lost.clone(),
        );
        registry.register_with_unit(
            "token_age",
            "Age of the live CLI token",
            Unit::Seconds,
            metrics.token_age.clone(),
        );
        registry.register_with_unit(
            "request",
            "Time from the request head to the reply head",
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
    /// Counts one answered request.
    pub fn request(&self, kind: &'static str, status: u16, took: Duration) {
        self.requests
            .get_or_create(&RequestLabels { kind, status })
            .inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts one fault.
    pub fn fault(&self, code: &'static Code) {
        let labels = FaultLabels {
            code: code.text,
            blame: code.blame.word(),
        };
        self.faults.get_or_create(&labels).inc();
    }

    /// Counts one mint.
    pub fn mint(&self, entry: &Entry, outcome: &'static str) {
        let environment = Name(entry.environment.local.clone());
        self.mints
            .get_or_create(&MintLabels {
                environment,
                outcome,
            })
            .inc();
    }

    /// Counts one sign-in.
    pub fn sign_in(&self, entry: &Entry, outcome: &'static str) {
        let environment = Name(entry.environment.local.clone());
        self.sign_ins
            .get_or_create(&MintLabels {
                environment,
                outcome,
            })
            .inc();
    }

    /// Counts one line that is missing in the audit log.
    pub fn audit_lost(&self) {
        self.audit_lost.inc();
    }

    /// The numbers of an environment's queue.
    pub fn queue(&self, entry: &Entry) -> QueueMetrics {
        self.queues.of(entry)
    }

    /// The faults so far by code, for `/status`.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        let counted = code::ALL.iter().map(|code| {
            let labels = FaultLabels {
                code: code.text,
                blame: code.blame.word(),
            };
            (
                code.text,
                self.faults.get(&labels).map_or(0, |counter| counter.get()),
            )
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// All metrics as text, with gauges as observed now.
    pub fn text(&self, observed: &[Observed<'_>]) -> String {
        for one in observed {
            let labels = EnvironmentLabels {
                environment: Name(one.entry.environment.local.clone()),
            };
            self.queues.observe(one.entry, one.longest_wait);
            match one.token_age {
                Some(age) => {
                    self.token_age.get_or_create(&labels).set(age.as_secs_f64());
                }
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

/// From a cached refusal to a long command, in seconds.
const BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::default();
        metrics.request("cli", 200, Duration::from_millis(3));
        metrics.fault(&code::FOREIGN_HOST);
        let text = metrics.text(&[]);
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
