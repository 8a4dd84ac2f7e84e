//! A session that expires between two requests: detected in each form of Airflow's response, and
//! replaced without the client noticing it.

use crate::support::airflow::{DAG, JSON, OWN, VERSIONS, api};
use crate::support::{Harness, Puppet, Response, all};
use mwaa_emulator::{DeadForm, Settings, WebFault};
use std::time::Duration;

/// What the web server said to the last requests, the login aside.
fn statuses(harness: &Harness) -> Vec<u16> {
    let requests = harness.reached();
    requests
        .iter()
        .filter_map(|request| request.status)
        .collect()
}

async fn paused(harness: &Harness, version: &str) -> bool {
    let reply = harness.get(&format!("{}/dags/{DAG}", api(version))).await;
    reply.json()["is_paused"].as_bool().unwrap()
}

/// The response of each version to an expired session (`None`), and other forms that users saw.
fn forms(version: &str) -> Vec<(Option<DeadForm>, u16)> {
    vec![
        (None, if version == "2.10.3" { 401 } else { 403 }),
        (Some(DeadForm::Unauthorized), 401),
        (Some(DeadForm::LoginPage), 302),
        (Some(DeadForm::AwsSignIn), 302),
    ]
}

#[tokio::test]
async fn every_form_of_expired_session_causes_one_login_and_one_retry() {
    for version in VERSIONS {
        for (form, status) in forms(version) {
            for write in [false, true] {
                let harness = Harness::airflow(version).await;
                assert!(!paused(&harness, version).await);
                harness.script().kill_sessions();
                if let Some(form) = form {
                    harness.script().dead_form.next(1, form);
                }
                let reply = if write {
                    harness.pause(api(version), true).await
                } else {
                    harness.get(&format!("{}/dags", api(version))).await
                };
                let what = format!("{version} {form:?} {write}");
                assert_eq!(
                    (reply.status, reply.fault()),
                    (200, None),
                    "{what}: {reply}"
                );
                assert_eq!(harness.logins().len(), 2, "{what}");
                assert_eq!(statuses(&harness), [200, status, 200], "{what}");
                let requests = harness.reached();
                assert_eq!(requests[1].body, requests[2].body, "{what}");
                assert_ne!(
                    requests[1].header("cookie"),
                    requests[2].header("cookie"),
                    "{what}"
                );
                assert_eq!(paused(&harness, version).await, write, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn an_expired_session_on_a_page_does_not_redirect_to_the_login() {
    for (version, page) in [
        ("2.10.3", "/home"),
        ("3.0.6", "/auth/users/list/"),
        ("3.3.1", "/auth/users/list/"),
    ] {
        let harness = Harness::airflow(version).await;
        assert_eq!(harness.get_with(page, OWN).await.status, 200);
        harness.script().kill_sessions();
        let reply = harness.get_with(page, OWN).await;
        assert_eq!(reply.status, 200, "{version}: {reply}");
        assert_eq!(statuses(&harness), [200, 302, 200], "{version}");
    }
}

#[tokio::test]
async fn a_session_that_expired_by_the_servers_clock_is_replaced() {
    for version in VERSIONS {
        let settings = Settings {
            session_life: Duration::from_mins(4),
            ..Settings::default()
        };
        let harness = Harness::airflow_with(settings, version, "").await;
        let target = format!("{}/dags", api(version));
        assert_eq!(harness.get(&target).await.status, 200);
        // less than what makes AWS refuse our signatures
        harness.script().advance_clock(Duration::from_secs(241));
        assert_eq!(harness.get(&target).await.status, 200, "{version}");
        assert_eq!(statuses(&harness), [200, 401, 200], "{version}");
    }
}

#[tokio::test]
async fn concurrent_requests_on_an_expired_session_share_one_login() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let target = format!("{}/dags", api(version));
        assert_eq!(harness.get(&target).await.status, 200);
        harness.script().kill_sessions();
        let request = harness.asking("GET", &target, "");
        for reply in all(harness.at_once(vec![request; 50])).await {
            assert_eq!(reply.status, 200, "{version}: {reply}");
        }
        assert_eq!(harness.logins().len(), 2, "{version}");
    }
}

/// A body that is not kept cannot be sent again: the fault says that nothing was done.
#[tokio::test]
async fn a_streamed_write_on_an_expired_session_is_not_retried() {
    for version in ["2.10.3", "3.3.1"] {
        for chunked in [true, false] {
            let harness = Harness::airflow(version).await;
            assert!(!paused(&harness, version).await);
            harness.script().kill_sessions();
            let reply = write_at_length(&harness, version, chunked).await;
            let what = format!("{version} {chunked}");
            assert_eq!(
                (reply.status, reply.fault()),
                (503, Some("session.expired")),
                "{what}: {reply}"
            );
            assert_eq!(reply.header("retry-after"), Some("1"), "{reply}");
            assert_eq!(harness.reached().len(), 2, "{what}: sent twice");
            assert!(!paused(&harness, version).await, "{what}: it was done");
            let reply = write_at_length(&harness, version, chunked).await;
            assert_eq!(reply.status, 200, "{what}: {reply}");
            assert!(paused(&harness, version).await, "{what}");
            assert_eq!(harness.logins().len(), 2, "{what}");
        }
    }
}

async fn write_at_length(harness: &Harness, version: &str, chunked: bool) -> Response {
    let target = format!("{}/dags/{DAG}", api(version));
    let body = "{\"is_paused\": true}";
    let request = if chunked {
        let headers = format!("{JSON}Transfer-Encoding: chunked\r\n");
        let head = harness.asking("PATCH", &target, &headers);
        format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    } else {
        let body = format!("{body}{}", " ".repeat(70_000));
        harness.sending("PATCH", &target, JSON, &body)
    };
    harness.connect().await.exchange(request).await
}

/// The gateway reads a refusal to see whether the session has expired. If it breaks off, that is a
/// fault.
#[tokio::test]
async fn a_truncated_refusal_is_a_broken_response() {
    let harness = Harness::airflow("3.3.1").await;
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for cut in [head.to_owned(), format!("{head}5\r\n{{\"det\r\n")] {
        let fault = WebFault::Raw(cut.clone().into_bytes());
        harness.script().web_fault.next(1, fault);
        let reply = harness.get("/api/v2/dags").await;
        assert_eq!(reply.fault(), Some("upstream.broken"), "{cut}: {reply}");
    }
    assert_eq!(harness.logins().len(), 1);
}

/// A response to HEAD has no content to check, so the request is retried, which is safe.
#[tokio::test]
async fn a_head_request_on_an_expired_session_is_retried() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let target = format!("{}/dags", api(version));
        assert_eq!(harness.get(&target).await.status, 200);
        harness.script().web_fault.next(1, WebFault::html(401));
        let mut client = harness.connect().await;
        client.send(harness.asking("HEAD", &target, "")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{version}: {head}");
        assert_eq!(
            (harness.reached().len(), harness.logins().len()),
            (3, 2),
            "{version}"
        );
    }
}

/// If that is refused too, it may be about something else than the session.
#[tokio::test]
async fn a_head_request_that_is_refused_twice_returns_the_refusal() {
    let mut puppet = Puppet::start().await;
    let extra = format!(
        "{}environments.demo.airflow_version = \"2.10.3\"\nlimits.threads = 1\n",
        puppet.config()
    );
    let harness = Harness::configured(&extra).await;
    let mut client = harness.connect().await;
    client
        .send(harness.asking("HEAD", "/api/v1/dags", ""))
        .await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        puppet.signs_in("session=s").await;
        let mut server = puppet.next().await;
        assert!(server.head().await.starts_with("HEAD /api/v1/dags "));
        server
            .send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\nConnection: close\r\n\r\n")
            .await;
        servers.push(server);
    }
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert!(!head.contains("mwaa-gateway-fault"), "{head}");
}

/// Any other refusal is passed on to the client: the request may have had an effect, and all
/// clients share the session.
#[tokio::test]
async fn a_refusal_with_an_unknown_body_does_not_end_the_session() {
    let problem = "https://airflow.apache.org/docs/apache-airflow/2.10.3/stable-rest-api-ref.html#section/Errors";
    let others = [
        (
            401,
            "application/json",
            r#"{"detail":"Invalid credentials"}"#.to_owned(),
        ),
        (
            401,
            "application/json",
            r#"{"message":"Not authorized"}"#.to_owned(),
        ),
        (
            401,
            "application/json",
            r#"{"detail":"Token Expired at the plugin"}"#.to_owned(),
        ),
        (
            401,
            "application/json",
            r#"["Token Expired", "Not authenticated"]"#.to_owned(),
        ),
        (
            403,
            "application/json",
            r#"{"detail":{"text":"Invalid JWT token"}}"#.to_owned(),
        ),
        (401, "text/html", "Unauthorized".to_owned()),
        (401, "text/plain", format!("{problem}/Unauthenticated")),
        (
            401,
            "application/problem+json",
            r#"{"title":"Unauthorized","type":"about:blank"}"#.to_owned(),
        ),
        (
            401,
            "application/problem+json",
            format!(r#"{{"type":"{problem}/PermissionDenied"}}"#),
        ),
    ];
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        assert!(!paused(&harness, version).await);
        for (status, content_type, body) in &others {
            let refusal = WebFault::Status {
                status: *status,
                content_type: (*content_type).to_owned(),
                body: body.clone(),
            };
            let before = harness.reached().len();
            harness.script().web_fault.next(1, refusal);
            let reply = harness.pause(api(version), true).await;
            assert_eq!(
                (reply.status, reply.fault()),
                (*status, None),
                "{body}: {reply}"
            );
            assert_eq!(reply.text(), *body, "{version}");
            assert_eq!(
                harness.reached().len(),
                before + 1,
                "{version} {body}: sent twice"
            );
        }
        assert_eq!(harness.logins().len(), 1, "{version}");
    }
}

/// A plugin may send people to AWS's pages; its request has acted, and the session lives.
#[tokio::test]
async fn a_redirect_of_a_plugin_to_aws_does_not_end_the_session() {
    let harness = Harness::airflow("2.10.3").await;
    assert_eq!(harness.get("/api/v1/dags").await.status, 200);
    for location in [
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1",
        "https://docs.aws.amazon.com/mwaa/latest/userguide/",
    ] {
        let raw = format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\
                Connection: close\r\n\r\n"
        );
        let before = harness.reached().len();
        harness
            .script()
            .web_fault
            .next(1, WebFault::Raw(raw.into_bytes()));
        let request = harness.sending("POST", "/myplugin/open", JSON, "{}");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (302, Some(location)),
            "{reply}"
        );
        assert_eq!(harness.reached().len(), before + 1, "sent twice");
    }
    assert_eq!(harness.logins().len(), 1);
}

/// Airflow redirects a user who lacks a right to its login page, as if there were no login. This
/// does not use up the renewals that a session needs when it really expires.
#[tokio::test]
async fn missing_rights_do_not_use_up_the_session_renewals() {
    let harness = Harness::airflow("2.10.3").await;
    assert_eq!(harness.get("/api/v1/dags").await.status, 200);
    for _ in 0..7 {
        harness.script().dead_form.next(2, DeadForm::LoginPage);
        harness.script().refuse_sessions.next(2, ());
        harness.get("/users/list/").await;
        harness.script().refuse_sessions.off();
        harness.script().dead_form.off();
        assert_eq!(harness.get("/api/v1/dags").await.status, 200);
    }
    for _ in 0..4 {
        harness.script().kill_sessions();
        assert_eq!(harness.get("/api/v1/dags").await.status, 200);
    }
}
