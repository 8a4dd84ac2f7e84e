//! Rotation of tokens, with clocks that are set.

use super::several;
use crate::support::{Client, Harness};
use mwaa_emulator::{ControlFault, Settings, TokenKind};
use std::time::Duration;

/// Runs a command, which must succeed.
async fn succeeds(client: &mut Client, request: &str) {
    let reply = client.exchange(request).await;
    assert_eq!(reply.status, 200, "{reply}");
}

/// A gateway that uses a token for ten seconds of its minute.
async fn ten_seconds(extra: &str) -> Harness {
    let extra = format!(
        "limits.token_use = \"10s\"\nenvironments.demo.airflow_version = \"2.10.3\"\n\
         environments.demo.cli_concurrency = 4\n{extra}"
    );
    let settings = Settings {
        token_life: Duration::from_secs(20),
        ..several(["demo"])
    };
    Harness::with(settings, &extra).await
}

#[tokio::test]
async fn clients_see_no_error_during_token_rotations() {
    let harness = ten_seconds("").await;
    let request = harness.request("version");
    let mut clients = (harness.connect().await, harness.connect().await);
    let mut sent = 0;
    while harness.journal().mints(TokenKind::Cli) <= 100 {
        tokio::join!(
            succeeds(&mut clients.0, &request),
            succeeds(&mut clients.1, &request)
        );
        sent += 2;
        // sometimes the next is minted ahead, sometimes the last has expired
        harness.advance(Duration::from_secs(if sent % 10 == 0 { 11 } else { 7 }));
    }
    let seen = harness.journal().web_requests();
    let refused = seen.iter().filter(|request| request.status != Some(200));
    assert_eq!((seen.len(), refused.count()), (sent, 0));
}

#[tokio::test]
async fn a_failed_refresh_leaves_the_live_token_in_use() {
    let harness = ten_seconds("").await;
    let request = harness.request("version");
    let mut client = harness.connect().await;
    succeeds(&mut client, &request).await;
    harness.script().mint_fault.always(ControlFault::Throttling);
    harness.advance(Duration::from_secs(7));
    succeeds(&mut client, &request).await;
    harness
        .seen("the refresh", |journal| {
            let calls = journal.control_calls();
            calls.iter().any(|call| call.status == Some(400))
        })
        .await;
    for _ in 0..50 {
        succeeds(&mut client, &request).await;
    }
    assert_eq!(
        harness.journal().control_count(),
        2,
        "a refresh is one try, and there is no other while it is held back"
    );
    let status = harness.manage("/status").await.json();
    assert_eq!(status["environments"][0]["cli_token"]["live"], true);
    harness.advance(Duration::from_secs(5));
    let reply = client.exchange(&request).await;
    assert_eq!(reply.fault(), Some("aws.throttled"), "{reply}");
}

#[tokio::test]
async fn after_a_pause_a_new_token_is_minted_before_sending() {
    let harness = ten_seconds("").await;
    for round in 1..=10 {
        let reply = harness.command("version").await;
        assert_eq!(reply.status, 200, "{reply}");
        harness.advance(Duration::from_secs(21));
        assert_eq!(harness.mints(), round);
    }
    // an old token would have been refused and replaced
    assert_eq!(harness.journal().web_count(), 10);
}

#[tokio::test]
async fn a_hanging_refresh_does_not_block_commands() {
    let limits = "limits.mint_try = \"1m\"\nlimits.mint_total = \"1m\"";
    let harness = ten_seconds(limits).await;
    let request = harness.request("version");
    let mut client = harness.connect().await;
    succeeds(&mut client, &request).await;
    harness.script().mint_fault.always(ControlFault::Hang);
    harness.advance(Duration::from_secs(7));
    succeeds(&mut client, &request).await;
    harness
        .seen("the refresh", |journal| {
            journal.calls("CreateCliToken") == 2
        })
        .await;
    for _ in 0..50 {
        succeeds(&mut client, &request).await;
    }
    let journal = harness.journal();
    let hung = journal.control_calls().last().unwrap().status;
    assert_eq!((journal.calls("CreateCliToken"), hung), (2, None));
}
