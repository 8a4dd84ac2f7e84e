//! The end: what runs is finished, the rest is cut, nothing new begins.

use crate::support::{Client, Harness, all, soon, timed};
use mwaa_emulator::WebFault;
use mwaa_gateway::app::ShutdownStatus;
use std::time::Duration;

const GRACE: &str = r#"limits.drain = "20s""#;

#[tokio::test]
async fn what_runs_and_what_waits_is_finished() {
    let extra = format!("{GRACE}\nenvironments.demo.cli_concurrency = 4");
    let mut harness = Harness::configured(&extra).await;
    harness
        .script()
        .command_delay
        .always(Duration::from_millis(300));
    let commands = harness.at_once((0..12).map(|_| harness.request("version")));
    harness
        .seen("four commands", |journal| journal.running_commands() == 4)
        .await;
    harness.queued(8).await;
    harness.stop();
    for reply in all(commands).await {
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(reply.header("connection"), Some("close"), "{reply}");
    }
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
    assert_eq!(harness.journal().commands().len(), 12);
}

#[tokio::test]
async fn nothing_new_is_let_in_while_the_rest_is_finished() {
    let mut harness = Harness::configured(GRACE).await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut running = harness.connect().await;
    running.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    assert_eq!(harness.manage("/readyz").await.status, 200);
    harness.stop();
    let refused = async { while Client::try_tcp(harness.address()).await.is_ok() {} };
    soon("the listener's end", refused).await;
    let unready = harness.manage("/readyz").await;
    assert_eq!(unready.status, 503, "{unready}");
    assert!(unready.text().contains("stopping"), "{unready}");
    assert_eq!(harness.manage("/livez").await.status, 200);
    harness.script().cut_web_connections();
    assert_eq!(running.response().await.fault(), Some("upstream.broken"));
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut() {
    let mut harness = Harness::configured(r#"limits.drain = "300ms""#).await;
    harness.script().web_fault.always(WebFault::Hang);
    let mut running = harness.connect().await;
    running.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    harness.stop();
    let (outcome, took) = timed(harness.stopped()).await;
    assert_eq!(outcome, ShutdownStatus::TimedOut);
    assert!(took < Duration::from_secs(5), "{took:?}");
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
    let (outcome, took) = timed(harness.stopped()).await;
    assert_eq!(outcome, ShutdownStatus::Drained);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(used.rest().await, b"");
    assert_eq!(fresh.rest().await, b"");
}

#[tokio::test]
async fn a_command_whose_client_has_gone_is_waited_for() {
    let mut harness = Harness::configured(GRACE).await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut leaving = harness.connect().await;
    leaving.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    drop(leaving);
    harness.stop();
    let refused = async { while Client::try_tcp(harness.address()).await.is_ok() {} };
    soon("the listener's end", refused).await;
    assert_eq!(
        harness.manage("/livez").await.status,
        200,
        "it is still there"
    );
    harness.script().cut_web_connections();
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
}
