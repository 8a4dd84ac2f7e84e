//! What passes of the header fields, in both directions.

use super::{OURS, names};
use crate::support::Harness;
use mwaa_emulator::WebFault;

/// The request that leaves is made of parsed values: nothing of the client's own head is in it
/// but who it is and its trace.
#[tokio::test]
async fn client_headers_are_not_forwarded() {
    let harness = Harness::configured("listener.allow_forwarded = true").await;
    let hostile = "Authorization: Bearer canary\r\nCookie: session=canary; _token=canary\r\n\
        Proxy-Authorization: Basic canary\r\nX-Amz-Security-Token: canary\r\nX-Amz-Date: canary\r\n\
        Forwarded: for=canary\r\nX-Forwarded-For: canary\r\nX-Forwarded-Host: canary\r\n\
        X-Forwarded-Proto: canary\r\nX-Real-IP: canary\r\nVia: 1.1 canary\r\nKeep-Alive: canary\r\n\
        TE: trailers, gzip\r\nProxy-Connection: canary\r\nConnection: keep-alive, X-Secret\r\n\
        X-Secret: canary\r\nX-Original-URL: /canary\r\nX-Rewrite-URL: /canary\r\n\
        X-HTTP-Method-Override: canary\r\nTrue-Client-IP: canary\r\nTrailer: canary\r\n\
        Accept: text/plain\r\nAccept-Encoding: gzip\r\nRange: bytes=0-1\r\nIf-None-Match: \"canary\"\r\n\
        Mwaa-Gateway-Secret: canary\r\nUser-Agent: script/1\r\ntraceparent: 00-1-2-03\r\n";
    let request = harness.request_with(hostile, "version");
    let reply = harness.connect().await.exchange(&request).await;
    assert_eq!(reply.status, 200, "{reply}");

    let seen = harness.journal().web_requests().pop().unwrap();
    let mut expected: Vec<_> = OURS.into_iter().chain(["traceparent"]).collect();
    expected.sort_unstable();
    assert_eq!(names(&harness), expected);
    let host = harness.emulator().host("demo").unwrap();
    assert_eq!(seen.header("host"), Some(host.as_str()));
    assert_eq!(seen.header("user-agent"), Some("script/1"));
    assert_eq!(seen.header("content-type"), Some("text/plain"));
    assert!(seen.token.is_some(), "the token is one of ours");

    let raw = String::from_utf8(harness.journal().received(seen.connection)).unwrap();
    assert!(raw.starts_with("POST /aws_mwaa/cli HTTP/1.1\r\n"), "{raw}");
    assert!(raw.ends_with("\r\n\r\nversion"), "{raw}");
    assert!(!raw.contains("canary"), "{raw}");
    let lower = raw.to_ascii_lowercase();
    for name in ["authorization", "content-length", "content-type", "host"] {
        let count = lower.matches(&format!("\r\n{name}:")).count();
        assert_eq!(count, 1, "{name}: {raw}");
    }
    assert!(!lower.contains("transfer-encoding"), "{raw}");

    let without = harness.request("version");
    assert_eq!(harness.connect().await.exchange(without).await.status, 200);
    assert_eq!(names(&harness), OURS);
    let seen = harness.journal().web_requests().pop().unwrap();
    assert!(
        seen.header("user-agent")
            .unwrap()
            .starts_with("mwaa-gateway/")
    );
}

/// Nothing that the gateway added, and nothing that holds only for the web server's own
/// origin, reaches the client.
#[tokio::test]
async fn web_server_credentials_are_not_returned() {
    let harness = Harness::new().await;
    let hostile = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
        Set-Cookie: session=canary\r\nSet-Cookie: _token=canary\r\n\
        Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
        WWW-Authenticate: Bearer canary\r\nStrict-Transport-Security: max-age=1\r\n\
        Keep-Alive: timeout=5\r\nConnection: close, X-Hop\r\nX-Hop: canary\r\n\
        Mwaa-Gateway-Fault: canary\r\nMwaa-Gateway-Request-Id: canary\r\nX-Kept: yes\r\n\r\n{}";
    harness
        .script()
        .web_fault
        .next(1, WebFault::Raw(hostile.as_bytes().to_vec()));
    let reply = harness.command("version").await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (200, "{}"),
        "{reply}"
    );
    assert!(!reply.to_string().contains("canary"), "{reply}");
    for name in [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "authorization",
        "keep-alive",
        "mwaa-gateway-fault",
        "set-cookie",
        "strict-transport-security",
        "www-authenticate",
    ] {
        assert_eq!(reply.header(name), None, "{name}: {reply}");
    }
    assert_eq!(reply.header("x-kept"), Some("yes"), "{reply}");
    assert!(reply.header("mwaa-gateway-request-id").is_some(), "{reply}");
}
