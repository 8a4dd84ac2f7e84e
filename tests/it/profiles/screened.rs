//! What a read-only client does not get to see within replies that pass.

use crate::support::{Client, Harness, Puppet};
use mwaa_emulator::Settings;

const TASKS: &str = "/api/v2/dags/d/dagRuns/r/taskInstances";

/// A gateway whose first listener is open and whose second one is read-only, with a session at a
/// puppet, which has a connection.
async fn signed_in(policy: &str) -> (Harness, Puppet, Client, Client) {
    let mut puppet = Puppet::start().await;
    let extra = format!(
        "{}[listeners.other]\naddress = \"127.0.0.1:0\"\npolicy = \"{policy}\"\n",
        puppet.config()
    );
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", &extra).await;
    let mut client = Client::tcp(harness.door(1)).await;
    client.send(ask(&harness, "/home", "")).await;
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;
    server.send(reply("text/html", "", "ok")).await;
    assert_eq!(client.response().await.text(), "ok");
    (harness, puppet, server, client)
}

fn ask(harness: &Harness, target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
        harness.door(1)
    )
}

fn reply(media: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const DOCUMENT: &str = r#"{"task_instances": [{"id": 1.50, "rendered_fields": {"sql": "hunter2 }]\""}, "x": "é"}]}"#;
const SCREENED: &str = r#"{"task_instances": [{"id": 1.50, "rendered_fields":{}, "x": "é"}]}"#;

#[tokio::test]
async fn only_rendered_values_are_redacted() {
    let (harness, _puppet, mut server, mut client) = signed_in("read-only").await;
    for (media, sent, got) in [
        ("application/json", DOCUMENT, SCREENED),
        ("application/json; charset=utf-8", DOCUMENT, SCREENED),
        ("application/problem+json", DOCUMENT, SCREENED),
        ("application/json", "{\"a\":  1}", "{\"a\":  1}"),
        // a log is passed on unchanged, even with the same text
        ("text/plain", DOCUMENT, DOCUMENT),
        ("application/x-ndjson", "{\"a\":1}\n", "{\"a\":1}\n"),
    ] {
        let headers = "Accept-Encoding: gzip, br\r\nRange: bytes=0-9\r\nIf-Range: \"x\"\r\n";
        client.send(ask(&harness, TASKS, headers)).await;
        let head = server.head().await.to_lowercase();
        assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
        assert!(!head.contains("range:"), "{head}");
        server.send(reply(media, "ETag: \"x\"\r\n", sent)).await;
        let reply = client.response().await;
        assert_eq!((reply.status, reply.text().as_str()), (200, got), "{media}");
    }
}

/// The audit log quotes what was written into variables.
#[tokio::test]
async fn quoted_values_in_event_logs_are_redacted() {
    let (harness, _puppet, mut server, mut client) = signed_in("read-only").await;
    let entry = r#"{"event": "variables", "extra": "{\"value\": \"hunter2\"}", "id": 1}"#;
    let screened = r#"{"event": "variables", "extra":"", "id": 1}"#;
    for (target, got) in [
        ("/api/v1/eventLogs", screened),
        ("/api/v2/eventLogs/1", screened),
        ("/api/v2/%65ventLogs", screened),
        // of a dataset it is something else
        ("/api/v2/assets", entry),
    ] {
        client.send(ask(&harness, target, "")).await;
        server.head().await;
        server.send(reply("application/json", "", entry)).await;
        assert_eq!(client.response().await.text(), got, "{target}");
    }
}

#[tokio::test]
async fn a_chunked_document_is_redacted_as_a_whole() {
    let (harness, _puppet, mut server, mut client) = signed_in("read-only").await;
    client.send(ask(&harness, TASKS, "")).await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    for piece in DOCUMENT.as_bytes().chunks(7) {
        server.send(format!("{:x}\r\n", piece.len())).await;
        server.send(piece).await;
        server.send("\r\n").await;
    }
    server.send("0\r\n\r\n").await;
    assert_eq!(client.response().await.text(), SCREENED);
}

#[tokio::test]
async fn a_document_that_cannot_be_redacted_is_not_returned() {
    for (headers, body) in [
        ("Content-Encoding: gzip\r\n", DOCUMENT),
        ("", r#"{"rendered_fields": {"sql": "hunter2"#),
    ] {
        let (harness, _puppet, mut server, mut client) = signed_in("read-only").await;
        client.send(ask(&harness, TASKS, "")).await;
        server.head().await;
        server.send(reply("application/json", headers, body)).await;
        let got = String::from_utf8_lossy(&client.rest().await).into_owned();
        assert!(
            !got.contains("hunter2") && !got.ends_with("0\r\n\r\n"),
            "{got}"
        );
        // nor is it an empty close, which a browser may answer with the request once more
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got:?}");
        let metrics = harness.manage("/metrics").await.text();
        assert!(
            metrics.contains(
                r#"faults_total{code="upstream.broken",blame="upstream",environment="demo"} 1"#
            ),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn other_policies_return_documents_unchanged() {
    let (harness, _puppet, mut server, mut client) = signed_in("operator").await;
    client
        .send(ask(&harness, TASKS, "Accept-Encoding: gzip\r\n"))
        .await;
    let head = server.head().await.to_lowercase();
    assert!(head.contains("accept-encoding: gzip\r\n"), "{head}");
    server.send(reply("application/json", "", DOCUMENT)).await;
    assert_eq!(client.response().await.text(), DOCUMENT);
}
