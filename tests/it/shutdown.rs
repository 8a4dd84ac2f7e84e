//! The end: what runs is finished, the rest is cut, nothing new begins.

use crate::support::{Client, HELD, Harness, all, eventually};
use mwaa_app::ShutdownStatus;
use mwaa_emulator::WebFault;

const GRACE: &str = r#"limits.drain = "20s""#;

/// Waits until the listener is closed.
async fn closes(harness: &Harness) {
    let refused = async || Client::try_tcp(harness.address()).await.err();
    eventually("the listener's end", refused).await;
}

#[tokio::test]
async fn running_and_queued_commands_are_finished() {
    let extra = format!("{GRACE}\nenvironments.demo.cli_concurrency = 4");
    let mut harness = Harness::configured(&extra).await;
    harness.script().command_delay.always(HELD);
    let commands = harness.at_once((0..12).map(|_| harness.request("version")));
    harness
        .seen("four commands", |journal| journal.running_commands() == 4)
        .await;
    harness.queued(8).await;
    harness.stop();
    closes(&harness).await;
    harness.script().command_delay.off();
    for reply in all(commands).await {
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(reply.header("connection"), Some("close"), "{reply}");
    }
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
    assert_eq!(harness.journal().commands().len(), 12);
}

#[tokio::test]
async fn no_connection_is_accepted_during_the_drain() {
    let mut harness = Harness::configured(GRACE).await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut running = harness.connect().await;
    running.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    assert_eq!(harness.manage("/readyz").await.status, 200);
    harness.stop();
    closes(&harness).await;
    let unready = harness.manage("/readyz").await;
    assert_eq!(unready.status, 503, "{unready}");
    assert!(unready.text().contains("stopping"), "{unready}");
    assert_eq!(harness.manage("/livez").await.status, 200);
    harness.script().cut_web_connections();
    assert_eq!(running.response().await.fault(), Some("upstream.broken"));
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
}

#[tokio::test]
async fn commands_beyond_the_drain_time_are_cut_off() {
    let mut harness = Harness::configured(r#"limits.drain = "300ms""#).await;
    harness.script().web_fault.always(WebFault::Hang);
    let mut running = harness.connect().await;
    running.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    harness.stop();
    assert_eq!(harness.stopped().await, ShutdownStatus::TimedOut);
    assert!(
        running.try_response().await.is_err(),
        "an answer out of nothing"
    );
}

#[tokio::test]
async fn an_idle_connection_ends_at_once() {
    let mut harness = Harness::configured(GRACE).await;
    let request = harness.request("version");
    let mut used = harness.connect().await;
    assert_eq!(used.exchange(&request).await.status, 200);
    let mut fresh = harness.connect().await;
    harness.stop();
    // it would be cut if it were waited for
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
    assert_eq!(used.rest().await, b"");
    assert_eq!(fresh.rest().await, b"");
}

#[tokio::test]
async fn the_drain_waits_for_a_command_whose_client_left() {
    let mut harness = Harness::configured(GRACE).await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut leaving = harness.connect().await;
    leaving.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    drop(leaving);
    harness.stop();
    closes(&harness).await;
    assert_eq!(
        harness.manage("/livez").await.status,
        200,
        "it is still there"
    );
    harness.script().cut_web_connections();
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
}
