//! A command's events as they happen: what they contain, when they are sent, and what happens when
//! the client leaves.

use crate::support::{Client, Harness};
use mwaa_emulator::WebFault;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

const ACCEPT: &str = "Accept: application/vnd.mwaa-gateway.cli-events+ndjson\r\n";

/// An open stream of events.
struct Events {
    client: Client,
    lines: VecDeque<Value>,
}

impl Events {
    /// Asks, and reads the head.
    async fn of(harness: &Harness, command: &str) -> Self {
        let mut client = harness.connect().await;
        client.send(harness.request_with(ACCEPT, command)).await;
        let head = client.head().await.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("mwaa-gateway-request-id: "), "{head}");
        assert!(
            head.contains("content-type: application/vnd.mwaa-gateway.cli-events+ndjson"),
            "{head}"
        );
        Self {
            client,
            lines: VecDeque::new(),
        }
    }

    /// The next event; nothing after the last one.
    async fn next(&mut self) -> Option<Value> {
        if self.lines.is_empty() {
            let chunk = self.client.chunk().await;
            let text = String::from_utf8(chunk).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            self.lines.extend(lines);
        }
        self.lines.pop_front()
    }

    async fn rest(&mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push(event);
        }
        rest
    }
}

/// A command that the web server has read and does not answer until its connections are cut.
async fn blocked(harness: &Harness) -> Client {
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut client = harness.connect().await;
    client.send(harness.request("dags list")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    client
}

fn queued(place: usize) -> Value {
    json!({"event": "queued", "place": place, "running": 1})
}

#[tokio::test]
async fn a_free_slot_sends_no_queued_event() {
    let harness = Harness::new().await;
    let mut events = Events::of(&harness, "version").await;
    let all = events.rest().await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0], json!({"event": "sent"}));
    assert_eq!(all[1]["event"], "done");
    assert_eq!(all[1]["status"], 200);
    assert_eq!(all[1]["result"]["stdout"], "2.10.3\n");
    assert_eq!(all[1]["result"]["succeeded"], true);
    // the connection serves the next request
    let next = events.client.exchange(harness.request("version")).await;
    assert_eq!(next.status, 200, "{next}");
}

#[tokio::test]
async fn queue_positions_and_steps_are_sent_as_they_change() {
    let harness = Harness::new().await;
    let mut first = blocked(&harness).await;
    let mut second = Events::of(&harness, "variables set a 1").await;
    assert_eq!(second.next().await, Some(queued(1)));
    let mut third = Events::of(&harness, "variables set b 2").await;
    assert_eq!(third.next().await, Some(queued(2)));
    let mut fourth = Events::of(&harness, "variables set c 3").await;
    assert_eq!(fourth.next().await, Some(queued(3)));
    drop(third);
    assert_eq!(fourth.next().await, Some(queued(2)));
    // what is sent now is read and not answered
    harness.script().web_fault.next(1, WebFault::Hang);
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.status, 502);
    assert_eq!(second.next().await, Some(json!({"event": "sent"})));
    assert_eq!(fourth.next().await, Some(queued(1)));
    harness
        .seen("the second", |journal| journal.web_count() == 2)
        .await;
    harness.script().cut_web_connections();
    let fault = second.rest().await;
    assert_eq!(fault.len(), 1, "{fault:?}");
    assert_eq!(fault[0]["event"], "fault");
    assert_eq!(fault[0]["problem"]["code"], "upstream.broken");
    assert_eq!(fault[0]["problem"]["status"], 502);
    let done = fourth.rest().await;
    assert_eq!(done[0], json!({"event": "sent"}));
    assert_eq!(done[1]["event"], "done");
    assert_eq!(done[1]["status"], 200);
    assert_eq!(harness.journal().commands(), ["variables set c 3"]);
}

#[tokio::test]
async fn a_refusal_before_the_queue_is_a_normal_problem_response() {
    let harness = Harness::configured("limits.queue_size = 0").await;
    let _first = blocked(&harness).await;
    for (command, status, code) in [
        ("users list", 403, "policy.unsupported_command"),
        ("version", 503, "queue.full"),
    ] {
        let request = harness.request_with(ACCEPT, command);
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (status, Some(code)),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn a_fault_after_the_head_is_sent_counted_and_listed() {
    let harness = Harness::configured(r#"limits.queue_wait = "300ms""#).await;
    let _first = blocked(&harness).await;
    let mut events = Events::of(&harness, "variables set late v").await;
    let all = events.rest().await;
    assert_eq!(all[0], queued(1));
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[1]["event"], "fault");
    let problem = &all[1]["problem"];
    assert_eq!(problem["code"], "queue.timeout");
    assert_eq!(problem["status"], 503);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("nothing was sent")
    );
    assert!(all[1]["retry_after"].as_u64().unwrap() >= 1);
    harness.status_says("/faults/queue.timeout", 1).await;
    harness
        .status_says("/refusals/0/code", "queue.timeout")
        .await;
    let metrics = harness.manage("/metrics").await.text();
    let refused = r#"queue_refused_total{environment="demo",reason="timeout"} 1"#;
    assert!(metrics.contains(refused), "{metrics}");
    assert_eq!(harness.journal().web_count(), 1);
}

#[tokio::test]
async fn a_body_that_is_not_output_is_sent_as_text() {
    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::html(500));
    let all = Events::of(&harness, "version").await.rest().await;
    assert_eq!(all[1]["event"], "done");
    assert_eq!(all[1]["status"], 500);
    assert_eq!(all[1]["result"], Value::Null);
    assert!(
        all[1]["body"]
            .as_str()
            .unwrap()
            .contains("<title>500</title>")
    );
    harness.script().web_fault.next(1, WebFault::NotJson);
    let all = Events::of(&harness, "version").await.rest().await;
    assert_eq!(all[1]["problem"]["code"], "upstream.broken", "{all:?}");
}

#[tokio::test]
async fn a_client_that_leaves_while_queued_is_removed_from_the_queue() {
    let harness = Harness::new().await;
    let mut first = blocked(&harness).await;
    let mut leaving = Events::of(&harness, "variables set gone v").await;
    assert_eq!(leaving.next().await, Some(queued(1)));
    harness.queued(1).await;
    drop(leaving);
    harness.queued(0).await;
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.status, 502);
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().commands(), ["version"]);
    let metrics = harness.manage("/metrics").await.text();
    let left = r#"mwaa_gateway_queue_left_total{environment="demo"} 1"#;
    assert!(metrics.contains(left), "{metrics}");
}

#[tokio::test]
async fn a_client_that_leaves_after_sent_keeps_its_slot_occupied() {
    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut leaving = Events::of(&harness, "dags list").await;
    assert_eq!(leaving.next().await, Some(json!({"event": "sent"})));
    let place = "/environments/0/queue/commands/0";
    harness
        .status_says(&format!("{place}/command"), "dags list")
        .await;
    harness.status_says(&format!("{place}/sent"), true).await;
    harness
        .status_says(&format!("{place}/client_left"), false)
        .await;
    drop(leaving);
    harness
        .status_says(&format!("{place}/client_left"), true)
        .await;
    let mut next = Events::of(&harness, "version").await;
    assert_eq!(next.next().await, Some(queued(1)));
    harness
        .seen("the first", |journal| journal.web_count() == 1)
        .await;
    harness.script().cut_web_connections();
    assert_eq!(next.rest().await.len(), 2);
    assert_eq!(harness.journal().web_count(), 2);
}

/// No limit of the listener's own cuts a stream on which nothing happens.
#[tokio::test]
async fn a_long_pause_does_not_end_the_stream() {
    let extra =
        "limits.threads = 1\nlimits.keep_alive = \"10s\"\nlimits.head_timeout = \"10s\"";
    let harness = Harness::configured(extra).await;
    let mut first = blocked(&harness).await;
    let mut events = Events::of(&harness, "version").await;
    assert_eq!(events.next().await, Some(queued(1)));
    // an idle connection shows when the limits have been looked at
    let mut idle = harness.connect().await;
    assert_eq!(
        idle.exchange(harness.request("users list")).await.status,
        403
    );
    harness.advance(Duration::from_secs(15));
    assert_eq!(idle.rest().await, b"");
    harness.script().cut_web_connections();
    assert_eq!(first.response().await.status, 502);
    assert_eq!(events.rest().await.len(), 2);
}

/// Before a command is written there is time: the web server is only being dialled.
#[tokio::test]
async fn a_client_that_leaves_while_connecting_sends_nothing() {
    use mwaa_emulator::HandshakeFault;
    let harness = Harness::new().await;
    harness
        .script()
        .handshake_fault
        .always(HandshakeFault::Hang);
    let leaving = Events::of(&harness, "variables set gone v").await;
    harness
        .seen("a connection", |journal| journal.web_connections() == 1)
        .await;
    harness
        .status_says("/environments/0/queue/commands/0/sent", false)
        .await;
    drop(leaving);
    harness
        .status_says("/environments/0/queue/running", 0)
        .await;
    harness.script().handshake_fault.off();
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().commands(), ["version"]);
}
