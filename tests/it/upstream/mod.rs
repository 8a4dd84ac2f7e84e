//! Connections to the web server: which certificates are trusted, which connections are reused,
//! and which faults are returned when they break.

mod broken;
mod certificates;
mod cut;
mod load_balancer;
mod pool;
mod whole;

use crate::support::{Client, Harness};

/// One worker thread, so that there is one pool.
const ONE_THREAD: &str = "limits.threads = 1";

/// Waits until the emulator has followed its script and the gateway's thread has noticed it: each
/// of them runs its ready tasks before it answers.
pub(crate) async fn settled(harness: &Harness) {
    for _ in 0..3 {
        let mut aws = Client::tcp(harness.emulator().aws_addr()).await;
        let unsigned = "GET /environments HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(aws.exchange(unsigned).await.status, 403);
        assert_eq!(harness.command("users list").await.status, 403);
    }
}
