//! The emulator and the real gateway in one process, on ports of their own, and a raw client:
//! what the tests speak the wire with.

mod client;
mod harness;

pub(crate) use client::{Client, Response};
pub(crate) use harness::Harness;

use std::time::Duration;

/// Waits for something that must come; a test that would wait for ever fails instead.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
