//! Web servers that refuse: for good, or only what the identity has no right to.

use crate::support::Harness;
use crate::support::airflow::{OWN, VERSIONS, api};
use mwaa_emulator::{Credential, Role, Settings};

#[tokio::test]
async fn a_web_server_that_refuses_new_sessions_is_not_logged_in_to_again() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        harness.script().refuse_sessions.always(());
        let target = format!("{}/dags", api(version));
        let reply = harness.get(&target).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (503, Some("session.login_loop")),
            "{version}: {reply}"
        );
        assert!(reply.header("retry-after").is_some(), "{reply}");
        let cause = if version == "2.10.3" { "401" } else { "403" };
        assert!(reply.complaint().contains(cause), "{reply}");
        for _ in 0..20 {
            let reply = harness.get(&target).await;
            assert_eq!(reply.fault(), Some("session.login_loop"), "{reply}");
        }
        // the first, and one more in ten seconds
        assert_eq!(harness.logins().len(), 2, "{version}");
        // to a person, as a page
        let page = harness.get_with(&target, OWN).await;
        assert_eq!(page.fault(), Some("session.login_loop"), "{page}");
        assert!(page.text().starts_with("<!DOCTYPE html>"), "{page}");
        harness.script().refuse_sessions.off();
        assert_eq!(
            harness.get(&target).await.status,
            200,
            "{version}: it heals"
        );
        assert_eq!(harness.logins().len(), 2, "{version}");
    }
}

/// A web server that restarts loses its sessions: each is replaced at once, also several times in
/// a row, but not without end.
#[tokio::test]
async fn a_session_that_worked_is_replaced_at_once() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let target = format!("{}/dags", api(version));
        for restarts in 0..=5 {
            let reply = harness.get(&target).await;
            assert_eq!(
                (reply.status, reply.fault()),
                (200, None),
                "{version}: {reply}"
            );
            assert_eq!(harness.logins().len(), 1 + restarts, "{version}");
            harness.script().kill_sessions();
        }
        // one more is granted in ten seconds
        let mut reply = harness.get(&target).await;
        for _ in 0..50 {
            if reply.fault().is_some() {
                break;
            }
            harness.script().kill_sessions();
            reply = harness.get(&target).await;
        }
        assert_eq!(
            (reply.status, reply.fault()),
            (503, Some("session.login_loop")),
            "{version}: {reply}"
        );
        assert!(
            reply.complaint().contains("keeps rejecting sessions"),
            "{reply}"
        );
        assert!(reply.header("retry-after").is_some(), "{reply}");
    }
}

/// A new session would have the same rights, so a 403 for missing rights is passed on unchanged.
#[tokio::test]
async fn missing_rights_do_not_end_the_session() {
    for version in VERSIONS {
        let settings = Settings {
            credentials: vec![Credential {
                access_key_id: "AKIAVIEWER0123456789".to_owned(),
                secret_access_key: "viewers-key".to_owned(),
                role: Some(Role::Viewer),
                ..Credential::default()
            }],
            ..Settings::default()
        };
        let harness = Harness::airflow_with(settings, version, "").await;
        assert_eq!(
            harness.get(&format!("{}/dags", api(version))).await.status,
            200
        );
        for _ in 0..3 {
            let reply = harness.pause(api(version), true).await;
            assert_eq!(
                (reply.status, reply.fault()),
                (403, None),
                "{version}: {reply}"
            );
            let word = if version == "2.10.3" {
                "title"
            } else {
                "detail"
            };
            assert_eq!(reply.json()[word], "Forbidden", "{reply}");
        }
        assert_eq!(harness.logins().len(), 1, "{version}");
        assert_eq!(
            harness.reached().len(),
            4,
            "{version}: one of them went twice"
        );
    }
}
