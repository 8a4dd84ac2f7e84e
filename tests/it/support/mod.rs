//! The emulator and the real gateway in one process, on ports of their own, and a raw client:
//! what the tests speak the wire with.

pub(crate) mod airflow;
mod authority;
mod client;
mod harness;
pub(crate) mod identity;
mod pty;
mod puppet;

pub(crate) use authority::{Authority, Pair};
pub(crate) use client::{Client, Response};
pub(crate) use harness::Harness;
pub(crate) use pty::OnTerminal;
pub(crate) use puppet::Puppet;

use mwaa_runtime::Timestamp;
use std::time::Duration;
use tokio::task::JoinSet;

/// Whether the system tells of its processes and of the users of connections as Linux does.
pub(crate) const IS_LINUX: bool = cfg!(target_os = "linux");

/// Whether this machine's resolver takes the name for its own; what is told to people depends
/// on it.
pub(crate) fn resolves(name: &str) -> bool {
    use std::net::ToSocketAddrs as _;
    let found = (name, 0).to_socket_addrs();
    found.is_ok_and(|mut found| found.any(|address| address.ip().is_loopback()))
}

/// Waits for something that must come; a test that would wait for ever fails instead.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_elapsed| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// The results of all tasks.
pub(crate) async fn all<T: 'static>(tasks: JoinSet<T>) -> Vec<T> {
    soon("all tasks", tasks.join_all()).await
}

/// How long it took.
pub(crate) async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let start = Timestamp::now();
    let output = future.await;
    (output, start.age(Timestamp::now()))
}

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
