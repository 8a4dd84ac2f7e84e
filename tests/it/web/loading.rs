//! Request bodies: passed on as they come, bounded, and never complete when they were not.

use crate::support::airflow::{DAG, JSON, api};
use crate::support::{Client, Harness, Puppet};
use mwaa_emulator::Settings;
use std::time::Duration;

/// A gateway with an open session at a puppet, and the puppet.
async fn signed_in(extra: &str) -> (Harness, Puppet, Client) {
    let mut puppet = Puppet::start().await;
    let extra = format!("{}{extra}", puppet.config());
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", &extra).await;
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v1/x", "")).await;
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    assert_eq!(client.response().await.text(), "ok");
    (harness, puppet, server)
}

fn upload(harness: &Harness) -> String {
    harness.asking("POST", "/api/v1/x", "Transfer-Encoding: chunked\r\n")
}

#[tokio::test]
async fn an_upload_is_streamed_to_the_web_server() {
    let (harness, _puppet, mut server) = signed_in("").await;
    let mut client = harness.connect().await;
    client.send(upload(&harness)).await;
    let head = server.head().await.to_lowercase();
    assert!(
        head.contains("\r\ntransfer-encoding: chunked\r\n"),
        "{head}"
    );
    for number in 0..20 {
        let part = format!("part {number}\n");
        client.send(format!("{:x}\r\n{part}\r\n", part.len())).await;
        let size = server.line().await;
        assert_eq!(size.trim_end(), format!("{:x}", part.len()).to_uppercase());
        assert_eq!(server.line().await, part);
        assert_eq!(server.line().await, "\r\n");
    }
    client.send("0\r\nX-Trailer: canary\r\n\r\n").await;
    assert_eq!(server.line().await, "0\r\n");
    assert_eq!(server.line().await, "\r\n", "a trailer was passed on");
    server
        .send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 201);
}

/// The limit is 16 MiB by default. A larger Content-Length is refused before any call to AWS or
/// the web server.
#[tokio::test]
async fn a_content_length_above_the_limit_is_refused_at_once() {
    let harness = Harness::airflow("3.3.1").await;
    let target = format!("{}/dags/{DAG}", api("3.3.1"));
    let headers = format!("{JSON}Content-Length: {}\r\n", (16 << 20) + 1);
    let mut client = harness.connect().await;
    client
        .send(harness.asking("PATCH", &target, &headers))
        .await;
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.fault()),
        (413, Some("request.too_large")),
        "{reply}"
    );
    assert!(reply.complaint().contains("16"), "{reply}");
    let journal = harness.journal();
    assert_eq!((journal.control_count(), journal.web_connections()), (0, 0));
}

/// R7: the web server never sees the end of a message that was cut.
#[tokio::test]
async fn a_chunked_body_above_the_limit_is_not_completed() {
    let (harness, _puppet, mut server) = signed_in("limits.request_body = \"64KiB\"").await;
    let mut client = harness.connect().await;
    client.send(upload(&harness)).await;
    server.head().await;
    let part = "x".repeat(1 << 14);
    for _ in 0..5 {
        client.send(format!("{:x}\r\n{part}\r\n", part.len())).await;
    }
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.fault()),
        (413, Some("request.too_large")),
        "{reply}"
    );
    let seen = server.rest().await;
    assert!(
        !seen.ends_with(b"0\r\n\r\n") && seen.len() < (1 << 16) + 100,
        "{}",
        seen.len()
    );
}

#[tokio::test]
async fn an_aborted_upload_is_not_completed() {
    let (harness, mut puppet, mut server) = signed_in("").await;
    let mut client = harness.connect().await;
    client.send(upload(&harness) + "5\r\nhello\r\n").await;
    server.head().await;
    drop(client);
    let seen = server.rest().await;
    assert!(
        !seen.ends_with(b"0\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&seen)
    );
    // it is not sent again and does not block other requests
    assert!(puppet.is_quiet());
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v1/y", "")).await;
    let mut server = puppet.next().await;
    assert!(server.head().await.starts_with("GET /api/v1/y "));
}

#[tokio::test]
async fn a_client_that_stops_sending_gets_408() {
    let (harness, _puppet, mut server) = signed_in("limits.body_idle = \"1s\"").await;
    let mut client = harness.connect().await;
    client.send(upload(&harness) + "5\r\nhello\r\n").await;
    server.head().await;
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.fault()),
        (408, Some("request.timeout")),
        "{reply}"
    );
    assert!(!server.rest().await.ends_with(b"0\r\n\r\n"));
}

/// An early response is passed on, and the rest of the upload is dropped.
#[tokio::test]
async fn an_early_response_to_an_upload_closes_the_connection() {
    let (harness, mut puppet, mut server) = signed_in("").await;
    let mut client = harness.connect().await;
    client.send(upload(&harness) + "5\r\nhello\r\n").await;
    server.head().await;
    server
        .send("HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno")
        .await;
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (409, "no"),
        "{reply}"
    );
    client.send("5\r\nworld\r\n0\r\n\r\n").await;
    let mut other = harness.connect().await;
    other.send(harness.asking("GET", "/api/v1/y", "")).await;
    let mut fresh = puppet.next().await;
    assert!(fresh.head().await.starts_with("GET /api/v1/y "));
    fresh
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    assert_eq!(other.response().await.text(), "ok");
}

/// The client has sent everything, and the web server has not taken all of it: what is left must not
/// be taken for the next request.
#[tokio::test]
async fn an_early_response_to_a_complete_upload_closes_the_connection() {
    let (harness, mut puppet, mut server) = signed_in("limits.request_body = \"64MiB\"").await;
    let mut client = harness.connect().await;
    let size = 32 << 20;
    let head = harness.asking("POST", "/api/v1/x", &format!("Content-Length: {size}\r\n"));
    client.send(head).await;
    let answering = async {
        server.head().await;
        server
            .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            .await;
    };
    tokio::join!(client.send(vec![b'x'; size]), answering);
    let reply = client.response().await;
    assert_eq!(reply.status, 413, "{reply}");
    let mut other = harness.connect().await;
    other.send(harness.asking("GET", "/api/v1/y", "")).await;
    let mut fresh = puppet.next().await;
    assert!(fresh.head().await.starts_with("GET /api/v1/y "));
}

/// The wait for a reply begins when the request is complete: an upload that makes progress is no
/// slow web server, however long it takes.
#[tokio::test]
async fn a_slow_upload_does_not_count_towards_the_response_timeout() {
    for answers in [true, false] {
        let (harness, _puppet, mut server) =
            signed_in("limits.upstream_first_byte = \"10s\"\nlimits.body_idle = \"1m\"").await;
        let mut client = harness.connect().await;
        client.send(upload(&harness)).await;
        server.head().await;
        for _ in 0..5 {
            client.send("5\r\nhello\r\n").await;
            assert_eq!(server.bytes(10).await, b"5\r\nhello\r\n");
            harness.advance(Duration::from_secs(4));
        }
        client.send("0\r\n\r\n").await;
        assert_eq!(server.bytes(5).await, b"0\r\n\r\n");
        if answers {
            server
                .send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
        if !answers {
            harness.advance(Duration::from_secs(10));
        }
        let reply = client.response().await;
        let expected = if answers {
            (201, None)
        } else {
            (504, Some("upstream.timeout"))
        };
        assert_eq!((reply.status, reply.fault()), expected, "{reply}");
    }
}

/// No pause is too long, and it would never end.
#[tokio::test]
async fn a_client_that_sends_its_body_too_slowly_gets_408() {
    let limits = "limits.body_idle = \"10s\"\nlimits.body_rate = \"64KiB\"";
    let (harness, _puppet, _server) = signed_in(limits).await;
    let whole = harness.asking("POST", "/api/v1/x", "Content-Length: 60000\r\n");
    let command = harness.asking(
        "POST",
        "/aws_mwaa/cli",
        "Content-Type: text/plain\r\nContent-Length: 60000\r\n",
    );
    for (request, drop) in [
        (upload(&harness), "1\r\nx\r\n"),
        (whole, "x"),
        (command, "x"),
    ] {
        let mut client = harness.connect().await;
        client.send(&request).await;
        let mut other = harness.connect().await;
        for _ in 0..4 {
            client.send(drop).await;
            // answered by the same thread: it has seen the drop
            let refused = harness.request("users list");
            assert_eq!(other.exchange(refused).await.status, 403);
            harness.advance(Duration::from_secs(6));
        }
        let reply = client.response().await;
        assert_eq!(
            (reply.status, reply.fault()),
            (408, Some("request.timeout")),
            "{request}: {reply}"
        );
    }
}
