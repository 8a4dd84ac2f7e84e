//! Cookies on replies: Airflow 3's new token for the old one is taken, nothing else is.

use crate::support::airflow::VERSIONS;
use crate::support::{Harness, all};
use mwaa_emulator::WebFault;

fn bearer(harness: &Harness) -> String {
    let last = harness.reached().pop().unwrap();
    last.header("authorization").unwrap().to_owned()
}

#[tokio::test]
async fn a_token_that_airflow_3_replaces_is_used_from_then_on() {
    for version in ["3.0.6", "3.3.1"] {
        let harness = Harness::airflow(version).await;
        assert_eq!(harness.get("/api/v2/dags").await.status, 200);
        let first = bearer(&harness);
        for _ in 0..5 {
            let old = bearer(&harness);
            harness.script().reissue_token.next(1, ());
            let reply = harness.get("/api/v2/dags").await;
            assert_eq!(
                (reply.status, reply.header("set-cookie")),
                (200, None),
                "{reply}"
            );
            // the emulator refuses the old one now
            assert_eq!(harness.get("/api/v2/dags").await.status, 200, "{version}");
            assert_ne!(bearer(&harness), old, "{version}");
        }
        let last = harness.reached().pop().unwrap();
        let cookies = last.header("cookie").unwrap();
        let token = bearer(&harness).replace("Bearer ", "_token=");
        assert!(
            cookies.starts_with(&format!("{token}; session=")),
            "{cookies}"
        );
        assert_ne!(bearer(&harness), first);
        let statuses: Vec<_> = harness.reached().iter().map(|r| r.status).collect();
        assert_eq!(
            statuses,
            [Some(200); 11],
            "{version}: an old token was used"
        );
        assert_eq!(harness.logins().len(), 1, "{version}");
    }
}

/// Requests that were under way with the old token must not take the new one away.
#[tokio::test]
async fn a_replaced_token_does_not_break_concurrent_requests() {
    let harness = Harness::airflow("3.3.1").await;
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    harness.script().reissue_token.next(1, ());
    let request = harness.asking("GET", "/api/v2/dags", "");
    for reply in all(harness.at_once(vec![request; 50])).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
    // one, if a refusal of the old token was read before the reply with the new one
    assert!(harness.logins().len() <= 2);
}

#[tokio::test]
async fn other_cookies_of_a_response_are_ignored() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        assert_eq!(harness.get("/health").await.fault(), None);
        let shown = |harness: &Harness| {
            let last = harness.reached().pop().unwrap();
            (
                last.header("cookie").map(str::to_owned),
                last.header("authorization").map(str::to_owned),
            )
        };
        let ours = shown(&harness);
        for cookie in [
            "session=evil; Path=/",
            "session=; Max-Age=0",
            "_token=\"\"; Max-Age=0; Path=/; SameSite=lax",
            "_token=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "_token=a b\"c; Path=/",
            "other=1",
        ] {
            let raw = format!(
                "HTTP/1.1 200 OK\r\nSet-Cookie: {cookie}\r\nContent-Length: 2\r\n\r\nok"
            );
            harness
                .script()
                .web_fault
                .next(1, WebFault::Raw(raw.into_bytes()));
            let reply = harness.get("/health").await;
            assert_eq!(
                (reply.status, reply.header("set-cookie")),
                (200, None),
                "{reply}"
            );
            assert_eq!(harness.get("/health").await.fault(), None);
            assert_eq!(shown(&harness), ours, "{version}: {cookie} was taken");
        }
        assert_eq!(harness.logins().len(), 1, "{version}");
    }
}

/// `Domain` and `Path` of a login's cookies are ignored: the cookies are sent only to their host.
#[tokio::test]
async fn the_domain_of_a_cookie_is_ignored() {
    use crate::support::Puppet;
    let mut puppet = Puppet::start().await;
    let settings = mwaa_emulator::Settings::default();
    let harness = Harness::airflow_with(settings, "2.10.3", puppet.config()).await;
    let mut client = harness.connect().await;
    client.send(harness.asking("GET", "/home", "")).await;
    puppet
        .signs_in(
            "session=right; Domain=.amazonaws.com; Secure; HttpOnly\r\nSet-Cookie: tracking=1",
        )
        .await;
    let mut page = puppet.next().await;
    let head = page.head().await.to_lowercase();
    assert!(head.contains("\r\ncookie: session=right\r\n"), "{head}");
    let host = harness.emulator().host("demo").unwrap();
    assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{head}");
}
