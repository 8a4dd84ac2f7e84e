//! Where a request ends: what can be read in two ways is refused, and nothing behind it served.

use super::{OURS, QUIET, Refusal, all_refused, cli, filled, names, untouched, with_hosts};
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
            None,
        ),
        (
            "D-03 unknown",
            chunked("Transfer-Encoding: xchunked\r\n"),
            &[400],
            None,
        ),
        (
            "in HTTP/1.0",
            chunked("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            &[400],
            None,
        ),
        (
            "GET with a body",
            cli("").replacen("POST", "GET", 1),
            &[400],
            malformed,
        ),
        (
            "D-13",
            cli("Connection: upgrade\r\nUpgrade: websocket\r\n"),
            &[400],
            malformed,
        ),
        (
            "D-15",
            cli(
                "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            ),
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
        ("E-10 bell", cli("X: \u{7}\r\n"), &[400], None),
        ("E-10 NUL", cli("X: \0\r\n"), &[400], None),
        ("a folded field", cli("X: a\r\n b\r\n"), &[400], None),
        ("a space before the colon", cli("X : a\r\n"), &[400], None),
        ("an empty name", cli(": a\r\n"), &[400], None),
        (
            "HTTP/2.0",
            cli("").replace("HTTP/1.1", "HTTP/2.0"),
            &[400, 505],
            None,
        ),
        (
            "a TLS hello",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\r\n\r\n".to_owned(),
            &[400],
            None,
        ),
    ];
    for (name, fields) in [
        (
            "D-05 different",
            "Content-Length: 7\r\nContent-Length: 6\r\n",
        ),
        ("D-05 list", "Content-Length: 7, 7\r\n"),
        ("D-05 sign", "Content-Length: +7\r\n"),
        ("D-05 hexadecimal", "Content-Length: 0x7\r\n"),
        ("D-05 empty", "Content-Length: \r\n"),
        ("D-05 negative", "Content-Length: -1\r\n"),
        ("D-05 20 digits", "Content-Length: 99999999999999999999\r\n"),
    ] {
        refusals.push((name, length(fields), &[400], None));
    }
    all_refused(&harness, &refusals).await;

    let mut client = harness.connect().await;
    let mut bytes = filled(&harness, &cli("X: HIGH\r\n")).into_bytes();
    let at = bytes.windows(4).position(|four| four == b"HIGH").unwrap();
    bytes.splice(at..at + 4, *b"\xff\xfe");
    let reply = client.exchange(&bytes).await;
    assert_eq!(
        (reply.status, reply.fault()),
        (400, malformed),
        "E-10 {reply}"
    );
    assert!(untouched(&harness));
}

/// The parser hides what is wrong with these; see the top of this file.
#[tokio::test]
async fn what_the_parser_hides_reaches_the_web_server_in_one_reading() {
    let harness = Harness::configured(QUIET).await;
    let head = cli("").replace("Content-Length: 7\r\n\r\nversion", "");
    let chunks = "7\r\nversion\r\n0\r\n\r\n";
    let mut sent = 0;
    for (name, request) in [
        (
            "D-01 length first",
            format!("{head}Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        ),
        (
            "D-01 coding first",
            format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n{chunks}"),
        ),
        (
            "D-05 equal lengths",
            format!("{head}Content-Length: 7\r\nContent-Length: 7\r\n\r\nversion"),
        ),
        (
            "D-06 bare line feeds",
            format!("{head}Content-Length: 7\r\n\r\nversion").replace("\r\n", "\n"),
        ),
        (
            "D-08 chunk extension",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n7;x=y\r\nversion\r\n0\r\n\r\n"),
        ),
        (
            "D-10 trailers",
            format!(
                "{head}Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n7\r\nversion\r\n0\r\nAuthorization: Bearer evil\r\nHost: evil.example\r\n\r\n"
            ),
        ),
    ] {
        let reply = harness
            .connect()
            .await
            .exchange(filled(&harness, &request))
            .await;
        if reply.status == 400 {
            assert_eq!(
                harness.journal().web_count(),
                sent,
                "{name}: refused and sent"
            );
            continue;
        }
        assert_eq!(reply.status, 200, "{name}: {reply}");
        sent += 1;
        let requests = harness.journal().web_requests();
        assert_eq!(requests.len(), sent, "{name}");
        assert_eq!(requests[sent - 1].body.as_ref(), b"version", "{name}");
        assert_eq!(names(&harness), OURS, "{name}");
    }
    assert!(
        sent > 0,
        "none came through: move these to the table of refusals"
    );
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

/// After a request that can be read in two ways, nobody knows where the next one begins.
#[tokio::test]
async fn nothing_is_served_behind_a_malformed_request() {
    let harness = Harness::configured(QUIET).await;
    let head = cli("").replace("Content-Length: 7\r\n\r\nversion", "");
    for (name, request) in [
        ("D-13", cli("Connection: upgrade\r\nUpgrade: websocket\r\n")),
        ("two Hosts", with_hosts("Host: HOST\r\nHost: HOST\r\n")),
        ("underscores", cli("X_Y: z\r\n")),
        ("GET with a body", cli("").replacen("POST", "GET", 1)),
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
