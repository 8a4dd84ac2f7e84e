//! Our own pages over real sockets: where they are, who may read them, what they show on which
//! host, and faults as pages.

use crate::support::{Client, Harness, Response, eventually, resolves, soon};
use mwaa_emulator::{Seed, Settings};
use std::net::SocketAddr;

/// A person who typed the address.
const TYPED: &str = "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
    Sec-Fetch-User: ?1\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
/// A script of a page in the same origin.
const SCRIPT: &str =
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n";

/// With their versions configured the gateway asks AWS nothing by itself.
const TWO: &str = "[environments.alpha]\nairflow_version = \"2.10.3\"\nlisten = \"127.0.0.1:0\"\n\
    default = false\n[environments.beta]\nairflow_version = \"3.0.6\"\n";

async fn two() -> Harness {
    let settings = Settings {
        environments: vec![Seed::new("alpha", "2.10.3"), Seed::new("beta", "3.0.6")],
        ..Settings::default()
    };
    Harness::with(settings, TWO).await
}

async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Response {
    Client::tcp(address).await.exchange(request).await
}

async fn get(harness: &Harness, host: &str, path: &str, headers: &str) -> Response {
    let port = harness.address().port();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}\r\n");
    send(harness.address(), &request).await
}

fn door(harness: &Harness) -> SocketAddr {
    let url = &harness.urls()[1];
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// The addresses that a page refers to.
fn addresses(page: &str) -> Vec<String> {
    [" href=\"", " src=\"", " action=\""]
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

fn is_page(reply: &Response) {
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
             connect-src 'self'; form-action 'self' https:; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}: {reply}");
    }
    assert!(reply.header("mwaa-gateway-request-id").is_some(), "{reply}");
    let cors = reply
        .headers
        .iter()
        .any(|(name, _)| name.starts_with("access-control-"));
    assert!(!cors && reply.header("set-cookie").is_none(), "{reply}");
    assert!(reply.text().starts_with("<!DOCTYPE html>"), "{reply}");
}

/// The first page does not wait for the resolver; a later one shows the result.
#[tokio::test]
async fn an_unresolvable_name_is_shown_on_the_overview() {
    let harness = two().await;
    let told = |page: &str, name: &str| {
        page.contains(&format!("does not resolve <code>{name}.localhost</code>"))
    };
    for name in ["alpha", "beta"] {
        let is_unknown = !resolves(&format!("{name}.localhost"));
        eventually("what the resolver says", async || {
            let page = get(&harness, "localhost", "/-/", TYPED).await.text();
            (told(&page, name) == is_unknown).then_some(())
        })
        .await;
        // a browser that shows the environment's own host has resolved the name
        let host = format!("{name}.localhost");
        let there = get(&harness, &host, "/-/", TYPED).await.text();
        assert!(!told(&there, name), "{there}");
    }
}

#[tokio::test]
async fn the_overview_shows_every_environment_and_opens_no_session() {
    let harness = two().await;
    let (address, port) = (harness.address(), harness.address().port());
    let door = format!("http://{}", door(&harness));
    for (host, headers) in [
        ("127.0.0.1", TYPED),
        ("127.0.0.1", ""),
        ("localhost", TYPED),
    ] {
        let reply = get(&harness, host, "/-/", headers).await;
        assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
        is_page(&reply);
        let page = reply.text();
        for shown in [
            env!("CARGO_PKG_VERSION"),
            &format!("http://{address}"),
            &format!("href=\"http://alpha.localhost:{port}/\""),
            "2.10.3",
            "3.0.6",
            // tools get an address that needs no name: the environment's own listener
            &format!("curl -sS '{door}/api/v1/dags?limit=10'"),
            &format!("curl -sS 'http://beta.localhost:{port}/api/v2/dags?limit=10'"),
        ] {
            assert!(page.contains(shown), "{host}: {shown} is not in {page}");
        }
        let found = addresses(&page);
        assert!(found.len() >= 8, "{found:?}");
        for url in found {
            let ours = [
                format!("http://alpha.localhost:{port}/"),
                format!("http://beta.localhost:{port}/"),
            ];
            let here = url.starts_with("/-/") || url.starts_with('#');
            assert!(
                here || ours.iter().any(|ours| url.starts_with(ours)),
                "{url}"
            );
        }
    }
    // the page mints no token and opens no session; AWS is asked once for each environment's status
    assert_eq!(harness.journal().web_connections(), 0);
    assert_eq!((harness.mints(), harness.journal().control_count()), (0, 2));
}

#[tokio::test]
async fn the_overview_shows_the_current_state() {
    let harness = Harness::new().await;
    let idle = get(&harness, "localhost", "/-/", TYPED).await.text();
    assert!(idle.contains("minted when needed"), "{idle}");
    assert_eq!(harness.command("version").await.status, 200);
    let page = get(&harness, "localhost", "/-/", TYPED).await.text();
    assert!(
        page.contains(">live</span>") && page.contains("2.10.3"),
        "{page}"
    );
    assert!(page.contains("None so far."), "{page}");
    // the only environment serves the bare host, which every tool can name
    let port = harness.address().port();
    assert!(
        page.contains(&format!("'http://localhost:{port}/api/v1/dags")),
        "{page}"
    );

    harness
        .script()
        .mint_fault
        .always(mwaa_emulator::ControlFault::AccessDenied);
    let refused = harness.command("users list").await;
    let id = refused
        .header("mwaa-gateway-request-id")
        .unwrap()
        .to_owned();
    let page = get(&harness, "localhost", "/-/", TYPED).await.text();
    for shown in [
        id.as_str(),
        "policy.unsupported_command",
        "POST /aws_mwaa/cli",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[tokio::test]
async fn styles_icons_and_scripts_are_served_on_every_host() {
    let harness = two().await;
    for (path, media, dest) in [
        ("/-/style.css", "text/css; charset=utf-8", "style"),
        ("/-/icon.svg", "image/svg+xml", "image"),
        ("/-/copy.js", "text/javascript; charset=utf-8", "script"),
        ("/-/login.js", "text/javascript; charset=utf-8", "script"),
    ] {
        let used = format!(
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: {dest}\r\n"
        );
        for host in ["localhost", "alpha.localhost", "nosuch.localhost"] {
            for headers in ["", &used] {
                let reply = get(&harness, host, path, headers).await;
                assert_eq!(reply.status, 200, "{host}{path}: {reply}");
                assert_eq!(reply.header("content-type"), Some(media));
                assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
                assert_eq!(reply.header("cache-control"), Some("no-cache"));
                assert!(reply.body.len() > 100, "{path}");
            }
        }
    }
    let port = harness.address().port();
    for path in ["/-/", "/-/style.css"] {
        let head = format!(
            "HEAD {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
        );
        let mut client = harness.connect().await;
        client.send(head).await;
        let reply = String::from_utf8(client.rest().await).unwrap();
        assert!(
            reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("\r\n\r\n"),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn other_local_paths_and_methods_are_refused() {
    let harness = two().await;
    for path in ["/-", "/-/x", "/-/style.css/", "/-/..css", "/-/Style.css"] {
        let reply = get(&harness, "localhost", path, "").await;
        assert_eq!(
            (reply.status, reply.fault()),
            (404, Some("route.unknown_path")),
            "{path}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request = format!(
            "{method} /-/ HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
            harness.address()
        );
        let reply = send(harness.address(), &request).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (405, Some("request.method")),
            "{reply}"
        );
        assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    }
}

/// One origin must not read about another environment (the host of one shows only that one),
/// and a script must not read our pages at all.
#[tokio::test]
async fn the_host_of_one_environment_shows_no_other() {
    let harness = two().await;
    for environment in ["alpha", "beta"] {
        let refused = send(
            harness.address(),
            harness.request_for(environment, "users list"),
        );
        assert_eq!(refused.await.fault(), Some("policy.unsupported_command"));
    }
    let own_listener = format!(
        "GET /-/ HTTP/1.1\r\nHost: {}\r\n{TYPED}\r\n",
        door(&harness)
    );
    let alpha = get(&harness, "alpha.localhost", "/-/", TYPED).await;
    let at_its_door = send(door(&harness), &own_listener).await;
    let beta = get(&harness, "beta.localhost", "/-/", TYPED).await;
    for (reply, own, other) in [
        (alpha, "alpha", "beta"),
        (at_its_door, "alpha", "beta"),
        (beta, "beta", "alpha"),
    ] {
        is_page(&reply);
        let page = reply.text();
        assert!(
            page.contains(own) && page.contains("policy.unsupported_command"),
            "{page}"
        );
        assert!(
            !page.contains(other),
            "{own}'s host tells about {other}: {page}"
        );
        assert_eq!(
            page.matches("class=\"id\"").count(),
            1,
            "only its own refusal: {page}"
        );
    }
    let everywhere = get(&harness, "localhost", "/-/", TYPED).await.text();
    assert_eq!(
        everywhere.matches("class=\"id\"").count(),
        2,
        "{everywhere}"
    );

    let framed =
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n";
    let included =
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n";
    for headers in [SCRIPT, framed, included] {
        for host in ["localhost", "alpha.localhost"] {
            let reply = get(&harness, host, "/-/", headers).await;
            assert_eq!(reply.status, 403, "{headers}{reply}");
            assert_eq!(reply.fault(), Some("guard.foreign_origin"));
            assert!(!reply.text().contains("Airflow"), "{reply}");
        }
    }
}

#[tokio::test]
async fn a_bare_host_without_a_default_shows_the_overview() {
    let harness = two().await;
    let port = harness.address().port();
    let reply = get(&harness, "localhost", "/", TYPED).await;
    assert_eq!(reply.status, 200, "{reply}");
    is_page(&reply);
    assert!(
        reply
            .text()
            .contains(&format!("http://beta.localhost:{port}/")),
        "{reply}"
    );
    // anything in particular is a fault, and so is a program that asks for nothing
    for (path, headers) in [("/", ""), ("/", SCRIPT)] {
        let reply = get(&harness, "localhost", path, headers).await;
        assert_eq!(reply.status, 404, "{reply}");
        assert!(reply.fault().is_some(), "{reply}");
    }
}

#[tokio::test]
async fn an_empty_account_is_shown_with_a_hint() {
    let settings = Settings {
        environments: Vec::new(),
        ..Settings::default()
    };
    let harness = Harness::with(settings, "").await;
    harness
        .seen("the question", |journal| {
            journal.calls("ListEnvironments") > 0
        })
        .await;
    let mut client = harness.connect().await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\n{TYPED}\r\n",
        harness.address()
    );
    let told = soon("the reason", async {
        loop {
            let reply = client.exchange(&request).await;
            if reply.text().contains("has no environment in this region") {
                return reply;
            }
        }
    });
    let reply = told.await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("mwaa-gateway check"), "{reply}");
}

#[tokio::test]
async fn faults_are_pages_for_people_and_json_for_programs() {
    let harness = two().await;
    let port = harness.address().port();
    let html = "Accept: text/html\r\n";
    for headers in [TYPED, html] {
        let reply = get(&harness, "nosuch.localhost", "/-/", headers).await;
        assert_eq!(reply.status, 404, "{reply}");
        assert_eq!(reply.fault(), Some("route.unknown_environment"));
        is_page(&reply);
        let id = reply.header("mwaa-gateway-request-id").unwrap().to_owned();
        for shown in [
            id.as_str(),
            "route.unknown_environment",
            "404",
            "There is no environment &quot;nosuch&quot;",
            &format!("href=\"http://alpha.localhost:{port}/\""),
            &format!("href=\"http://localhost:{port}/-/\""),
        ] {
            assert!(reply.text().contains(shown), "{shown}: {reply}");
        }
    }
    for headers in [
        "",
        "Accept: */*\r\n",
        "Accept: application/json, text/html;q=0.9\r\n",
    ] {
        let reply = get(&harness, "nosuch.localhost", "/-/", headers).await;
        assert_eq!(
            reply.fault(),
            Some("route.unknown_environment"),
            "{headers}"
        );
        let urls = format!("http://alpha.localhost:{port}, http://beta.localhost:{port}");
        assert!(reply.complaint().contains(&urls), "{reply}");
    }
    // what the headers say is the same in both forms
    for headers in [html, ""] {
        let reply = get(&harness, "alpha.localhost", "/aws_mwaa/cli", headers).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (405, Some("request.method")),
            "{reply}"
        );
        assert_eq!(reply.header("allow"), Some("POST"), "{reply}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply}");
    }
}

/// What the guard refuses is a page too, and one that leads nowhere where nothing can be reached.
#[tokio::test]
async fn the_guard_s_refusals_are_pages_too() {
    let harness = two().await;
    let reply = get(&harness, "evil.example", "/", TYPED).await;
    assert_eq!(reply.status, 421, "{reply}");
    is_page(&reply);
    assert!(!reply.text().contains("href=\"/-/\""), "{reply}");
    let posted = "Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n";
    let reply = send(harness.address(), harness.request_with(posted, "version")).await;
    assert_eq!(reply.fault(), Some("guard.foreign_origin"), "{reply}");
    is_page(&reply);
    assert!(reply.text().contains("href=\"/-/\""), "{reply}");
    // a program that names HTML by default still gets what programs read
    let program = "Accept: text/html, image/gif, */*; q=.2\r\n";
    let reply = send(
        harness.address(),
        harness.request_with(program, "users list"),
    )
    .await;
    assert_eq!(reply.fault(), Some("route.unknown_environment"), "{reply}");
}

/// Queries and commands may hold secrets; names and paths may hold markup.
#[tokio::test]
async fn recent_refusals_are_listed_without_secrets_up_to_a_limit() {
    let harness = two().await;
    let hostile = "/nothing/\"'&lt;img%3E?token=canary-in-a-query";
    let reply = get(&harness, "alpha.localhost", hostile, "").await;
    assert!(reply.status >= 400, "{reply}");
    let command = "variables set canary-key canary-value --nosuch canary-option";
    let denied = send(
        harness.address(),
        harness.request_for("alpha", "users create canary-password"),
    );
    assert_eq!(denied.await.status, 403);
    drop(send(harness.address(), harness.request_for("nosuch", command)).await);
    let page = get(&harness, "localhost", "/-/", TYPED).await.text();
    let status = harness.manage("/status").await;
    assert!(
        !page.contains("canary") && !status.text().contains("canary"),
        "{page}{status}"
    );
    assert!(page.contains("/nothing/&quot;'&amp;lt;img%3E"), "{page}");

    let rows = status.json()["refusals"].clone();
    assert_eq!(rows.as_array().unwrap().len(), 3, "{rows}");
    assert_eq!(rows[0]["code"], "route.unknown_environment");
    assert_eq!(rows[1]["environment"], "alpha");
    assert_eq!(rows[1]["path"], "/aws_mwaa/cli");
    for _ in 0..60 {
        get(&harness, "localhost", "/-/nothing", "").await;
    }
    let rows = harness.manage("/status").await.json()["refusals"].clone();
    assert_eq!(rows.as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn the_signed_out_page_is_served_on_the_environment_s_host() {
    let harness = two().await;
    let reply = get(&harness, "alpha.localhost", "/-/signed-out", TYPED).await;
    assert_eq!(reply.status, 200, "{reply}");
    is_page(&reply);
    assert!(reply.text().contains("signed out of alpha"), "{reply}");
    let script = get(&harness, "alpha.localhost", "/-/signed-out", SCRIPT).await;
    assert_eq!(
        (script.status, script.fault()),
        (403, Some("guard.foreign_origin"))
    );
    let nosuch = get(&harness, "nosuch.localhost", "/-/signed-out", "").await;
    assert_eq!(
        (nosuch.status, nosuch.fault()),
        (404, Some("route.unknown_environment"))
    );
    let one = Harness::new().await;
    let reply = get(&one, "localhost", "/-/signed-out", TYPED).await;
    assert!(reply.text().contains("signed out of demo"), "{reply}");
}

/// The page shows that a session is live, and its identity, but not its cookie.
#[tokio::test]
async fn a_live_session_is_shown_without_its_secrets() {
    let harness = Harness::new().await;
    let before = get(&harness, "localhost", "/-/", TYPED).await.text();
    assert!(before.contains("logs in at the next request"), "{before}");
    let reply = get(&harness, "localhost", "/api/v1/dags?limit=1", "").await;
    assert_eq!(reply.status, 200, "{reply}");
    let page = get(&harness, "localhost", "/-/", TYPED).await.text();
    assert!(
        page.contains("logged in ") && page.contains(" left</dd>"),
        "{page}"
    );
    assert!(page.contains("assumed-role/"), "who we are: {page}");
    let asked = harness.journal().web_requests().pop().unwrap();
    let cookie = asked.header("cookie").unwrap_or_default().to_owned();
    let secret = cookie.split_once('=').map(|(_, value)| value.to_owned());
    assert!(
        secret.is_some_and(|secret| !secret.is_empty() && !page.contains(&secret)),
        "{cookie}"
    );
}

/// A service worker of an environment's page would read our own pages in its origin: it sees
/// each navigation and its reply (Service Workers, W3C, section 4.1).
#[tokio::test]
async fn service_worker_scripts_are_refused() {
    let harness = Harness::new().await;
    for headers in [
        "Service-Worker: script\r\n",
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: same-origin\r\nSec-Fetch-Dest: serviceworker\r\n",
    ] {
        for path in ["/static/worker.js", "/-/copy.js"] {
            let reply = get(&harness, "localhost", path, headers).await;
            assert_eq!(
                (reply.status, reply.fault()),
                (403, Some("guard.foreign_origin")),
                "{path}: {reply}"
            );
        }
    }
    assert_eq!(harness.journal().web_connections(), 0);
}
