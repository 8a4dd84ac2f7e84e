//! Where visitors come from: what another site's page may make a browser do, and what not.

use crate::support::Harness;
use crate::support::airflow::{FROM_ELSEWHERE, TYPED, VERSIONS, api};

#[tokio::test]
async fn links_and_typed_addresses_are_accepted() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let home = if version == "2.10.3" { "/home" } else { "/" };
        for (what, headers) in [("A-18 a link", FROM_ELSEWHERE), ("A-22 an address", TYPED)] {
            let reply = harness.get_with(home, headers).await;
            assert_eq!(
                (reply.status, reply.fault()),
                (200, None),
                "{version} {what}: {reply}"
            );
            assert_eq!(
                reply.header("x-frame-options"),
                Some("SAMEORIGIN"),
                "{what}"
            );
            let cors = reply
                .headers
                .iter()
                .any(|(name, _)| name.starts_with("access-control-"));
            assert!(!cors, "{reply}");
        }
    }
}

#[tokio::test]
async fn other_requests_of_another_site_are_refused() {
    let harness = Harness::airflow("3.3.1").await;
    let site = |site: &str, mode: &str, dest: &str| {
        format!(
            "Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n"
        )
    };
    let mut attempts = Vec::new();
    for target in [
        "/home",
        "/api/v2/dags",
        "/ui/dags",
        "/static/emulator/page.js",
        "/auth/users/list/",
    ] {
        for from in ["cross-site", "same-site"] {
            attempts.push(("GET", target, site(from, "no-cors", "image")));
            attempts.push(("GET", target, site(from, "no-cors", "script")));
            attempts.push(("GET", target, site(from, "cors", "empty")));
            // a frame of another page is no visit
            attempts.push(("GET", target, site(from, "navigate", "iframe")));
            attempts.push(("GET", target, site(from, "websocket", "empty")));
            attempts.push(("POST", target, site(from, "navigate", "document")));
            attempts.push(("HEAD", target, site(from, "navigate", "document")));
        }
        attempts.push(("POST", target, site("none", "navigate", "document")));
        attempts.push(("POST", target, "Origin: null\r\n".to_owned()));
        attempts.push(("PATCH", target, "Origin: http://127.0.0.1:1\r\n".to_owned()));
        let preflight =
            "Origin: http://evil.example\r\nAccess-Control-Request-Method: PATCH\r\n";
        attempts.push(("OPTIONS", target, preflight.to_owned()));
    }
    for (method, target, headers) in attempts {
        let request = harness.asking(method, target, &headers);
        let mut client = harness.connect().await;
        client.send(request).await;
        let head = client.head().await.to_lowercase();
        let what = format!("{method} {target} {headers}");
        assert!(head.starts_with("http/1.1 403 "), "{what}: {head}");
        assert!(
            head.contains("\r\nmwaa-gateway-fault: guard.foreign_origin\r\n"),
            "{what}: {head}"
        );
        assert!(!head.contains("\r\naccess-control-"), "{what}: {head}");
    }
    let journal = harness.journal();
    assert_eq!((journal.control_count(), journal.web_connections()), (0, 0));
}

/// A link must not sign the user out, whichever of Airflow's logout paths it names.
#[tokio::test]
async fn a_link_of_another_site_cannot_sign_out() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let target = format!("{}/dags", api(version));
        assert_eq!(harness.get(&target).await.status, 200);
        for way in [
            "/logout",
            "/logout/",
            "/auth/logout",
            "/auth/logout/",
            "/api/v2/auth/logout",
            "/api/v2/auth/logout/",
            "/logou%74/",
            "/%61uth/logout",
            "/api/v2/auth%2Flogout",
        ] {
            for headers in [
                FROM_ELSEWHERE,
                "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
            ] {
                let reply = harness.get_with(way, headers).await;
                assert_eq!(
                    reply.fault(),
                    Some("guard.foreign_origin"),
                    "{version} {way}: {reply}"
                );
            }
        }
        assert_eq!(harness.get(&target).await.status, 200);
        assert_eq!(
            (harness.reached().len(), harness.logins().len()),
            (2, 1),
            "{version}"
        );
    }
}
