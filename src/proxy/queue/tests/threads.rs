//! The queue between threads: slots that are handed over, given up on the way and timed out.

use super::super::{
    CommandQueue, CommandQueues, QueueEntry, QueueError, QueuePosition, QueueSummary,
    QueuedCommand, Settings,
};
use futures_util::future::join_all;
use mwaa_model::{ClientKey, Entry, EntryId, EnvName, Environment, RequestId};
use mwaa_runtime::{BackgroundTasks, CoarseTimer, LocalTasks};
use mwaa_telemetry::{GatewaySnapshot, Metrics, MetricsFormat};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::{LocalSet, yield_now};

pub(super) fn queue(slots: usize, size: usize) -> (Arc<CommandQueue>, Metrics) {
    let environment = Environment::new(EnvName::new("demo").unwrap(), "demo");
    let metrics = Metrics::default();
    let shown = metrics.queue_metrics(&Entry::new(EntryId(0), environment));
    (
        CommandQueue::new(slots, size, shown, &Arc::default()),
        metrics,
    )
}

/// Fails unless the queue's metric with these labels has this value.
#[track_caller]
fn assert_metric(metrics: &Metrics, name: &str, labels: &str, value: u32) {
    let text = metrics.render(&GatewaySnapshot::default(), MetricsFormat::OpenMetrics);
    let line = format!("mwaa_gateway_queue_{name}{{environment=\"demo\"{labels}}} {value}");
    assert!(text.lines().any(|found| found == line), "{line} in {text}");
}

pub(super) fn spot(queue: &Arc<CommandQueue>, who: u32) -> Result<QueueEntry, QueueError> {
    let what = QueuedCommand {
        id: RequestId::next(),
        name: "version",
    };
    QueueEntry::enter(queue, ClientKey::User(who), what, LONG)
}

/// Runs the test on a thread of its own kind: with a timer.
pub(super) fn on_a_worker(test: impl AsyncFnOnce(&CoarseTimer)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let background = BackgroundTasks::current();
        test(&CoarseTimer::start(&LocalTasks::default(), &background)).await;
    });
}

/// A closed queue keeps the slots that are in use, and assigns no more.
#[test]
fn a_closed_queue_lets_all_that_waits_fail() {
    let environment = Environment::new(EnvName::new("demo").unwrap(), "demo");
    let entry = Entry::new(EntryId(0), environment);
    let settings = Settings {
        size: 4,
        wait: LONG,
    };
    let queues = CommandQueues::new(settings, Arc::default(), None);
    let enter = |who| {
        let command = QueuedCommand {
            id: RequestId::next(),
            name: "version",
        };
        queues.enqueue(&entry, ClientKey::User(who), command)
    };
    on_a_worker(async |timer| {
        let running = enter(1).unwrap().acquire(timer).await.unwrap();
        let waiting = [enter(2).unwrap(), enter(2).unwrap()];
        queues.close();
        for one in waiting {
            assert_eq!(one.acquire(timer).await.unwrap_err(), QueueError::Stopping);
        }
        assert_eq!(enter(3).unwrap_err(), QueueError::Stopping);
        assert_eq!(queues.summary(&entry).waiting, 0);
        assert_eq!(queues.summary(&entry).running.len(), 1);
        drop(running);
        assert_eq!(queues.summary(&entry).running.len(), 0);
        assert_eq!(enter(3).unwrap_err(), QueueError::Stopping);

        // also for an environment that was never used before
        let other = Environment::new(EnvName::new("other").unwrap(), "other");
        let other = Entry::new(EntryId(1), other);
        let command = QueuedCommand {
            id: RequestId::next(),
            name: "version",
        };
        let refused = queues.enqueue(&other, ClientKey::User(1), command);
        assert_eq!(refused.unwrap_err(), QueueError::Stopping);
    });
}

/// On half of the threads, the clients leave at any point. Never more commands run than there are
/// slots, all other clients are served, and in the end every slot is free.
#[test]
fn many_threads_share_the_slots_without_losing_any() {
    let (queue, metrics) = queue(3, 10_000);
    let (running, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (queue, running, served) = (&queue, &running, &served);
            scope.spawn(move || {
                on_a_worker(async |timer| {
                    let staying = async |client: u32| {
                        let waiting = spot(queue, thread * 3 + client % 3).unwrap();
                        let slot = waiting.acquire(timer).await.unwrap();
                        let now = running.fetch_add(1, Ordering::SeqCst);
                        assert!(now < 3, "{now} run already");
                        yield_now().await;
                        running.fetch_sub(1, Ordering::SeqCst);
                        drop(slot);
                        served.fetch_add(1, Ordering::SeqCst);
                    };
                    join_all((0..100).map(staying)).await;
                });
            });
            scope.spawn(move || {
                on_a_worker(async |_| {
                    let leaving = async |client: u32| {
                        let waiting = spot(queue, client % 5).unwrap();
                        for _ in 0..client % 7 {
                            yield_now().await;
                        }
                        drop(waiting);
                    };
                    join_all((0..200).map(leaving)).await;
                });
            });
        }
    });
    assert_eq!(served.into_inner(), 400);
    let QueueSummary {
        running, waiting, ..
    } = queue.summary();
    assert_eq!((running.len(), waiting), (0, 0));
    assert_metric(&metrics, "running", "", 0);
    assert_metric(&metrics, "waiting", "", 0);
}

#[test]
fn a_slot_given_to_a_client_that_left_is_passed_to_the_next() {
    on_a_worker(async |timer| {
        let (queue, metrics) = queue(1, 9);
        let first = spot(&queue, 1).unwrap().acquire(timer).await.unwrap();
        let (second, third) = (spot(&queue, 1).unwrap(), spot(&queue, 1).unwrap());
        drop(first);
        // it is the second's already, and was never looked at
        assert_eq!(queue.summary().running.len(), 1);
        drop(second);
        drop(third.acquire(timer).await.unwrap());
        assert_metric(&metrics, "left_total", "", 1);
        assert!(queue.summary().running.is_empty());
    });
}

#[test]
fn a_changed_queue_position_is_reported() {
    on_a_worker(async |timer| {
        let (queue, _metrics) = queue(1, 9);
        let first = spot(&queue, 1).unwrap().acquire(timer).await.unwrap();
        let told = RefCell::new(Vec::new());
        let (ahead, mine) = (spot(&queue, 1).unwrap(), spot(&queue, 1).unwrap());
        let moved = |QueuePosition { place, running }| told.borrow_mut().push((place, running));
        let events = async {
            yield_now().await;
            let other = spot(&queue, 2).unwrap();
            yield_now().await;
            drop(ahead);
            yield_now().await;
            drop(other);
            yield_now().await;
            drop(first);
        };
        let (slot, ()) = tokio::join!(mine.acquire_with(timer, moved), events);
        slot.unwrap();
        // another's first command comes before the second one of mine
        assert_eq!(told.into_inner(), [(2, 1), (3, 1), (1, 1)]);
    });
}

#[test]
fn a_command_that_times_out_leaves_the_queue_with_retry_after() {
    on_a_worker(async |timer| {
        let (queue, metrics) = queue(1, 1);
        let first = spot(&queue, 1).unwrap().acquire(timer).await.unwrap();
        let what = QueuedCommand {
            id: RequestId::next(),
            name: "version",
        };
        let short =
            QueueEntry::enter(&queue, ClientKey::User(1), what, Duration::from_millis(1));
        let full = spot(&queue, 1).unwrap_err();
        // nothing has run yet: two commands at the usual five seconds
        let retry = Duration::from_secs(10);
        assert_eq!(full, QueueError::Full { waiting: 1, retry });
        let late = short.unwrap().acquire(timer).await.unwrap_err();
        assert!(matches!(late, QueueError::Timeout { retry, .. } if retry.as_secs() == 5));
        assert_eq!(queue.summary().waiting, 0);
        assert_metric(&metrics, "refused_total", ",reason=\"full\"", 1);
        assert_metric(&metrics, "refused_total", ",reason=\"timeout\"", 1);
        assert_metric(&metrics, "left_total", "", 0);
        // commands that were sent teach what is usual
        first.running().mark_sending();
        drop(first);
        assert_eq!(queue.retry_after(), Duration::from_secs(1));
    });
}

const LONG: Duration = Duration::from_mins(1);
