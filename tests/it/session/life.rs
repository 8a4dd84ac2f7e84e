//! How long a session is used: renewed ahead while used, left alone while not, never used up
//! to its last moment.

use crate::support::airflow::{VERSIONS, api};
use crate::support::{Harness, soon};
use mwaa_emulator::{ControlFault, Settings};
use mwaa_runtime::Timestamp;
use std::time::Duration;

#[tokio::test]
async fn a_session_in_use_is_renewed_before_it_ends() {
    for version in ["2.10.3", "3.3.1"] {
        let extra = "limits.session_use = \"2s\"";
        let harness = Harness::airflow_with(Settings::default(), version, extra).await;
        let target = format!("{}/dags", api(version));
        soon("two renewals", async {
            while harness.logins().len() < 3 {
                assert_eq!(harness.get(&target).await.status, 200);
            }
        })
        .await;
        assert_eq!(harness.get(&target).await.status, 200);
        let requests = harness.reached();
        let mut sessions: Vec<_> = requests.iter().map(|r| r.header("cookie")).collect();
        sessions.dedup();
        assert!(
            (2..=3).contains(&sessions.len()),
            "{} sessions",
            sessions.len()
        );
        assert!(requests.iter().all(|request| request.status == Some(200)));
    }
}

/// The renewal comes while the old session is alive, and its failure takes nothing away.
#[tokio::test]
async fn a_failed_renewal_leaves_the_live_session_alone() {
    let extra = "limits.session_use = \"3s\"";
    let harness = Harness::airflow_with(Settings::default(), "3.3.1", extra).await;
    let start = Timestamp::now();
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    harness
        .script()
        .mint_fault
        .always(ControlFault::AccessDenied);
    let tried = || harness.journal().calls("CreateWebLoginToken") > 1;
    let (mut served_after_failure, mut reply) = (false, harness.get("/api/v2/dags").await);
    while reply.status == 200 {
        served_after_failure |= tried();
        reply = harness.get("/api/v2/dags").await;
    }
    assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
    assert!(
        start.age(Timestamp::now()) >= Duration::from_secs(3),
        "given up too early"
    );
    assert!(served_after_failure, "the renewal did not come ahead");
    assert_eq!(harness.logins().len(), 1);
}

#[tokio::test]
async fn an_idle_session_costs_nothing() {
    let extra = "limits.session_use = \"1s\"";
    let harness = Harness::airflow_with(Settings::default(), "3.0.6", extra).await;
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    harness.passes(Duration::from_millis(1200)).await;
    // neither health nor a refusal is a use of it
    assert_eq!(harness.manage("/readyz").await.status, 200);
    assert_eq!(harness.get("/aws_mwaa/login").await.status, 404);
    assert_eq!(harness.journal().control_count(), 1, "renewed without use");
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    assert_eq!(harness.logins().len(), 2);
}

/// The cookie's own end (Airflow 2) or the token's (3) counts, not only our limit.
#[tokio::test]
async fn a_session_is_not_used_beyond_its_own_end() {
    for version in VERSIONS {
        let settings = Settings {
            session_life: Duration::from_secs(3),
            ..Settings::default()
        };
        let harness = Harness::airflow_with(settings, version, "").await;
        let target = format!("{}/dags", api(version));
        assert_eq!(harness.get(&target).await.status, 200);
        // alive for another while, but not renewed any more: expired by the emulator's clock
        harness.passes(Duration::from_secs(3)).await;
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
