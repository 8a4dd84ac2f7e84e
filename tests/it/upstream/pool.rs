//! Reuse of connections, and commands that meet one which has died.

use super::{ONE_THREAD, settled};
use crate::support::{Client, Harness, Puppet, all};
use mwaa_emulator::WebFault;
use std::time::Duration;

#[tokio::test]
async fn one_connection_serves_one_command_after_the_other() {
    let harness = Harness::configured(ONE_THREAD).await;
    for _ in 0..10 {
        assert_eq!(harness.command("version").await.status, 200);
    }
    assert_eq!(harness.journal().web_connections(), 1);
}

#[tokio::test]
async fn concurrent_commands_have_their_own_connections() {
    let extra = format!("{ONE_THREAD}\nenvironments.demo.cli_concurrency = 4");
    let harness = Harness::configured(&extra).await;
    for _ in 0..5 {
        for reply in all(harness.at_once((0..4).map(|_| harness.request("version")))).await {
            assert_eq!(reply.status, 200, "{reply}");
        }
    }
    let connections = harness.journal().web_connections();
    assert!((1..=4).contains(&connections), "{connections}");
}

#[tokio::test]
async fn a_closed_pooled_connection_causes_no_failure() {
    let harness = Harness::configured(ONE_THREAD).await;
    harness.script().close_idle.next(1, ());
    assert_eq!(harness.command("variables set a 1").await.status, 200);
    settled(&harness).await;
    let reply = harness.command("variables set b 2").await;
    assert_eq!(reply.status, 200, "{reply}");
    harness.script().cut_web_connections();
    settled(&harness).await;
    let reply = harness.command("variables set c 3").await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(
        harness.journal().commands(),
        [
            "variables set a 1",
            "variables set b 2",
            "variables set c 3"
        ]
    );
    assert_eq!(harness.journal().web_count(), 3, "delivered exactly once");
    assert_eq!(harness.journal().web_connections(), 3);
}

#[tokio::test]
async fn a_command_that_may_have_run_is_never_sent_twice() {
    for fault in [
        WebFault::Reset,
        WebFault::Drop,
        WebFault::ResetAfterExecution,
    ] {
        let harness = Harness::configured(ONE_THREAD).await;
        let ran = usize::from(fault == WebFault::ResetAfterExecution);
        harness.script().web_fault.next(1, fault.clone());
        let reply = harness.command("variables set new 1").await;
        assert_eq!(reply.fault(), Some("upstream.broken"), "{fault:?}: {reply}");
        assert!(reply.complaint().contains("outcome: unknown"), "{reply}");
        assert_eq!(
            harness.journal().web_count(),
            1,
            "{fault:?} on a new connection"
        );
        assert_eq!(harness.journal().commands().len(), ran, "{fault:?}");
        // now on a pooled one
        assert_eq!(harness.command("version").await.status, 200);
        assert_eq!(harness.journal().web_connections(), 2);
        harness.script().web_fault.next(1, fault.clone());
        let reply = harness.command("variables set pooled 1").await;
        assert_eq!(reply.fault(), Some("upstream.broken"), "{fault:?}: {reply}");
        assert!(reply.complaint().contains("outcome: unknown"), "{reply}");
        let requests = harness.journal().web_requests();
        assert_eq!(requests.len(), 3, "{fault:?} on a pooled connection");
        assert_eq!(requests[1].connection, requests[2].connection);
        assert_eq!(harness.journal().commands().len(), 1 + 2 * ran, "{fault:?}");
        assert_eq!(harness.command("version").await.status, 200);
        assert_eq!(harness.mints(), 1);
    }
}

#[tokio::test]
async fn an_old_connection_is_not_reused() {
    let extra = format!("{ONE_THREAD}\nlimits.pool_idle = \"10s\"\nlimits.pool_age = \"30s\"");
    let harness = Harness::configured(&extra).await;
    for connections in [1, 1, 1, 1, 2] {
        assert_eq!(harness.command("version").await.status, 200);
        assert_eq!(harness.journal().web_connections(), connections);
        harness.advance(Duration::from_secs(8));
    }
}

#[tokio::test]
async fn a_long_idle_connection_is_not_reused() {
    let extra = format!("{ONE_THREAD}\nlimits.pool_idle = \"10s\"");
    let harness = Harness::configured(&extra).await;
    assert_eq!(harness.command("version").await.status, 200);
    harness.advance(Duration::from_secs(10));
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().web_connections(), 2);
}

/// A connection that is idle for too long is closed even if there is no further request.
#[tokio::test]
async fn an_idle_connection_is_closed_without_another_request() {
    let mut server = Puppet::start().await;
    let extra = format!("{}limits.pool_idle = \"1s\"", server.config());
    let harness = Harness::configured(&extra).await;
    // the second shows that the next eviction is planned
    for _ in 0..2 {
        let mut connection = answered(&harness, &mut server).await;
        assert_eq!(connection.rest().await, b"");
    }
}

#[tokio::test]
async fn an_idle_connection_closed_by_the_web_server_is_closed() {
    let mut server = Puppet::start().await;
    let harness = Harness::configured(server.config()).await;
    let mut connection = answered(&harness, &mut server).await;
    connection.finish().await;
    assert_eq!(connection.rest().await, b"");
}

/// A connection that has served one command.
async fn answered(harness: &Harness, server: &mut Puppet) -> Client {
    let mut client = harness.connect().await;
    client.send(harness.request("version")).await;
    let mut connection = server.next().await;
    connection.head().await;
    connection.bytes("version".len()).await;
    let body = "{\"stdout\":\"\",\"stderr\":\"\"}";
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.send(reply).await;
    assert_eq!(client.response().await.status, 200);
    connection
}
