//! What a client may take: time, sizes, connections.

use super::{QUIET, all_refused, ask, cli, filled, post, untouched};
use crate::support::{Client, Harness, Response, soon};
use mwaa_emulator::WebFault;
use std::fmt::Write as _;
use std::time::Duration;

/// The parser's own timer would never fire; ours does (a client that says half a head).
#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let limits = "[limits]\nthreads = 1\nhead_timeout = \"10s\"\nbody_idle = \"10s\"\n";
    let harness = Harness::configured(&format!("{QUIET}{limits}")).await;
    let request = filled(&harness, &cli(""));
    let request = request.as_bytes();
    for length in [1, 29, request.len() - 9] {
        let mut client = harness.connect().await;
        client.send(&request[..length]).await;
        accepted(&harness).await;
        harness.advance(Duration::from_secs(11));
        closed(&mut client, "I-01 half a head").await;
    }
    let mut client = harness.connect().await;
    for byte in "POST /aws_mwaa/cli HTTP/1.1\r\n".bytes() {
        client.send([byte]).await;
        accepted(&harness).await;
        harness.advance(Duration::from_secs(1));
    }
    closed(&mut client, "I-01 a dripped head").await;

    let mut client = harness.connect().await;
    client.send(&request[..request.len() - 1]).await;
    accepted(&harness).await;
    harness.advance(Duration::from_secs(11));
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.fault()),
        (408, Some("request.timeout")),
        "{reply}"
    );
    assert!(untouched(&harness));
}

/// Waits until the only thread has accepted and read what came before: it answers a later connection.
async fn accepted(harness: &Harness) {
    assert_eq!(harness.command("users list").await.status, 403);
}

/// The connection ends with nothing but perhaps a 408 before it.
async fn closed(client: &mut Client, what: &str) {
    let rest = client.rest().await;
    let rest = String::from_utf8_lossy(&rest);
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
        "{what}: {rest}"
    );
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let limits = "[limits]\nthreads = 1\nkeep_alive = \"10s\"\n";
    let harness = Harness::configured(&format!("{QUIET}{limits}")).await;
    let mut silent = harness.connect().await;
    let mut used = harness.connect().await;
    assert_eq!(used.exchange(harness.request("version")).await.status, 200);
    harness.advance(Duration::from_secs(11));
    assert_eq!(silent.rest().await, b"", "I-02 never said anything");
    assert_eq!(used.rest().await, b"", "I-02 between requests");
}

#[tokio::test]
async fn heads_have_a_largest_size() {
    let harness = Harness::configured(QUIET).await;
    let fields = |count: usize| {
        (0..count).fold(String::new(), |mut fields, number| {
            write!(fields, "X-{number}: y\r\n").unwrap();
            fields
        })
    };
    let long = |size: usize| format!("X: {}\r\n", "x".repeat(size));
    let too_large = Some("request.headers_too_large");
    let target = |size: usize| post(&format!("/{}", "x".repeat(size)), "");
    all_refused(
        &harness,
        &[
            ("I-06 101 fields", cli(&fields(101)), &[431], too_large),
            (
                "65 fields",
                cli(&fields(65)),
                &[431],
                Some("request.headers_too_large"),
            ),
            (
                "I-06 a 64 KiB value",
                cli(&long(64 * 1024)),
                &[431],
                too_large,
            ),
            (
                "I-06 a 70 KB target",
                target(70_000),
                &[414],
                Some("request.target_too_long"),
            ),
            (
                "I-06 a 1 MiB head",
                cli(&long(1024 * 1024)),
                &[431],
                too_large,
            ),
            ("a head of 40 KB", cli(&long(40_000)), &[431], too_large),
            (
                "a 9 KiB target",
                target(9 * 1024),
                &[414],
                Some("request.target_too_long"),
            ),
            (
                "a long query",
                post(&format!("/aws_mwaa/cli?{}", "x".repeat(9 * 1024)), ""),
                &[414],
                Some("request.target_too_long"),
            ),
        ],
    )
    .await;
}

/// Browsers send the cookies of every port of localhost with each request.
#[tokio::test]
async fn a_head_filled_by_cookies_gets_a_hint() {
    let harness = Harness::configured(QUIET).await;
    for size in [40_000, 60_000, 900_000] {
        let request = cli(&format!("Cookie: other={}\r\n", "x".repeat(size)));
        let mut client = harness.connect().await;
        let reply = client.exchange(filled(&harness, &request)).await;
        assert_eq!(reply.fault(), Some("request.headers_too_large"), "{reply}");
        let complaint = reply.complaint();
        for word in ["cookies", "localhost", "limits.head_size"] {
            assert!(complaint.contains(word), "{word}: {complaint}");
        }
    }
    assert!(untouched(&harness));
    // the limit is the one that is configured, to the byte
    let configured = "[limits]\nhead_size = \"8KiB\"\n";
    let harness = Harness::configured(&format!("{QUIET}{configured}")).await;
    let around = filled(&harness, &cli("Cookie: \r\n")).len() - "version".len();
    for (size, status) in [(8192 - around, 200), (8193 - around, 431)] {
        let request = cli(&format!("Cookie: {}\r\n", "x".repeat(size)));
        let reply = ask(&harness, &request).await;
        assert_eq!(reply.status, status, "{reply}");
    }
}

/// Every reply names the request and the fault, and is counted, also one to what is no request.
#[tokio::test]
async fn an_unparsable_head_gets_a_normal_fault_response() {
    let harness = Harness::configured(QUIET).await;
    let valid = harness.request("version");
    let hello = "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\r\n\r\n";
    let heads = [
        (
            "a space in the target",
            "GET /api/v1/dags?x=a b HTTP/1.1\r\nHost: x\r\n\r\n",
            "%20",
        ),
        (
            "a space before the colon",
            "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            "HTTP/1.1",
        ),
        ("a TLS hello", hello, "http://"),
        ("no HTTP", "\0\0\0\r\n\r\n", "HTTP/1.1"),
    ];
    for (what, head, hint) in heads {
        for before in [false, true] {
            let mut client = harness.connect().await;
            if before {
                assert_eq!(client.exchange(&valid).await.status, 200, "{what}");
            }
            let reply = client.exchange(head).await;
            assert_eq!(
                (reply.status, reply.fault()),
                (400, Some("request.malformed")),
                "{what}"
            );
            assert!(
                reply.header("mwaa-gateway-request-id").is_some(),
                "{what}: {reply}"
            );
            assert_eq!(reply.header("connection"), Some("close"), "{what}: {reply}");
            assert!(reply.complaint().contains(hint), "{what}: {reply}");
            assert_eq!(client.rest().await, b"", "{what}");
        }
    }
    let status = harness.manage("/status").await.json();
    let counted = status.pointer("/faults/request.malformed").cloned();
    assert_eq!(counted, Some((2 * heads.len()).into()), "{status}");
    let last = &status["refusals"][0];
    assert_eq!(last["code"], "request.malformed", "{status}");
    assert_eq!(last["detail"], "the request line is malformed", "{status}");
}

/// Pipelined behind good requests: their replies come first, and nothing of them is lost.
#[tokio::test]
async fn a_bad_pipelined_head_is_answered_after_the_good_ones() {
    let harness = Harness::configured(QUIET).await;
    let mut client = harness.connect().await;
    let bad = "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n";
    client
        .send(harness.request("version").repeat(3) + bad)
        .await;
    for _ in 0..3 {
        let reply = client.response().await;
        assert_eq!(
            (reply.status, reply.stdout().trim()),
            (200, "2.10.3"),
            "{reply}"
        );
    }
    let reply = client.response().await;
    assert_eq!(reply.fault(), Some("request.malformed"), "{reply}");
    assert_eq!(client.rest().await, b"");
}

/// `nc -N` and shell scripts do so.
#[tokio::test]
async fn a_client_that_half_closes_gets_its_response() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let own = format!(
        "listen = \"unix:{}\"\n[limits]\nthreads = 1\n",
        path.display()
    );
    let harness = Harness::configured(&format!("{QUIET}{own}")).await;
    for over_unix in [false, true] {
        let mut client = if over_unix {
            Client::unix(&path).await
        } else {
            harness.connect().await
        };
        let before = harness.journal().web_count();
        harness.script().web_fault.next(1, WebFault::Hang);
        client.send(harness.request("version")).await;
        client.finish().await;
        harness
            .seen("the command", |journal| journal.web_count() == before + 1)
            .await;
        // the clock passes the next look at a client that has ended its direction
        harness.advance(Duration::from_secs(2));
        harness.script().cut_web_connections();
        let reply = client.response().await;
        assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
        assert_eq!(client.rest().await, b"");
    }
}

/// A head behind another request has no more time than any other.
#[tokio::test]
async fn a_slow_head_behind_a_request_is_cut_off() {
    let limits = "[limits]\nthreads = 1\nhead_timeout = \"10s\"\n";
    let harness = Harness::configured(&format!("{QUIET}{limits}")).await;
    let mut client = harness.connect().await;
    client
        .send(harness.request("version") + "GET /x HTTP/1.1\r\nHost:")
        .await;
    assert_eq!(client.response().await.status, 200);
    harness.advance(Duration::from_secs(11));
    assert_eq!(client.rest().await, b"");
}

/// Beyond the limit, clients wait in the kernel's backlog and are served when a place is free.
#[tokio::test]
async fn connections_beyond_the_limit_wait_for_busy_ones() {
    let limits = "[limits]\nconnections = 1\nthreads = 1\n";
    let harness = Harness::configured(&format!("{QUIET}{limits}")).await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut first = harness.connect().await;
    first.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    let mut second = harness.connect().await;
    second.send(harness.request("dags list")).await;
    // the management address has its own connections
    harness.manage("/status").await;
    assert_eq!(harness.journal().web_count(), 1, "served too early");
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.fault(), Some("upstream.broken"));
    let reply = soon("a free place", second.response()).await;
    assert_eq!(reply.status, 200, "{reply}");
}

#[tokio::test]
async fn the_longest_idle_connection_is_closed_for_a_new_client() {
    for threads in [1, 2] {
        let limits = format!("[limits]\nconnections = 2\nthreads = {threads}\n");
        let harness = Harness::configured(&format!("{QUIET}{limits}")).await;
        let mut oldest = harness.connect().await;
        assert_eq!(
            oldest.exchange(harness.request("version")).await.status,
            200
        );
        harness.advance(Duration::from_secs(1));
        let mut other = harness.connect().await;
        assert_eq!(other.exchange(harness.request("version")).await.status, 200);
        let mut new = harness.connect().await;
        assert_eq!(new.exchange(harness.request("version")).await.status, 200);
        if threads == 1 {
            assert_eq!(oldest.rest().await, b"");
            let reply: Response = other.exchange(harness.request("version")).await;
            assert_eq!(reply.status, 200, "{reply}");
        }
    }
}

/// Clients that send half a head, or nothing, do not keep others waiting.
#[tokio::test]
async fn silent_clients_do_not_delay_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let own = format!("listen = \"unix:{}\"\n", path.display());
    let limits = "[limits]\nconnections = 8\n";
    for silent in ["", "GET / HTTP/1.1\r\nHost:"] {
        let harness = Harness::configured(&format!("{QUIET}{own}{limits}")).await;
        let mut crowd = Vec::new();
        for _ in 0..40 {
            let mut client = Client::unix(&path).await;
            client.send(silent).await;
            crowd.push(client);
        }
        for _ in 0..5 {
            let reply = harness
                .connect()
                .await
                .exchange(harness.request("version"))
                .await;
            assert_eq!(reply.status, 200, "{silent:?}: {reply}");
            let reply = Client::unix(&path)
                .await
                .exchange(harness.request("version"))
                .await;
            assert_eq!(reply.status, 200, "{silent:?}: {reply}");
        }
    }
}

/// A listener keeps places of its own, even if those of the others are all busy.
#[tokio::test]
async fn a_listener_has_places_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let own = format!("listen = \"unix:{}\"\n", path.display());
    let limits = "[limits]\nconnections = 4\nqueue_size = 100\n";
    let harness = Harness::configured(&format!("{QUIET}{own}{limits}")).await;
    harness.script().web_fault.next(10, WebFault::Hang);
    let mut crowd = Vec::new();
    for _ in 0..10 {
        let mut client = Client::unix(&path).await;
        client.send(harness.request("dags list")).await;
        crowd.push(client);
    }
    harness
        .seen("a command", |journal| journal.web_count() >= 1)
        .await;
    let mut client = harness.connect().await;
    let page = format!(
        "GET /-/icon.svg HTTP/1.1\r\nHost: {}\r\n\r\n",
        harness.address()
    );
    assert_eq!(client.exchange(page).await.status, 200);
    harness.script().cut_web_connections();
}
