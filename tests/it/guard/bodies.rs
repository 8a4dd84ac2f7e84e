//! Bodies that are cut, unread or waited for.

use super::{QUIET, cli, filled, post, untouched};
use crate::support::Harness;

/// A reply before the body was read: the rest of that body is never taken for a request.
#[tokio::test]
async fn an_unread_body_is_not_parsed_as_the_next_request() {
    let harness = Harness::configured(QUIET).await;
    let inner = harness.request("version");
    let body = inner.repeat(1024 * 1024 / inner.len());
    for (name, request, status) in [
        ("D-18 unknown path", post("/aws_mwaa/other", ""), 404),
        (
            "D-18 form type",
            cli("").replace("text/plain", "text/html"),
            415,
        ),
        ("D-18 too large", cli(""), 413),
    ] {
        let request = request.replace("Content-Length: 7\r\n\r\nversion", "");
        let head = format!("{request}Content-Length: {}\r\n\r\n", body.len());
        let mut client = harness.connect().await;
        client.send(filled(&harness, &head)).await;
        let reply = client.response().await;
        assert_eq!(reply.status, status, "{name}: {reply}");
        client.send(&body).await;
        client.send(harness.request("dags list")).await;
        // closed, or drained and then the real next request served: never one of the inner ones
        while let Ok(reply) = client.try_response().await {
            assert!(reply.stdout().contains("dag_id"), "{name}: {reply}");
            client.finish().await;
        }
        let commands = harness.journal().commands();
        assert!(
            !commands.contains(&"version".to_owned()),
            "{name}: {commands:?}"
        );
    }
}

/// A truncated command is another valid command, so nothing of it is sent.
#[tokio::test]
async fn an_incomplete_body_is_not_sent() {
    let harness = Harness::configured(QUIET).await;
    let head = cli("").replace("Content-Length: 7\r\n\r\nversion", "");
    for (name, request) in [
        (
            "D-20 no last chunk",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n7\r\nversion\r\n"),
        ),
        (
            "a chunk cut",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n9\r\nversion"),
        ),
        (
            "a broken chunk size",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nxyz\r\nversion\r\n0\r\n\r\n"),
        ),
        (
            "a length cut",
            format!("{head}Content-Length: 100\r\n\r\nversion"),
        ),
    ] {
        let mut client = harness.connect().await;
        client.send(filled(&harness, &request)).await;
        client.finish().await;
        if let Ok(reply) = client.try_response().await {
            assert_eq!(reply.fault(), Some("request.malformed"), "{name}: {reply}");
        }
        assert_eq!(client.rest().await, b"", "{name}");
        assert!(untouched(&harness), "{name}");
    }
}

#[tokio::test]
async fn continue_is_sent_only_after_the_head_is_accepted() {
    let harness = Harness::configured(QUIET).await;
    let request = cli("Expect: 100-continue\r\n");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = filled(&harness, head) + "\r\n\r\n";
    let mut client = harness.connect().await;
    let interim = client.exchange(&head).await;
    assert_eq!(interim.status, 100, "D-21 {interim}");
    assert!(untouched(&harness));
    let reply = client.exchange(body).await;
    assert_eq!(reply.status, 200, "D-21 {reply}");

    let mut client = harness.connect().await;
    let refused = client
        .exchange(head.replace("text/plain", "text/html"))
        .await;
    assert_eq!(
        refused.status, 415,
        "D-21: refused before the body is asked for: {refused}"
    );
}

/// A refusal before the body was read closes the connection and has `Connection: close`: otherwise
/// the client would send its next request on a closed connection. The response arrives while the
/// client still sends.
#[tokio::test]
async fn a_refusal_with_an_unread_body_sends_connection_close() {
    let harness = Harness::configured(QUIET).await;
    for size in [200, 100_000, 1_000_000] {
        for (status, request) in [
            (415, cli("").replace("text/plain", "application/json")),
            (404, post("/aws_mwaa/x", "")),
            (403, cli("Origin: http://evil.example\r\n")),
        ] {
            let request = request.replace("Content-Length: 7\r\n\r\nversion", "");
            let head = format!("{request}Content-Length: {size}\r\n\r\n");
            let mut client = harness.connect().await;
            client.send(filled(&harness, &head)).await;
            let reply = client.response().await;
            assert_eq!(
                (reply.status, reply.header("connection")),
                (status, Some("close"))
            );
            client.send("x".repeat(size)).await;
            assert_eq!(client.rest().await, b"", "{size}");
        }
    }
    // a short one that has come with its head is read and costs no connection
    let mut client = harness.connect().await;
    let short = cli("").replace("text/plain", "application/json");
    let refused = client.exchange(filled(&harness, &short)).await;
    assert_eq!(
        (refused.status, refused.header("connection")),
        (415, None),
        "{refused}"
    );
    assert_eq!(
        client.exchange(harness.request("version")).await.status,
        200
    );
    let mut client = harness.connect().await;
    let refused = client.exchange(harness.request("users list")).await;
    assert_eq!(
        (refused.status, refused.header("connection")),
        (403, None),
        "{refused}"
    );
    assert_eq!(
        client.exchange(harness.request("version")).await.status,
        200
    );
}
