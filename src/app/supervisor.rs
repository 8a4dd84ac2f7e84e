//! The service manager that started the gateway: sockets from it (sd_listen_fds(3)), messages to it
//! (sd_notify(3)), and its watchdog.

use mwaa_runtime::LocalTasks;
use mwaa_runtime::platform::connect_datagram;
use mwaa_server::{InheritError, InheritedSockets};
use sd_notify::NotifyState;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The service manager, or the lack of one.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    /// The sockets that it has opened for the gateway.
    pub(super) sockets: InheritedSockets,
    pub(super) notifier: Notifier,
}

impl Supervisor {
    /// Finds the service manager that started this process, by the variables that it sets: `sockets`
    /// is `LISTEN_FDS`, `names` is `LISTEN_FDNAMES` and `notify` is `NOTIFY_SOCKET`. Fails if a socket
    /// from it cannot be used.
    pub fn detect(
        sockets: Option<u64>,
        names: &str,
        notify: Option<PathBuf>,
    ) -> Result<Self, InheritError> {
        Ok(Self {
            sockets: InheritedSockets::receive(sockets, names)?,
            notifier: Notifier {
                socket: notify,
                watchdog: sd_notify::watchdog_enabled(),
            },
        })
    }
}

/// Sends messages to the service manager, if there is one that wants them.
#[derive(Debug, Clone, Default)]
pub(super) struct Notifier {
    socket: Option<PathBuf>,
    /// So much time may pass between two signs of life.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reports that the gateway accepts connections.
    pub(super) fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// Reports that the configuration is being read again; [`ready`](Self::ready) ends that.
    pub(super) fn reloading(&self) {
        // both in one message, as sd_notify(3) wants it
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "no time for the service manager"),
        }
    }

    /// Reports that the gateway drains.
    pub(super) fn stopping(&self) {
        let status = NotifyState::Status("waiting for running requests");
        self.send(&[NotifyState::Stopping, status]);
    }

    /// Sends signs of life while all workers answer: two in each period of the watchdog. Returns
    /// at once if there is no watchdog.
    pub(super) async fn keep_alive(self, workers: Vec<Pulse>) {
        if let Some(period) = self.watchdog.filter(|_| self.socket.is_some()) {
            tracing::debug!(?period, "the service manager watches the workers");
            beat(&workers, period / 2, || self.send(&[NotifyState::Watchdog])).await;
        }
    }

    fn send(&self, messages: &[NotifyState<'_>]) {
        if let Some(socket) = &self.socket
            && let Err(error) = send_now(socket, messages)
        {
            tracing::warn!(%error, ?messages, "cannot notify the service manager");
        }
    }
}

/// Sends messages without waiting: one for which the service manager has no room is dropped, and fails
/// with `WouldBlock`. The control thread wakes the workers, so it must never wait for another program.
fn send_now(path: &Path, messages: &[NotifyState<'_>]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    connect_datagram(&socket, path)?;

    let lines: Vec<_> = messages.iter().map(ToString::to_string).collect();
    socket.send(lines.join("\n").as_bytes()).map(drop)
}

/// Asks a worker for a sign of life.
#[derive(Debug)]
pub(super) struct Pulse(mpsc::UnboundedSender<oneshot::Sender<()>>);

/// A worker's end of a [`Pulse`].
#[derive(Debug)]
pub(super) struct PulseReceiver(mpsc::UnboundedReceiver<oneshot::Sender<()>>);

/// Returns both ends of a worker's pulse.
pub(super) fn pulse() -> (Pulse, PulseReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Pulse(sender), PulseReceiver(receiver))
}

impl PulseReceiver {
    /// Answers on the worker's thread: if that thread hangs, so does the answer.
    pub(super) fn start(mut self, tasks: &LocalTasks) {
        tasks.spawn_unwatched(tracing::Span::none(), async move {
            while let Some(answer) = self.0.recv().await {
                // an error means that the control thread no longer waits
                let _sent = answer.send(());
            }
        });
    }
}

/// Calls `alive` in each interval in which all workers have answered. Returns if a worker has ended.
async fn beat(workers: &[Pulse], interval: Duration, alive: impl Fn()) {
    loop {
        for Pulse(worker) in workers {
            let (answer, answered) = oneshot::channel();
            if worker.send(answer).is_err() || answered.await.is_err() {
                return;
            }
        }
        alive();
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::pin::pin;
    use tokio::time::timeout;

    const INTERVAL: Duration = Duration::from_secs(15);

    #[test]
    fn a_message_without_room_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let error = loop {
            if let Err(error) = send_now(&path, &[NotifyState::Watchdog]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);

        let mut message = [0; 32];
        let size = manager.recv(&mut message).unwrap();
        assert_eq!(message[..size].trim_ascii(), b"WATCHDOG=1");
        send_now(&path, &[NotifyState::Watchdog]).unwrap();
    }

    /// The clock of the test jumps to the next timer.
    #[tokio::test(start_paused = true)]
    async fn a_worker_that_hangs_ends_the_signs_of_life() {
        let (busy, mut hanging) = pulse();
        let (idle, mut answering) = pulse();
        let signs = Cell::new(0);
        let workers = [idle, busy];
        let mut beating = pin!(beat(&workers, INTERVAL, || signs.set(signs.get() + 1)));

        for expected in 1..=3 {
            let answers = async {
                answering.0.recv().await.unwrap().send(()).unwrap();
                hanging.0.recv().await.unwrap().send(()).unwrap();
                std::future::pending::<()>().await;
            };
            let both = async { tokio::join!(beating.as_mut(), answers) };
            timeout(INTERVAL / 2, both).await.unwrap_err();
            assert_eq!(signs.get(), expected);
            timeout(INTERVAL, beating.as_mut()).await.unwrap_err();
        }

        answering.0.recv().await.unwrap().send(()).unwrap();
        timeout(INTERVAL * 100, beating.as_mut()).await.unwrap_err();
        assert_eq!(signs.get(), 3);

        drop(hanging);
        beating.await;
    }
}
