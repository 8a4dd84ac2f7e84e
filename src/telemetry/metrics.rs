//! Counters and histograms, rendered as OpenMetrics text. Each gateway has its own, so that two in
//! one process (tests) do not share numbers.
//!
//! What each request counts is in cells with one writer, its worker thread or its queue; they are
//! summed when they are read. What is rare is counted under a lock.

use mwaa_model::{Code, Entry, EnvName};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The metrics of a gateway.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The cells of all worker threads.
    requests: Mutex<RequestCounts>,
    /// One of each worker thread.
    seconds: Mutex<Vec<Arc<Histogram>>>,
    queues: Mutex<Vec<(EnvName, Arc<QueueCells>)>>,
    faults: Counters<(&'static str, &'static str)>,
    mints: Counters<(EnvName, &'static str)>,
    sign_ins: Counters<(EnvName, &'static str)>,
    audit_lost: AtomicU64,
}

impl Metrics {
    /// Returns the metrics of one more worker thread.
    pub fn worker_metrics(self: &Arc<Self>) -> WorkerMetrics {
        let seconds = Arc::new(Histogram::new(&BUCKETS));
        lock(&self.seconds).push(Arc::clone(&seconds));
        WorkerMetrics {
            metrics: Arc::clone(self),
            requests: RefCell::default(),
            seconds,
        }
    }

    /// Returns the metrics of one more queue, an environment's.
    pub fn queue_metrics(&self, entry: &Entry) -> QueueMetrics {
        let cells = Arc::<QueueCells>::default();
        let name = entry.environment.local.clone();
        lock(&self.queues).push((name, Arc::clone(&cells)));
        QueueMetrics(cells)
    }

    /// Counts one fault.
    pub fn count_fault(&self, code: &'static Code) {
        self.faults.count((code.text, code.blame.as_str()));
    }

    /// Counts one mint of a CLI token.
    pub fn count_mint(&self, entry: &Entry, outcome: &'static str) {
        self.mints.count((entry.environment.local.clone(), outcome));
    }

    /// Counts one login to a web server.
    pub fn count_login(&self, entry: &Entry, outcome: &'static str) {
        self.sign_ins
            .count((entry.environment.local.clone(), outcome));
    }

    /// Counts one line that is missing in the audit log.
    pub fn count_audit_loss(&self) {
        self.audit_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of faults so far by code, for `/status`.
    pub fn fault_counts(&self) -> BTreeMap<&'static str, u64> {
        let faults = lock(&self.faults.0);
        let counts = faults.iter().map(|((code, _), count)| (*code, *count));
        counts.collect()
    }

    /// Renders all metrics as text, with the gauges of these environments.
    pub fn render(&self, environments: &[EnvironmentSnapshot<'_>]) -> String {
        let mut scrape = Scrape::default();
        self.add_queues(environments, &mut scrape);
        self.add_requests(&mut scrape);

        let faults = lock(&self.faults.0);
        scrape.add(
            "faults",
            "Responses of the gateway itself, by fault code",
            faults.iter().map(|((code, blame), count)| {
                let labels = vec![("code", (*code).to_owned()), ("blame", (*blame).to_owned())];
                (labels, Sample::Count(*count))
            }),
        );
        drop(faults);
        scrape.add(
            "mints",
            "CLI tokens requested from AWS; the outcome is ok, retried or a fault code",
            self.mints.outcomes(),
        );
        scrape.add(
            "sign_ins",
            "Airflow sessions opened; the outcome is ok, retried or a fault code",
            self.sign_ins.outcomes(),
        );
        let lost = self.audit_lost.load(Ordering::Relaxed);
        scrape.add(
            "audit_lost",
            "Lines that are missing from the audit log",
            [(Vec::new(), Sample::Count(lost))],
        );

        // 0 would be the age of a new token
        let ages = environments.iter().filter_map(|snapshot| {
            let labels = vec![environment_label(&snapshot.entry.environment.local)];
            Some((labels, Sample::Seconds(snapshot.token_age?)))
        });
        scrape.add(
            "token_age",
            "Age of the CLI token in use; absent if there is none",
            ages,
        );
        let seconds = Histogram::new(&BUCKETS);
        for worker in &*lock(&self.seconds) {
            seconds.add(worker);
        }
        scrape.add(
            "request",
            "Time from the head of a request to the head of its response",
            [(Vec::new(), seconds.sample())],
        );
        scrape.render()
    }

    fn add_requests(&self, scrape: &mut Scrape) {
        let mut requests = BTreeMap::new();
        for (labels, cell) in &*lock(&self.requests) {
            *requests.entry(*labels).or_insert(0) += cell.get();
        }
        scrape.add(
            "requests",
            "Requests, counted when the response ends. If the response broke, kind is fault and status 502",
            requests.into_iter().map(|((kind, status), count)| {
                let labels = vec![("kind", kind.to_owned()), ("status", status.to_string())];
                (labels, Sample::Count(count))
            }),
        );
    }

    /// Returns the sums of all queues by environment.
    fn sum_queues(
        &self,
        environments: &[EnvironmentSnapshot<'_>],
    ) -> BTreeMap<EnvName, QueueCells> {
        let mut queues = BTreeMap::<EnvName, QueueCells>::new();
        for (name, cells) in &*lock(&self.queues) {
            queues.entry(name.clone()).or_default().add(cells);
        }
        for snapshot in environments {
            // a known environment has its series even if it was never used
            let name = snapshot.entry.environment.local.clone();
            queues.entry(name).or_default();
        }
        queues
    }

    fn add_queues(&self, environments: &[EnvironmentSnapshot<'_>], scrape: &mut Scrape) {
        let queues = self.sum_queues(environments);
        let of_each = |sample: fn(&QueueCells) -> Sample| {
            let samples = queues.iter();
            samples.map(move |(name, cells)| (vec![environment_label(name)], sample(cells)))
        };

        scrape.add(
            "queue_waiting",
            "Commands that wait for a slot",
            of_each(|cells| Sample::Number(cells.waiting.get())),
        );
        scrape.add(
            "queue_running",
            "Commands that hold a slot",
            of_each(|cells| Sample::Number(cells.running.get())),
        );
        scrape.add(
            "queue_wait",
            "Time that commands waited for their slot; 0 if one was free",
            of_each(|cells| cells.wait.sample()),
        );
        scrape.add(
            "queue_longest_wait",
            "Longest time that a command in the queue has waited",
            environments.iter().map(|snapshot| {
                let labels = vec![environment_label(&snapshot.entry.environment.local)];
                let longest = snapshot.longest_wait.unwrap_or_default();
                (labels, Sample::Seconds(longest))
            }),
        );
        let refused = queues.iter().flat_map(|(name, cells)| {
            let reasons = [("full", &cells.full), ("timeout", &cells.timeout)];
            reasons.map(|(reason, cell)| {
                let labels = vec![environment_label(name), ("reason", reason.to_owned())];
                (labels, Sample::Count(cell.get()))
            })
        });
        scrape.add(
            "queue_refused",
            "Commands that got no slot; the reason is full or timeout",
            refused,
        );
        scrape.add(
            "queue_left",
            "Commands whose clients left the queue; nothing was sent for them",
            of_each(|cells| Sample::Count(cells.left.get())),
        );
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

/// Counts of requests by kind and status.
type RequestCounts = Vec<((&'static str, u16), Arc<Count>)>;

/// The metrics of one worker thread.
#[derive(Debug)]
pub struct WorkerMetrics {
    metrics: Arc<Metrics>,
    /// The cells that this thread writes.
    requests: RefCell<RequestCounts>,
    seconds: Arc<Histogram>,
}

impl WorkerMetrics {
    /// Counts one request that has got its response.
    pub fn count_request(&self, kind: &'static str, status: u16, took: Duration) {
        let labels = (kind, status);
        let mut requests = self.requests.borrow_mut();
        // there are few: to compare them takes less time than a hash
        if let Some((_, cell)) = requests.iter().find(|(known, _)| *known == labels) {
            cell.increment();
        } else {
            let cell = Arc::<Count>::default();
            cell.increment();
            lock(&self.metrics.requests).push((labels, Arc::clone(&cell)));
            requests.push((labels, cell));
        }
        // one histogram for all kinds: labels would multiply its buckets
        self.seconds.observe(took);
    }
}

/// The metrics of one queue. It has no clones, and what changes it needs it alone.
#[derive(Debug)]
pub struct QueueMetrics(Arc<QueueCells>);

impl QueueMetrics {
    /// Sets the numbers of commands that wait for a slot and that have one.
    pub fn set_commands(&mut self, waiting: usize, running: usize) {
        self.0.waiting.set(waiting as u64);
        self.0.running.set(running as u64);
    }

    /// Counts a command that has got its slot, and the time for which it waited.
    pub fn count_wait(&mut self, waited: Duration) {
        self.0.wait.observe(waited);
    }

    /// Counts a command that was refused because the queue was full.
    pub fn count_full(&mut self) {
        self.0.full.increment();
    }

    /// Counts a command that was refused because it had waited too long.
    pub fn count_timeout(&mut self) {
        self.0.timeout.increment();
    }

    /// Counts a command whose client left the queue.
    pub fn count_left(&mut self) {
        self.0.left.increment();
    }
}

#[derive(Debug)]
struct QueueCells {
    waiting: Count,
    running: Count,
    wait: Histogram,
    full: Count,
    timeout: Count,
    left: Count,
}

impl Default for QueueCells {
    fn default() -> Self {
        Self {
            waiting: Count::default(),
            running: Count::default(),
            wait: Histogram::new(&WAIT_BUCKETS),
            full: Count::default(),
            timeout: Count::default(),
            left: Count::default(),
        }
    }
}

impl QueueCells {
    fn add(&self, other: &Self) {
        self.waiting.add(other.waiting.get());
        self.running.add(other.running.get());
        self.wait.add(&other.wait);
        self.full.add(other.full.get());
        self.timeout.add(other.timeout.get());
        self.left.add(other.left.get());
    }
}

/// A number that one thread at a time writes, and that any thread reads.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    fn add(&self, number: u64) {
        // no other thread can write in between, so this need not be one step
        self.set(self.get().wrapping_add(number));
    }

    fn increment(&self) {
        self.add(1);
    }
}

/// Times by buckets.
#[derive(Debug)]
struct Histogram {
    /// The upper bound of each bucket, in seconds, and the number of times that are in no lower one.
    buckets: Vec<(f64, Count)>,
    /// All times together, in nanoseconds.
    sum: Count,
}

impl Histogram {
    fn new(bounds: &[f64]) -> Self {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        Self {
            buckets: bounds.map(|bound| (bound, Count::default())).collect(),
            sum: Count::default(),
        }
    }

    fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        // the last bound is infinite
        if let Some((_, cell)) = self.buckets.iter().find(|(bound, _)| seconds <= *bound) {
            cell.increment();
        }
        self.sum
            .add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn add(&self, other: &Self) {
        for ((_, cell), (_, other)) in self.buckets.iter().zip(&other.buckets) {
            cell.add(other.get());
        }
        self.sum.add(other.sum.get());
    }

    fn sample(&self) -> Sample {
        let buckets = self.buckets.iter();
        Sample::Times {
            sum: Duration::from_nanos(self.sum.get()),
            buckets: buckets.map(|(bound, cell)| (*bound, cell.get())).collect(),
        }
    }
}

/// Counters by label that are rarely written.
#[derive(Debug)]
struct Counters<L>(Mutex<BTreeMap<L, u64>>);

impl<L> Default for Counters<L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<L: Ord> Counters<L> {
    fn count(&self, labels: L) {
        *lock(&self.0).entry(labels).or_insert(0) += 1;
    }
}

impl Counters<(EnvName, &'static str)> {
    fn outcomes(&self) -> Vec<LabelledSample> {
        let counts = lock(&self.0);
        let samples = counts.iter().map(|((name, outcome), count)| {
            let labels = vec![environment_label(name), ("outcome", (*outcome).to_owned())];
            (labels, Sample::Count(*count))
        });
        samples.collect()
    }
}

/// The metrics at the time of a scrape.
#[derive(Debug, Default)]
struct Scrape(Vec<ScrapedMetric>);

#[derive(Debug)]
struct ScrapedMetric {
    /// The name without its prefix, unit and suffix.
    name: &'static str,
    help: &'static str,
    samples: Vec<LabelledSample>,
}

type LabelledSample = (Vec<Label>, Sample);
type Label = (&'static str, String);

#[derive(Debug)]
enum Sample {
    /// A counter.
    Count(u64),
    /// A gauge.
    Number(u64),
    /// A gauge in seconds.
    Seconds(Duration),
    /// A histogram in seconds: all times together, and the number in each bucket.
    Times {
        sum: Duration,
        buckets: Vec<(f64, u64)>,
    },
}

impl Scrape {
    /// Adds a metric. One without samples is not shown.
    fn add(
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

    fn render(self) -> String {
        let mut registry = Registry::with_prefix("mwaa_gateway");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // writing to a String does not fail
        let _infallible = encode(&mut text, &registry);
        text
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in &self.0 {
            let Some((_, first)) = metric.samples.first() else {
                continue;
            };
            let (kind, unit) = match first {
                Sample::Count(_) => (MetricType::Counter, None),
                Sample::Number(_) => (MetricType::Gauge, None),
                Sample::Seconds(_) => (MetricType::Gauge, Some(Unit::Seconds)),
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
            Self::Number(number) => series.encode_gauge(number),
            Self::Seconds(time) => series.encode_gauge(&time.as_secs_f64()),
            Self::Times { sum, buckets } => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                series.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, buckets, None)
            }
        }
    }
}

fn environment_label(name: &EnvName) -> Label {
    ("environment", name.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    use mwaa_model::{EntryId, Environment, code};
    use std::thread;

    #[test]
    fn the_counts_of_all_threads_and_queues_are_summed() {
        let metrics = Arc::new(Metrics::default());
        thread::scope(|scope| {
            for status in [200, 200, 502] {
                let worker = metrics.worker_metrics();
                scope.spawn(move || {
                    worker.count_request("cli", status, Duration::from_millis(3));
                    worker.count_request("cli", status, Duration::from_secs(400));
                });
            }
        });
        metrics.count_fault(&code::FOREIGN_HOST);
        let environment = Environment::new(EnvName::new("demo").unwrap(), "demo");
        let entry = Entry::new(EntryId(0), environment);
        for waited in [0, 3] {
            let mut queue = metrics.queue_metrics(&entry);
            queue.set_commands(2, 1);
            queue.count_wait(Duration::from_secs(waited));
        }
        metrics.count_mint(&entry, "ok");

        let text = metrics.render(&[]);
        for line in [
            "requests_total{kind=\"cli\",status=\"200\"} 4",
            "requests_total{kind=\"cli\",status=\"502\"} 2",
            "faults_total{code=\"guard.foreign_host\",blame=\"caller\"} 1",
            "mints_total{environment=\"demo\",outcome=\"ok\"} 1",
            "request_seconds_bucket{le=\"0.001\"} 0",
            "request_seconds_bucket{le=\"0.005\"} 3",
            "request_seconds_bucket{le=\"+Inf\"} 6",
            "request_seconds_count 6",
            "request_seconds_sum 1200.009",
            "queue_waiting{environment=\"demo\"} 4",
            "queue_running{environment=\"demo\"} 2",
            "queue_wait_seconds_bucket{le=\"0.0\",environment=\"demo\"} 1",
            "queue_wait_seconds_bucket{le=\"5.0\",environment=\"demo\"} 2",
            "queue_wait_seconds_sum{environment=\"demo\"} 3.0",
        ] {
            let line = format!("\nmwaa_gateway_{line}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn what_has_no_samples_is_not_shown() {
        let text = Metrics::default().render(&[]);
        assert!(
            text.contains("# TYPE mwaa_gateway_audit_lost counter\n"),
            "{text}"
        );
        assert!(!text.contains("mwaa_gateway_token_age"), "{text}");
    }
}
