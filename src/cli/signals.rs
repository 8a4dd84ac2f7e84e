//! SIGTERM, SIGINT and SIGQUIT: the first drains the gateway, the second ends the process at once. SIGHUP
//! reads the configuration of `serve` again; it ends all other commands, as when their terminal is closed.
//! SIGUSR1 and SIGUSR2 do nothing: by default they would end the process.

use crate::ExitStatus;
use mwaa_app::{Gateway, ShutdownStatus, StartError};
use std::fs::File;
use std::future::pending;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The signals. From its creation on they no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Option<Hangup>,
}

/// SIGHUP, which has two meanings: a request to read the configuration again, and the end of the
/// terminal.
#[derive(Debug)]
struct Hangup {
    signal: Signal,
    /// Set if the process was started in a terminal.
    had_terminal: bool,
}

impl Hangup {
    /// Waits for SIGHUP. Returns true if it came because the terminal is gone.
    async fn next(&mut self) -> bool {
        self.signal.recv().await;
        self.had_terminal && !has_terminal()
    }
}

/// Returns true if the process has a controlling terminal.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

impl Signals {
    /// Starts to listen. Fails if the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        // the handler stays, so that no child inherits an ignored signal
        for ignored in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
            drop(signal(ignored)?);
        }
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: None,
        })
    }

    /// Starts to listen for SIGHUP too. Fails if the system refuses a handler.
    pub fn listen_with_hangup() -> io::Result<Self> {
        let hangup = Hangup {
            signal: signal(SignalKind::hangup())?,
            had_terminal: has_terminal(),
        };
        Ok(Self {
            hangup: Some(hangup),
            ..Self::listen()?
        })
    }

    /// Waits for the next signal that ends a command, and returns its number.
    pub(crate) async fn next(&mut self) -> u8 {
        self.next_with(|| ()).await
    }

    /// The same; each other SIGHUP calls `reload`.
    async fn next_with(&mut self, reload: impl Fn()) -> u8 {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.next().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                _ = self.terminate.recv() => return TERMINATE,
                _ = self.interrupt.recv() => return INTERRUPT,
                _ = self.quit.recv() => return QUIT,
                is_closed = hangup => {
                    if is_closed {
                        return HANGUP;
                    }
                    reload();
                }
            }
        }
    }

    /// Serves until the first signal, drains, and returns the exit code.
    pub async fn serve(mut self, gateway: Gateway) -> Result<ExitStatus, StartError> {
        let reloads = gateway.reload_requests();
        let (sender, receiver) = oneshot::channel::<()>();
        let shutdown = async {
            // a dropped sender is the request to shut down
            drop(receiver.await);
        };
        let mut serving = std::pin::pin!(gateway.serve(shutdown));

        let first = tokio::select! {
            status = serving.as_mut() => return status.map(|status| to_exit(status, TERMINATE)),
            number = self.next_with(|| reloads.send()) => number,
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

/// SIGHUP's number (signal(7)).
const HANGUP: u8 = 1;
/// SIGTERM's number (signal(7)).
const TERMINATE: u8 = 15;
/// SIGINT's number (signal(7)).
pub(crate) const INTERRUPT: u8 = 2;
/// SIGQUIT's number (signal(7)).
pub(crate) const QUIT: u8 = 3;
