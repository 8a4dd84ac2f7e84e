//! Replies that are unusual and whole.

use super::{ONE_THREAD, settled};
use crate::support::Harness;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mwaa_emulator::{Noise, WebFault};

#[tokio::test]
async fn interim_responses_are_skipped() {
    let harness = Harness::configured(ONE_THREAD).await;
    for count in [1, 50] {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count);
        let bytes = format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        harness
            .script()
            .web_fault
            .next(1, WebFault::Raw(bytes.into_bytes()));
        let reply = harness.command("version").await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "hi"),
            "{reply}"
        );
        assert_eq!(reply.header("link"), None);
        // the emulator closes without a word: that must be noticed before the next command
        settled(&harness).await;
    }
}

#[tokio::test]
async fn endless_interim_responses_are_broken() {
    let harness = Harness::configured(ONE_THREAD).await;
    let hints = "HTTP/1.1 102 Processing\r\n\r\n".repeat(500);
    let bytes = format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let fault = WebFault::Raw(bytes.into_bytes());
    harness.script().web_fault.next(1, fault);
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
    assert!(reply.text().contains("interim"), "{reply}");
}

#[tokio::test]
async fn bytes_after_a_response_without_a_body_are_dropped() {
    let harness = Harness::configured(ONE_THREAD).await;
    let bytes =
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    harness
        .script()
        .web_fault
        .next(1, WebFault::Raw(bytes.to_vec()));
    let request = harness.request("version");
    let mut client = harness.connect().await;
    let reply = client.exchange(&request).await;
    assert_eq!(reply.status, 204, "{reply}");
    settled(&harness).await;
    let reply = client.exchange(&request).await;
    assert_eq!(reply.stdout().trim(), "2.10.3", "{reply}");
}

#[tokio::test]
async fn large_output_is_returned_byte_for_byte() {
    const SIZE: usize = 5 << 20;
    let harness = Harness::new().await;
    harness.script().noise.always(Noise::Huge(SIZE));
    let mut stdout = b"2.10.3\n".to_vec();
    stdout.resize(stdout.len() + SIZE, b'.');
    let reply = harness.command("version").await;
    assert_eq!(reply.status, 200);
    let expected = format!(
        "{{\"stderr\": \"\", \"stdout\": \"{}\"}}",
        STANDARD.encode(&stdout)
    );
    assert!(
        reply.body == expected.as_bytes(),
        "{} bytes",
        reply.body.len()
    );
    let length = expected.len().to_string();
    assert_eq!(reply.header("content-length"), Some(length.as_str()));
}

#[tokio::test]
async fn decoded_output_is_complete_or_a_fault() {
    let harness = Harness::configured(r#"limits.cli_output = "1MiB""#).await;
    let request = harness.request_with("Accept: text/plain\r\n", "version");
    let mut client = harness.connect().await;
    harness.script().noise.next(1, Noise::Huge(500 << 10));
    let reply = client.exchange(&request).await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(reply.body.len(), 7 + (500 << 10));
    harness.script().noise.next(1, Noise::Huge(2 << 20));
    let reply = client.exchange(&request).await;
    let code = Some("upstream.output_too_large");
    assert_eq!((reply.status, reply.fault()), (502, code), "{reply}");
    assert!(reply.complaint().contains("limits.cli_output"), "{reply}");
    assert_eq!(client.exchange(&request).await.status, 200);
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_everything() {
    let harness = Harness::configured(ONE_THREAD).await;
    harness.script().noise.next(1, Noise::Huge(8 << 20));
    let request = harness.request("version");
    let mut slow = harness.connect().await;
    slow.send(&request).await;
    harness
        .seen("the command", |journal| journal.commands().len() == 1)
        .await;
    // nothing is read until the thread has shown that it serves others meanwhile
    for _ in 0..20 {
        assert_eq!(harness.command("users list").await.status, 403);
    }
    let reply = slow.response().await;
    assert_eq!(reply.stdout().len(), 7 + (8 << 20));
}
