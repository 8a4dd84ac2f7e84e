//! The metrics of the process, with the names that Prometheus's client libraries give them.

use super::scrape::{Sample, Scrape};
use mwaa_runtime::{Timestamp, platform, process_time};
use rustix::process::{Resource, getrlimit};

/// The time at which a gateway was built: a moment after the start of its process.
#[derive(Debug, Clone, Copy)]
pub(super) struct StartTime(Timestamp);

impl Default for StartTime {
    fn default() -> Self {
        Self(Timestamp::now())
    }
}

/// Adds the metrics of the process, as far as the system reports them.
pub(super) fn add_process(started: StartTime, scrape: &mut Scrape) {
    scrape.add_one(
        "process_cpu",
        "Processor time of the process, in user and system mode",
        Sample::Spent(process_time()),
    );
    scrape.add_one(
        "process_resident_memory",
        "Memory of the process that is in RAM",
        platform::resident_memory().map(Sample::Size),
    );

    scrape.add_one(
        "process_open_fds",
        "Open file descriptors",
        platform::open_descriptors().map(Sample::Number),
    );
    scrape.add_one(
        "process_max_fds",
        "File descriptors that may be open at once",
        getrlimit(Resource::Nofile).current.map(Sample::Number),
    );

    scrape.add_one(
        "process_start_time",
        "Start of the process, since 1970",
        Sample::Seconds(started.0.wall()),
    );
}
