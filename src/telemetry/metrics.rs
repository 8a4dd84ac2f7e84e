//! The metrics of a gateway, rendered as text. Each gateway has its own, so that two in one process
//! (tests) do not share numbers.
//!
//! What each request counts is in cells with one writer, its worker thread or its queue; they are
//! summed when they are read. What is rare is counted under a lock.

use super::ConfigurationState;
use super::cells::{Count, Counters, Histogram, lock};
use super::history::{Activity, History, Totals};
use super::process::{StartTime, add_process};
use super::scrape::{LabelledSample, MetricsFormat, Sample, Scrape, environment_label};
use mwaa_model::{Code, Entry, EntryId, EnvName};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The metrics of a gateway.
#[derive(Debug, Default)]
pub struct Metrics {
    started: StartTime,
    /// The cells of all worker threads.
    requests: Mutex<Vec<RequestCell>>,
    queues: Mutex<Vec<(EnvName, Arc<QueueCells>)>>,
    faults: Counters<(&'static str, &'static str, Option<EnvName>)>,
    mints: Counters<(EnvName, &'static str)>,
    logins: Counters<(EnvName, &'static str)>,
    upstream_connections: Counters<EnvName>,
    audit_lost: AtomicU64,
    store: Mutex<BTreeMap<&'static str, StoreCells>>,
    without_store: Counters<EnvName>,
    fleet_panics: AtomicU64,
    history: History,
    /// The result of reading the configuration.
    pub configuration: ConfigurationState,
}

impl Metrics {
    /// Returns the metrics of one more worker thread.
    pub fn worker_metrics(self: &Arc<Self>) -> WorkerMetrics {
        WorkerMetrics {
            metrics: Arc::clone(self),
            requests: RefCell::default(),
        }
    }

    /// Returns the metrics of one more queue, an environment's.
    pub fn queue_metrics(&self, entry: &Entry) -> QueueMetrics {
        let cells = Arc::<QueueCells>::default();
        let name = entry.environment.local.clone();
        lock(&self.queues).push((name, Arc::clone(&cells)));
        QueueMetrics(cells)
    }

    /// Counts one fault, of a request for this environment if it was for one.
    pub fn count_fault(&self, code: &'static Code, environment: Option<&EnvName>) {
        self.faults
            .count((code.text, code.blame.as_str(), environment.cloned()));
    }

    /// Counts one mint of a CLI token.
    pub fn count_mint(&self, entry: &Entry, outcome: &'static str) {
        self.mints.count((entry.environment.local.clone(), outcome));
    }

    /// Counts one login to a web server.
    pub fn count_login(&self, entry: &Entry, outcome: &'static str) {
        self.logins
            .count((entry.environment.local.clone(), outcome));
    }

    /// Counts one connection that was opened to a web server.
    pub fn count_upstream_connection(&self, entry: &Entry) {
        self.upstream_connections
            .count(entry.environment.local.clone());
    }

    /// Counts one line that is missing in the audit log.
    pub fn count_audit_loss(&self) {
        self.audit_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one call of the fleet's store.
    pub fn count_store_call(&self, operation: &'static str, is_ok: bool, took: Duration) {
        let mut store = lock(&self.store);
        let cells = store.entry(operation).or_default();
        cells.time.observe(took);
        if !is_ok {
            cells.errors.increment();
        }
    }

    /// Counts a command that got a slot without the fleet's store.
    pub fn count_without_store(&self, environment: &EnvName) {
        self.without_store.count(environment.clone());
    }

    /// Counts a task of the fleet that panicked.
    pub fn count_fleet_panic(&self) {
        self.fleet_panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the totals of the fleet's store.
    pub fn store_totals(&self) -> StoreTotals {
        let mut totals = StoreTotals::default();
        for cells in lock(&self.store).values() {
            totals.calls += cells.time.count();
            totals.errors += cells.errors.get();
            totals.time += cells.time.sum();
        }
        let mints = self.mints.read();
        let logins = self.logins.read();
        let outcomes = mints.iter().chain(logins.iter());
        let shared = outcomes.filter(|((_, outcome), _)| *outcome == "shared");
        totals.shared = shared.map(|(_, count)| count).sum();
        totals
    }

    /// Returns the number of faults so far by code, for `/status`.
    pub fn fault_counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for ((code, ..), count) in &*self.faults.read() {
            *counts.entry(*code).or_insert(0) += count;
        }
        counts
    }

    /// Ends the minutes that are over by now, on the boot clock: to be called about once a minute.
    pub fn end_minutes(&self, now: Duration) {
        self.history
            .end_minutes(now, || self.totals(QueueCells::take_peak));
    }

    /// Returns the last 60 minutes of an environment, or of all, the oldest first and the current one
    /// last. `now` is the boot clock.
    pub fn last_hour(&self, only: Option<&EnvName>, now: Duration) -> Vec<Activity> {
        self.end_minutes(now);
        let totals = self.totals(QueueCells::peak);
        self.history.last_hour(only, &totals).to_vec()
    }

    fn totals(&self, waiting: fn(&QueueCells) -> u64) -> Totals {
        let mut totals = Totals::new();
        for cell in &*lock(&self.requests) {
            if cell.labels.kind != LOCAL_PAGE {
                let total = totals.entry(cell.environment.clone()).or_default();
                total.requests += cell.time.count();
            }
        }

        for ((_, _, environment), count) in &*self.faults.read() {
            totals.entry(environment.clone()).or_default().faults += count;
        }
        for ((environment, _), count) in &*self.mints.read() {
            totals.entry(Some(environment.clone())).or_default().mints += count;
        }
        for (environment, cells) in &*lock(&self.queues) {
            let total = totals.entry(Some(environment.clone())).or_default();
            total.waiting += waiting(cells);
        }
        totals
    }

    /// Renders all metrics as text, with the gauges of this moment.
    pub fn render(&self, now: &GatewaySnapshot<'_>, format: MetricsFormat) -> String {
        let mut scrape = Scrape::default();
        scrape.add(
            "mwaa_gateway_build_info",
            "1, with the version of the gateway as a label",
            [(vec![("version", now.version.to_owned())], Sample::Number(1))],
        );
        self.add_requests(&mut scrape);
        self.add_faults(&mut scrape);
        self.add_queues(&now.environments, &mut scrape);
        self.add_credentials(&now.environments, &mut scrape);
        self.add_connections(now, &mut scrape);
        self.add_configuration(&mut scrape);

        let lost = self.audit_lost.load(Ordering::Relaxed);
        scrape.add_one(
            "mwaa_gateway_audit_lines_lost",
            "Lines that are missing from the audit log",
            Sample::Count(lost),
        );
        if let Some(fleet) = &now.fleet {
            self.add_fleet(fleet, &mut scrape);
        }
        scrape.add_one(
            "mwaa_gateway_spans_dropped",
            "Spans of traces that no collector has got",
            Sample::Count(now.spans_dropped),
        );
        add_process(self.started, &mut scrape);
        scrape.render(format)
    }

    fn add_fleet(&self, fleet: &FleetSnapshot, scrape: &mut Scrape) {
        scrape.add_one(
            "mwaa_gateway_fleet_replicas",
            "Gateways of the fleet that were seen last, with this one",
            Sample::Number(fleet.replicas),
        );
        scrape.add_one(
            "mwaa_gateway_fleet_store_up",
            "1 if the last call of the fleet's store succeeded",
            Sample::Number(u64::from(fleet.is_store_up)),
        );

        let slots = fleet.slots.iter();
        scrape.add(
            "mwaa_gateway_fleet_slots",
            "Command slots that all gateways of the fleet hold",
            slots.map(|(name, held)| {
                (vec![environment_label(Some(name))], Sample::Number(*held))
            }),
        );
        let alone = self.without_store.read();
        scrape.add(
            "mwaa_gateway_fleet_commands_without_store",
            "Commands that got a slot while the fleet's store could not be used",
            alone.iter().map(|(name, count)| {
                (vec![environment_label(Some(name))], Sample::Count(*count))
            }),
        );
        drop(alone);
        let panics = self.fleet_panics.load(Ordering::Relaxed);
        scrape.add_one(
            "mwaa_gateway_fleet_panics",
            "Tasks of the fleet that panicked, and were started again",
            Sample::Count(panics),
        );
        self.add_store(scrape);
    }

    fn add_store(&self, scrape: &mut Scrape) {
        let store = lock(&self.store);
        let label = |operation: &&'static str| vec![("operation", (*operation).to_owned())];
        let calls = store.iter();
        scrape.add(
            "mwaa_gateway_fleet_call_duration",
            "Time of a call of the fleet's store, also of one that failed",
            calls.map(|(operation, cells)| (label(operation), cells.time.sample())),
        );
        let errors = store.iter();
        scrape.add(
            "mwaa_gateway_fleet_call_errors",
            "Calls of the fleet's store that failed or took too long",
            errors.map(|(operation, cells)| {
                (label(operation), Sample::Count(cells.errors.get()))
            }),
        );
    }

    fn add_requests(&self, scrape: &mut Scrape) {
        let mut counts = BTreeMap::new();
        let mut times = BTreeMap::new();
        for cell in &*lock(&self.requests) {
            let labels = cell.labels;
            let key = (labels.kind, labels.status, cell.environment.clone());
            *counts.entry(key).or_insert(0) += cell.time.count();
            let time = times.entry(labels.kind);
            time.or_insert_with(|| Histogram::new(&REQUEST_BUCKETS))
                .add(&cell.time);
        }

        scrape.add(
            "mwaa_gateway_requests",
            "Requests, counted when the response ends. If the response broke, kind is fault and status 502",
            counts.into_iter().map(|((kind, status, environment), count)| {
                let labels = vec![
                    ("kind", kind.to_owned()),
                    ("status", status.to_string()),
                    environment_label(environment.as_ref()),
                ];
                (labels, Sample::Count(count))
            }),
        );
        scrape.add(
            "mwaa_gateway_request_duration",
            "Time from the head of a request to the head of its response",
            times
                .into_iter()
                .map(|(kind, time)| (vec![("kind", kind.to_owned())], time.sample())),
        );
    }

    fn add_faults(&self, scrape: &mut Scrape) {
        let faults = self.faults.read();
        scrape.add(
            "mwaa_gateway_faults",
            "Responses of the gateway itself, by fault code",
            faults.iter().map(|((code, blame, environment), count)| {
                let labels = vec![
                    ("code", (*code).to_owned()),
                    ("blame", (*blame).to_owned()),
                    environment_label(environment.as_ref()),
                ];
                (labels, Sample::Count(*count))
            }),
        );
    }

    fn add_credentials(&self, environments: &[EnvironmentSnapshot<'_>], scrape: &mut Scrape) {
        scrape.add(
            "mwaa_gateway_mints",
            "CLI tokens requested from AWS; the outcome is ok, retried, a fault code, or shared: from another gateway of the fleet, without a call",
            self.mints.outcomes(),
        );
        scrape.add(
            "mwaa_gateway_logins",
            "Logins at web servers; the outcome is ok, retried, a fault code, or shared: a session of another gateway of the fleet, without a login",
            self.logins.outcomes(),
        );

        // 0 would be the age of a new token
        let ages = environments.iter().filter_map(|snapshot| {
            let label = environment_label(Some(&snapshot.entry.environment.local));
            Some((vec![label], Sample::Seconds(snapshot.token_age?)))
        });
        scrape.add(
            "mwaa_gateway_token_age",
            "Age of the CLI token in use; absent if there is none",
            ages,
        );
    }

    fn add_configuration(&self, scrape: &mut Scrape) {
        // the names that Prometheus has for its own configuration
        let failure = self.configuration.failure();
        scrape.add(
            "mwaa_gateway_config_last_reload_successful",
            "1 if the configuration in use is the one in the files; 0 if they cannot be used",
            [(Vec::new(), Sample::Number(failure.is_none().into()))],
        );
        let loaded = self
            .configuration
            .loaded()
            .map(|when| (Vec::new(), Sample::Seconds(when)));
        scrape.add(
            "mwaa_gateway_config_last_reload_success_timestamp",
            "Time at which the configuration in use was read, since 1970",
            loaded,
        );
    }

    fn add_connections(&self, now: &GatewaySnapshot<'_>, scrape: &mut Scrape) {
        scrape.add(
            "mwaa_gateway_connections",
            "Open connections of clients, by listener",
            now.connections.iter().map(|(listener, open)| {
                let labels = vec![("listener", (*listener).to_owned())];
                (labels, Sample::Number(*open as u64))
            }),
        );
        scrape.add_one(
            "mwaa_gateway_connections_max",
            "Connections of clients that may be open at once (limits.connections)",
            Sample::Number(now.max_connections as u64),
        );

        let opened = self.upstream_connections.read();
        scrape.add(
            "mwaa_gateway_upstream_connections",
            "Connections opened to web servers",
            opened.iter().map(|(name, count)| {
                (vec![environment_label(Some(name))], Sample::Count(*count))
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
            samples
                .map(move |(name, cells)| (vec![environment_label(Some(name))], sample(cells)))
        };

        scrape.add(
            "mwaa_gateway_queue_waiting",
            "Commands that wait for a slot",
            of_each(|cells| Sample::Number(cells.waiting.get())),
        );
        scrape.add(
            "mwaa_gateway_queue_running",
            "Commands that hold a slot",
            of_each(|cells| Sample::Number(cells.running.get())),
        );
        scrape.add(
            "mwaa_gateway_queue_wait",
            "Time that commands waited for their slot; 0 if one was free",
            of_each(|cells| cells.wait.sample()),
        );
        scrape.add(
            "mwaa_gateway_command_duration",
            "Time for which commands that were sent kept their slot",
            of_each(|cells| cells.command.sample()),
        );
        scrape.add(
            "mwaa_gateway_queue_longest_wait",
            "Longest time that a command in the queue has waited",
            environments.iter().map(|snapshot| {
                let labels = vec![environment_label(Some(&snapshot.entry.environment.local))];
                let longest = snapshot.longest_wait.unwrap_or_default();
                (labels, Sample::Seconds(longest))
            }),
        );
        let refused = queues.iter().flat_map(|(name, cells)| {
            let reasons = [("full", &cells.full), ("timeout", &cells.timeout)];
            reasons.map(|(reason, cell)| {
                let labels = vec![environment_label(Some(name)), ("reason", reason.to_owned())];
                (labels, Sample::Count(cell.get()))
            })
        });
        scrape.add(
            "mwaa_gateway_queue_refused",
            "Commands that got no slot; the reason is full or timeout",
            refused,
        );
        scrape.add(
            "mwaa_gateway_queue_left",
            "Commands whose clients left the queue; nothing was sent for them",
            of_each(|cells| Sample::Count(cells.left.get())),
        );
    }
}

/// The state of a gateway at the time of a scrape, as far as it is not counted here.
#[derive(Debug, Default)]
pub struct GatewaySnapshot<'a> {
    /// The version of the program.
    pub version: &'a str,
    /// The environments.
    pub environments: Vec<EnvironmentSnapshot<'a>>,
    /// The number of open connections of each listener, by its name.
    pub connections: Vec<(&'a str, usize)>,
    /// The number of connections that may be open.
    pub max_connections: usize,
    /// The number of spans that no collector has got.
    pub spans_dropped: u64,
    /// The fleet, if the gateway is in one.
    pub fleet: Option<FleetSnapshot>,
}

/// The state of the fleet at the time of a scrape.
#[derive(Debug)]
pub struct FleetSnapshot {
    /// The replicas that were seen last.
    pub replicas: u64,
    /// True if the last call of the store succeeded.
    pub is_store_up: bool,
    /// The slots of each environment that are held.
    pub slots: Vec<(EnvName, u64)>,
}

/// The totals of the fleet's store since the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreTotals {
    /// All calls.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// The time of all calls together.
    pub time: Duration,
    /// The tokens and sessions that other gateways had made.
    pub shared: u64,
}

impl StoreTotals {
    /// Returns the mean time of a call; `None` if there was none.
    pub fn mean(&self) -> Option<Duration> {
        let calls = u32::try_from(self.calls).ok()?;
        self.time.checked_div(calls)
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

/// The properties of a request that it is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLabels {
    /// The environment that it is for.
    pub environment: Option<EntryId>,
    /// The status of the response.
    pub status: u16,
    /// The kind: `cli`, `rest`, …; `fault` if it failed.
    pub kind: &'static str,
}

/// The requests of one worker thread with the same labels.
#[derive(Debug, Clone)]
struct RequestCell {
    labels: RequestLabels,
    environment: Option<EnvName>,
    /// Their number, too.
    time: Arc<Histogram>,
}

/// The calls of a fleet's store.
#[derive(Debug)]
struct StoreCells {
    time: Histogram,
    errors: Count,
}

impl Default for StoreCells {
    fn default() -> Self {
        Self {
            time: Histogram::new(&REQUEST_BUCKETS),
            errors: Count::default(),
        }
    }
}

/// The metrics of one worker thread.
#[derive(Debug)]
pub struct WorkerMetrics {
    metrics: Arc<Metrics>,
    /// The cells that this thread writes.
    requests: RefCell<Vec<RequestCell>>,
}

impl WorkerMetrics {
    /// Counts what comes in new cells: an environment has another local name now.
    pub fn forget_names(&self) {
        self.requests.borrow_mut().clear();
    }

    /// Counts one request that has got its response. `name` returns the name of its environment.
    pub fn count_request(
        &self,
        labels: RequestLabels,
        took: Duration,
        name: impl FnOnce(EntryId) -> Option<EnvName>,
    ) {
        let mut cells = self.requests.borrow_mut();
        // there are few: to compare them takes less time than a hash
        if let Some(cell) = cells.iter().find(|cell| cell.labels == labels) {
            cell.time.observe(took);
            return;
        }

        let cell = RequestCell {
            labels,
            environment: labels.environment.and_then(name),
            time: Arc::new(Histogram::new(&REQUEST_BUCKETS)),
        };
        cell.time.observe(took);
        lock(&self.metrics.requests).push(cell.clone());
        cells.push(cell);
    }
}

/// The metrics of one queue. It has no clones, and what changes it needs it alone.
#[derive(Debug)]
pub struct QueueMetrics(Arc<QueueCells>);

impl QueueMetrics {
    /// Sets the numbers of commands that wait for a slot and that have one.
    pub fn set_commands(&mut self, waiting: usize, running: usize) {
        self.0.waiting.set(waiting as u64);
        if waiting > 0 {
            self.0.peak.fetch_max(waiting as u64, Ordering::Relaxed);
        }
        self.0.running.set(running as u64);
    }

    /// Counts a command that has got its slot, and the time for which it waited.
    pub fn count_wait(&mut self, waited: Duration) {
        self.0.wait.observe(waited);
    }

    /// Counts a command that was sent, and the time for which it kept its slot.
    pub fn count_command(&mut self, took: Duration) {
        self.0.command.observe(took);
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
    /// The most that waited at once in this minute; the end of the minute resets it.
    peak: AtomicU64,
    running: Count,
    wait: Histogram,
    command: Histogram,
    full: Count,
    timeout: Count,
    left: Count,
}

impl Default for QueueCells {
    fn default() -> Self {
        Self {
            waiting: Count::default(),
            peak: AtomicU64::default(),
            running: Count::default(),
            wait: Histogram::new(&WAIT_BUCKETS),
            command: Histogram::new(&COMMAND_BUCKETS),
            full: Count::default(),
            timeout: Count::default(),
            left: Count::default(),
        }
    }
}

impl QueueCells {
    fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Returns the peak of the minute that ends; in the next one those that wait now count.
    fn take_peak(&self) -> u64 {
        self.peak.swap(self.waiting.get(), Ordering::Relaxed)
    }

    fn add(&self, other: &Self) {
        self.waiting.add(other.waiting.get());
        self.running.add(other.running.get());
        self.wait.add(&other.wait);
        self.command.add(&other.command);
        self.full.add(other.full.get());
        self.timeout.add(other.timeout.get());
        self.left.add(other.left.get());
    }
}

impl Counters<(EnvName, &'static str)> {
    fn outcomes(&self) -> Vec<LabelledSample> {
        let counts = self.read();
        let samples = counts.iter().map(|((name, outcome), count)| {
            let outcome = ("outcome", (*outcome).to_owned());
            let labels = vec![environment_label(Some(name)), outcome];
            (labels, Sample::Count(*count))
        });
        samples.collect()
    }
}

/// The kind of requests for the gateway's own pages.
pub const LOCAL_PAGE: &str = "own";

/// From a cached refusal to a long command, in seconds.
const REQUEST_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

/// From a local answer of Airflow to the longest command that MWAA lets run, in seconds.
const COMMAND_BUCKETS: [f64; 9] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

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
        let demo = EnvName::new("demo").unwrap();
        thread::scope(|scope| {
            for status in [200, 200, 502] {
                let worker = metrics.worker_metrics();
                let name = demo.clone();
                scope.spawn(move || {
                    let labels = RequestLabels {
                        environment: Some(EntryId(0)),
                        status,
                        kind: "cli",
                    };
                    for took in [3, 400_000] {
                        let took = Duration::from_millis(took);
                        worker.count_request(labels, took, |_id| Some(name.clone()));
                    }
                });
            }
        });
        metrics.count_fault(&code::FOREIGN_HOST, None);
        let environment = Environment::new(demo, "demo");
        let entry = Entry::new(EntryId(0), environment);
        for waited in [0, 3] {
            let mut queue = metrics.queue_metrics(&entry);
            queue.set_commands(2, 1);
            queue.count_wait(Duration::from_secs(waited));
            queue.count_command(Duration::from_secs(20));
        }
        metrics.count_mint(&entry, "ok");
        metrics.count_upstream_connection(&entry);

        let text = metrics.render(&GatewaySnapshot::default(), MetricsFormat::OpenMetrics);
        for line in [
            "requests_total{kind=\"cli\",status=\"200\",environment=\"demo\"} 4",
            "requests_total{kind=\"cli\",status=\"502\",environment=\"demo\"} 2",
            "faults_total{code=\"guard.foreign_host\",blame=\"caller\",environment=\"\"} 1",
            "upstream_connections_total{environment=\"demo\"} 1",
            "mints_total{environment=\"demo\",outcome=\"ok\"} 1",
            "request_duration_seconds_bucket{le=\"0.001\",kind=\"cli\"} 0",
            "request_duration_seconds_bucket{le=\"0.005\",kind=\"cli\"} 3",
            "request_duration_seconds_bucket{le=\"+Inf\",kind=\"cli\"} 6",
            "request_duration_seconds_count{kind=\"cli\"} 6",
            "request_duration_seconds_sum{kind=\"cli\"} 1200.009",
            "command_duration_seconds_bucket{le=\"30.0\",environment=\"demo\"} 2",
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
        let now = GatewaySnapshot::default();
        let text = Metrics::default().render(&now, MetricsFormat::OpenMetrics);
        assert!(
            text.contains("# TYPE mwaa_gateway_audit_lines_lost counter\n"),
            "{text}"
        );
        assert!(!text.contains("mwaa_gateway_token_age"), "{text}");
    }

    #[test]
    fn each_format_has_its_own_names_of_counters() {
        let metrics = Metrics::default();
        let render = |format| metrics.render(&GatewaySnapshot::default(), format);
        let open_metrics = render(MetricsFormat::OpenMetrics);
        let prometheus = render(MetricsFormat::Prometheus);
        assert!(open_metrics.contains("# TYPE process_cpu_seconds counter\n"));
        assert!(open_metrics.contains("# UNIT process_cpu_seconds seconds\n"));
        for line in [
            "# HELP mwaa_gateway_audit_lines_lost_total Lines that are missing from the audit log.\n",
            "# TYPE mwaa_gateway_audit_lines_lost_total counter\nmwaa_gateway_audit_lines_lost_total 0\n",
            "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ",
            "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds ",
        ] {
            assert!(prometheus.contains(line), "{line}{prometheus}");
        }
        assert!(!prometheus.contains("# UNIT") && !prometheus.contains("# EOF"));
    }
}
