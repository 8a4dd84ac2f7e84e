//! SIGTERM and SIGINT: the first asks the gateway to drain, the second ends it at once.

use super::Exit;
use crate::app::{Built, Outcome, StartError};
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, listened to from the moment this is made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next of them and gives its number.
    pub(super) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => TERMINATE,
            _ = self.interrupt.recv() => INTERRUPT,
        }
    }

    /// Runs the gateway until it is told to stop.
    pub(super) async fn run(mut self, built: Built) -> Result<Exit, StartError> {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async {
            // a sender that is gone means stop as well
            drop(stopped.await);
        };
        let mut running = std::pin::pin!(built.run(stopped));
        let first = tokio::select! {
            outcome = running.as_mut() => return outcome.map(|outcome| exit(outcome, TERMINATE)),
            number = self.next() => number,
        };
        drop(stop);
        tokio::select! {
            outcome = running.as_mut() => outcome.map(|outcome| exit(outcome, first)),
            number = self.next() => Ok(Exit::Signal(number)),
        }
    }
}

fn exit(outcome: Outcome, signal: u8) -> Exit {
    match outcome {
        Outcome::Drained => Exit::Done,
        Outcome::Cut => Exit::Signal(signal),
        Outcome::Failed => Exit::Failed,
    }
}

/// SIGTERM's number (signal(7)).
const TERMINATE: u8 = 15;
/// SIGINT's number (signal(7)).
pub(super) const INTERRUPT: u8 = 2;
