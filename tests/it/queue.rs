//! The line in front of an environment's command slots.

use crate::support::{Client, HELD, Harness, all, soon};
use mwaa_emulator::WebFault;

/// A command that the web server has read and does not answer until its connections are cut:
/// the only slot is taken for as long as the test needs.
async fn blocked(harness: &Harness) -> Client {
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut client = harness.connect().await;
    client.send(harness.request("dags list")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    client
}

#[tokio::test]
async fn commands_run_one_at_a_time() {
    let harness = Harness::new().await;
    harness.script().command_delay.always(HELD);
    let requests = (0..20).map(|number| harness.request(&format!("variables set k{number} v")));
    let requests = harness.at_once(requests);
    harness
        .seen("a command", |journal| journal.running_commands() == 1)
        .await;
    harness.queued(19).await;
    harness.script().command_delay.off();
    for reply in all(requests).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
    assert_eq!(harness.journal().peak_commands(), 1);
    assert_eq!(harness.journal().commands().len(), 20);
}

#[tokio::test]
async fn cli_concurrency_limits_the_running_commands() {
    let harness = Harness::configured("environments.demo.cli_concurrency = 3").await;
    harness.script().command_delay.always(HELD);
    let requests = harness.at_once((0..12).map(|_| harness.request("version")));
    harness
        .seen("three commands", |journal| journal.running_commands() == 3)
        .await;
    harness.queued(9).await;
    harness.script().command_delay.off();
    for reply in all(requests).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
    assert_eq!(harness.journal().peak_commands(), 3);
}

#[tokio::test]
async fn commands_run_in_order_of_arrival() {
    let harness = Harness::new().await;
    let mut first = blocked(&harness).await;
    let mut waiting = Vec::new();
    for number in 0..19 {
        let mut client = harness.connect().await;
        client
            .send(harness.request(&format!("variables set k{number} v")))
            .await;
        waiting.push(client);
        harness.queued(number + 1).await;
    }
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.fault(), Some("upstream.broken"));
    for client in &mut waiting {
        let reply = client.response().await;
        assert_eq!(reply.status, 200, "{reply}");
    }
    let in_order: Vec<_> = (0..19)
        .map(|number| format!("variables set k{number} v"))
        .collect();
    assert_eq!(harness.journal().commands(), in_order);
    assert_eq!(harness.journal().peak_commands(), 1);
}

#[tokio::test]
async fn commands_beyond_the_queue_size_are_refused_at_once() {
    let harness = Harness::new().await;
    let mut first = blocked(&harness).await;
    let mut others = harness.at_once((0..99).map(|_| harness.request("version")));
    for _ in 0..67 {
        let reply = soon("a refusal", others.join_next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (reply.status, reply.fault()),
            (503, Some("queue.full")),
            "{reply}"
        );
        let after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after));
    }
    harness.queued(32).await;
    let metrics = harness.manage("/metrics").await.text();
    assert!(
        metrics
            .lines()
            .any(|line| line.contains("queue") && line.ends_with(" 32")),
        "{metrics}"
    );
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.status, 502);
    let accepted = all(others).await;
    assert_eq!(accepted.len(), 32);
    for reply in accepted {
        assert_eq!(reply.status, 200, "{reply}");
    }
    assert_eq!(harness.journal().commands().len(), 32);
    harness.queued(0).await;
}

#[tokio::test]
async fn a_command_that_times_out_in_the_queue_is_not_sent() {
    let harness = Harness::configured(r#"limits.queue_wait = "300ms""#).await;
    let mut first = blocked(&harness).await;
    let reply = harness.command("variables set late v").await;
    assert_eq!(
        (reply.status, reply.fault()),
        (503, Some("queue.timeout")),
        "{reply}"
    );
    assert!(reply.header("retry-after").is_some(), "{reply}");
    assert!(reply.complaint().contains("nothing was sent"), "{reply}");
    harness.queued(0).await;
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.status, 502);
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().commands(), ["version"]);
}

#[tokio::test]
async fn a_queued_command_whose_client_left_is_not_sent() {
    let harness = Harness::new().await;
    let mut first = blocked(&harness).await;
    let mut leaving = harness.connect().await;
    leaving.send(harness.request("variables set gone v")).await;
    harness.queued(1).await;
    drop(leaving);
    harness.queued(0).await;
    let mut staying = harness.connect().await;
    staying.send(harness.request("version")).await;
    harness.queued(1).await;
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.status, 502);
    assert_eq!(staying.response().await.status, 200);
    assert_eq!(harness.journal().commands(), ["version"]);
}

#[tokio::test]
async fn a_running_command_keeps_its_slot_when_its_client_leaves() {
    let harness = Harness::new().await;
    let first = blocked(&harness).await;
    drop(first);
    harness
        .status_says("/environments/0/queue/commands/0/client_left", true)
        .await;
    let mut second = harness.connect().await;
    second.send(harness.request("version")).await;
    harness.queued(1).await;
    assert_eq!(harness.journal().web_count(), 1, "the slot was given away");
    harness.script().cut_web_connections();
    let reply = second.response().await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(harness.journal().web_count(), 2);
}

#[tokio::test]
async fn environments_do_not_wait_for_each_other() {
    use mwaa_emulator::{Seed, Settings};
    let settings = Settings {
        environments: vec![Seed::new("demo", "2.10.3"), Seed::new("other", "2.10.3")],
        ..Settings::default()
    };
    let harness = Harness::with(settings, "").await;
    let mut first = blocked(&harness).await;
    let request = harness.request_for("other", "version");
    let reply = harness.connect().await.exchange(request).await;
    assert_eq!(reply.status, 200, "{reply}");
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.status, 502);
}
