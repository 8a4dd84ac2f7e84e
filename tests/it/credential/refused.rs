//! A token that the web server refuses although it looks fresh.

use crate::support::{Harness, all};
use mwaa_emulator::WebFault;

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_the_command_sent_again() {
    for status in [401, 403] {
        let harness = Harness::new().await;
        if status == 401 {
            harness.script().refuse_with_401.always(());
        }
        assert_eq!(harness.command("version").await.status, 200);
        harness.script().revoke_tokens();
        let reply = harness.command("variables set k v").await;
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(harness.mints(), 2);
        let statuses: Vec<_> = harness
            .journal()
            .web_requests()
            .iter()
            .map(|request| request.status)
            .collect();
        assert_eq!(statuses, [Some(200), Some(status), Some(200)]);
        assert_eq!(
            harness.journal().commands(),
            ["version", "variables set k v"]
        );
    }
}

#[tokio::test]
async fn concurrent_refused_commands_share_one_new_token() {
    let extra = "environments.demo.cli_concurrency = 4";
    let harness = Harness::configured(extra).await;
    assert_eq!(harness.command("version").await.status, 200);
    harness.script().revoke_tokens();
    for reply in all(harness.at_once((0..20).map(|_| harness.request("version")))).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
    assert_eq!(harness.mints(), 2);
    assert_eq!(harness.journal().commands().len(), 21);
}

#[tokio::test]
async fn a_web_server_that_refuses_all_tokens_does_not_cause_endless_mints() {
    let harness = Harness::new().await;
    harness.script().web_fault.always(WebFault::html(403));
    for _ in 0..30 {
        let reply = harness.command("version").await;
        // its own answer, not ours
        assert_eq!((reply.status, reply.fault()), (403, None), "{reply}");
        assert!(reply.text().starts_with("<html>"), "{reply}");
    }
    let mints = harness.mints();
    assert!((2..=7).contains(&mints), "{mints} mints for 30 requests");
    let sent = harness.journal().web_count();
    assert!(
        sent < 30 + mints,
        "{sent} sent for 30 requests, {mints} mints"
    );
    harness.script().web_fault.off();
    assert_eq!(harness.command("version").await.status, 200);
}
