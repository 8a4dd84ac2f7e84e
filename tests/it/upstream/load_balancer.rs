//! A load balancer's 502, 503 or 504 in place of a command's output: a fault that says whether
//! the command may have run, without the load balancer's page.

use crate::support::{Harness, Response};
use mwaa_emulator::{Seed, Settings, WebFault};
use serde_json::Value;
use std::time::Duration;

/// Every form of a reply but the events.
const FORMS: [&str; 6] = [
    "",
    "Accept: application/json\r\n",
    "Accept: text/plain\r\n",
    "Accept: text/plain; detail=output\r\n",
    "Accept: application/vnd.mwaa-gateway.cli+json\r\n",
    "Accept: application/vnd.mwaa-gateway.cli+json; detail=full\r\n",
];
const EVENTS: &str = "Accept: application/vnd.mwaa-gateway.cli-events+ndjson\r\n";
/// Status, fault code, what the detail says, what the hint says.
const CASES: [(u16, &str, &str, &str); 3] = [
    (
        502,
        "upstream.broken",
        "may have run",
        "do not simply run it again",
    ),
    (
        503,
        "upstream.unavailable",
        "it probably did not run",
        "try again",
    ),
    (
        504,
        "upstream.timeout",
        "may still be running",
        "do not simply run it again",
    ),
];

async fn ask(harness: &Harness, headers: &str) -> Response {
    let request = harness.request_with(headers, "dags list");
    harness.connect().await.exchange(request).await
}

fn answer(status: u16, content_type: &str, body: &str) -> WebFault {
    WebFault::Status {
        status,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
    }
}

fn assert_told(problem: &Value, (status, code, detail, hint): (u16, &str, &str, &str)) {
    assert_eq!(problem["status"], status, "{problem}");
    assert_eq!(problem["code"], code, "{problem}");
    let text = |member: &str| problem[member].as_str().unwrap().to_owned();
    assert!(
        text("detail").contains(&format!("load balancer returned {status}")),
        "{problem}"
    );
    assert!(text("detail").contains(detail), "{problem}");
    assert!(text("hint").contains(hint), "{problem}");
}

#[tokio::test]
async fn a_load_balancer_error_is_a_fault_with_the_same_status() {
    let harness = Harness::new().await;
    for case in CASES {
        let status = case.0;
        harness.script().web_fault.always(WebFault::html(status));
        for accept in FORMS {
            let reply = ask(&harness, accept).await;
            assert_eq!(
                (reply.status, reply.fault()),
                (status, Some(case.1)),
                "{accept}{reply}"
            );
            assert_eq!(
                reply.header("content-type"),
                Some("application/problem+json"),
                "{accept}"
            );
            assert_told(&reply.json(), case);
            assert!(!reply.text().contains('<'), "no page: {reply}");
        }
        let reply = ask(&harness, EVENTS).await;
        let last: Value = serde_json::from_str(reply.text().lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "fault", "{reply}");
        assert_told(&last["problem"], case);
        assert!(!reply.text().contains('<'), "no page: {reply}");
    }
    let sent = (FORMS.len() + 1) * CASES.len();
    assert_eq!(harness.journal().web_count(), sent, "each is written once");
}

/// The body decides, and not its type.
#[tokio::test]
async fn a_body_that_is_not_mwaa_json_is_a_load_balancer_error() {
    let harness = Harness::configured("limits.cli_output = \"64KiB\"").await;
    let json = r#"{"message": "Service Unavailable"}"#;
    let cut = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 90\r\n\r\n<html>";
    for body in [
        answer(503, "application/json", json),
        answer(503, "application/json", "[]"),
        answer(503, "application/json", r#"{"stdout": 1}"#),
        answer(503, "text/plain", "upstream connect error"),
        answer(503, "text/html", ""),
        answer(503, "text/html", &"<p>".repeat(64 << 10)),
        WebFault::Raw(cut.as_bytes().to_vec()),
    ] {
        for accept in ["", "Accept: text/plain\r\n"] {
            harness.script().web_fault.next(1, body.clone());
            let reply = ask(&harness, accept).await;
            assert_eq!(
                (reply.status, reply.fault()),
                (503, Some("upstream.unavailable")),
                "{accept}{reply}"
            );
        }
    }
}

#[tokio::test]
async fn mwaa_json_is_returned_unchanged() {
    let harness = Harness::new().await;
    for status in [502, 503, 504] {
        let json = r#"{"stderr": "", "stdout": "Mi4xMC4zCg=="}"#;
        let printed = answer(status, "text/html", json);
        harness.script().web_fault.always(printed);
        let raw = ask(&harness, "").await;
        assert_eq!((raw.status, raw.fault()), (status, None), "{raw}");
        assert_eq!(raw.text(), json);
        let decoded = ask(&harness, FORMS[4]).await;
        assert_eq!(
            (decoded.status, decoded.fault()),
            (status, None),
            "{decoded}"
        );
        assert_eq!(decoded.json()["stdout"], "2.10.3\n");
        assert_eq!(decoded.json()["succeeded"], false);
    }
}

/// The emulator's load balancer gives up on a command that still runs.
#[tokio::test]
async fn a_slow_command_s_504_says_that_it_may_still_be_running() {
    let settings = Settings {
        command_timeout: Duration::from_millis(100),
        ..Settings::default()
    };
    let harness = Harness::with(settings, "").await;
    for accept in ["", "Accept: text/plain\r\n"] {
        let delay = Duration::from_mins(1);
        harness.script().command_delay.next(1, delay);
        let reply = ask(&harness, accept).await;
        assert_told(&reply.json(), CASES[2]);
    }
    assert_eq!(harness.journal().web_count(), 2);
}

/// The hint names commands that the environment has.
#[tokio::test]
async fn the_hint_fits_the_environment_s_airflow_version() {
    for (version, command) in [
        ("1.10.12", "`list_dag_runs`"),
        ("3.0.6", "`dags list-runs`"),
    ] {
        let settings = Settings {
            environments: vec![Seed::new("demo", version)],
            ..Settings::default()
        };
        let harness = Harness::with(settings, "").await;
        harness.script().web_fault.next(1, WebFault::html(504));
        let reply = harness.command("version").await;
        assert!(reply.complaint().contains(command), "{reply}");
    }
}
