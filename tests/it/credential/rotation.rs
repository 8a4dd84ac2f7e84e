//! Rotation under load, with the life of tokens compressed.

use super::several;
use crate::support::{Harness, all, soon, timed};
use mwaa_emulator::{ControlFault, Settings, TokenKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_hundred_rotations_go_unnoticed() {
    let settings = Settings {
        token_life: Duration::from_millis(500),
        journal_limit: 1_000_000,
        ..several(["demo"])
    };
    let extra = r#"
        limits.token_use = "250ms"
        environments.demo.airflow_version = "2.10.3"
        environments.demo.cli_concurrency = 4
    "#;
    let harness = Harness::with(settings, extra).await;
    let enough = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..2 {
        let (mut client, request) = (harness.connect().await, harness.request("version"));
        let enough = Arc::clone(&enough);
        clients.spawn(async move {
            let mut sent = 0;
            while !enough.load(Ordering::Relaxed) {
                let reply = client.exchange(&request).await;
                assert_eq!(reply.status, 200, "{reply}");
                sent += 1;
            }
            sent
        });
    }
    harness
        .seen("a hundred rotations", |journal| {
            journal.mints(TokenKind::Cli) > 100
        })
        .await;
    enough.store(true, Ordering::Relaxed);
    let sent: usize = all(clients).await.into_iter().sum();
    let seen = harness.journal().web_requests();
    let refused = seen
        .iter()
        .filter(|request| request.status == Some(403))
        .count();
    // a stall of this machine may age a token on its way; a cache that never looks at ages
    // would be refused at every rotation
    assert!(
        refused <= 5,
        "{refused} of {sent} were refused and replayed"
    );
    assert_eq!(seen.len(), sent + refused);
}

#[tokio::test]
async fn a_failed_refresh_leaves_the_live_token_in_use() {
    let extra = r#"
        limits.token_use = "2s"
        environments.demo.airflow_version = "2.10.3"
    "#;
    let harness = Harness::configured(extra).await;
    let request = harness.request("version");
    let mut client = harness.connect().await;
    assert_eq!(client.exchange(&request).await.status, 200);
    harness.script().mint_fault.always(ControlFault::Throttling);
    let refresh_failed = || {
        let calls = harness.journal().control_calls();
        calls.iter().any(|call| call.status == Some(400))
    };
    let using = async {
        while !refresh_failed() {
            let reply = client.exchange(&request).await;
            assert_eq!(reply.status, 200, "{reply}");
        }
    };
    soon("the refresh", using).await;
    let calls = harness.journal().control_count();
    for _ in 0..50 {
        let reply = client.exchange(&request).await;
        assert_eq!(reply.status, 200, "the live token was thrown away: {reply}");
    }
    assert_eq!(calls, 2, "a refresh is one try");
    assert_eq!(
        harness.journal().control_count(),
        2,
        "no try while it is held back"
    );
    assert_eq!(
        harness.manage("/status").await.json()["environments"][0]["cli_token"]["live"],
        true
    );
    let expiring = async {
        loop {
            let reply = client.exchange(&request).await;
            if reply.status != 200 {
                return reply;
            }
        }
    };
    let reply = soon("the token's end", expiring).await;
    assert_eq!(reply.fault(), Some("aws.throttled"), "{reply}");
}

#[tokio::test]
async fn after_a_pause_a_fresh_token_comes_first() {
    let settings = Settings {
        token_life: Duration::from_millis(150),
        ..several(["demo"])
    };
    let extra = r#"
        limits.token_use = "100ms"
        environments.demo.airflow_version = "2.10.3"
    "#;
    let harness = Harness::with(settings, extra).await;
    for round in 1..=10 {
        let reply = harness.command("version").await;
        assert_eq!(reply.status, 200, "{reply}");
        harness.passes(Duration::from_millis(160)).await;
        assert_eq!(harness.mints(), round);
    }
    // an old token would have been refused and replaced
    assert_eq!(harness.journal().web_count(), 10);
}

#[tokio::test]
async fn a_hanging_refresh_holds_nobody_up() {
    let extra = r#"
        limits.token_use = "3s"
        limits.mint_try = "20s"
        limits.mint_total = "20s"
        environments.demo.airflow_version = "2.10.3"
    "#;
    let harness = Harness::configured(extra).await;
    let request = harness.request("version");
    let mut client = harness.connect().await;
    assert_eq!(client.exchange(&request).await.status, 200);
    harness.script().mint_fault.always(ControlFault::Hang);
    let using = async {
        while harness.journal().calls("CreateCliToken") < 2 {
            assert_eq!(client.exchange(&request).await.status, 200);
        }
    };
    soon("the refresh", using).await;
    for _ in 0..50 {
        let (reply, took) = timed(client.exchange(&request)).await;
        assert_eq!(reply.status, 200, "{reply}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    let journal = harness.journal();
    let hung = journal.control_calls().last().unwrap().status;
    assert_eq!((journal.calls("CreateCliToken"), hung), (2, None));
}
