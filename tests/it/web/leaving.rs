//! Airflow's own login and logout: its login page redirects back to the previous page, and signing
//! out ends the session and redirects to a page of ours.

use super::csrf;
use crate::support::Harness;
use crate::support::airflow::{OWN, TYPED, VERSIONS, api};
use mwaa_emulator::{Seed, Settings};

/// C-24, and what Airflow itself writes there. `OURS` is our own origin, `HOST` the web server.
const WISHES: [(&str, &str); 18] = [
    ("/home", "/home"),
    ("%2Fdags%2Fx%2Fgrid%3Ftab%3Dy", "/dags/x/grid?tab=y"),
    ("OURS/home", "/home"),
    ("https%3A%2F%2FHOST%2Fhome%3Fa%3Db", "/home?a=b"),
    ("//evil.example", "/"),
    ("%2F%2Fevil.example", "/"),
    ("/%5Cevil.example", "/"),
    ("https:evil.example", "/"),
    ("https://evil.example/", "/"),
    ("OURS.evil.example/", "/"),
    ("OURS@evil.example/", "/"),
    ("https://HOST.evil.example/", "/"),
    ("javascript:alert(1)", "/"),
    ("/%09/evil.example", "/"),
    ("/x%0d%0aSet-Cookie:a=b", "/"),
    ("/login/?next=/login/", "/"),
    ("OURS//evil.example", "/"),
    ("home", "/"),
];

#[tokio::test]
async fn a_login_page_redirects_only_to_our_own_paths() {
    // few visits each, so that none of them looks like a loop
    let names = ["a", "b", "c", "d", "e"];
    let settings = Settings {
        environments: names.map(|name| Seed::new(name, "3.3.1")).to_vec(),
        ..Settings::default()
    };
    let harness = Harness::with(settings, "").await;
    let port = harness.address().port();
    for (number, (wish, to)) in WISHES.into_iter().enumerate() {
        let name = names[number / 4];
        let ours = format!("{name}.localhost:{port}");
        let ask = async |target: &str| {
            let request = format!("GET {target} HTTP/1.1\r\nHost: {ours}\r\n{OWN}\r\n");
            harness.connect().await.exchange(request).await
        };
        assert_eq!(ask("/ui/x").await.fault(), None);
        let before = harness.journal().web_count();
        let host = harness.emulator().host(name).unwrap();
        let wish = wish
            .replace("OURS", &format!("http://{ours}"))
            .replace("HOST", &host);
        let page = [
            "/login/",
            "/logi%6e",
            "/auth/login/",
            "/api/v2/auth%2Flogin",
        ][number % 4];
        let reply = ask(&format!("{page}?next={wish}")).await;
        assert_eq!(reply.status, 302, "{wish}: {reply}");
        assert_eq!(reply.header("location"), Some(to), "{wish}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("set-cookie"), None);
        assert_eq!(
            harness.journal().web_count(),
            before,
            "{page} was passed on"
        );
    }
}

#[tokio::test]
async fn a_redirect_loop_of_the_login_page_is_reported() {
    let harness = Harness::airflow("2.10.3").await;
    let mut reply = harness.get_with("/login/?next=/home", TYPED).await;
    let mut visits = 1;
    while reply.status == 302 && visits < 20 {
        reply = harness.get_with("/login/?next=/home", TYPED).await;
        visits += 1;
    }
    assert_eq!(
        (reply.status, reply.fault()),
        (503, Some("session.login_loop")),
        "{reply}"
    );
    assert!(reply.text().starts_with("<!DOCTYPE html>"), "{reply}");
    assert!((4..=10).contains(&visits), "{visits} visits");
    assert_eq!(
        (harness.web_mints(), harness.journal().web_connections()),
        (0, 0)
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_here_and_in_airflow() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let target = format!("{}/dags", api(version));
        assert_eq!(harness.get(&target).await.status, 200);
        let request = if version == "2.10.3" {
            let body = format!("csrf_token={}", csrf(&harness).await);
            let ours = format!("http://{}", harness.address());
            let headers = format!(
                "Content-Type: application/x-www-form-urlencoded\r\nOrigin: {ours}\r\n\
                 Referer: {ours}/home\r\nSec-Fetch-Site: same-origin\r\n"
            );
            harness.sending("POST", "/logout/", &headers, &body)
        } else {
            harness.asking("GET", "/api/v2/auth/logout", OWN)
        };
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some("/-/signed-out")),
            "{version}: {reply}"
        );
        assert_eq!(reply.header("set-cookie"), None);
        let out = harness.reached().pop().unwrap();
        assert!(out.target.contains("/logout"), "{version}: {out:?}");
        assert!(matches!(out.status, Some(302 | 307)), "{version}: {out:?}");
        // our page, which needs no session and opens none
        let page = harness.get_with("/-/signed-out", OWN).await;
        assert_eq!(page.status, 200, "{page}");
        harness
            .status_says("/environments/0/session/live", false)
            .await;
        assert_eq!(harness.logins().len(), 1, "{version}");
        // the next request gets a new session
        assert_eq!(harness.get(&target).await.status, 200);
        let last = harness.reached().pop().unwrap();
        assert_ne!(last.header("cookie"), out.header("cookie"), "{version}");
        assert_eq!(harness.logins().len(), 2, "{version}");
    }
}

/// Without a session there is nothing to end, so none is opened.
#[tokio::test]
async fn signing_out_without_a_session_sends_no_request() {
    let harness = Harness::airflow("3.3.1").await;
    let reply = harness.get_with("/auth/logout/", OWN).await;
    assert_eq!(reply.header("location"), Some("/-/signed-out"), "{reply}");
    let journal = harness.journal();
    assert_eq!((journal.control_count(), journal.web_connections()), (0, 0));
}

/// Even if Airflow does not sign out, the gateway no longer uses the session.
#[tokio::test]
async fn signing_out_ends_the_session_if_airflow_fails() {
    let harness = Harness::airflow("3.3.1").await;
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    let fault = mwaa_emulator::WebFault::html(500);
    harness.script().web_fault.next(1, fault);
    let reply = harness.get_with("/api/v2/auth/logout", OWN).await;
    assert_eq!(reply.header("location"), Some("/-/signed-out"), "{reply}");
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    assert_eq!(harness.logins().len(), 2);
}
