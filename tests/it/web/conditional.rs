//! Static files and what belongs to them: validators, compression, ranges, HEAD, no content.

use super::answered;
use crate::support::Harness;
use crate::support::airflow::VERSIONS;

const STYLE: &str = "/static/emulator/style.css";

#[tokio::test]
async fn a_cached_file_gets_304() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let first = harness.get(STYLE).await;
        assert_eq!(first.status, 200, "{first}");
        let tag = first.header("etag").unwrap();
        let date = first.header("last-modified").unwrap();
        for condition in [
            format!("If-None-Match: {tag}\r\n"),
            format!("If-Modified-Since: {date}\r\n"),
        ] {
            let mut client = harness.connect().await;
            let reply = client
                .exchange(harness.asking("GET", STYLE, &condition))
                .await;
            assert_eq!(
                (reply.status, reply.body.len()),
                (304, 0),
                "{version}: {reply}"
            );
            assert_eq!(reply.header("etag"), Some(tag));
            // no part of a body precedes the next response
            let reply = client.exchange(harness.asking("GET", STYLE, "")).await;
            assert_eq!((reply.status, &reply.body), (200, &first.body), "{version}");
        }
        let other = harness
            .get_with(STYLE, "If-None-Match: \"other\"\r\n")
            .await;
        assert_eq!(other.status, 200);
    }
}

#[tokio::test]
async fn compressed_files_are_returned_unchanged() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let plain = harness.get(STYLE).await;
        let packed = harness.get_with(STYLE, "Accept-Encoding: gzip\r\n").await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{version}");
        assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
        assert_eq!(packed.header("etag"), plain.header("etag"));
        assert!(
            packed.body.starts_with(&[0x1f, 0x8b]),
            "{version}: not gzip"
        );
        assert!(packed.body.len() < plain.body.len());
        let mut unpacked = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(packed.body.as_slice());
        std::io::Read::read_to_end(&mut reader, &mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body, "{version}");
    }
}

#[tokio::test]
async fn a_head_response_has_no_body_and_keeps_the_connection() {
    let harness = Harness::airflow("2.10.3").await;
    for target in [STYLE, "/home"] {
        let mut client = harness.connect().await;
        client.send(harness.asking("HEAD", target, "")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        let reply = client.exchange(harness.asking("GET", target, "")).await;
        assert_eq!(reply.status, 200, "{target}: {reply}");
    }
    assert_eq!(harness.reached()[0].method, "HEAD");
    let length = harness.get(STYLE).await.body.len();
    let mut client = harness.connect().await;
    client.send(harness.asking("HEAD", STYLE, "")).await;
    let head = client.head().await.to_lowercase();
    assert!(
        head.contains(&format!("\r\ncontent-length: {length}\r\n")),
        "{head}"
    );
}

#[tokio::test]
async fn range_headers_are_forwarded_in_both_directions() {
    let harness = Harness::airflow("3.3.1").await;
    let raw = "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\n\
        Content-Range: bytes 2-5/10\r\nAccept-Ranges: bytes\r\nContent-Length: 4\r\n\r\n2345";
    let reply = answered(
        &harness,
        "/file",
        "Range: bytes=2-5\r\nIf-Range: \"x\"\r\n",
        raw,
    )
    .await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (206, "2345"),
        "{reply}"
    );
    assert_eq!(reply.header("content-range"), Some("bytes 2-5/10"));
    assert_eq!(reply.header("accept-ranges"), Some("bytes"));
    let seen = harness.reached().pop().unwrap();
    assert_eq!(seen.header("range"), Some("bytes=2-5"));
    assert_eq!(seen.header("if-range"), Some("\"x\""));
}

/// G-16: what has no body gets none, whatever the web server sends.
#[tokio::test]
async fn bytes_after_a_response_without_a_body_are_dropped() {
    let harness = Harness::airflow("3.3.1").await;
    for status in ["204 No Content", "304 Not Modified"] {
        let raw = format!("HTTP/1.1 {status}\r\nX-A: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nsmuggled");
        assert_eq!(harness.get("/health").await.fault(), None);
        let fault = mwaa_emulator::WebFault::Raw(raw.into_bytes());
        harness.script().web_fault.next(1, fault);
        let mut client = harness.connect().await;
        let reply = client.exchange(harness.asking("GET", "/x", "")).await;
        assert_eq!(reply.header("x-a"), Some("b"), "{reply}");
        let next = client
            .exchange(harness.asking("GET", "/api/v2/dags", ""))
            .await;
        assert!(next.json()["dags"].is_array(), "{next}");
    }
}
