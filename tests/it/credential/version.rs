//! The environment's version, asked of AWS where the configuration does not say it.

use crate::support::{HELD, Harness, all};
use mwaa_emulator::{ControlFault, Settings};
use std::time::Duration;

#[tokio::test]
async fn concurrent_commands_share_one_version_query() {
    let extra = "environments.demo.cli_concurrency = 4";
    let harness = Harness::scripted(Settings::default(), extra, |script| {
        script.describe_delay.always(HELD);
    })
    .await;
    let requests = harness.at_once((0..20).map(|_| harness.request("version")));
    harness
        .seen("the question", |journal| {
            journal.calls("GetEnvironment") == 1
        })
        .await;
    harness.script().describe_delay.off();
    for reply in all(requests).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
    assert_eq!(harness.journal().calls("GetEnvironment"), 1);
}

#[tokio::test]
async fn a_denied_version_query_suggests_airflow_version() {
    let harness = Harness::scripted(Settings::default(), "", |script| {
        script.describe_fault.always(ControlFault::AccessDenied);
    })
    .await;
    for reply in all(harness.at_once((0..8).map(|_| harness.request("version")))).await {
        assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
        let complaint = reply.complaint();
        assert!(complaint.contains("set airflow_version"), "{complaint}");
        let action =
            "airflow:GetEnvironment on arn:aws:airflow:eu-west-1:123456789012:environment/demo";
        assert!(complaint.contains(action), "{complaint}");
    }
    assert_eq!(harness.journal().calls("GetEnvironment"), 1);
    assert_eq!(
        (harness.mints(), harness.journal().web_connections()),
        (0, 0)
    );
    let unready = harness.manage("/readyz").await;
    assert_eq!(unready.status, 503, "{unready}");
    assert!(unready.text().contains("aws.denied"), "{unready}");
}

/// The next call would fail as this one did: there is no promise that a version helps.
#[tokio::test]
async fn other_failures_do_not_suggest_airflow_version() {
    for (fault, code) in [
        (ControlFault::ExpiredToken, "aws.credentials"),
        (ControlFault::NotFound, "aws.not_found"),
        (ControlFault::InternalServer, "aws.unavailable"),
    ] {
        let harness = Harness::scripted(Settings::default(), "", |script| {
            script.describe_fault.always(fault);
        })
        .await;
        let reply = harness.command("version").await;
        assert_eq!(reply.fault(), Some(code), "{reply}");
        assert!(!reply.complaint().contains("airflow_version"), "{reply}");
    }
}

#[tokio::test]
async fn a_configured_version_is_not_queried() {
    let extra = r#"environments.demo.airflow_version = "2.10.3""#;
    let harness = Harness::scripted(Settings::default(), extra, |script| {
        script.describe_fault.always(ControlFault::AccessDenied);
    })
    .await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().calls("GetEnvironment"), 0);
}

#[tokio::test]
async fn the_version_is_queried_again_after_aws_recovers() {
    let harness = Harness::scripted(Settings::default(), "", |script| {
        script.describe_fault.next(1, ControlFault::Throttling);
    })
    .await;
    let request = harness.request("version");
    let mut client = harness.connect().await;
    let reply = client.exchange(&request).await;
    assert_eq!(reply.fault(), Some("aws.throttled"), "{reply}");
    assert!(reply.header("retry-after").is_some(), "{reply}");
    // less than an idle connection lives
    harness.advance(Duration::from_secs(50));
    let reply = client.exchange(&request).await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(harness.journal().calls("GetEnvironment"), 2);
}
