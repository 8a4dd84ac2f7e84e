//! Header fields: what of the client's reaches Airflow, and what of Airflow's reaches the client.

use super::{answered, csrf};
use crate::support::Harness;
use crate::support::airflow::{DAG, JSON, OWN, VERSIONS, api};
use mwaa_emulator::Settings;

/// Credentials, and fields that proxies and AWS add to requests; Airflow must get none of them.
const CANARIES: &str = "Authorization: Bearer canary\r\nCookie: session=canary; _token=canary\r\n\
    Proxy-Authorization: Basic canary\r\nX-Amz-Security-Token: canary\r\nX-Amz-Date: canary\r\n\
    X-Amzn-Oidc-Data: canary\r\nX-Forwarded-For: canary\r\nX-Forwarded-Host: canary\r\n\
    X-Forwarded-Proto: canary\r\nX-Forwarded-Prefix: canary\r\nForwarded: for=canary\r\n\
    X-Real-IP: canary\r\nVia: 1.1 canary\r\nX-Original-URL: /canary\r\nX-Secret: canary\r\n\
    X-HTTP-Method-Override: canary\r\nRemote-User: canary\r\nFrom: canary@example.com\r\n";

#[tokio::test]
async fn no_credential_of_the_client_reaches_the_web_server() {
    for version in VERSIONS {
        let extra = "listener.allow_forwarded = true";
        let harness = Harness::airflow_with(Settings::default(), version, extra).await;
        let dag = format!("{}/dags/{DAG}", api(version));
        let form = format!("Content-Type: application/x-www-form-urlencoded\r\n{CANARIES}");
        let json = format!("{JSON}{CANARIES}");
        let chunked = format!("{json}Transfer-Encoding: chunked\r\n");
        let requests = [
            harness.asking("GET", &dag, CANARIES),
            harness.asking("GET", "/home", CANARIES),
            harness.asking("GET", "/static/emulator/style.css", CANARIES),
            harness.asking("DELETE", "/api/v2/x", CANARIES),
            harness.asking("OPTIONS", "/home", CANARIES),
            harness.sending("PATCH", &dag, &json, "{\"is_paused\": false}"),
            harness.sending("POST", "/paused", &form, "a=b"),
            harness.sending("PATCH", &dag, &json, &" ".repeat(70_000)),
            harness.asking("PATCH", &dag, &chunked) + "2\r\n{}\r\n0\r\n\r\n",
            harness.asking("GET", "/auth/users/list/", CANARIES),
            harness.asking("GET", "/logout/", &format!("{OWN}{CANARIES}")),
        ];
        for (number, request) in requests.iter().enumerate() {
            let reply = harness.connect().await.exchange(request).await;
            assert_eq!(reply.fault(), None, "{version} {number}: {reply}");
            assert_eq!(harness.reached().len(), number + 1, "{version} {number}");
        }
        for request in harness.journal().web_requests() {
            for (name, value) in &request.headers {
                let value = String::from_utf8_lossy(value);
                assert!(
                    !value.contains("canary"),
                    "{name}: {value} in {}",
                    request.target
                );
            }
            let cookies = request
                .headers
                .iter()
                .filter(|(name, _)| name == "cookie")
                .count();
            assert!(cookies <= 1, "{request:?}");
        }
    }
}

/// What Airflow and caches need passes, unchanged.
#[tokio::test]
async fn content_negotiation_and_cache_headers_are_forwarded() {
    let harness = Harness::airflow("3.3.1").await;
    let wanted = [
        ("accept", "application/json;q=0.5"),
        ("accept-language", "de"),
        ("accept-encoding", "gzip, br"),
        ("cache-control", "no-cache"),
        ("if-match", "\"x\""),
        ("prefer", "wait=1"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("user-agent", "a tool/1"),
        ("x-csrftoken", "t"),
        ("x-requested-with", "XMLHttpRequest"),
    ];
    let lines = wanted.map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = lines.concat();
    assert_eq!(harness.get_with("/api/v2/dags", &headers).await.status, 200);
    let seen = harness.reached().pop().unwrap();
    for (name, value) in wanted {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    // our own name for those who have none
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    let seen = harness.reached().pop().unwrap();
    assert!(
        seen.header("user-agent")
            .unwrap()
            .starts_with("mwaa-gateway/")
    );
}

/// E-15: Airflow 2 compares the Referer of a form with its own Host.
#[tokio::test]
async fn a_form_of_our_own_page_gets_the_referer_of_airflow() {
    let harness = Harness::airflow("2.10.3").await;
    let token = csrf(&harness).await;
    let ours = format!("http://{}", harness.address());
    let body = format!("csrf_token={token}");
    let post = async |headers: &str| {
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{headers}");
        let target = format!("/paused?is_paused=true&dag_id={DAG}");
        let request = harness.sending("POST", &target, &headers, &body);
        let reply = harness.connect().await.exchange(request).await;
        (reply, harness.reached().pop().unwrap())
    };
    let own = format!(
        "Origin: {ours}\r\nReferer: {ours}/home?x=%2F\r\nSec-Fetch-Site: same-origin\r\n"
    );
    let (reply, seen) = post(&own).await;
    assert_eq!(reply.status, 200, "{reply}");
    let theirs = format!("https://{}", harness.emulator().host("demo").unwrap());
    assert_eq!(seen.header("origin"), Some(theirs.as_str()));
    assert_eq!(
        seen.header("referer"),
        Some(format!("{theirs}/home?x=%2F").as_str())
    );
    // a Referer with another scheme is removed, so Airflow itself refuses the form
    let secure = ours.replace("http", "https");
    let headers = format!("Referer: {secure}\r\nSec-Fetch-Site: same-origin\r\n");
    let (reply, seen) = post(&headers).await;
    assert_eq!((reply.status, reply.fault()), (400, None), "{reply}");
    assert_eq!(seen.header("referer"), None);
    let before = harness.reached().len();
    for foreign in [
        "http://evil.example/home".to_owned(),
        format!("{ours}.evil.example/"),
        format!("{ours}1/"),
    ] {
        let headers = format!("Referer: {foreign}\r\nSec-Fetch-Site: same-origin\r\n");
        let (reply, _) = post(&headers).await;
        assert_eq!(
            reply.fault(),
            Some("guard.foreign_origin"),
            "{foreign}: {reply}"
        );
        assert_eq!(harness.reached().len(), before, "{foreign} was passed on");
    }
    let (reply, _) = post("Origin: http://evil.example\r\n").await;
    assert_eq!(reply.fault(), Some("guard.foreign_origin"), "{reply}");
    assert_eq!(harness.reached().len(), before, "it was passed on");
}

#[tokio::test]
async fn headers_that_hold_only_for_the_web_server_are_removed() {
    let harness = Harness::airflow("2.10.3").await;
    let raw = "HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nSet-Cookie: other=2\r\n\
        Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
        Strict-Transport-Security: max-age=1\r\nClear-Site-Data: \"*\"\r\nAlt-Svc: h3\r\n\
        WWW-Authenticate: Basic\r\nMwaa-Gateway-Fault: forged\r\nKeep-Alive: timeout=5\r\n\
        Connection: x-private\r\nX-Private: 1\r\nX-Public: 2\r\nVary: Cookie\r\n\
        Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let reply = answered(&harness, "/api/v1/dags", "", raw).await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(reply.header("x-public"), Some("2"));
    assert_eq!(reply.header("vary"), Some("Cookie"));
    for name in [
        "set-cookie",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "strict-transport-security",
        "clear-site-data",
        "alt-svc",
        "www-authenticate",
        "mwaa-gateway-fault",
        "keep-alive",
        "x-private",
    ] {
        assert_eq!(reply.header(name), None, "{reply}");
    }
}

/// It may be an attempt to smuggle a response (RFC 9112 section 6.3).
#[tokio::test]
async fn a_content_length_beside_chunked_is_refused() {
    let harness = Harness::airflow("2.10.3").await;
    let raw = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\
        Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let reply = answered(&harness, "/api/v1/dags", "", raw).await;
    assert_eq!(
        (reply.status, reply.fault()),
        (502, Some("upstream.broken")),
        "{reply}"
    );
}

#[tokio::test]
async fn no_page_sets_a_cookie() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        let rest = format!("{}/dags", api(version));
        harness.script().reissue_token.always(());
        for target in [
            "/",
            "/home",
            "/static/emulator/style.css",
            &rest,
            "/nowhere",
            "/auth/users/list/",
        ] {
            let reply = harness.get_with(target, OWN).await;
            assert_eq!(
                reply.header("set-cookie"),
                None,
                "{version} {target}: {reply}"
            );
            assert!(!reply.text().contains("_token="), "{version} {target}");
        }
    }
}

#[tokio::test]
async fn missing_security_headers_are_added() {
    let harness = Harness::airflow("3.3.1").await;
    let shield = [
        ("x-frame-options", "SAMEORIGIN"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ];
    for target in ["/", "/api/v2/dags", "/static/emulator/page.js"] {
        let reply = harness.get(target).await;
        for (name, value) in shield {
            assert_eq!(reply.header(name), Some(value), "{target}: {reply}");
        }
    }
    // fields that Airflow sets itself are kept
    let raw = "HTTP/1.1 200 OK\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
        Content-Length: 0\r\n\r\n";
    let reply = answered(&harness, "/", "", raw).await;
    assert_eq!(reply.header("x-frame-options"), Some("DENY"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
}
