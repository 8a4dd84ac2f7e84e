//! Replies that are late, cut short or not HTTP.

use super::ONE_THREAD;
use crate::support::Harness;
use mwaa_emulator::WebFault;

#[tokio::test]
async fn a_silent_web_server_times_out_with_an_unknown_outcome() {
    let extra = r#"limits.cli_first_byte = "1s""#;
    let harness = Harness::configured(extra).await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let reply = harness.command("version").await;
    assert_eq!(
        (reply.status, reply.fault()),
        (504, Some("upstream.timeout")),
        "{reply}"
    );
    let complaint = reply.complaint();
    assert!(
        complaint.contains("outcome: unknown") && complaint.contains("1s"),
        "{complaint}"
    );
    assert_eq!(harness.journal().web_count(), 1);
    assert_eq!(
        harness.command("version").await.status,
        200,
        "the slot is free again"
    );
}

#[tokio::test]
async fn a_truncated_response_is_not_returned_as_complete() {
    let harness = Harness::configured(ONE_THREAD).await;
    harness.script().web_fault.next(1, WebFault::CutBody);
    let request = harness.request("version");
    let mut client = harness.connect().await;
    client.send(&request).await;
    let error = client.try_response().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    // a decoded response is not sent before it is complete: the gateway can still return a fault
    harness.script().web_fault.next(1, WebFault::CutBody);
    let request = harness.request_with("Accept: text/plain\r\n", "version");
    let reply = harness.connect().await.exchange(request).await;
    assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().commands().len(), 3);
}

#[tokio::test]
async fn a_response_without_its_end_is_not_returned_as_complete() {
    let harness = Harness::new().await;
    for cut in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        // would end with the connection, but TLS has not said that it ends
        "HTTP/1.1 200 OK\r\n\r\nhello",
    ] {
        let fault = WebFault::Raw(cut.as_bytes().to_vec());
        harness.script().web_fault.next(1, fault.clone());
        let mut client = harness.connect().await;
        client.send(harness.request("version")).await;
        assert!(client.try_response().await.is_err(), "{cut}");
        harness.script().web_fault.next(1, fault);
        let request = harness.request_with("Accept: text/plain\r\n", "version");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
    }
}

#[tokio::test]
async fn a_response_that_is_not_http_is_broken() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhi").into_bytes();
    let many = "X-Many: v\r\n".repeat(300);
    let long = format!("X-Long: {}\r\nContent-Length: 2", "v".repeat(2 << 20));
    let replies = [
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec()),
        ("two lengths", head("Content-Length: 2\r\nContent-Length: 3")),
        ("NUL", head("X-A: a\0b\r\nContent-Length: 2")),
        ("300 fields", head(&format!("{many}Content-Length: 2"))),
        ("2 MiB of head", head(&long)),
        ("a status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("HTTP/2", b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("nothing at all", Vec::new()),
        (
            "a switch that nobody asked for",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                .to_vec(),
        ),
    ];
    let harness = Harness::configured(ONE_THREAD).await;
    for (number, (what, bytes)) in replies.into_iter().enumerate() {
        harness.script().web_fault.next(1, WebFault::Raw(bytes));
        let reply = harness.command("version").await;
        assert_eq!(
            (reply.status, reply.fault()),
            (502, Some("upstream.broken")),
            "{what}: {reply}"
        );
        // neither sent again nor is the connection used again
        let sent = harness.journal().web_count();
        assert_eq!(sent, 2 * number + 1, "{what}");
        assert_eq!(harness.command("version").await.status, 200, "after {what}");
        let requests = harness.journal().web_requests();
        assert_ne!(
            requests[sent - 1].connection,
            requests[sent].connection,
            "{what}"
        );
    }
}
