//! Connections to the web server: kept while they are good, left when they are not.

use crate::support::{Client, Harness, Puppet};
use mwaa_emulator::Settings;

/// A gateway that is signed in at a puppet, by a request on each of so many connections, which
/// are idle afterwards.
async fn idle(count: usize) -> (Harness, Puppet, Vec<Client>) {
    let mut puppet = Puppet::start().await;
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", puppet.config()).await;
    let (mut clients, mut servers) = (Vec::new(), Vec::new());
    for number in 0..count {
        let mut client = harness.connect().await;
        client
            .send(harness.asking("GET", "/api/v1/first", ""))
            .await;
        if number == 0 {
            puppet.signs_in("session=x").await;
        }
        let mut server = puppet.next().await;
        server.head().await;
        clients.push(client);
        servers.push(server);
    }
    for (client, server) in clients.iter_mut().zip(&mut servers) {
        ok(server).await;
        assert_eq!(client.response().await.text(), "ok");
    }
    (harness, puppet, servers)
}

async fn ok(server: &mut Client) {
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let (harness, mut puppet, mut servers) = idle(1).await;
    for _ in 0..10 {
        let mut client = harness.connect().await;
        client.send(harness.asking("GET", "/api/v1/next", "")).await;
        assert!(servers[0].head().await.starts_with("GET /api/v1/next "));
        ok(&mut servers[0]).await;
        assert_eq!(client.response().await.text(), "ok");
    }
    assert!(puppet.is_quiet());
}

/// The web server read it and went away: a safe request goes once more, on a new connection.
#[tokio::test]
async fn a_get_is_retried_once_if_a_reused_connection_breaks() {
    let (harness, mut puppet, mut servers) = idle(1).await;
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v1/next", "")).await;
    let first = servers[0].head().await;
    drop(servers.pop());
    let mut fresh = puppet.next().await;
    assert_eq!(fresh.head().await, first, "the same once more");
    ok(&mut fresh).await;
    assert_eq!(client.response().await.text(), "ok");
}

/// A request that kills whatever reads it must not go through the whole pool.
#[tokio::test]
async fn a_get_is_not_sent_a_third_time() {
    let (harness, mut puppet, servers) = idle(3).await;
    let mut client = harness.connect().await;
    client
        .send(harness.asking("GET", "/api/v1/deadly", ""))
        .await;
    // whichever of them got it dies
    let mut tasks = tokio::task::JoinSet::new();
    for mut server in servers {
        tasks.spawn(async move { server.head().await });
    }
    let read = tasks.join_next().await.unwrap().unwrap();
    assert!(read.starts_with("GET /api/v1/deadly "), "{read}");
    let mut fresh = puppet.next().await;
    assert_eq!(fresh.head().await, read);
    drop(fresh);
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.fault()),
        (502, Some("upstream.broken")),
        "{reply}"
    );
    assert!(puppet.is_quiet(), "a third time");
    assert!(
        tasks.try_join_next().is_none(),
        "another kept one got it too"
    );
}

#[tokio::test]
async fn a_write_that_was_sent_is_not_retried() {
    for method in ["POST", "PATCH", "PUT", "DELETE"] {
        let (harness, mut puppet, mut servers) = idle(1).await;
        let mut client = harness.connect().await;
        client
            .send(harness.asking(method, "/api/v1/next", ""))
            .await;
        servers[0].head().await;
        drop(servers.pop());
        let reply = client.response().await;
        assert_eq!(
            (reply.status, reply.fault()),
            (502, Some("upstream.broken")),
            "{method}: {reply}"
        );
        assert!(reply.complaint().contains("outcome: unknown"), "{reply}");
        assert!(puppet.is_quiet(), "{method} was sent twice");
    }
}

/// A new connection that breaks is not a stale one.
#[tokio::test]
async fn a_get_on_a_new_connection_that_breaks_is_a_fault() {
    let (harness, mut puppet, servers) = idle(1).await;
    drop(servers);
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v1/next", "")).await;
    let mut fresh = puppet.next().await;
    fresh.head().await;
    drop(fresh);
    let reply = client.response().await;
    assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
    assert!(puppet.is_quiet());
}

#[tokio::test]
async fn a_client_that_aborts_a_download_closes_its_connection() {
    let (harness, mut puppet, mut servers) = idle(1).await;
    let server = &mut servers[0];
    let mut client = harness.connect().await;
    client
        .send(harness.asking("GET", "/api/v1/large", ""))
        .await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nthe beginning")
        .await;
    client.head().await;
    assert_eq!(client.bytes(13).await, b"the beginning");
    drop(client);
    assert_eq!(server.rest().await, b"", "the connection ends");
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v1/next", "")).await;
    let mut fresh = puppet.next().await;
    assert!(fresh.head().await.starts_with("GET /api/v1/next "));
    ok(&mut fresh).await;
    assert_eq!(client.response().await.text(), "ok");
}

/// The web server may not send anything while no request waits for a response.
#[tokio::test]
async fn unexpected_bytes_close_an_idle_connection() {
    let (harness, mut puppet, mut servers) = idle(1).await;
    servers[0]
        .send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        .await;
    assert_eq!(servers[0].rest().await, b"", "it is closed");
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v1/next", "")).await;
    let mut fresh = puppet.next().await;
    fresh.head().await;
    ok(&mut fresh).await;
    assert_eq!(client.response().await.text(), "ok");
}
