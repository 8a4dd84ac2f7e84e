//! Responses that break off: a fault if nothing has been sent yet, otherwise visibly cut, and
//! never counted as a success.

use crate::program::{Running, command};
use crate::support::airflow::{JSON, OWN};
use crate::support::{Client, Harness, Puppet, soon};
use mwaa_emulator::{ControlFault, Emulator, Seed, Settings, WebFault};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What a client got on a connection that it used before, until that was closed.
async fn got(harness: &Harness, request: &str, raw: &str) -> String {
    let mut client = harness.connect().await;
    let first = harness.asking("GET", "/health", "");
    assert_eq!(client.exchange(first).await.fault(), None);
    let fault = WebFault::Raw(raw.as_bytes().to_vec());
    harness.script().web_fault.next(1, fault);
    client.send(request).await;
    String::from_utf8(client.rest().await).unwrap()
}

/// If a persistent connection closes without a byte, a browser assumes that it was closed before,
/// and sends its request again, whatever the method.
#[tokio::test]
async fn a_broken_response_never_closes_without_a_byte() {
    let harness = Harness::airflow("3.3.1").await;
    let closing = |headers: &str| format!("{headers}Connection: close\r\n");
    let post = harness.sending("POST", "/api/v2/x", &closing(JSON), "{}");
    let page = harness.asking("GET", "/ui/x", &closing(OWN));
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<p>\r\n",
        "HTTP/1.1 200 OK\r\n\r\nabc",
    ] {
        for request in [&post, &page] {
            let got = got(&harness, request, raw).await;
            let (head, body) = got.split_once("\r\n\r\n").expect(raw);
            let told = head.contains("mwaa-gateway-fault: upstream.broken");
            let cut = if head.contains("content-length: 10\r\n") {
                body.len() < 10
            } else {
                head.contains("transfer-encoding: chunked") && !body.ends_with("0\r\n\r\n")
            };
            assert!(head.starts_with("HTTP/1.1 502 ") || cut, "{raw}: {got}");
            assert_eq!(head.starts_with("HTTP/1.1 502 "), told, "{raw}: {got}");
        }
    }
    // each of them was sent once
    assert_eq!(harness.reached().len(), 4 * 7);
}

#[tokio::test]
async fn a_response_that_breaks_after_its_head_is_counted_as_broken() {
    let mut puppet = Puppet::start().await;
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", puppet.config()).await;
    let mut client = harness.connect().await;
    let request = harness.asking("GET", "/api/v1/x", "");
    client.send(request).await;
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    drop(server);
    assert_eq!(client.rest().await, b"abc");
    let metrics = harness.manage("/metrics").await.text();
    let count = |line: &str| metrics.lines().any(|found| found == line);
    assert!(
        count(r#"mwaa_gateway_requests_total{kind="fault",status="502",environment="demo"} 1"#)
            && count(
                r#"mwaa_gateway_faults_total{code="upstream.broken",blame="upstream",environment="demo"} 1"#
            ),
        "{metrics}"
    );
    assert!(!metrics.contains("kind=\"rest\""), "{metrics}");
    let status = harness.manage("/status").await.json();
    let refusal = &status["refusals"][0];
    assert_eq!(refusal["code"], "upstream.broken", "{status}");
    assert_eq!(refusal["path"], "/api/v1/x", "{status}");
}

/// It cannot read chunks, so the end of the connection is the end of the response.
#[tokio::test]
async fn a_kept_alive_client_of_http_1_0_sees_the_end_of_a_response_without_a_length() {
    let mut puppet = Puppet::start().await;
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", puppet.config()).await;
    let mut client = harness.connect().await;
    let request = harness.asking("GET", "/api/v1/x", "Connection: keep-alive\r\n");
    client.send(request.replace("HTTP/1.1", "HTTP/1.0")).await;
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .await;
    let head = client.head().await;
    assert!(head.contains("connection: close\r\n"), "{head}");
    // a response that came as a whole would have a length
    server.send("0\r\n\r\n").await;
    assert_eq!(client.rest().await, b"hello");
}

/// Only our own framing says where a reply ends.
#[tokio::test]
async fn http_1_0_and_unframed_responses_get_http_1_1_framing() {
    let mut puppet = Puppet::start().await;
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", puppet.config()).await;
    let mut cookie = Some("session=x");
    for (old, framing, body) in [
        (
            "HTTP/1.0 200 Fine\r\n\r\nhello",
            "transfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 Fine\r\n\r\nhello",
            "transfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "HTTP/1.0 200 Fine\r\nContent-Length: 5\r\n\r\nhello",
            "content-length: 5\r\n",
            "hello",
        ),
    ] {
        let mut client = harness.connect().await;
        client
            .send(harness.asking("GET", "/api/v1/x", "Connection: close\r\n"))
            .await;
        if let Some(cookie) = cookie.take() {
            puppet.signs_in(cookie).await;
        }
        let mut server = puppet.next().await;
        server.head().await;
        server.send(old).await;
        server.finish().await;
        let got = String::from_utf8(client.rest().await).unwrap();
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{old}: {got}");
        assert!(got.contains(framing), "{old}: {got}");
        assert!(got.ends_with(&format!("\r\n\r\n{body}")), "{old}: {got}");
    }
}

#[tokio::test]
async fn a_response_with_an_invalid_head_is_broken() {
    let harness = Harness::airflow("3.3.1").await;
    assert_eq!(harness.get("/health").await.fault(), None);
    for (method, raw) in [
        ("POST", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n"),
        ("POST", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"),
        (
            "POST",
            "HTTP/1.1 101 Odd\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n"),
        (
            "POST",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        ),
        ("POST", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi"),
        (
            "POST",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        ("POST", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nhi"),
        ("POST", "HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nhi"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n"),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"),
        (
            "POST",
            "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        ),
        (
            "POST",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        ),
    ] {
        let request = match method {
            "HEAD" => harness.asking(method, "/ui/x", "Connection: close\r\n"),
            _ => harness.sending(method, "/ui/x", "Connection: close\r\n", "{}"),
        };
        let before = harness.reached().len();
        let got = got(&harness, &request, raw).await;
        assert!(got.starts_with("HTTP/1.1 502 "), "{raw}: {got}");
        assert!(
            got.contains("mwaa-gateway-fault: upstream.broken\r\n"),
            "{raw}: {got}"
        );
        assert_eq!(harness.reached().len(), before + 2, "{raw}");
    }
}

/// AWS refuses a token while the client waits: the client gets the fault, and the log does not
/// claim that it left.
#[tokio::test]
async fn the_log_does_not_claim_that_the_client_left() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(Settings {
        environments: vec![Seed::new("demo", "2.10.3"), Seed::new("other", "2.10.3")],
        ..Settings::default()
    })
    .await
    .unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, emulator.ca_pem()).unwrap();
    let file = folder.path().join("gateway.toml");
    let config = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\n[management]\naddress = \"127.0.0.1:0\"\n\
         [limits]\ndrain = \"0s\"\n{}",
        emulator.config_toml(&ca_file)
    );
    std::fs::write(&file, config).unwrap();
    let mut serve = command(&["serve", "--config", file.to_str().unwrap()]);
    serve
        .env("AWS_ACCESS_KEY_ID", emulator.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", emulator.secret_access_key());
    let mut gateway = Running::start(serve);
    let address = gateway.told("listening on http://").await;
    let port = address.rsplit(':').next().unwrap();
    let request = |environment: &str| {
        format!(
            "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {environment}.localhost:{port}\r\n\
             Content-Type: text/plain\r\nContent-Length: 7\r\n\r\nversion"
        )
    };
    let mut client = Client::tcp(address.parse().unwrap()).await;
    let denied = ControlFault::AccessDenied;
    emulator.script().mint_fault.next(1, denied);
    let reply = client.exchange(request("other")).await;
    assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
    // one that the gateway's own end cuts off, while its client waits
    emulator.script().web_fault.next(1, WebFault::Hang);
    client.send(request("demo")).await;
    let sent = emulator
        .journal()
        .wait_for(|journal| journal.web_count() == 1);
    soon("the command", sent).await;
    let ended = gateway.stop().await;
    let log = ended.stderr;
    let reply = client.response().await;
    assert_eq!(reply.fault(), Some("gateway.interrupted"), "{reply}");
    assert!(log.contains("gateway.interrupted"), "{log}");
    assert!(!log.contains("closed its connection"), "{log}");
}

/// To a client of HTTP/1.0 the end of the connection is the end of the reply, so it is reset.
#[tokio::test]
async fn a_truncated_response_to_http_1_0_ends_in_a_reset() {
    let harness = Harness::airflow("2.10.3").await;
    for raw in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.0 200 OK\r\n\r\nabc",
    ] {
        let fault = WebFault::Raw(raw.as_bytes().to_vec());
        assert_eq!(harness.get("/health").await.fault(), None);
        harness.script().web_fault.next(1, fault);
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        let mut stream = socket.connect(harness.address()).await.unwrap();
        let request = harness.asking("GET", "/api/v1/x", "");
        let request = request.replace("HTTP/1.1", "HTTP/1.0");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let end = soon("the end", stream.read_to_end(&mut got)).await;
        let told = got.starts_with(b"HTTP/1.0 502 ") || got.starts_with(b"HTTP/1.1 502 ");
        assert!(end.is_err() || told, "{}", String::from_utf8_lossy(&got));
    }
}

/// The same if the client is the reason: it reads too slowly.
#[tokio::test]
async fn a_response_that_an_http_1_0_client_does_not_take_ends_in_a_reset() {
    let mut puppet = Puppet::start().await;
    let limits = format!("{}\nlimits.keep_alive = \"10s\"\n", puppet.config());
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", &limits).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = socket.connect(harness.address()).await.unwrap();
    let request = harness
        .asking("GET", "/api/v1/x", "")
        .replace("HTTP/1.1", "HTTP/1.0");
    stream.write_all(request.as_bytes()).await.unwrap();
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    // more than all buffers between the two hold; the gateway closes in the end
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let sending = async {
        for _ in 0..1000 {
            server.send(&chunk).await;
        }
    };
    let slow = async {
        harness.manage("/status").await;
        for _ in 0..20 {
            harness.advance(Duration::from_secs(11));
            harness.manage("/status").await;
        }
    };
    tokio::join!(sending, slow);
    let mut got = Vec::new();
    let end = soon("the end", stream.read_to_end(&mut got)).await;
    assert!(end.is_err(), "{} bytes and an orderly end", got.len());
}

/// The events of a command begin with status 200, whatever its result.
#[tokio::test]
async fn a_command_that_fails_in_its_events_is_not_counted_as_success() {
    let harness = Harness::configured("environments.demo.airflow_version = \"2.10.3\"").await;
    harness.script().web_fault.next(1, WebFault::CutBody);
    let events = "Accept: application/vnd.mwaa-gateway.cli-events+ndjson\r\n";
    let request = harness.request_with(events, "version");
    let reply = harness.connect().await.exchange(request).await;
    assert!(reply.text().contains("\"fault\""), "{reply}");
    let metrics = harness.manage("/metrics").await.text();
    let counted = |line: &&str| line.starts_with("mwaa_gateway_requests_total{");
    let counted: Vec<_> = metrics.lines().filter(counted).collect();
    let failed = counted
        .iter()
        .any(|line| line.contains("fault") && line.contains("502"));
    let worked = counted
        .iter()
        .any(|line| line.contains("\"cli\"") && line.contains("\"200\""));
    assert!(failed && !worked, "{counted:?}");
}
