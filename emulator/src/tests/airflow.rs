//! The built-in Airflow: its REST API, its page, and the rights of roles.

use serde_json::Value;

use super::super::Emulator;
use super::super::identity::Role;
use super::client::{Answer, ask, sign_in, version};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const DIALECTS: [(&str, &str); 3] = [
    ("2.10.3", "/api/v1"),
    ("3.0.6", "/api/v2"),
    ("3.3.2", "/api/v2"),
];

/// A user who is logged in.
struct Caller<'a> {
    emulator: &'a Emulator,
    header: (&'static str, String),
}

impl<'a> Caller<'a> {
    async fn new(emulator: &'a Emulator, role: Role) -> Self {
        let login = sign_in(emulator, "demo", role).await;
        let header = match login.cookie("_token") {
            Some(token) => ("Authorization", format!("Bearer {token}")),
            None => (
                "Cookie",
                format!("session={}", login.cookie("session").unwrap()),
            ),
        };
        Self { emulator, header }
    }

    async fn send(&self, line: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let mut headers = vec![(self.header.0, &*self.header.1)];
        headers.extend(more);
        ask(self.emulator, "demo", line, &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "").await
    }

    /// The path of a run that has ended.
    async fn ended_run(&self, base: &str) -> String {
        let path = format!("{base}/dags/example_etl/dagRuns");
        let runs = self.get(&path).await.json();
        format!(
            "{path}/{}",
            runs["dag_runs"][0]["dag_run_id"].as_str().unwrap()
        )
    }
}

#[tokio::test]
async fn a_run_is_triggered_watched_and_its_log_read() {
    for (number, base) in DIALECTS {
        let emulator = version(number).await;
        let user = Caller::new(&emulator, Role::User).await;
        let dags = user.get(&format!("{base}/dags?limit=2")).await.json();
        assert_eq!(
            (&dags["total_entries"], dags["dags"].get(2)),
            (&Value::from(3), None)
        );
        let line = format!("POST {base}/dags/lab_hello/dagRuns");
        let body = r#"{"dag_run_id": "r+1:a", "conf": {"a": 1}, "logical_date": null}"#;
        let run = user.send(&line, &[JSON], body).await.json();
        assert_eq!(
            (&run["state"], &run["conf"]["a"]),
            (&"queued".into(), &1.into())
        );
        assert_eq!(user.send(&line, &[JSON], body).await.status, 409);
        // the id in either spelling
        for id in ["r+1:a", "r%2B1%3Aa"] {
            let path = format!("{base}/dags/lab_hello/dagRuns/{id}/taskInstances");
            let tasks = user.get(&path).await.json();
            assert_eq!(tasks["task_instances"][0]["task_id"], "say");
        }
        let run = user.ended_run(base).await;
        let log = user.get(&format!("{run}/taskInstances/load/logs/1")).await;
        assert!(log.body.contains("loading"), "{}", log.body);
    }
}

#[tokio::test]
async fn rights_follow_the_role() {
    for (number, base) in DIALECTS {
        let emulator = version(number).await;
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
            assert_eq!(seen, expected, "{number} {role}");
            let variables = caller.get(&format!("{base}/variables")).await.status;
            assert_eq!(variables, expected[2]);
        }
    }
}

#[tokio::test]
async fn each_major_has_its_own_errors() {
    for (number, line, headers, body, status) in [
        (
            "2.10.3",
            "POST /api/v1/dags/lab_hello/dagRuns",
            vec![],
            "{}",
            415,
        ),
        (
            "2.10.3",
            "POST /api/v1/dags/lab_hello/dagRuns",
            vec![JSON],
            "[]",
            400,
        ),
        ("2.10.3", "GET /api/v2/dags", vec![], "", 404),
        ("2.10.3", "GET /api/v1/dags/nosuch", vec![], "", 404),
        (
            "3.0.6",
            "POST /api/v2/dags/lab_hello/dagRuns",
            vec![JSON],
            "{}",
            422,
        ),
        ("3.0.6", "GET /api/v1/dags", vec![], "", 404),
        ("3.0.6", "GET /health", vec![], "", 404),
        ("3.3.2", "GET /static/nowhere.js", vec![], "", 404),
        ("3.3.2", "POST /", vec![], "", 405),
    ] {
        let emulator = version(number).await;
        let caller = Caller::new(&emulator, Role::Admin).await;
        let answer = caller.send(line, &headers, body).await;
        assert_eq!(answer.status, status, "{number} {line}");
    }
    for (number, path) in [
        ("2.10.3", "/api/v1/version"),
        ("2.10.3", "/health"),
        ("3.0.6", "/api/v2/version"),
        ("3.0.6", "/api/v2/monitor/health"),
    ] {
        let answer = ask(
            &version(number).await,
            "demo",
            &format!("GET {path}"),
            &[],
            "",
        )
        .await;
        assert!(answer.json().is_object(), "{number} {path}");
    }
}

#[tokio::test]
async fn one_page_and_its_files_serve_both_dialects() {
    for (number, path, token) in [
        ("2.10.3", "/home", "cookie"),
        ("3.0.6", "/dags/x/runs/y", "script"),
        ("3.3.2", "/", "cookie"),
    ] {
        let emulator = version(number).await;
        let login = sign_in(&emulator, "demo", Role::User).await;
        let cookies = ["session", "_token"]
            .map(|name| format!("{name}={}", login.cookie(name).unwrap_or_default()))
            .join("; ");
        let get = async |path: &str| {
            let cookies = [("Cookie", &*cookies)];
            ask(&emulator, "demo", &format!("GET {path}"), &cookies, "").await
        };
        let page = get(path).await;
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        for part in [number, &format!("data-token=\"{token}\"")] {
            assert!(page.body.contains(part), "{part}");
        }
        // every file that the page names is there
        let parts = page.body.split('"');
        let files: Vec<&str> = parts.filter(|part| part.starts_with("/static/")).collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            assert_eq!(get(file).await.status, 200, "{file}");
        }
    }
}
