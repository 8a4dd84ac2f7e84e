//! Tokens: one mint serves many callers, failures are reported in full, and clients do not notice
//! the rotation.

mod clock;
mod failures;
mod hosts;
mod refused;
mod rotation;
mod state;
mod version;

use crate::support::{HELD, Harness, all};
use mwaa_emulator::{Seed, Settings};
use std::time::Duration;

/// An emulator with these environments and room for many commands.
fn several<'a>(names: impl IntoIterator<Item = &'a str>) -> Settings {
    let environments = names
        .into_iter()
        .map(|name| Seed::new(name, "2.10.3"))
        .collect();
    Settings {
        environments,
        cli_slots: 64,
        ..Settings::default()
    }
}

/// The life of a token of MWAA.
const LIFE: Duration = Duration::from_mins(1);
/// Where `/status` says whether there is a token.
const LIVE: &str = "/environments/0/cli_token/live";
/// Where `/status` says how many commands have a slot.
const RUNNING: &str = "/environments/0/queue/running";

/// One environment with room for many commands, on both sides.
async fn wide() -> Harness {
    let extra = r#"
        [limits]
        connections = 2000
        queue_size = 2000
        [environments.demo]
        airflow_version = "2.10.3"
        cli_concurrency = 64
    "#;
    Harness::with(several(["demo"]), extra).await
}

#[tokio::test]
async fn a_thousand_first_requests_make_one_mint() {
    let harness = wide().await;
    harness.script().mint_delay.always(HELD);
    let requests = harness.at_once((0..1000).map(|_| harness.request("version")));
    harness.queued(1000 - 64).await;
    harness.script().mint_delay.off();
    let replies = all(requests).await;
    assert_eq!(replies.len(), 1000);
    for reply in replies {
        assert_eq!(reply.status, 200, "{reply}");
    }
    assert_eq!(harness.mints(), 1);
    assert_eq!(harness.journal().calls("CreateCliToken"), 1);
    assert_eq!(harness.journal().commands().len(), 1000);
    assert_eq!(harness.journal().calls("GetEnvironment"), 0);
}

#[tokio::test]
async fn a_mint_continues_after_its_caller_left() {
    let harness = wide().await;
    harness.script().mint_delay.always(HELD);
    let mut first = harness.connect().await;
    first.send(harness.request("dags list")).await;
    harness
        .seen("the mint", |journal| journal.calls("CreateCliToken") == 1)
        .await;
    drop(first);
    harness.status_says(RUNNING, 0).await;
    let others = harness.at_once((0..10).map(|_| harness.request("version")));
    harness.status_says(RUNNING, 10).await;
    harness.script().mint_delay.off();
    for reply in all(others).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
    assert_eq!(harness.journal().calls("CreateCliToken"), 1);
    assert_eq!(harness.mints(), 1);
    // the first command was never sent: its client had left
    assert_eq!(harness.journal().commands(), ["version"; 10]);
}

#[tokio::test]
async fn a_mint_without_callers_leaves_a_token_for_the_next() {
    let harness = wide().await;
    harness.script().mint_delay.next(1, HELD);
    let mut only = harness.connect().await;
    only.send(harness.request("version")).await;
    harness
        .seen("the mint", |journal| journal.calls("CreateCliToken") == 1)
        .await;
    drop(only);
    harness.status_says(RUNNING, 0).await;
    harness.script().mint_delay.off();
    harness.status_says(LIVE, true).await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().calls("CreateCliToken"), 1);
}

#[tokio::test]
async fn two_environments_never_share_a_token() {
    let settings = several(["left", "right"]);
    let extra = r#"
        [environments.left]
        airflow_version = "2.10.3"
        [environments.right]
        airflow_version = "2.10.3"
        # an idle connection outlives a token
        [limits]
        keep_alive = "1h"
    "#;
    let harness = Harness::with(settings, extra).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(harness.connect().await);
    }
    for round in 0..250 {
        if round % 25 == 24 {
            harness.advance(LIFE);
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let name = if (round + number) % 2 == 0 {
                "left"
            } else {
                "right"
            };
            client
                .send(harness.request_for(name, &format!("variables set name {name}")))
                .await;
        }
        for client in &mut clients {
            let reply = client.response().await;
            assert_eq!(reply.status, 200, "{reply}");
        }
    }
    let requests = harness.journal().web_requests();
    assert_eq!(requests.len(), 1000);
    let mut owners = std::collections::HashMap::new();
    for request in requests {
        let environment = request.environment.as_deref().unwrap();
        let words = String::from_utf8_lossy(&request.body).into_owned();
        assert!(words.ends_with(environment), "{words} for {environment}");
        assert_eq!(
            request.header("host"),
            harness.emulator().host(environment).as_deref()
        );
        let token = request.token.clone().expect("a token of ours");
        let owner = owners
            .entry(token)
            .or_insert_with(|| environment.to_owned());
        assert_eq!(owner, environment, "a foreign token");
    }
    assert_eq!(owners.len(), 22, "ten rotations of two tokens");
}

#[tokio::test]
async fn an_idle_gateway_makes_no_aws_call() {
    let extra = r#"environments.demo.airflow_version = "2.10.3""#;
    let harness = Harness::configured(extra).await;
    // refusals and questions about health are no use of AWS either
    assert_eq!(harness.manage("/readyz").await.status, 200);
    assert_eq!(harness.command("users list").await.status, 403);
    assert_eq!(harness.journal().control_count(), 0);
    assert_eq!(harness.command("version").await.status, 200);
    harness.advance(LIFE);
    harness.status_says(LIVE, false).await;
    for path in ["/metrics", "/readyz", "/livez"] {
        assert_eq!(harness.manage(path).await.status, 200);
    }
    assert_eq!(
        harness.journal().control_count(),
        1,
        "refreshed without use"
    );
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.mints(), 2);
}
