//! The wire out: whom it believes, what it reuses, what it says when it breaks.

mod broken;
mod certificates;
mod cut;
mod load_balancer;
mod pool;
mod whole;

use crate::support::{Client, Harness};

/// One worker thread, so that there is one pool.
const ONE_THREAD: &str = "limits.threads = 1";

/// Lets the emulator do what it has been told, and the gateway's thread notice it: each goes
/// through its ready tasks before it answers.
pub(crate) async fn settled(harness: &Harness) {
    for _ in 0..3 {
        let mut aws = Client::tcp(harness.emulator().aws_addr()).await;
        let unsigned = "GET /environments HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(aws.exchange(unsigned).await.status, 403);
        assert_eq!(harness.command("users list").await.status, 403);
    }
}
