//! The tasks of a fleet, with stores that fail in ways that no real one does on demand.

use crate::fleet::{CommandWaiters, Fleet, FleetSettings};
use crate::record::Version;
use crate::seal::FleetKeys;
use crate::slots::Grant;
use crate::store::{Call, NewRecord, Store, StoreError, StoredRecord, WriteResult};
use mwaa_model::{EnvName, Environment, Secret};
use mwaa_runtime::{BackgroundTasks, ClockShift};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The number of reads of each record.
type Reads = Arc<Mutex<HashMap<String, u32>>>;

/// A store that has no record and writes none. It may panic instead.
#[derive(Debug)]
struct EmptyStore {
    panics: bool,
    reads: Reads,
}

impl Store for EmptyStore {
    fn read<'a>(&'a self, record: &'a str) -> Call<'a, StoredRecord> {
        *self
            .reads
            .lock()
            .unwrap()
            .entry(record.to_owned())
            .or_default() += 1;
        assert!(!self.panics, "on purpose");
        let time = Duration::from_hours(500_000);
        Box::pin(async move { Ok(StoredRecord { record: None, time }) })
    }

    fn write<'a>(
        &'a self,
        _record: &'a str,
        _base: Option<Version>,
        _new: NewRecord,
    ) -> Call<'a, WriteResult> {
        let time = Duration::from_hours(500_000);
        Box::pin(async move {
            Ok(WriteResult {
                is_done: false,
                time,
            })
        })
    }

    fn reset(&self) {}
}

/// A queue in which so many commands wait.
#[derive(Debug)]
struct Queue {
    waiting: AtomicUsize,
    granted: mpsc::UnboundedSender<Grant>,
}

impl CommandWaiters for Queue {
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn grant(self: Arc<Self>, grant: Grant) -> bool {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.granted.send(grant).is_ok()
    }

    fn set_refusing(&self, _is_refusing: bool) {}
}

fn join(panics: bool, reads: &Reads) -> Arc<Fleet> {
    let settings = FleetSettings {
        call: Duration::from_millis(500),
        command: Duration::from_secs(20),
        shares: true,
    };
    Fleet::join(
        Box::new(EmptyStore {
            panics,
            reads: Arc::clone(reads),
        }),
        FleetKeys::parse(&Secret::new(vec![7; 32])).unwrap(),
        settings,
        BackgroundTasks::current(),
        Arc::default(),
    )
}

#[tokio::test(start_paused = true)]
async fn commands_run_without_the_store_after_a_panic() {
    let reads = Reads::default();
    let fleet = join(true, &reads);
    let (granted, mut grants) = mpsc::unbounded_channel();
    let queue = Arc::new(Queue {
        waiting: AtomicUsize::new(2),
        granted,
    });
    let mut environment = Environment::new(EnvName::new("demo").unwrap(), "demo");
    environment.cli_concurrency = 1;
    let waiters: Weak<Queue> = Arc::downgrade(&queue);
    let port = fleet.share_slots(&environment, waiters);

    // the task that starts again still knows that one runs
    let long = Duration::from_mins(1);
    let first = timeout(long, grants.recv()).await.unwrap().unwrap();
    assert!(first.is_alone);
    let slots_read = || *reads.lock().unwrap().values().min().unwrap();
    let before = slots_read();
    for _ in 0..3 {
        // the clock of the slots; the runtime's is paused, so the sleep costs no time and lets the tasks run
        ClockShift::current().advance(Duration::from_secs(20));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(slots_read() > before, "it has panicked again");
    assert!(
        grants.try_recv().is_err(),
        "the one slot of this replica is taken"
    );
    port.end(first.number);
    let second = timeout(long, grants.recv()).await.unwrap().unwrap();
    assert!(second.is_alone);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_replicas_that_is_never_written_is_an_error() {
    let fleet = join(false, &Arc::default());
    let result = fleet.change_members(|record, _, _| record.clone()).await;
    assert_eq!(result, Err(StoreError::Conflicts));
}
