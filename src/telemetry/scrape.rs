//! The metrics at the time of a scrape, and their text. Names follow the conventions of Prometheus and
//! OpenMetrics: base units, the unit at the end, `_total` for counters.

use mwaa_model::EnvName;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::time::Duration;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's own, version 0.0.4: for programs that do not ask for another.
    Prometheus,
}

impl MetricsFormat {
    /// The media type, for `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The metrics at the time of a scrape.
#[derive(Debug, Default)]
pub(super) struct Scrape(Vec<ScrapedMetric>);

#[derive(Debug)]
struct ScrapedMetric {
    /// The name without the unit and without `_total`.
    name: &'static str,
    help: &'static str,
    samples: Vec<LabelledSample>,
}

pub(super) type LabelledSample = (Vec<Label>, Sample);
pub(super) type Label = (&'static str, String);

/// The value of a series.
#[derive(Debug)]
pub(super) enum Sample {
    /// A counter.
    Count(u64),
    /// A counter in seconds.
    Spent(Duration),
    /// A gauge.
    Number(u64),
    /// A gauge in seconds.
    Seconds(Duration),
    /// A gauge in bytes.
    Size(u64),
    /// A histogram in seconds: all times together, and the number in each bucket.
    Times {
        sum: Duration,
        buckets: Vec<(f64, u64)>,
    },
}

impl Scrape {
    /// Adds a metric. One without samples is not shown.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = LabelledSample>,
    ) {
        self.0.push(ScrapedMetric {
            name,
            help,
            samples: samples.into_iter().collect(),
        });
    }

    /// Adds a metric of one series without labels; nothing if the value is not known.
    pub(super) fn add_one(
        &mut self,
        name: &'static str,
        help: &'static str,
        sample: impl Into<Option<Sample>>,
    ) {
        let sample = sample.into();
        self.add(name, help, sample.map(|sample| (Vec::new(), sample)));
    }

    pub(super) fn render(self, format: MetricsFormat) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // writing to a String does not fail
        let _infallible = encode(&mut text, &registry);
        match format {
            MetricsFormat::OpenMetrics => text,
            MetricsFormat::Prometheus => to_prometheus(&text),
        }
    }
}

/// Returns OpenMetrics text in the format of Prometheus: there a counter's own name ends in `_total`,
/// and units and the end are not marked.
fn to_prometheus(open_metrics: &str) -> String {
    let is_counter = |name: &str| open_metrics.contains(&format!("# TYPE {name} counter\n"));
    let lines = open_metrics.lines().filter_map(|line| {
        let Some(comment) = line.strip_prefix("# ") else {
            return Some(format!("{line}\n"));
        };
        let mut words = comment.splitn(3, ' ');
        let (keyword, name, rest) = (words.next()?, words.next()?, words.next()?);
        let suffix = if is_counter(name) { "_total" } else { "" };
        (keyword != "UNIT").then(|| format!("# {keyword} {name}{suffix} {rest}\n"))
    });
    lines.collect()
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in &self.0 {
            let Some((_, first)) = metric.samples.first() else {
                continue;
            };
            let (kind, unit) = match first {
                Sample::Count(_) => (MetricType::Counter, None),
                Sample::Spent(_) => (MetricType::Counter, Some(Unit::Seconds)),
                Sample::Number(_) => (MetricType::Gauge, None),
                Sample::Seconds(_) => (MetricType::Gauge, Some(Unit::Seconds)),
                Sample::Size(_) => (MetricType::Gauge, Some(Unit::Bytes)),
                Sample::Times { .. } => (MetricType::Histogram, Some(Unit::Seconds)),
            };

            // a sentence, as for metrics that a registry holds itself
            let help = format!("{}.", metric.help);
            let mut family =
                encoder.encode_descriptor(metric.name, &help, unit.as_ref(), kind)?;
            for (labels, sample) in &metric.samples {
                if labels.is_empty() {
                    sample.encode(&mut family)?;
                } else {
                    sample.encode(&mut family.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

impl Sample {
    fn encode(&self, series: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => series.encode_counter::<NoLabelSet, _, f64>(count, None),
            Self::Spent(time) => {
                series.encode_counter::<NoLabelSet, _, f64>(&time.as_secs_f64(), None)
            }
            Self::Number(number) | Self::Size(number) => series.encode_gauge(number),
            Self::Seconds(time) => series.encode_gauge(&time.as_secs_f64()),
            Self::Times { sum, buckets } => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                series.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, buckets, None)
            }
        }
    }
}

/// Returns the label of an environment. Its value is empty if there is none, which is the same as no
/// label.
pub(super) fn environment_label(name: Option<&EnvName>) -> Label {
    let name = name.map(ToString::to_string);
    ("environment", name.unwrap_or_default())
}
