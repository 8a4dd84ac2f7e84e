//! Which hosts are served: the Host header is the only defence against DNS rebinding.

use super::{QUIET, Refusal, all_refused, with_hosts};
use crate::support::Harness;

/// A browser cannot know that a name now resolves to loopback; only the Host header shows it.
#[tokio::test]
async fn only_our_own_hosts_are_served() {
    let harness = Harness::configured(QUIET).await;
    let port = harness.address().port();
    let (foreign, malformed) = (Some("guard.foreign_host"), Some("request.malformed"));
    let other = if port == 1 { 2 } else { 1 };
    let mut refusals: Vec<Refusal> = vec![(
        "A-08 rebinding",
        with_hosts(&format!(
            "Host: evil.example:{port}\r\nOrigin: http://evil.example:{port}\r\n"
        )),
        &[421],
        foreign,
    )];
    for (name, host) in [
        ("A-10 wrong port", format!("localhost:{other}")),
        ("no port", "localhost".to_owned()),
        (
            "our name as a prefix",
            format!("localhost.evil.example:{port}"),
        ),
        (
            "our label elsewhere",
            format!("demo.localhost.evil.example:{port}"),
        ),
        ("the bind word", format!("0.0.0.0:{port}")),
        ("a short address", format!("127.1:{port}")),
        ("a decimal address", format!("2130706433:{port}")),
        ("a hexadecimal address", format!("0x7f000001:{port}")),
        ("an octal address", format!("0177.0.0.1:{port}")),
        ("another loopback address", format!("127.0.0.2:{port}")),
        ("a trailing dot", format!("localhost.:{port}")),
        ("two labels", format!("a.demo.localhost:{port}")),
        (
            "C-26 81 characters",
            format!("{}.localhost:{port}", "x".repeat(81)),
        ),
    ] {
        refusals.push((
            name,
            with_hosts(&format!("Host: {host}\r\n")),
            &[421],
            foreign,
        ));
    }
    for (name, hosts) in [
        ("A-12 none", ""),
        ("A-12 two", "Host: HOST\r\nHost: HOST\r\n"),
        ("A-12 a list", "Host: HOST, evil.example\r\n"),
        ("empty", "Host: \r\n"),
        ("user info", "Host: evil@HOST\r\n"),
        ("a path", "Host: HOST/x\r\n"),
        ("C-26 a slash in the label", "Host: a/b.localhost:1\r\n"),
    ] {
        refusals.push((name, with_hosts(hosts), &[400], malformed));
    }
    refusals.push((
        "C-26 an unknown environment",
        with_hosts(&format!("Host: nosuch.localhost:{port}\r\n")),
        &[404],
        Some("route.unknown_environment"),
    ));
    all_refused(&harness, &refusals).await;

    for host in [
        format!("LocalHost:{port}"),
        format!("demo.localhost:{port}"),
    ] {
        let request = with_hosts(&format!("Host: {host}\r\n"));
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(reply.status, 200, "{host}: {reply}");
    }
}
