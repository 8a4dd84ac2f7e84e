//! A trigger that may be retried: when, how often, and how its result is reported.

use crate::support::{Client, Harness, Response};
use mwaa_emulator::{FailureForm, HandshakeFault, Noise, WebFault};
use serde_json::Value;

const ASKED: &str = "Mwaa-Gateway-Repeatable: ?1\r\n";
const JSON: &str = "Accept: application/vnd.mwaa-gateway.cli+json;detail=full\r\n";
const EVENTS: &str = "Accept: application/vnd.mwaa-gateway.cli-events+ndjson\r\n";
const TRIGGER: &str = "dags trigger lab_hello --no-replace-microseconds --run-id r1";

async fn ask(harness: &Harness, headers: &str, command: &str) -> Response {
    let request = harness.request_with(headers, command);
    harness.connect().await.exchange(request).await
}

fn written(harness: &Harness) -> usize {
    let requests = harness.journal().web_requests().into_iter();
    requests.filter(|one| one.target == "/aws_mwaa/cli").count()
}

/// The first request took effect and its response was lost. Airflow refuses the retry, and that
/// counts as success.
#[tokio::test]
async fn a_retry_that_finds_the_run_is_a_success() {
    for form in [FailureForm::BadRequest, FailureForm::Ok] {
        let harness = Harness::new().await;
        harness.script().failure_form.always(form);
        harness
            .script()
            .web_fault
            .next(1, WebFault::ResetAfterExecution);
        let raw = ask(&harness, ASKED, TRIGGER).await;
        assert_eq!(raw.header("mwaa-gateway-repeated"), Some("?1"), "{raw}");
        assert_eq!(raw.header("mwaa-gateway-succeeded"), Some("true"), "{raw}");
        assert_eq!(raw.fault(), None, "{raw}");
        // MWAA's own status and bytes
        let status = if form == FailureForm::Ok { 200 } else { 400 };
        assert_eq!(raw.status, status, "{raw}");
        assert!(raw.text().starts_with("{\"stderr\": \""), "{raw}");
        assert_eq!(harness.journal().commands(), [TRIGGER, TRIGGER]);

        harness
            .script()
            .web_fault
            .next(1, WebFault::ResetAfterExecution);
        let other = TRIGGER.replace("r1", "r2");
        let told = ask(&harness, &format!("{ASKED}{JSON}"), &other).await;
        assert_eq!(told.json()["succeeded"], true, "{told}");
        let reason = told.json()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("the run exists"), "{reason}");
        assert_eq!(told.header("mwaa-gateway-repeated"), Some("?1"), "{told}");

        harness
            .script()
            .web_fault
            .next(1, WebFault::ResetAfterExecution);
        let other = TRIGGER.replace("r1", "r3");
        let told = ask(&harness, &format!("{ASKED}{EVENTS}"), &other).await;
        let last: Value = serde_json::from_str(told.text().lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "done", "{told}");
        assert_eq!(last["repeated"], true, "{told}");
        assert_eq!(last["result"]["succeeded"], true, "{told}");
        assert_eq!(written(&harness), 6);
    }
}

/// Whatever hid the outcome, there is one more write, and one run.
#[tokio::test]
async fn an_unknown_outcome_is_retried_once() {
    for fault in [
        WebFault::Drop,
        WebFault::Reset,
        WebFault::html(502),
        WebFault::html(504),
        WebFault::garbage_head(),
    ] {
        let harness = Harness::new().await;
        harness.script().web_fault.next(1, fault.clone());
        let reply = ask(&harness, &format!("{ASKED}{JSON}"), TRIGGER).await;
        assert_eq!(reply.status, 200, "{fault:?}: {reply}");
        assert_eq!(reply.json()["succeeded"], true, "{fault:?}: {reply}");
        assert_eq!(reply.header("mwaa-gateway-repeated"), Some("?1"));
        assert_eq!(harness.journal().commands(), [TRIGGER], "{fault:?}");
        assert_eq!(written(&harness), 2, "{fault:?}");
        // never a third time
        harness.script().web_fault.next(2, fault.clone());
        let other = TRIGGER.replace("r1", "r2");
        let reply = ask(&harness, ASKED, &other).await;
        assert!(reply.status >= 502, "{fault:?}: {reply}");
        assert_eq!(written(&harness), 4, "{fault:?}");
    }
}

/// The first write may have taken effect, whatever became of the second.
#[tokio::test]
async fn a_retry_that_fails_to_connect_leaves_the_outcome_unknown() {
    let harness = Harness::configured("limits.threads = 1").await;
    let mut before = written(&harness);
    for (fault, told) in [
        (WebFault::Drop, "was lost"),
        (WebFault::html(504), "returned 504"),
    ] {
        assert_eq!(ask(&harness, "", "version").await.status, 200);
        harness.script().web_fault.next(1, fault.clone());
        harness
            .script()
            .handshake_fault
            .always(HandshakeFault::Close);
        let reply = ask(&harness, ASKED, TRIGGER).await;
        harness.script().handshake_fault.off();
        assert_eq!(reply.fault(), Some("upstream.broken"), "{fault:?}: {reply}");
        let complaint = reply.complaint();
        assert!(complaint.contains("outcome: unknown"), "{complaint}");
        assert!(complaint.contains("sent again"), "{complaint}");
        assert!(complaint.contains(told), "{complaint}");
        assert_eq!(written(&harness), before + 2, "{fault:?}");
        before += 2;
    }
}

/// A load balancer answers the second write too: the fault mentions both.
#[tokio::test]
async fn two_errors_of_a_load_balancer_leave_the_outcome_unknown() {
    let harness = Harness::new().await;
    for (number, (accept, status)) in [("", 504), (JSON, 504), ("", 502), (JSON, 502)]
        .into_iter()
        .enumerate()
    {
        harness.script().web_fault.next(2, WebFault::html(status));
        let command = TRIGGER.replace("r1", &format!("r{number}"));
        let reply = ask(&harness, &format!("{ASKED}{accept}"), &command).await;
        assert_eq!(reply.status, status, "{reply}");
        let complaint = reply.complaint();
        assert!(complaint.contains("outcome: unknown"), "{complaint}");
        assert!(complaint.contains("sent twice"), "{complaint}");
        assert_eq!(written(&harness), 2 * (number + 1), "{accept}{status}");
    }
}

#[tokio::test]
async fn a_timeout_is_retried_once() {
    let harness = Harness::configured("limits.cli_first_byte = \"1s\"").await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let reply = ask(&harness, &format!("{ASKED}{JSON}"), TRIGGER).await;
    assert_eq!(reply.json()["succeeded"], true, "{reply}");
    assert_eq!(written(&harness), 2);
}

#[tokio::test]
async fn a_known_outcome_is_not_retried() {
    let harness = Harness::new().await;
    for (number, fault) in [
        WebFault::html(503),
        WebFault::html(500),
        WebFault::CutBody,
        WebFault::NotJson,
    ]
    .into_iter()
    .enumerate()
    {
        harness.script().web_fault.next(1, fault.clone());
        let mut client = harness.connect().await;
        let command = TRIGGER.replace("r1", &format!("r{number}"));
        client.send(harness.request_with(ASKED, &command)).await;
        if let Ok(reply) = client.try_response().await {
            assert_eq!(
                reply.header("mwaa-gateway-repeated"),
                None,
                "{fault:?}: {reply}"
            );
        }
        assert_eq!(written(&harness), number + 1, "{fault:?}");
    }
    // a run that existed before the first write is Airflow's own refusal
    let reply = ask(&harness, JSON, TRIGGER).await;
    assert_eq!(reply.status, 200, "{reply}");
    let reply = ask(&harness, &format!("{ASKED}{JSON}"), TRIGGER).await;
    assert_eq!(reply.json()["succeeded"], false, "{reply}");
    assert_eq!(reply.header("mwaa-gateway-repeated"), None, "{reply}");
}

#[tokio::test]
async fn another_failure_of_the_retry_is_a_failure() {
    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::Drop);
    let command = TRIGGER.replace("lab_hello", "no_such_dag");
    let reply = ask(&harness, &format!("{ASKED}{JSON}"), &command).await;
    assert_eq!(reply.json()["succeeded"], false, "{reply}");
    assert_eq!(reply.header("mwaa-gateway-repeated"), Some("?1"), "{reply}");
    assert_eq!(
        reply.header("mwaa-gateway-succeeded"),
        Some("false"),
        "{reply}"
    );
    harness.script().web_fault.next(1, WebFault::Drop);
    harness.script().noise.next(1, Noise::Stderr);
    let reply = ask(&harness, ASKED, &command).await;
    assert_eq!(
        reply.header("mwaa-gateway-succeeded"),
        Some("false"),
        "{reply}"
    );
}

#[tokio::test]
async fn commands_that_are_not_repeatable_are_refused() {
    let harness = Harness::new().await;
    for command in [
        "version",
        "variables set k v",
        "dags trigger lab_hello",
        "dags trigger lab_hello --run-id r1",
        "dags trigger lab_hello --no-replace-microseconds --run-id ''",
    ] {
        let reply = ask(&harness, ASKED, command).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (400, Some("policy.not_repeatable")),
            "{command}: {reply}"
        );
    }
    assert_eq!(harness.journal().web_count(), 0);
    assert_eq!(harness.mints(), 0);
}

/// After the client has left, there is no one to receive the result of a retry.
#[tokio::test]
async fn nothing_is_retried_after_the_client_left() {
    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut leaving: Client = harness.connect().await;
    leaving.send(harness.request_with(ASKED, TRIGGER)).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    drop(leaving);
    harness
        .status_says("/environments/0/queue/commands/0/client_left", true)
        .await;
    harness.script().cut_web_connections();
    harness
        .status_says("/environments/0/queue/running", 0)
        .await;
    assert_eq!(harness.journal().web_count(), 1);
}
