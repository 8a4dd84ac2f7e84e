//! An environment that is deleted and recreated has another host: the session of the old one is
//! dropped as soon as the gateway notices it.

use crate::support::airflow::{DAG, JSON, VERSIONS, api};
use crate::support::{Harness, Response};
use crate::upstream::settled;
use mwaa_emulator::{ControlFault, FormerHost, Settings, WebFault};

/// Signed in at the first host, of two.
async fn moved(version: &str, old: FormerHost) -> (Harness, String) {
    let harness = Harness::airflow(version).await;
    assert_eq!(dags(&harness, version).await.status, 200);
    let former = harness.emulator().host("demo").unwrap();
    assert!(harness.emulator().recreate("demo", old));
    assert_ne!(harness.emulator().host("demo").unwrap(), former);
    if old == FormerHost::Gone {
        // its connections ended with it
        harness.script().cut_web_connections();
        settled(&harness).await;
    }
    (harness, former)
}

async fn dags(harness: &Harness, version: &str) -> Response {
    harness.get(&format!("{}/dags", api(version))).await
}

/// The hosts of the requests that reached a web server, the logins aside.
fn hosts(harness: &Harness) -> Vec<String> {
    let requests = harness.reached();
    let hosts = requests.iter().map(|request| request.header("host"));
    hosts.map(|host| host.unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_read_goes_to_the_new_host_at_once() {
    for version in VERSIONS {
        for old in [
            FormerHost::Gone,
            FormerHost::Status(403),
            FormerHost::Status(404),
            FormerHost::Status(410),
            FormerHost::Status(502),
            FormerHost::Status(503),
            FormerHost::Status(504),
        ] {
            let (harness, _) = moved(version, old).await;
            let reply = dags(&harness, version).await;
            assert_eq!(reply.status, 200, "{version} {old:?}: {reply}");
            assert_eq!(reply.fault(), None, "{version} {old:?}: {reply}");
            let new = harness.emulator().host("demo").unwrap();
            assert_eq!(hosts(&harness).last(), Some(&new), "{version} {old:?}");
            assert_eq!(harness.logins().len(), 2, "{version} {old:?}");
            let ready = harness.manage("/readyz").await;
            assert_eq!(ready.status, 200, "{version} {old:?}: {ready}");
        }
    }
}

/// Without `airflow:GetEnvironment`, which is optional, the web token names the host.
#[tokio::test]
async fn a_move_is_detected_without_get_environment() {
    for old in [FormerHost::Gone, FormerHost::Status(404)] {
        let (harness, _) = moved("2.10.3", old).await;
        let denied = ControlFault::AccessDenied;
        harness.script().describe_fault.always(denied);
        let reply = dags(&harness, "2.10.3").await;
        assert_eq!(
            (reply.status, reply.fault()),
            (200, None),
            "{old:?}: {reply}"
        );
    }
}

#[tokio::test]
async fn a_write_is_retried_only_if_nothing_of_it_was_sent() {
    for version in VERSIONS {
        let (harness, _) = moved(version, FormerHost::Gone).await;
        let reply = harness.pause(api(version), true).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (200, None),
            "{version}: {reply}"
        );
        assert_eq!(harness.reached().len(), 2, "{version}");

        let (harness, former) = moved(version, FormerHost::Status(503)).await;
        let reply = harness.pause(api(version), true).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (503, None),
            "{version}: {reply}"
        );
        assert_eq!(hosts(&harness), [former.as_str(), &former], "{version}");
        // the next one goes to the new host
        let reply = harness.pause(api(version), true).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (200, None),
            "{version}: {reply}"
        );
        let target = format!("{}/dags/{DAG}", api(version));
        assert_eq!(
            harness.get(&target).await.json()["is_paused"],
            true,
            "{version}"
        );
        let new = harness.emulator().host("demo").unwrap();
        assert_eq!(hosts(&harness)[2..], [new.as_str(), &new], "{version}");
    }
}

/// What AWS says in passing counts: no request goes to the old host any more.
#[tokio::test]
async fn a_token_or_a_description_that_names_another_host_ends_the_session() {
    for by_command in [true, false] {
        let (harness, former) = moved("2.10.3", FormerHost::Status(200)).await;
        if by_command {
            assert_eq!(harness.command("version").await.status, 200);
        } else {
            assert_eq!(harness.get("/-/").await.status, 200);
        }
        let reply = dags(&harness, "2.10.3").await;
        assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
        assert!(reply.json()["dags"].is_array(), "{by_command}: {reply}");
        let asked = hosts(&harness);
        assert_eq!(
            asked.iter().filter(|host| **host == former).count(),
            1,
            "{asked:?}"
        );
        assert_eq!(harness.logins().len(), 2, "{by_command}");
    }
}

/// A command's token is of the old host no longer than the session.
#[tokio::test]
async fn the_cli_token_of_the_old_host_is_dropped_with_the_session() {
    let harness = Harness::airflow("2.10.3").await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(dags(&harness, "2.10.3").await.status, 200);
    harness.emulator().recreate("demo", FormerHost::Status(404));
    assert_eq!(dags(&harness, "2.10.3").await.status, 200);
    let reply = harness.command("version").await;
    assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
    assert_eq!(harness.mints(), 2);
}

/// Ordinary refusals are passed on, keep the session, and do not each cost a call to AWS.
#[tokio::test]
async fn refusals_of_the_current_host_keep_the_session() {
    for denied in [false, true] {
        let harness = Harness::airflow("3.3.1").await;
        if denied {
            let denied = ControlFault::AccessDenied;
            harness.script().describe_fault.always(denied);
        }
        assert_eq!(dags(&harness, "3.3.1").await.status, 200);
        for _ in 0..30 {
            let reply = harness.get("/api/v2/dags/nosuch").await;
            assert_eq!((reply.status, reply.fault()), (404, None), "{reply}");
        }
        assert_eq!(harness.logins().len(), 1);
        assert_eq!(harness.reached().len(), 31);
        let calls = harness.journal().control_count();
        assert!((2..=8).contains(&calls), "{calls} calls, denied: {denied}");
    }
}

/// An AWS that does not answer holds a reply up for a moment only, and not each one.
#[tokio::test]
async fn an_unresponsive_aws_does_not_delay_responses() {
    // longer than the test waits for a reply
    let limits = "limits.mint_try = \"1m\"\nlimits.mint_total = \"2m\"";
    let harness = Harness::airflow_with(Settings::default(), "3.3.1", limits).await;
    assert_eq!(dags(&harness, "3.3.1").await.status, 200);
    harness.script().describe_fault.always(ControlFault::Hang);
    harness.script().mint_fault.always(ControlFault::Hang);
    for _ in 0..30 {
        let reply = harness.get("/api/v2/dags/nosuch").await;
        assert_eq!((reply.status, reply.fault()), (404, None), "{reply}");
    }
    assert_eq!(harness.reached().len(), 31);
}

/// The host that AWS names is unreachable: the response is a fault, and `/readyz` and the page
/// show it. Both recover as soon as the host answers, and the session stays valid.
#[tokio::test]
async fn a_web_server_out_of_reach_is_shown_until_it_answers() {
    let harness = Harness::airflow("2.10.3").await;
    assert_eq!(dags(&harness, "2.10.3").await.status, 200);
    harness.script().cut_web_connections();
    settled(&harness).await;
    let close = mwaa_emulator::HandshakeFault::Close;
    harness.script().handshake_fault.always(close);
    let reply = dags(&harness, "2.10.3").await;
    assert_eq!(reply.fault(), Some("upstream.tls"), "{reply}");
    let ready = harness.manage("/readyz").await;
    assert_eq!(ready.status, 503, "{ready}");
    assert!(ready.text().contains("upstream.tls"), "{ready}");
    let status = harness.manage("/status").await.json();
    assert_eq!(status["environments"][0]["ready"], false, "{status}");
    let page = harness.get("/-/").await.text();
    assert!(page.contains("upstream.tls"), "{page}");
    harness.script().handshake_fault.off();
    assert_eq!(dags(&harness, "2.10.3").await.status, 200);
    assert_eq!(harness.manage("/readyz").await.status, 200);
    assert_eq!(harness.logins().len(), 1);
}

/// A body that is not kept cannot be sent to the new host, but nothing of it was sent to the old.
#[tokio::test]
async fn a_long_write_to_a_moved_host_gets_503_and_retry_after() {
    let (harness, _) = moved("2.10.3", FormerHost::Gone).await;
    let target = format!("{}/dags/{DAG}", api("2.10.3"));
    let body = format!("{{\"is_paused\": true}}{}", " ".repeat(70_000));
    for (status, fault) in [(503, Some("session.expired")), (200, None)] {
        let request = harness.sending("PATCH", &target, JSON, &body);
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!((reply.status, reply.fault()), (status, fault), "{reply}");
        let ready = harness.manage("/readyz").await;
        assert_eq!(ready.status, 200, "the new host works: {ready}");
    }
}

/// A web server that breaks off its responses may be one that AWS no longer names.
#[tokio::test]
async fn a_broken_response_of_the_old_host_is_retried_on_the_new_one() {
    let (harness, former) = moved("2.10.3", FormerHost::Broken).await;
    let reply = dags(&harness, "2.10.3").await;
    assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
    let new = harness.emulator().host("demo").unwrap();
    assert_ne!(new, former);
    assert_eq!(hosts(&harness).last(), Some(&new));
}

/// If the login at the web server fails, only commands are served.
#[tokio::test]
async fn a_failed_login_is_shown_in_readiness_and_overview() {
    let harness = Harness::airflow("2.10.3").await;
    harness.script().login_fault.always(WebFault::html(503));
    let reply = dags(&harness, "2.10.3").await;
    assert_eq!(reply.fault(), Some("session.login_failed"), "{reply}");
    let ready = harness.manage("/readyz").await;
    assert_eq!(ready.status, 503, "{ready}");
    assert!(ready.text().contains("session.login_failed"), "{ready}");
    let page = harness.get("/-/").await.text();
    assert!(page.contains("session.login_failed"), "{page}");
}
