//! Paths: sent as they came or not at all, and never to the login.

use crate::support::Harness;
use crate::support::airflow::VERSIONS;

#[tokio::test]
async fn a_path_arrives_byte_for_byte() {
    let harness = Harness::airflow("3.3.1").await;
    for target in [
        "/",
        "/home",
        "/dags/a%20b/grid?tab=x&&y=%2F%2f",
        "/api/v2/variables/a%2Fb%2fc",
        "/api/v1/variables/a%2Fb",
        "/ui/assets/s3:%2F%2Fbucket%2Fkey",
        "/api/v2/dags/~/dagRuns/~/taskInstances?x=[1]&y={z}",
        "/dags/%C3%A4/graph",
        "/a:b@c!$&'()*+,=~._-",
        "/pluginsv2/other/page",
        "/home?next=/aws_mwaa/cli",
        "/home?x=/../..%00",
        "/api/v2/variables//foo",
        "/api/v2/variables/s3://bucket/x",
        "/api/v2/variables/100%25",
        "/api/v2/variables/a%252Fb%5Cc",
        "/api/v1//dags",
        "/api/v3/x%2Fy",
        "/ui/x;y",
        "/ui//grid/",
        "/home/?",
    ] {
        let reply = harness.get(target).await;
        assert_eq!(reply.fault(), None, "{target}: {reply}");
        assert_eq!(harness.reached().pop().unwrap().target, target);
    }
}

#[tokio::test]
async fn an_escaped_slash_is_accepted_only_in_opaque_names() {
    let harness = Harness::airflow("3.3.1").await;
    for target in [
        "/dags/a%2Fb/grid",
        "/auth/a%2fb",
        "/static/..%2f..%2fx",
        "/api/v2/variables/..%2F..%2Faws_mwaa",
        "/api/v2/variables/%2e%2e",
        "/api/v2/variables/%252e%252E/x",
        "/api/v2/variables/..%5C..%5Cx",
        "/api/v2/variables/..;/x",
        "/api/v2/%2Faws_mwaa/cli",
        "/api/v2/x%252faws_mwaa%252fcli",
        "/api/v2/variables/x%00",
        "/api/vN/x%2Fy",
        "/api%2Fv2/x",
        "/ui%2Fx",
        "/dags//grid",
        "/dags/x;y",
        "/API/v2//x",
    ] {
        let reply = harness.get(target).await;
        assert_eq!(
            reply.fault(),
            Some("request.malformed"),
            "{target}: {reply}"
        );
    }
    let journal = harness.journal();
    assert_eq!((journal.control_count(), journal.web_connections()), (0, 0));
}

/// If a client's base URL ends in a slash, the fault says so, and nothing about header fields.
#[tokio::test]
async fn a_base_url_with_a_trailing_slash_is_reported() {
    let harness = Harness::airflow("2.10.3").await;
    for target in ["//api/v1/dags", "//", "///home"] {
        let reply = harness.get(target).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (400, Some("request.malformed")),
            "{reply}"
        );
        let complaint = reply.complaint();
        assert!(complaint.contains("the base URL ends in /"), "{complaint}");
        assert!(!complaint.contains("header"), "{complaint}");
    }
    assert_eq!(harness.journal().web_connections(), 0);
}

/// C-20: MWAA's web tokens are for the gateway only. A login with a local token is in `aws_api`.
#[tokio::test]
async fn the_login_is_never_proxied() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        assert_eq!(harness.get("/health").await.fault(), None);
        let before = harness.journal().web_count();
        let logins = [
            "/aws_mwaa/login",
            "/aws_mwaa/login?token=x",
            "/pluginsv2/aws_mwaa/login",
        ];
        for target in [
            logins[0],
            "/aws_mwaa/login/",
            logins[1],
            logins[2],
            "/pluginsv2/aws_mwaa/login/",
            "/pluginsv2/aws_mwaa/cli",
            "/aws_mwaa/",
            "/aws_mwaa/other",
        ] {
            for request in [
                harness.asking("GET", target, ""),
                harness.sending(
                    "POST",
                    target,
                    "Content-Type: application/x-www-form-urlencoded\r\n",
                    "token=x",
                ),
            ] {
                let refusal = match (target, request.starts_with("GET")) {
                    (login, true) if logins.contains(&login) => (405, "request.method"),
                    (login, false) if logins.contains(&login) => (403, "guard.local_token"),
                    _ => (404, "route.unknown_path"),
                };
                let reply = harness.connect().await.exchange(request).await;
                assert_eq!(
                    (reply.status, reply.fault()),
                    (refusal.0, Some(refusal.1)),
                    "{version} {target}: {reply}"
                );
            }
        }
        for target in [
            "/AWS_MWAA/login",
            "/aws_mwaa/%6Cogin",
            "/PluginsV2/aws_mwaa/login",
            "/pluginsv2/AWS_mwaa/login",
        ] {
            let reply = harness.get(target).await;
            assert_eq!(
                reply.fault(),
                Some("request.malformed"),
                "{version} {target}: {reply}"
            );
        }
        assert_eq!(harness.journal().web_count(), before, "{version}");
    }
}

/// Airflow 3 makes a token of a session there, which a script in a page could carry off.
#[tokio::test]
async fn the_token_route_of_the_ui_is_refused() {
    for version in ["3.0.6", "3.3.1"] {
        let harness = Harness::airflow(version).await;
        for target in [
            "/ui/auth/token",
            "/ui/auth/token/",
            "/ui/auth/token?x=1",
            "/ui/auth%2Ftoken",
            "/ui/auth/toke%6e",
            "/%75i/auth/token",
            "/ui/auth/token%2F",
        ] {
            for method in ["GET", "POST", "HEAD"] {
                let mut client = harness.connect().await;
                client.send(harness.asking(method, target, "")).await;
                let head = client.head().await.to_lowercase();
                assert!(
                    head.starts_with("http/1.1 403 ")
                        && head.contains("\r\nmwaa-gateway-fault: policy.forbidden_path\r\n"),
                    "{version} {method} {target}: {head}"
                );
            }
        }
        let reply = harness.get("/ui/auth/token").await;
        assert_eq!(reply.fault(), Some("policy.forbidden_path"), "{reply}");
        let journal = harness.journal();
        assert_eq!((journal.control_count(), journal.web_connections()), (0, 0));
    }
}
