//! Logins that fail: each cause has its fault, every waiting request gets it, and new logins are
//! held back for a while.

use crate::support::airflow::{VERSIONS, api};
use crate::support::{Harness, all};
use mwaa_emulator::{
    CertificateForm, ControlFault, HandshakeFault, Script, Settings, WebFault,
};
use std::time::Duration;

/// A cause, how to produce it, and the fault's status and code.
type Cause = (&'static str, fn(&Script), u16, &'static str);

const CAUSES: &[Cause] = &[
    (
        "403",
        |s| s.login_fault.always(WebFault::html(403)),
        502,
        "session.login_failed",
    ),
    (
        "404",
        |s| s.login_fault.always(WebFault::html(404)),
        502,
        "session.login_failed",
    ),
    (
        "500",
        |s| s.login_fault.always(WebFault::html(500)),
        502,
        "session.login_failed",
    ),
    (
        "no cookie",
        |s| s.login_without_cookie.always(()),
        502,
        "session.login_failed",
    ),
    (
        "silence",
        |s| s.login_fault.always(WebFault::Hang),
        504,
        "upstream.timeout",
    ),
    (
        "a reset",
        |s| s.login_fault.always(WebFault::Reset),
        502,
        "upstream.broken",
    ),
    (
        "an end",
        |s| s.login_fault.always(WebFault::Drop),
        502,
        "upstream.broken",
    ),
    (
        "no HTTP",
        |s| s.login_fault.always(WebFault::garbage_head()),
        502,
        "upstream.broken",
    ),
    (
        "no TLS",
        |s| s.handshake_fault.always(HandshakeFault::Close),
        502,
        "upstream.tls",
    ),
    (
        "no role",
        |s| s.web_login_denied.always(()),
        502,
        "aws.denied",
    ),
    (
        "AWS denies",
        |s| s.mint_fault.always(ControlFault::AccessDenied),
        502,
        "aws.denied",
    ),
    (
        "AWS throttles",
        |s| s.mint_fault.always(ControlFault::Throttling),
        503,
        "aws.throttled",
    ),
    (
        "AWS is down",
        |s| s.mint_fault.always(ControlFault::InternalServer),
        502,
        "aws.unavailable",
    ),
    (
        "another host",
        |s| {
            s.mint_fault
                .always(ControlFault::ForeignHost("evil.example".to_owned()));
        },
        502,
        "aws.untrusted_host",
    ),
    (
        "a token with a line break",
        |s| s.mint_fault.always(ControlFault::HostileToken),
        502,
        "aws.unavailable",
    ),
];

#[tokio::test]
async fn each_cause_has_its_fault_for_every_waiting_request() {
    let limits = "limits.upstream_first_byte = \"1s\"\nlimits.mint_total = \"8s\"";
    for (number, (what, bring_about, status, code)) in CAUSES.iter().enumerate() {
        let version = VERSIONS[number % VERSIONS.len()];
        let harness = Harness::airflow_with(Settings::default(), version, limits).await;
        bring_about(harness.script());
        let request = harness.asking("GET", &format!("{}/dags", api(version)), "");
        let replies = all(harness.at_once(vec![request.clone(); 10])).await;
        for reply in &replies {
            assert_eq!(
                (reply.status, reply.fault()),
                (*status, Some(*code)),
                "{what}: {reply}"
            );
        }
        // one flight, of at most three tries
        let calls = harness.journal().calls("CreateWebLoginToken");
        assert!(
            (1..=3).contains(&calls),
            "{what}: {calls} tries for 10 requests"
        );
        assert!(
            harness.reached().is_empty(),
            "{what}: sent without a session"
        );
        // the failure is kept: the next request gets it at once
        let before = harness.journal().control_count();
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(reply.fault(), Some(*code), "{what}: {reply}");
        assert!(reply.header("retry-after").is_some(), "{what}: {reply}");
        let tries = harness.journal().control_count() - before;
        assert!(tries <= 1, "{what}: not held back");
    }
}

#[tokio::test]
async fn a_missing_login_route_gets_a_hint_about_the_version() {
    // says 3 and is 2
    let extra = "environments.demo.airflow_version = \"3.0.6\"";
    let harness = Harness::configured(extra).await;
    let reply = harness.get("/api/v2/dags").await;
    assert_eq!(reply.fault(), Some("session.login_failed"), "{reply}");
    let complaint = reply.complaint();
    for part in ["/pluginsv2/aws_mwaa/login", "404", "airflow_version"] {
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[tokio::test]
async fn no_login_is_sent_to_an_unverified_server() {
    for certificate in [
        CertificateForm::Expired,
        CertificateForm::NotYetValid,
        CertificateForm::SelfSigned,
        CertificateForm::UnknownCa,
        CertificateForm::WrongName,
    ] {
        let settings = Settings {
            certificate,
            ..Settings::default()
        };
        let harness = Harness::airflow_with(settings, "3.3.1", "").await;
        let reply = harness.get("/api/v2/dags").await;
        assert_eq!(
            (reply.status, reply.fault()),
            (502, Some("upstream.tls")),
            "{certificate:?}: {reply}"
        );
        assert_eq!(
            harness.journal().web_count(),
            0,
            "{certificate:?}: a token was shown"
        );
    }
}

#[tokio::test]
async fn a_failing_login_is_tried_once_in_five_seconds() {
    let harness = Harness::airflow("3.3.1").await;
    harness.script().login_fault.always(WebFault::html(403));
    for tries in 1..=4 {
        for _ in 0..20 {
            let reply = harness.get("/api/v2/dags").await;
            assert_eq!(reply.fault(), Some("session.login_failed"), "{reply}");
        }
        assert_eq!(harness.logins().len(), tries);
        harness.advance(Duration::from_secs(5));
    }
}

#[tokio::test]
async fn one_failed_login_is_retried() {
    let harness = Harness::airflow("2.10.3").await;
    harness.script().login_fault.next(1, WebFault::html(503));
    assert_eq!(harness.get("/api/v1/dags").await.status, 200);
    assert_eq!(harness.logins().len(), 2);
}
