//! How long a session is used: renewed ahead while used, left alone while not, never used up
//! to its last moment.

use crate::support::airflow::{VERSIONS, api};
use crate::support::{Harness, eventually};
use mwaa_emulator::{ControlFault, Settings};
use std::time::Duration;

/// A gateway that uses a session for 100 seconds, and renews it in the last 15 of them.
async fn used_briefly(version: &str) -> Harness {
    let extra = "limits.session_use = \"100s\"";
    Harness::airflow_with(Settings::default(), version, extra).await
}

/// In a session's last seconds.
const LATE: Duration = Duration::from_secs(96);

#[tokio::test]
async fn a_session_in_use_is_renewed_before_it_expires() {
    for version in ["2.10.3", "3.3.1"] {
        let harness = used_briefly(version).await;
        let target = format!("{}/dags", api(version));
        assert_eq!(harness.get(&target).await.status, 200);
        for sessions in 2..=3 {
            harness.advance(LATE);
            assert_eq!(harness.get(&target).await.status, 200);
            eventually("the next session", async || {
                let status = harness.manage("/status").await.json();
                let age = status["environments"][0]["session"]["age_seconds"].as_f64();
                (age < Some(LATE.as_secs_f64())).then_some(())
            })
            .await;
            assert_eq!(harness.logins().len(), sessions);
            assert_eq!(harness.get(&target).await.status, 200);
        }
        let requests = harness.reached();
        let mut sessions: Vec<_> = requests.iter().map(|r| r.header("cookie")).collect();
        sessions.dedup();
        assert_eq!(sessions.len(), 3);
        assert!(requests.iter().all(|request| request.status == Some(200)));
    }
}

/// The renewal comes while the old session is alive, and its failure takes nothing away.
#[tokio::test]
async fn a_failed_renewal_keeps_the_live_session() {
    let harness = used_briefly("3.3.1").await;
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    harness
        .script()
        .mint_fault
        .always(ControlFault::AccessDenied);
    harness.advance(LATE);
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    harness
        .seen("the renewal", |journal| {
            journal.calls("CreateWebLoginToken") == 2
        })
        .await;
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    harness.advance(Duration::from_secs(5));
    let reply = harness.get("/api/v2/dags").await;
    assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
    assert_eq!(harness.logins().len(), 1);
}

#[tokio::test]
async fn an_idle_session_is_not_renewed() {
    let harness = used_briefly("3.0.6").await;
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    harness.advance(Duration::from_secs(101));
    // neither health nor a refusal is a use of it
    assert_eq!(harness.manage("/readyz").await.status, 200);
    assert_eq!(harness.get("/aws_mwaa/other").await.status, 404);
    assert_eq!(harness.journal().control_count(), 1, "renewed without use");
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    assert_eq!(harness.logins().len(), 2);
}

/// The cookie's own end (Airflow 2) or the token's (3) counts, not only our limit.
#[tokio::test]
async fn a_session_is_not_used_after_it_expires() {
    for version in VERSIONS {
        let settings = Settings {
            session_life: Duration::from_mins(4),
            ..Settings::default()
        };
        let harness = Harness::airflow_with(settings, version, "").await;
        let target = format!("{}/dags", api(version));
        assert_eq!(harness.get(&target).await.status, 200);
        // alive for another while, but not renewed any more: expired by the emulator's clock
        harness.advance(Duration::from_mins(4));
        assert_eq!(harness.get(&target).await.status, 200);
        let statuses: Vec<_> = harness.reached().iter().map(|r| r.status).collect();
        assert_eq!(
            statuses,
            [Some(200), Some(200)],
            "{version}: a dead session was used"
        );
        assert_eq!(harness.logins().len(), 2, "{version}");
    }
}
