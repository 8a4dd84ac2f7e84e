//! The REST API of both majors: reading, writing, rights, streams.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::identity::Role;
use super::super::{Emulator, Seed, Settings};
use super::browser::{ask, sign_in};
use super::client::{Answer, start, tls};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Somebody who is signed in.
struct Caller<'a> {
    emulator: &'a Emulator,
    header: (&'static str, String),
}

impl<'a> Caller<'a> {
    async fn new(emulator: &'a Emulator, role: Role) -> Self {
        let answer = sign_in(emulator, "demo", role).await;
        let header = match answer.cookie("_token") {
            Some(token) => ("Authorization", format!("Bearer {token}")),
            None => (
                "Cookie",
                format!("session={}", answer.cookie("session").unwrap()),
            ),
        };
        Self { emulator, header }
    }

    async fn send(&self, line: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let mut headers = vec![(self.header.0, self.header.1.as_str())];
        headers.extend(more);
        ask(self.emulator, "demo", line, &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "").await
    }
}

async fn emulator(version: &str) -> Emulator {
    start(Settings {
        environments: vec![Seed::new("demo", version)],
        ..Settings::default()
    })
    .await
}

#[tokio::test]
async fn a_run_is_triggered_watched_and_its_log_read() {
    for (version, base) in [
        ("2.10.3", "/api/v1"),
        ("3.0.6", "/api/v2"),
        ("3.3.2", "/api/v2"),
    ] {
        let emulator = emulator(version).await;
        let user = Caller::new(&emulator, Role::User).await;
        let dags = user.get(&format!("{base}/dags?limit=2")).await.json();
        assert_eq!(
            (
                dags["total_entries"].as_u64(),
                dags["dags"].as_array().unwrap().len()
            ),
            (Some(3), 2)
        );
        let line = format!("POST {base}/dags/lab_hello/dagRuns");
        let body = r#"{"dag_run_id": "r+1:a", "conf": {"a": 1}, "logical_date": null}"#;
        let run = user.send(&line, &[JSON], body).await;
        assert_eq!(run.status, 200, "{}", run.body);
        assert_eq!(
            (run.json()["state"].as_str(), &run.json()["conf"]["a"]),
            (Some("queued"), &Value::from(1))
        );
        assert_eq!(user.send(&line, &[JSON], body).await.status, 409);
        // the id in either spelling
        for id in ["r+1:a", "r%2B1%3Aa"] {
            let path = format!("{base}/dags/lab_hello/dagRuns/{id}/taskInstances");
            let tasks = user.get(&path).await.json();
            assert_eq!(tasks["task_instances"][0]["task_id"], "say");
        }
        let runs = user
            .get(&format!("{base}/dags/example_etl/dagRuns"))
            .await
            .json();
        let id = runs["dag_runs"][0]["dag_run_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let path = format!("{base}/dags/example_etl/dagRuns/{id}/taskInstances/load/logs/1");
        let log = user.get(&path).await;
        assert!(log.body.contains("loading"), "{}", log.body);
        let missing = user.get(&format!("{base}/dags/nope")).await;
        assert_eq!(missing.status, 404);
    }
}

#[tokio::test]
async fn rights_follow_the_role() {
    for (version, base) in [
        ("2.10.5", "/api/v1"),
        ("3.0.6", "/api/v2"),
        ("3.3.2", "/api/v2"),
    ] {
        let emulator = emulator(version).await;
        for (role, expected) in [
            (Role::Admin, [200, 200, 200]),
            (Role::Op, [200, 200, 200]),
            (Role::User, [200, 200, 403]),
            (Role::Viewer, [200, 403, 403]),
            (Role::Public, [403, 403, 403]),
        ] {
            let caller = Caller::new(&emulator, role).await;
            let patch = format!("PATCH {base}/dags/lab_hello");
            let seen = [
                caller.get(&format!("{base}/dags")).await.status,
                caller
                    .send(&patch, &[JSON], r#"{"is_paused": true}"#)
                    .await
                    .status,
                caller.get(&format!("{base}/connections")).await.status,
            ];
            assert_eq!(seen, expected, "{version} {role}");
            let variables = caller.get(&format!("{base}/variables")).await;
            assert_eq!(variables.status, expected[2]);
            if role == Role::Public {
                let refused = caller.get(&format!("{base}/dags")).await.json();
                let said = &refused[if base == "/api/v1" { "title" } else { "detail" }];
                assert_eq!(said, "Forbidden");
            }
        }
    }
}

#[tokio::test]
async fn version_and_health_need_no_session() {
    for (version, paths) in [
        (
            "2.10.3",
            ["/api/v1/version", "/api/v1/health", "/health"].as_slice(),
        ),
        ("3.0.6", &["/api/v2/version", "/api/v2/monitor/health"]),
    ] {
        let emulator = emulator(version).await;
        for path in paths {
            let answer = ask(&emulator, "demo", &format!("GET {path}"), &[], "").await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.json().is_object());
        }
    }
}

#[tokio::test]
async fn each_major_complains_in_its_own_way() {
    let two = emulator("2.10.3").await;
    let caller = Caller::new(&two, Role::Admin).await;
    let line = "POST /api/v1/dags/lab_hello/dagRuns";
    assert_eq!(caller.send(line, &[], "{}").await.status, 415);
    let bad = caller
        .send(line, &[JSON], r#"{"logical_date": "soon"}"#)
        .await;
    assert_eq!(
        (bad.status, bad.json()["status"].as_u64()),
        (400, Some(400))
    );
    assert_eq!(caller.get("/api/v2/dags").await.status, 404);
    let three = emulator("3.0.6").await;
    let caller = Caller::new(&three, Role::Admin).await;
    let line = "POST /api/v2/dags/lab_hello/dagRuns";
    let missing = caller.send(line, &[JSON], "{}").await;
    assert_eq!(missing.status, 422);
    assert_eq!(missing.json()["detail"][0]["loc"][1], "logical_date");
    assert_eq!(caller.get("/api/v1/dags").await.status, 404);
    assert_eq!(caller.get("/health").await.status, 404);
}

#[tokio::test]
async fn logs_and_waits_come_line_by_line() {
    let emulator = emulator("3.3.2").await;
    let caller = Caller::new(&emulator, Role::Viewer).await;
    let runs = caller.get("/api/v2/dags/example_etl/dagRuns").await.json();
    let id = runs["dag_runs"][0]["dag_run_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let run = format!("/api/v2/dags/example_etl/dagRuns/{id}");
    let line = format!("GET {run}/taskInstances/load/logs/1");
    emulator
        .script()
        .stream_pause
        .next(1, Duration::from_millis(1));
    let log = caller
        .send(&line, &[("Accept", "application/x-ndjson")], "")
        .await;
    assert_eq!(log.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(log.header("transfer-encoding"), Some("chunked"));
    let events: Vec<Value> = log
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(events.iter().any(|event| event["event"] == "loading"));
    let text = caller.send(&line, &[("Accept", "text/plain")], "").await;
    assert_eq!(text.status, 406);
    let waited = caller.get(&format!("{run}/wait?interval=0.01")).await;
    assert_eq!(
        (waited.header("content-type"), waited.body.as_str()),
        (None, "{\"state\":\"success\"}\n")
    );
    assert_eq!(
        caller.get(&format!("{run}/wait?interval=0")).await.status,
        422
    );
}

/// What has arrived of an answer that is not at its end.
async fn begun(emulator: &Emulator, caller: &Caller<'_>, path: &str, until: &str) -> String {
    let host = emulator.host("demo").unwrap();
    let mut stream = tls(emulator, &host).await.unwrap();
    let (name, value) = &caller.header;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\n{name}: {value}\r\n\
         Accept: application/x-ndjson\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(until) {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_line_is_sent_before_the_next_one_is_there() {
    let emulator = emulator("3.3.2").await;
    let caller = Caller::new(&emulator, Role::User).await;
    let runs = caller.get("/api/v2/dags/example_etl/dagRuns").await.json();
    let id = runs["dag_runs"][0]["dag_run_id"].as_str().unwrap();
    let path = format!("/api/v2/dags/example_etl/dagRuns/{id}/taskInstances/load/logs/1");
    emulator
        .script()
        .stream_pause
        .always(Duration::from_hours(1));
    let seen = begun(&emulator, &caller, &path, "Dependencies all met").await;
    assert!(!seen.contains("Executing <Task"), "{seen}");
    // a run of a paused DAG waits for ever, and so does who waits for it
    let line = "POST /api/v2/dags/daily_report/dagRuns";
    let body = r#"{"dag_run_id": "r1", "logical_date": null}"#;
    assert_eq!(caller.send(line, &[JSON], body).await.status, 200);
    let path = "/api/v2/dags/daily_report/dagRuns/r1/wait?interval=3600";
    let seen = begun(&emulator, &caller, path, "{\"state\":\"queued\"}").await;
    assert!(!seen.to_lowercase().contains("content-type"), "{seen}");
}

#[tokio::test]
async fn a_compressed_stream_is_whole() {
    let emulator = emulator("3.3.2").await;
    let caller = Caller::new(&emulator, Role::User).await;
    let runs = caller.get("/api/v2/dags/example_etl/dagRuns").await.json();
    let id = runs["dag_runs"][0]["dag_run_id"].as_str().unwrap();
    let line = format!("GET /api/v2/dags/example_etl/dagRuns/{id}/taskInstances/load/logs/1");
    let accept = [
        ("Accept", "application/x-ndjson"),
        ("Accept-Encoding", "gzip"),
    ];
    let plain = caller.send(&line, &accept[..1], "").await;
    let compressed = caller.send(&line, &accept, "").await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert_eq!(compressed.unzipped(), plain.body);
}
