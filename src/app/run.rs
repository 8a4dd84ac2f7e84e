//! Runs the gateway and takes it down: not ready, stop accepting, let what runs finish, cut
//! the rest after the grace.

use super::build::tell_table;
use super::view::GatewayView;
use super::worker::Worker;
use super::{Built, StartError};
use crate::control::Versions;
use crate::names::Entry;
use crate::upstream::Trusts;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::sync::{Semaphore, mpsc, watch};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything in flight was answered.
    Drained,
    /// The grace was over before everything was answered.
    Cut,
    /// A worker thread ended by itself.
    Failed,
}

impl Built {
    /// Serves until `stop` is ready, then drains.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Outcome, StartError> {
        let Self {
            shared,
            trust,
            egress,
            bound,
            management,
            probes,
            view,
            background,
            stopping,
            threads,
            config,
        } = self;
        let on_record = Arc::clone(&shared);
        let (stop_sender, stop_receiver) = watch::channel(false);
        let (cut_sender, cut_receiver) = watch::channel(false);
        let drain = config.limits.drain;
        for entry in shared.known.now().entries() {
            prepare(&shared.versions, entry);
        }
        if let Some(discovery) = &shared.discovery {
            discovery.start();
        }
        let worker = Worker {
            places: Arc::new(Semaphore::new(config.limits.connections)),
            config: Arc::new(config),
            shared,
            trust: Arc::clone(&trust),
            egress,
            bound: Arc::new(Mutex::new(bound)),
            stop: stop_receiver,
            cut: cut_receiver,
        };
        for socket in std::iter::once(management).chain(probes) {
            let view: Arc<GatewayView> = Arc::clone(&view);
            socket.serve(view, &background);
        }
        let (ended, mut endings) = mpsc::unbounded_channel();
        for number in 0..threads {
            let (worker, ended) = (worker.clone(), ended.clone());
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || report(|| worker.run(), &ended))
                .map_err(StartError::Thread)?;
        }
        drop((ended, worker));
        warm_up(&trust);
        tokio::select! {
            () = stop => {}
            ending = endings.recv() => {
                tracing::error!(?ending, "a worker thread ended by itself");
                return Ok(Outcome::Failed);
            }
        }
        stopping.store(true, Ordering::Relaxed);
        tracing::info!("stopping: no new connections; waiting for what runs");
        stop_sender.send_replace(true);
        let all = async { while endings.recv().await.is_some() {} };
        let outcome = if tokio::time::timeout(drain, all).await.is_ok() {
            Outcome::Drained
        } else {
            tracing::warn!(?drain, "the grace is over; cutting what still runs");
            cut_sender.send_replace(true);
            while endings.recv().await.is_some() {}
            Outcome::Cut
        };
        if let Some(audit) = &on_record.audit {
            audit.flush(LAST_LINES);
        }
        Ok(outcome)
    }
}

/// Asks for the version ahead of the first request, or says what is configured.
pub(super) fn prepare(versions: &Arc<Versions>, entry: &Arc<Entry>) {
    match entry.airflow_version() {
        Some(version) => tell_table(entry, version),
        None => versions.prepare(entry),
    }
}

/// Runs a worker and tells how it ended, also when it panicked: the others hold the channel
/// open, so its silence would go unnoticed.
fn report(
    work: impl FnOnce() -> io::Result<()>,
    ended: &mpsc::UnboundedSender<thread::Result<io::Result<()>>>,
) {
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    // the receiver outlives the workers except at the very end
    drop(ended.send(result));
}

/// Reads the roots and sets up the crypto beside the serving threads, so that neither the start
/// nor the first request waits for it.
fn warm_up(trust: &Arc<Trusts>) {
    let trust = Arc::clone(trust);
    let warmed = thread::Builder::new()
        .name("warm-up".to_owned())
        .spawn(move || {
            trust.warm_up();
        });
    if let Err(error) = warmed {
        tracing::debug!(%error, "no thread for the warm-up; the first request will do it");
    }
}

/// How long the end waits for the disk that the audit log is on.
const LAST_LINES: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_panics_is_told_like_one_that_ends() {
        let (ended, mut endings) = mpsc::unbounded_channel();
        report(|| panic!("on purpose"), &ended);
        assert!(matches!(endings.try_recv(), Ok(Err(_))));
        report(|| Ok(()), &ended);
        assert!(matches!(endings.try_recv(), Ok(Ok(Ok(())))));
    }
}
