//! SIGTERM and SIGINT: the first drains the gateway, the second ends the process at once.

use crate::ExitStatus;
use mwaa_app::{Gateway, ShutdownStatus, StartError};
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Both signals. From its creation on they no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen. Fails if the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal and returns its number.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => TERMINATE,
            _ = self.interrupt.recv() => INTERRUPT,
        }
    }

    /// Serves until the first signal, drains, and returns the exit code.
    pub async fn serve(mut self, gateway: Gateway) -> Result<ExitStatus, StartError> {
        let (sender, receiver) = oneshot::channel::<()>();
        let shutdown = async {
            // a dropped sender is the request to shut down
            drop(receiver.await);
        };
        let mut serving = std::pin::pin!(gateway.serve(shutdown));

        let first = tokio::select! {
            status = serving.as_mut() => return status.map(|status| to_exit(status, TERMINATE)),
            number = self.next() => number,
        };
        tracing::debug!(signal = first, "shutting down");
        drop(sender);
        tokio::select! {
            status = serving.as_mut() => status.map(|status| to_exit(status, first)),
            number = self.next() => Ok(ExitStatus::Signal(number)),
        }
    }
}

/// Returns the exit code; a gateway that was not done in time ends as if by the signal.
fn to_exit(status: ShutdownStatus, signal: u8) -> ExitStatus {
    match status {
        ShutdownStatus::Drained => ExitStatus::Success,
        ShutdownStatus::TimedOut => ExitStatus::Signal(signal),
        ShutdownStatus::WorkerFailed => ExitStatus::Failure,
    }
}

/// SIGTERM's number (signal(7)).
const TERMINATE: u8 = 15;
/// SIGINT's number (signal(7)).
pub(crate) const INTERRUPT: u8 = 2;
