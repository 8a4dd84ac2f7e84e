//! Responses that are streamed: nothing is held back, and a response that breaks off never looks
//! complete.

use super::answered;
use crate::support::airflow::{DAG, JSON, api};
use crate::support::{Client, HELD, Harness, Puppet, eventually};
use mwaa_emulator::{Settings, WebFault};

/// The next chunk of a chunked body.
async fn chunk(client: &mut Client) -> Vec<u8> {
    let size = client.line().await;
    let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
    let data = client.bytes(size + 2).await;
    data[..size].to_vec()
}

/// Each line is read before the web server makes the next one.
#[tokio::test]
async fn lines_come_one_by_one() {
    for media in [
        "Content-Type: application/x-ndjson\r\n",
        "",
        "Content-Type: text/html\r\n",
    ] {
        let mut puppet = Puppet::start().await;
        let harness =
            Harness::airflow_with(Settings::default(), "2.10.3", puppet.config()).await;
        let mut client = harness.connect().await;
        client
            .send(harness.asking("GET", "/api/v1/x/wait", ""))
            .await;
        puppet.signs_in("session=x").await;
        let mut server = puppet.next().await;
        assert!(
            server
                .head()
                .await
                .starts_with("GET /api/v1/x/wait HTTP/1.1\r\n")
        );
        server
            .send(format!(
                "HTTP/1.1 200 OK\r\n{media}Transfer-Encoding: chunked\r\n\r\n"
            ))
            .await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        for number in 0..50 {
            let line = format!("{{\"line\": {number}}}\n");
            server.send(format!("{:x}\r\n{line}\r\n", line.len())).await;
            assert_eq!(chunk(&mut client).await, line.as_bytes(), "{media}");
        }
        server.send("0\r\n\r\n").await;
        assert_eq!(client.line().await, "0\r\n");
    }
}

/// A chunk costs work, so there are as few as possible.
#[tokio::test]
async fn chunks_that_come_together_are_sent_as_one() {
    let mut puppet = Puppet::start().await;
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", puppet.config()).await;
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v1/x", "")).await;
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;

    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    server
        .send(format!("{head}3\r\nabc\r\n1\r\nd\r\n5\r\nef"))
        .await;
    client.head().await;
    assert_eq!(chunk(&mut client).await, b"abcdef");
    server.send("ghi\r\n1\r\nj\r\n0\r\n\r\n").await;
    assert_eq!(chunk(&mut client).await, b"ghij");
    assert_eq!(client.line().await, "0\r\n");
}

#[tokio::test]
async fn logs_and_waits_are_streamed() {
    let harness = Harness::airflow("3.3.1").await;
    let runs = format!("{}/dags/{DAG}/dagRuns", api("3.3.1"));
    let body = r#"{"dag_run_id": "one", "logical_date": null}"#;
    let made = harness.sending("POST", &runs, JSON, body);
    let made = harness.connect().await.exchange(made).await;
    assert_eq!(made.status, 200, "{made}");
    let first = async |target: &str, headers: &str| {
        let mut client = harness.connect().await;
        client.send(harness.asking("GET", target, headers)).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        chunk(&mut client).await
    };
    let state = first(&format!("{runs}/one/wait?interval=3600"), "").await;
    assert!(
        state.starts_with(b"{\"state\":") && state.ends_with(b"}\n"),
        "{state:?}"
    );
    // once the task has said something
    let log = format!("{runs}/one/taskInstances/extract/logs/1");
    eventually("a log", async || {
        let lines = harness.get(&log).await.json();
        (lines["content"] != serde_json::json!([])).then_some(())
    })
    .await;
    harness.script().stream_pause.always(HELD);
    let line = first(&log, "Accept: application/x-ndjson\r\n").await;
    assert!(line.starts_with(b"{") && line.ends_with(b"}\n"), "{line:?}");
}

#[tokio::test]
async fn a_truncated_response_is_not_returned_as_complete() {
    let harness = Harness::airflow("3.3.1").await;
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
    for raw in [
        format!("{page}Content-Length: 100\r\n\r\n<p>"),
        format!("{page}Transfer-Encoding: chunked\r\n\r\n3\r\n<p>\r\n"),
        format!("{page}Transfer-Encoding: chunked\r\n\r\n10\r\n<p>"),
        // ends with the connection, whose end TLS has not announced
        format!("{page}\r\n<p>"),
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n".to_owned(),
    ] {
        assert_eq!(harness.get("/health").await.fault(), None);
        harness
            .script()
            .web_fault
            .next(1, WebFault::Raw(raw.clone().into_bytes()));
        let mut client = harness.connect().await;
        client.send(harness.asking("GET", "/ui/x", "")).await;
        let reply = client.try_response().await;
        assert!(reply.is_err(), "{raw}: {}", reply.unwrap());
    }
    harness.script().web_fault.next(1, WebFault::CutBody);
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v2/dags", "")).await;
    assert!(client.try_response().await.is_err());
    assert_eq!(
        harness.get("/api/v2/dags").await.status,
        200,
        "the pool is clean"
    );
}

#[tokio::test]
async fn a_large_response_is_complete() {
    let harness = Harness::airflow("2.10.3").await;
    let size = 8 << 20;
    for chunked in ["", "&chunked=true"] {
        let reply = harness
            .get(&format!("/static/emulator/zeros?bytes={size}{chunked}"))
            .await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body.len(), size);
    }
}

/// Silence within a reply has an end, and then the reply is not complete.
#[tokio::test]
async fn a_response_that_pauses_too_long_is_cut_off() {
    let mut puppet = Puppet::start().await;
    let extra = format!("{}limits.upstream_body_idle = \"1s\"", puppet.config());
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", &extra).await;
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/api/v1/x", "")).await;
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    assert!(client.try_response().await.is_err());
    // and the web server is let go
    assert_eq!(server.rest().await, b"");
}

/// G-11, G-14: what is no reply is a fault, and its connection is not used again.
#[tokio::test]
async fn an_invalid_response_is_a_fault() {
    let harness = Harness::airflow("3.3.1").await;
    for raw in [
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/2 200 OK\r\n\r\n",
    ] {
        let request = "Content-Type: application/json\r\n";
        let reply = answered(&harness, "/ui/x", request, raw).await;
        // a safe request on a kept connection may be tried once more, and is then answered
        let served = reply.fault().is_none() && harness.reached().len() > 1;
        assert!(
            served || reply.fault() == Some("upstream.broken"),
            "{raw}: {reply}"
        );
        assert!(!reply.text().contains("OpenSSH"), "{reply}");
        assert_ne!(reply.status, 101);
    }
}
