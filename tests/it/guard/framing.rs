//! Where a request ends: what can be read in two ways is refused, and nothing behind it served.

use super::{
    OURS, QUIET, Refusal, all_refused, ask, cli, filled, names, post, untouched, with_hosts,
};
use crate::support::Harness;

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    let harness = Harness::configured(QUIET).await;
    let malformed = Some("request.malformed");
    let chunked = |coding: &str| {
        let head = cli("").replace("Content-Length: 7\r\n\r\nversion", "");
        format!("{head}{coding}\r\n7\r\nversion\r\n0\r\n\r\n")
    };
    let length = |fields: &str| cli("").replace("Content-Length: 7\r\n", fields);
    let mut refusals: Vec<Refusal> = vec![
        (
            "D-03",
            chunked("Transfer-Encoding: gzip, chunked\r\n"),
            &[400],
            malformed,
        ),
        (
            "D-02 two codings",
            chunked("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            &[400],
            malformed,
        ),
        (
            "D-03 not last",
            chunked("Transfer-Encoding: chunked, gzip\r\n"),
            &[400],
            malformed,
        ),
        (
            "D-03 unknown",
            chunked("Transfer-Encoding: xchunked\r\n"),
            &[400],
            malformed,
        ),
        (
            "in HTTP/1.0",
            chunked("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            &[400],
            malformed,
        ),
        (
            "D-21",
            cli("Expect: foo\r\n"),
            &[417],
            Some("request.expectation"),
        ),
        (
            "E-05",
            cli("Connection: close, authorization, cookie\r\n"),
            &[400],
            malformed,
        ),
        ("E-05 Host", cli("Connection: host\r\n"), &[400], malformed),
        (
            "underscores",
            cli("X_Forwarded_For: 127.0.0.1\r\n"),
            &[400],
            malformed,
        ),
        ("E-10 bell", cli("X: \u{7}\r\n"), &[400], malformed),
        ("E-10 NUL", cli("X: \0\r\n"), &[400], malformed),
        ("a folded field", cli("X: a\r\n b\r\n"), &[400], malformed),
        (
            "a space before the colon",
            cli("X : a\r\n"),
            &[400],
            malformed,
        ),
        ("an empty name", cli(": a\r\n"), &[400], malformed),
        (
            "HTTP/2.0",
            cli("").replace("HTTP/1.1", "HTTP/2.0"),
            &[505],
            Some("request.http_version"),
        ),
        (
            "the HTTP/2 preface",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            &[505],
            Some("request.http_version"),
        ),
        (
            "a length beside chunked",
            chunked("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n"),
            &[400],
            malformed,
        ),
        (
            "a bare LF",
            cli("").replacen("HTTP/1.1\r\n", "HTTP/1.1\n", 1),
            &[400],
            malformed,
        ),
        (
            "only bare LFs",
            cli("").replace("\r\n", "\n"),
            &[400],
            malformed,
        ),
        ("a bare CR", cli("X: a\rb\r\n"), &[400], malformed),
        (
            "a fragment",
            cli("").replacen("/aws_mwaa/cli", "/aws_mwaa/cli#/static", 1),
            &[400],
            malformed,
        ),
        (
            "a TLS hello",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\r\n\r\n".to_owned(),
            &[400],
            malformed,
        ),
    ];
    for (name, fields) in [
        (
            "D-05 different",
            "Content-Length: 7\r\nContent-Length: 6\r\n",
        ),
        ("D-05 equal", "Content-Length: 7\r\nContent-Length: 7\r\n"),
        ("D-05 list", "Content-Length: 7, 7\r\n"),
        ("D-05 sign", "Content-Length: +7\r\n"),
        ("D-05 hexadecimal", "Content-Length: 0x7\r\n"),
        ("D-05 empty", "Content-Length: \r\n"),
        ("D-05 negative", "Content-Length: -1\r\n"),
        ("D-05 20 digits", "Content-Length: 99999999999999999999\r\n"),
    ] {
        refusals.push((name, length(fields), &[400], malformed));
    }
    all_refused(&harness, &refusals).await;

    let mut client = harness.connect().await;
    let reply = client.exchange(high(&harness, "User-Agent")).await;
    assert_eq!(
        (reply.status, reply.fault()),
        (400, malformed),
        "E-10 {reply}"
    );
    assert!(untouched(&harness));
}

/// A command with a field whose value has bytes outside ASCII.
fn high(harness: &Harness, name: &str) -> Vec<u8> {
    let mut bytes = filled(harness, &cli(&format!("{name}: HIGH\r\n"))).into_bytes();
    let at = bytes.windows(4).position(|four| four == b"HIGH").unwrap();
    bytes.splice(at..at + 4, *b"\xff\xfe");
    bytes
}

/// What is not forwarded cannot be misread further on (RFC 9110 section 5.5).
#[tokio::test]
async fn unusual_bytes_in_fields_that_are_not_forwarded_are_accepted() {
    let harness = Harness::configured(QUIET).await;
    for name in ["Cookie", "X-Other", "Via"] {
        let reply = harness.connect().await.exchange(high(&harness, name)).await;
        assert_eq!(reply.status, 200, "{name}: {reply}");
        assert_eq!(names(&harness), OURS, "{name}");
    }
}

/// RFC 9110 section 7.8: Java's default client and `curl --http2` ask with every request.
#[tokio::test]
async fn an_upgrade_is_ignored() {
    let harness = Harness::configured(QUIET).await;
    for (name, headers) in [
        (
            "D-15 Java",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
        ),
        ("D-13", "Connection: upgrade\r\nUpgrade: websocket\r\n"),
        ("unknown", "Connection: Upgrade\r\nUpgrade: IRC/6.9, x\r\n"),
        ("empty", "Upgrade: \r\n"),
        ("not nominated", "Upgrade: h2c\r\n"),
        (
            "twice",
            "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        ),
    ] {
        let mut client = harness.connect().await;
        // two in one write: no byte of the second is tunnelled
        let request = filled(&harness, &cli(headers));
        client
            .send(request + &harness.request("dags list -o plain"))
            .await;
        let first = client.response().await;
        assert_eq!(
            (first.status, first.stdout().trim()),
            (200, "2.10.3"),
            "{name}: {first}"
        );
        assert_eq!(names(&harness), OURS, "{name}");
        let second = client.response().await;
        assert!(second.stdout().contains("example_etl"), "{name}: {second}");
        assert_eq!(first.header("upgrade"), None, "{name}");
    }
}

#[tokio::test]
async fn fields_that_connection_nominates_are_dropped() {
    let harness = Harness::configured(QUIET).await;
    let request = cli(
        "Connection: keep-alive, traceparent, X-Mine, b@d\r\ntraceparent: 00-1-2-03\r\n\
         tracestate: a=b\r\nX-Mine: canary\r\n",
    );
    let reply = ask(&harness, &request).await;
    assert_eq!(reply.status, 200, "E-07 {reply}");
    let mut expected: Vec<_> = OURS.into_iter().chain(["tracestate"]).collect();
    expected.sort_unstable();
    assert_eq!(names(&harness), expected);
}

/// A body is framed and read whatever the method, and passed on where it has a meaning.
#[tokio::test]
async fn every_method_may_have_a_body() {
    let harness = Harness::airflow("2.10.3").await;
    for (method, forwarded) in [
        ("GET", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("DELETE", true),
        ("PUT", true),
    ] {
        let json = "Content-Type: application/json\r\n";
        let chunked = harness.asking(
            method,
            "/api/v1/dags",
            &format!("{json}Transfer-Encoding: chunked\r\n"),
        ) + "2\r\n{}\r\n0\r\n\r\n";
        let long = "x".repeat(1 << 16);
        for (request, body) in [
            (harness.sending(method, "/api/v1/dags", json, "{}"), "{}"),
            (chunked, "{}"),
            (harness.sending(method, "/api/v1/dags", json, &long), &long),
        ] {
            let before = harness.reached().len();
            let mut client = harness.connect().await;
            client.send(request).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 "), "{method}: {head}");
            assert!(!head.contains("mwaa-gateway-fault"), "{method}: {head}");
            let reached = harness.reached();
            assert_eq!(reached.len(), before + 1, "{method}");
            let seen = reached.last().unwrap();
            assert_eq!(seen.method, method);
            let expected = if forwarded { body } else { "" };
            assert!(
                seen.body.as_ref() == expected.as_bytes(),
                "{method}: {}",
                seen.body.len()
            );
            let framed = seen.header("content-length").is_some()
                || seen.header("transfer-encoding").is_some();
            assert_eq!(framed, forwarded, "{method}");
        }
    }
}

#[tokio::test]
async fn forwarded_fields_are_refused_unless_allowed() {
    let fields = [
        "Forwarded: for=192.0.2.1\r\n",
        "X-Forwarded-For: 192.0.2.1\r\n",
        "X-Forwarded-Host: airflow.corp.example\r\n",
        "X-Forwarded-Proto: https\r\n",
    ];
    let harness = Harness::configured(QUIET).await;
    let refusals: Vec<Refusal> = fields
        .into_iter()
        .map(|field| (field, cli(field), &[403][..], Some("guard.forwarded")))
        .collect();
    all_refused(&harness, &refusals).await;
    let open = format!("{QUIET}[listener]\nallow_forwarded = true\n");
    let harness = Harness::configured(&open).await;
    for field in fields {
        let reply = ask(&harness, &cli(field)).await;
        assert_eq!(reply.status, 200, "{field}: {reply}");
        assert_eq!(names(&harness), OURS, "{field}");
    }
}

/// The parser hides what is wrong with these; see the top of this file.
#[tokio::test]
async fn trailers_are_dropped() {
    let harness = Harness::configured(QUIET).await;
    let head = cli("").replace("Content-Length: 7\r\n\r\nversion", "");
    let request = format!(
        "{head}Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n7\r\nversion\r\n\
         0\r\nAuthorization: Bearer evil\r\nHost: evil.example\r\n\r\n"
    );
    let reply = ask(&harness, &request).await;
    assert_eq!(reply.status, 200, "{reply}");
    let requests = harness.journal().web_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body.as_ref(), b"version");
    assert_eq!(names(&harness), OURS);
}

#[tokio::test]
async fn malformed_chunks_are_refused() {
    let harness = Harness::configured(QUIET).await;
    let head = cli("").replace("Content-Length: 7\r\n\r\nversion", "");
    let mut refusals: Vec<Refusal> = Vec::new();
    for (name, chunks) in [
        ("an extension", "7;x=y\r\nversion\r\n0\r\n\r\n"),
        ("a bare LF", "7\nversion\r\n0\r\n\r\n"),
        ("sixteen zeros", "0000000000000007\r\nversion\r\n0\r\n\r\n"),
        ("no size", "\r\nversion\r\n0\r\n\r\n"),
        ("a sign", "+7\r\nversion\r\n0\r\n\r\n"),
        ("a prefix", "0x7\r\nversion\r\n0\r\n\r\n"),
        ("a space", "7 \r\nversion\r\n0\r\n\r\n"),
        ("longer data", "6\r\nversion\r\n0\r\n\r\n"),
        (
            "a folded trailer",
            "7\r\nversion\r\n0\r\nA: b\r\n c\r\n\r\n",
        ),
    ] {
        let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        refusals.push((name, request, &[400], Some("request.malformed")));
    }
    all_refused(&harness, &refusals).await;
}

#[tokio::test]
async fn pipelined_requests_before_a_half_close_are_all_answered() {
    let harness = Harness::configured(QUIET).await;
    let mut client = harness.connect().await;
    client.send(harness.request("version").repeat(3)).await;
    client.finish().await;
    for _ in 0..3 {
        assert_eq!(client.response().await.status, 200);
    }
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let harness = Harness::configured(QUIET).await;
    let second = harness.request("dags list -o plain");
    let mut client = harness.connect().await;
    client.send(harness.request("version") + &second).await;
    let first = client.response().await;
    assert_eq!(
        (first.status, first.stdout().trim()),
        (200, "2.10.3"),
        "D-16 {first}"
    );
    let reply = client.response().await;
    assert!(reply.stdout().contains("example_etl"), "D-16 {reply}");
    assert_eq!(
        harness.journal().commands(),
        ["version", "dags list -o plain"]
    );
}

/// After an ambiguous request it is unknown where the next one begins.
#[tokio::test]
async fn no_request_after_a_malformed_one_is_served() {
    let harness = Harness::configured(QUIET).await;
    let head = cli("").replace("Content-Length: 7\r\n\r\nversion", "");
    for (name, request) in [
        ("two Hosts", with_hosts("Host: HOST\r\nHost: HOST\r\n")),
        ("underscores", cli("X_Y: z\r\n")),
        ("two slashes", post("//aws_mwaa/cli", "")),
        ("different lengths", cli("Content-Length: 6\r\n")),
        (
            "two codings",
            format!(
                "{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nversion\r\n0\r\n\r\n"
            ),
        ),
    ] {
        let mut client = harness.connect().await;
        let second = harness.request("version");
        client.send(filled(&harness, &request) + &second).await;
        let reply = client.response().await;
        assert_eq!(reply.status, 400, "{name}: {reply}");
        assert_eq!(client.rest().await, b"", "{name}: the second was answered");
        assert!(untouched(&harness), "{name}: the second was served");
    }
}
