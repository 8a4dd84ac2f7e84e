//! The first request: one web token, one login, and then the session on every request.

use crate::support::airflow::{VERSIONS, api};
use crate::support::{HELD, Harness, all};
use mwaa_emulator::{LoginForm, Settings};

#[tokio::test]
async fn one_login_serves_every_request() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let dags = format!("{}/dags", api(version));
        for target in [&dags, "/", &dags, "/health", &dags] {
            let reply = harness.get(target).await;
            assert!(
                matches!(reply.status, 200 | 302 | 404),
                "{version} {target}: {reply}"
            );
            assert_eq!(reply.fault(), None, "{reply}");
        }
        assert_eq!(harness.web_mints(), 1, "{version}");
        // a 404 may cost a question for the host, but no token
        let calls = harness.journal().calls("CreateWebLoginToken");
        assert_eq!(calls, 1, "{version}");
        let logins = harness.logins();
        assert_eq!(logins.len(), 1, "{version}");
        let login = &logins[0];
        let path = match version {
            "2.10.3" => "/aws_mwaa/login",
            _ => "/pluginsv2/aws_mwaa/login",
        };
        assert_eq!(
            (login.method.as_str(), login.target.as_str()),
            ("POST", path)
        );
        // only the form, and nothing that names a user: no Cookie, no Authorization, no Referer
        let mut names: Vec<_> = login
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept-encoding",
                "content-length",
                "content-type",
                "host",
                "user-agent"
            ]
        );
        assert_eq!(
            login.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        assert_eq!(
            login.header("host"),
            harness.emulator().host("demo").as_deref()
        );
        let body = String::from_utf8(login.body.to_vec()).unwrap();
        assert!(body.starts_with("token=") && !body.contains('&'), "{body}");
        assert!(login.token.is_some(), "not a web token of ours");
        shows_its_session(&harness, version);
    }
}

/// Every request but the login carries the session as the version wants it.
fn shows_its_session(harness: &Harness, version: &str) {
    let requests = harness.reached();
    assert_eq!(requests.len(), 5, "{version}");
    let first = (
        requests[0].header("cookie"),
        requests[0].header("authorization"),
    );
    for request in &requests {
        assert!(!request.token_in_url, "{request:?}");
        let shown = (request.header("cookie"), request.header("authorization"));
        assert_eq!(shown, first, "{version}");
        let cookie = shown.0.unwrap();
        if version == "2.10.3" {
            assert!(
                cookie.starts_with("session=") && !cookie.contains(';'),
                "{cookie}"
            );
            assert_eq!(shown.1, None);
        } else {
            let bearer = shown.1.unwrap().strip_prefix("Bearer ").unwrap();
            assert!(
                cookie.starts_with(&format!("_token={bearer}; session=")),
                "{cookie}"
            );
        }
    }
}

/// The FAB provider's pages look at their cookie alone, and would take a Bearer for their own.
#[tokio::test]
async fn framed_pages_of_airflow_3_get_only_the_cookie() {
    let harness = Harness::airflow("3.3.1").await;
    let reply = harness.get("/auth/users/list/").await;
    assert_eq!(reply.status, 200, "{reply}");
    let last = harness.reached().pop().unwrap();
    assert_eq!(last.header("authorization"), None);
    assert!(last.header("cookie").unwrap().contains("session="));
}

#[tokio::test]
async fn concurrent_first_requests_share_one_login() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let request = harness.asking("GET", &format!("{}/dags", api(version)), "");
        let replies = all(harness.at_once(vec![request; 200])).await;
        assert_eq!(replies.len(), 200);
        for reply in replies {
            assert_eq!(reply.status, 200, "{reply}");
        }
        assert_eq!(harness.logins().len(), 1, "{version}");
        assert_eq!(
            harness.journal().calls("CreateWebLoginToken"),
            1,
            "{version}"
        );
    }
}

#[tokio::test]
async fn a_login_that_redirects_succeeds_without_being_followed() {
    for version in VERSIONS {
        let settings = Settings {
            login_form: LoginForm::Redirect,
            ..Settings::default()
        };
        let harness = Harness::airflow_with(settings, version, "").await;
        let reply = harness.get(&format!("{}/dags", api(version))).await;
        assert_eq!(reply.status, 200, "{version}: {reply}");
        assert_eq!(harness.logins()[0].status, Some(302));
        assert_eq!(
            harness.reached().len(),
            1,
            "{version}: somebody followed it"
        );
    }
}

#[tokio::test]
async fn a_login_continues_after_its_caller_left() {
    let harness = Harness::airflow("3.3.1").await;
    harness.script().login_delay.next(1, HELD);
    let mut first = harness.connect().await;
    first.send(harness.asking("GET", "/api/v2/dags", "")).await;
    harness
        .seen("the login's token", |journal| {
            journal.calls("CreateWebLoginToken") == 1
        })
        .await;
    drop(first);
    harness.script().login_delay.off();
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    assert_eq!(harness.logins().len(), 1);
    assert_eq!(
        harness.reached().len(),
        1,
        "nobody waited for the first one"
    );
}
