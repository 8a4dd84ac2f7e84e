//! The emulator and the real gateway in one process, on ports of their own, and a client that
//! sends raw bytes.

pub(crate) mod airflow;
mod authority;
mod client;
mod harness;
pub(crate) mod identity;
mod pty;
mod puppet;

pub(crate) use authority::{Authority, Pair, client_that_trusts};
pub(crate) use client::{Client, Response};
pub(crate) use harness::Harness;
pub(crate) use pty::OnTerminal;
pub(crate) use puppet::Puppet;

use std::time::Duration;
use tokio::task::JoinSet;

/// Whether the system shows its processes and the users of connections as Linux does.
pub(crate) const IS_LINUX: bool = cfg!(target_os = "linux");

/// Whether this machine's resolver resolves the name to loopback. Some messages to users depend
/// on it.
pub(crate) fn resolves(name: &str) -> bool {
    use std::net::ToSocketAddrs as _;
    let found = (name, 0).to_socket_addrs();
    found.is_ok_and(|mut found| found.any(|address| address.ip().is_loopback()))
}

/// Waits for something that must happen. A test fails instead of waiting forever.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_elapsed| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// The results of all tasks.
pub(crate) async fn all<T: 'static>(tasks: JoinSet<T>) -> Vec<T> {
    soon("all tasks", tasks.join_all()).await
}

/// Polls until there is an answer, for a state that sends no event.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    soon(what, asking).await
}

/// An address that refuses connections: a program that asks for a free port never gets this one.
pub(crate) const CLOSED: &str = "127.0.0.1:1";
/// The time between two questions.
const PAUSE: Duration = Duration::from_millis(5);
/// Longer than any delay of the emulator has to last: it ends when its switch is turned off.
pub(crate) const HELD: Duration = Duration::from_hours(1);
/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes a named pipe. rustix has no call for it on macOS.
pub(crate) fn make_pipe(path: &std::path::Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}
