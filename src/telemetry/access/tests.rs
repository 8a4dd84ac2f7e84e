//! The two forms of a line, and what clients cannot do to them.

use super::format::{LastParts, add_json, add_text};
use super::*;
use mwaa_model::{Client, ListenerPolicy, PeerAddress, PeerIdentity, RequestId};
use mwaa_runtime::Timestamp;
use serde_json::Value;

/// 2026-11-27T03:31:04.012345Z.
const WALL: Duration = Duration::new(1_795_750_264, 12_345_678);

fn client(peer: &str, uid: Option<u32>) -> Client {
    Client {
        peer: peer.parse().map_or(PeerAddress::Unix, PeerAddress::Tcp),
        identity: PeerIdentity { uid, pid: None },
        listener: Rc::new(ListenerPolicy {
            name: "listener".to_owned(),
            environment: None,
            rules: None,
        }),
    }
}

fn line(client: &Client) -> AccessLine<'_> {
    AccessLine {
        id: RequestId::next(),
        client,
        method: "GET",
        path: "/api/v1/dags",
        user_agent: b"curl/8.5.0",
        environment: Some("demo"),
        kind: Some("rest"),
        command: None,
        status: Some(200),
        fault: None,
        received: 0,
        sent: 1234,
        head: Duration::from_micros(12_345),
        total: Duration::from_micros(12_399),
        ended: Timestamp::from_clocks(Duration::ZERO, WALL),
        queued: None,
        upstream: Some(Duration::from_micros(11_007)),
        is_cut: false,
        trace: None,
    }
}

fn text(line: &AccessLine<'_>) -> String {
    let mut out = Vec::new();
    add_text(&mut out, line, false, &mut LastParts::new());
    String::from_utf8(out).unwrap()
}

fn json(line: &AccessLine<'_>) -> Value {
    let mut out = Vec::new();
    add_json(&mut out, line, &mut LastParts::new());
    let (end, rest) = out.split_last().unwrap();
    assert!(*end == b'\n' && !rest.contains(&b'\n'));
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_line_for_people_begins_with_columns() {
    let client = client("127.0.0.1:51234", Some(1000));
    let line = line(&client);
    let id = line.id;
    assert_eq!(
        text(&line),
        format!(
            "2026-11-27T03:31:04.012345Z  INFO 200     12.3ms GET     /api/v1/dags environment=demo \
             kind=rest out=1234 upstream=11.007ms client=127.0.0.1:51234 uid=1000 \
             listener=listener id={id} agent=\"curl/8.5.0\"\n"
        )
    );

    let refused = AccessLine {
        method: "POST",
        path: "/aws_mwaa/cli",
        command: Some("users create"),
        status: Some(403),
        fault: Some((
            "policy.forbidden_command",
            "`users create` is \"not\" … \u{202e}\n",
        )),
        environment: None,
        kind: None,
        received: 17,
        upstream: None,
        queued: Some(Duration::from_secs(100)),
        is_cut: true,
        total: Duration::from_secs(123),
        user_agent: b"",
        ..line.clone()
    };
    let shown = text(&refused);
    let expected = "  INFO 403 123000.0ms POST    /aws_mwaa/cli command=\"users create\" \
                    code=policy.forbidden_command \
                    detail=\"`users create` is \\\"not\\\" … \\u{202e}\\n\" in=17 out=1234 cut=true \
                    head=12.345ms queued=100000.000ms client=";
    assert!(shown.contains(expected), "{shown}");
    let json = json(&refused);
    assert_eq!(json["detail"], "`users create` is \"not\" … \u{202e}\n");
}

#[test]
fn a_line_for_programs_has_names_of_opentelemetry() {
    let client = client("[::1]:51234", None);
    let line = line(&client);
    assert_eq!(
        json(&line),
        serde_json::json!({
            "timestamp": "2026-11-27T03:31:04.012345Z",
            "level": "INFO",
            "message": "request",
            "id": line.id.to_string(),
            "http.request.method": "GET",
            "url.path": "/api/v1/dags",
            "http.response.status_code": 200,
            "environment": "demo",
            "kind": "rest",
            "http.request.body.size": 0,
            "http.response.body.size": 1234,
            "duration_ms": 12.399,
            "head_ms": 12.345,
            "upstream_ms": 11.007,
            "client.address": "::1",
            "client.port": 51234,
            "listener": "listener",
            "user_agent.original": "curl/8.5.0",
        })
    );
    assert!(text(&line).contains(" client=[::1]:51234 "));
}

#[test]
fn a_head_that_was_not_read_has_no_method_and_no_path() {
    let client = client("unix", Some(7));
    let line = AccessLine {
        method: "",
        path: "",
        status: None,
        ..line(&client)
    };
    assert!(text(&line).contains("  INFO ---     12.3ms -        environment="));
    assert!(text(&line).contains(" client=unix uid=7 "));
    let json = json(&line);
    assert_eq!(json["client.address"], "unix");
    assert!(json.get("url.path").is_none() && json.get("head_ms").is_none());
}

#[test]
fn no_byte_of_a_client_can_end_a_line_or_move_a_cursor() {
    let client = client("127.0.0.1:1", None);
    let every: Vec<u8> = (0..=u8::MAX).collect();
    for bytes in every.chunks(MAX_SHOWN) {
        let line = AccessLine {
            user_agent: bytes,
            ..line(&client)
        };
        let shown = text(&line);
        assert!(
            shown
                .trim_end_matches('\n')
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~'))
        );
        assert_eq!(
            shown.matches('"').count() - shown.matches("\\\"").count(),
            2
        );
        let json = json(&line);
        let agent = json["user_agent.original"].as_str().unwrap();
        assert!(
            agent.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{agent}"
        );
    }
    let line = AccessLine {
        method: "A\x1b[2J",
        path: &"/x".repeat(5000),
        user_agent: &[0xff; 5000],
        ..line(&client)
    };
    let shown = text(&line);
    assert!(shown.contains(" A\\x1b[2J /x/x"), "{shown}");
    assert!(shown.len() < 1500, "{}", shown.len());
}

/// Fewer than the longest user agent.
const MAX_SHOWN: usize = 64;
