//! The faults that callers get if there is no token, and how soon.

use super::{LIVE, several};
use crate::support::{HELD, Harness, all, soon};
use mwaa_emulator::ControlFault;
use std::time::Duration;

/// What goes wrong, the code, a part of detail or hint, the calls that one flight may make.
type Row = (ControlFault, &'static str, &'static str, usize);

/// Each row gets an environment of its own, whose failure does not stand in the others' way.
async fn check(rows: Vec<Row>) {
    let names: Vec<_> = (0..rows.len()).map(|number| format!("e{number}")).collect();
    let tables = names.iter().map(|name| {
        format!("[environments.{name}]\nairflow_version = \"2.10.3\"\ncli_concurrency = 8\n")
    });
    let extra = tables.collect::<Vec<_>>().concat();
    let harness = Harness::with(several(names.iter().map(String::as_str)), &extra).await;
    for (name, (fault, code, told, calls)) in names.iter().zip(rows) {
        harness.script().mint_fault.always(fault.clone());
        let before = harness.journal().calls("CreateCliToken");
        let requests = (0..8).map(|_| harness.request_for(name, "version"));
        let replies = all(harness.at_once(requests)).await;
        for reply in &replies {
            assert_eq!(reply.fault(), Some(code), "{fault:?}: {reply}");
            let complaint = reply.complaint();
            assert!(complaint.contains(told), "{fault:?}: {complaint}");
            assert!(complaint.len() < 1200, "{fault:?}: {complaint}");
            assert!(!reply.text().contains("eyJ0"), "a token: {reply}");
            assert!(reply.header("x-injected").is_none());
            let again: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=6).contains(&again), "{reply}");
        }
        let made = harness.journal().calls("CreateCliToken") - before;
        assert_eq!(made, calls, "{fault:?}");
        // the failure is kept for a while: the next caller gets it without another call
        let reply = soon(
            "the same",
            harness
                .at_once([harness.request_for(name, "version")])
                .join_next(),
        )
        .await
        .unwrap()
        .unwrap();
        assert_eq!(reply.fault(), Some(code), "{reply}");
        assert!(reply.header("retry-after").is_some(), "{reply}");
        assert_eq!(harness.journal().calls("CreateCliToken") - before, calls);
    }
    assert_eq!(harness.journal().web_connections(), 0);
}

#[tokio::test]
async fn permanent_failures_are_returned_after_one_call() {
    check(vec![
        (
            ControlFault::AccessDenied,
            "aws.denied",
            "allow airflow:CreateCliToken on arn:aws:airflow:eu-west-1:123456789012:environment/e0",
            1,
        ),
        (
            ControlFault::NotFound,
            "aws.not_found",
            "\"e1\" in eu-west-1",
            1,
        ),
        (ControlFault::ExpiredToken, "aws.credentials", "expired", 1),
    ])
    .await;
}

#[tokio::test]
async fn transient_failures_are_returned_after_three_calls() {
    check(vec![
        (
            ControlFault::Throttling,
            "aws.throttled",
            "ThrottlingException",
            3,
        ),
        (
            ControlFault::TooManyRequests,
            "aws.throttled",
            "TooManyRequests",
            3,
        ),
        (ControlFault::BareTooManyRequests, "aws.throttled", "429", 3),
        (
            ControlFault::InternalServer,
            "aws.unavailable",
            "HTTP 500",
            3,
        ),
        (
            ControlFault::HtmlServiceUnavailable,
            "aws.unavailable",
            "HTTP 503",
            3,
        ),
        (ControlFault::Drop, "aws.unavailable", "CreateCliToken", 3),
        (
            ControlFault::GarbageJson,
            "aws.unavailable",
            "an invalid response",
            3,
        ),
        (ControlFault::EmptyToken, "aws.unavailable", "no token", 3),
        (
            ControlFault::HugeError(1 << 20),
            "aws.unavailable",
            "xxx",
            3,
        ),
        (
            ControlFault::HostileToken,
            "aws.unavailable",
            "not printable ASCII",
            3,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_mint_without_an_answer_times_out() {
    let extra = r#"
        limits.mint_try = "400ms"
        limits.mint_total = "900ms"
        limits.mint_wait = "5s"
        environments.demo.airflow_version = "2.10.3"
        environments.demo.cli_concurrency = 8
    "#;
    let harness = Harness::configured(extra).await;
    harness.script().mint_fault.always(ControlFault::Hang);
    let requests = (0..8).map(|_| harness.request("version"));
    for reply in all(harness.at_once(requests)).await {
        assert_eq!(reply.fault(), Some("aws.unavailable"), "{reply}");
    }
    assert!(harness.journal().calls("CreateCliToken") <= 3);
    // and a hung flight does not block the next one
    harness.script().mint_fault.off();
    heals(&harness).await;
}

#[tokio::test]
async fn a_caller_waits_no_longer_than_mint_wait() {
    let extra = r#"
        limits.mint_wait = "300ms"
        environments.demo.airflow_version = "2.10.3"
    "#;
    let harness = Harness::configured(extra).await;
    harness.script().mint_delay.next(1, HELD);
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.unavailable"), "{reply}");
    assert!(reply.complaint().contains("in time"), "{reply}");
    // the flight continues: its token serves the next command without another call
    harness.script().mint_delay.off();
    harness.status_says(LIVE, true).await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().calls("CreateCliToken"), 1);
}

#[tokio::test]
async fn one_failed_mint_call_is_retried() {
    let harness = Harness::new().await;
    harness
        .script()
        .mint_fault
        .next(1, ControlFault::InternalServer);
    let reply = harness.command("version").await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(harness.journal().calls("CreateCliToken"), 2);
    assert_eq!(harness.mints(), 1);
}

#[tokio::test]
async fn a_failure_ends_without_a_restart() {
    let harness = Harness::new().await;
    harness
        .script()
        .mint_fault
        .next(3, ControlFault::Throttling);
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.throttled"), "{reply}");
    let unready = harness.manage("/readyz").await;
    assert_eq!(unready.status, 503);
    assert!(unready.text().contains("aws.throttled"), "{unready}");
    heals(&harness).await;
    // held back in between, not asked for each request
    assert_eq!(harness.journal().calls("CreateCliToken"), 4);
    assert_eq!(harness.manage("/readyz").await.status, 200);
}

/// A command works when the failure has been kept for its time.
async fn heals(harness: &Harness) {
    harness.advance(Duration::from_mins(1));
    let reply = harness.command("version").await;
    assert_eq!(reply.status, 200, "{reply}");
}
