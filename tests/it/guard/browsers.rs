//! What a web page may not do: a form can post text to loopback without any preflight.

use super::{QUIET, Refusal, all_refused, ask, bare, cli, post, with_hosts};
use crate::support::Harness;

#[tokio::test]
async fn browsers_and_forms_do_not_reach_the_cli_route() {
    let harness = Harness::configured(QUIET).await;
    let origin = Some("guard.foreign_origin");
    let mut refusals: Vec<Refusal> = Vec::new();
    for (name, headers) in [
        (
            "A-01 form",
            "Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n",
        ),
        (
            "A-03 fetch",
            "Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
        ),
        ("sandboxed frame", "Origin: null\r\n"),
        ("our own page", "Origin: http://HOST\r\n"),
        (
            "our own page, by fetch metadata",
            "Sec-Fetch-Site: same-origin\r\n",
        ),
        ("any fetch metadata", "Sec-Fetch-User: ?1\r\n"),
        ("a referrer alone", "Referer: http://HOST/home\r\n"),
        (
            "another loopback port",
            "Origin: http://127.0.0.1:1\r\nSec-Fetch-Site: same-site\r\n",
        ),
    ] {
        refusals.push((name, cli(headers), &[403], origin));
    }
    let form = "Content-Type: application/x-www-form-urlencoded";
    for (name, content_type) in [
        ("A-06 form type", form),
        ("multipart", "Content-Type: multipart/form-data; boundary=x"),
        ("no type, as of a Blob", "X: y"),
        (
            "F-18 another charset",
            "Content-Type: text/plain; charset=utf-16",
        ),
        (
            "two types",
            "Content-Type: text/plain\r\nContent-Type: text/plain",
        ),
    ] {
        let request = cli("").replace("Content-Type: text/plain", content_type);
        refusals.push((name, request, &[415], Some("guard.content_type")));
    }
    for (name, method, target, headers) in [
        (
            "A-14 same-site post",
            "POST",
            "/home",
            "Sec-Fetch-Site: same-site\r\n",
        ),
        (
            "A-17 image",
            "GET",
            "/home",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        ),
        (
            "script",
            "GET",
            "/api/v1/dags",
            "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n",
        ),
        (
            "foreign origin",
            "POST",
            "/home",
            "Origin: http://127.0.0.1:1\r\n",
        ),
        ("typed post", "POST", "/home", "Sec-Fetch-Site: none\r\n"),
        (
            "service worker",
            "GET",
            "/static/x.js",
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: same-origin\r\n\
             Sec-Fetch-Dest: serviceworker\r\nService-Worker: script\r\n",
        ),
        (
            "A-20 preflight",
            "OPTIONS",
            "/aws_mwaa/cli",
            "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n",
        ),
        (
            "A-20 preflight elsewhere",
            "OPTIONS",
            "/home",
            "Origin: http://HOST\r\nAccess-Control-Request-Method: PUT\r\n",
        ),
    ] {
        refusals.push((name, bare(method, target, headers), &[403], origin));
    }
    all_refused(&harness, &refusals).await;

    let preflight = bare(
        "OPTIONS",
        "/aws_mwaa/cli",
        "Access-Control-Request-Method: POST\r\n",
    );
    let reply = ask(&harness, &preflight).await;
    let cors = reply
        .headers
        .iter()
        .any(|(name, _)| name.starts_with("access-control-"));
    assert!(!cors, "{reply}");
}

/// Node's `fetch` says how it asks, and nothing else of what browsers say.
#[tokio::test]
async fn a_script_with_sec_fetch_mode_is_not_a_browser() {
    let harness = Harness::configured(QUIET).await;
    for mode in ["cors", "no-cors", "same-origin"] {
        let headers = format!("Sec-Fetch-Mode: {mode}\r\nAccept-Language: *\r\n");
        let reply = ask(&harness, &cli(&headers)).await;
        assert_eq!(reply.status, 200, "{mode}: {reply}");
    }
}

/// A browser's fetches before a click have no effect, whatever other fields they have.
#[tokio::test]
async fn prefetches_are_refused() {
    let mut visits = Vec::new();
    for purpose in [
        "Sec-Purpose: prefetch\r\n",
        "Sec-Purpose: prefetch;prerender\r\nPurpose: prefetch\r\n",
        "Sec-Purpose: prefetch;anonymous-client-ip\r\n",
        "Purpose: prefetch\r\n",
        "X-moz: prefetch\r\n",
        "X-Purpose: preview\r\n",
    ] {
        for site in ["none", "same-origin", "same-site", "cross-site"] {
            visits.push(format!(
                "{purpose}Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: navigate\r\n\
                 Sec-Fetch-Dest: document\r\nSec-Fetch-User: ?1\r\n"
            ));
        }
        visits.push(purpose.to_owned());
    }
    for extra in ["browser = \"redirect\"\n", ""] {
        let harness = Harness::configured(&format!("{QUIET}{extra}")).await;
        let mut refusals: Vec<Refusal> = Vec::new();
        for headers in &visits {
            for path in [
                "/",
                "/home",
                "/-/",
                "/-/signed-out",
                "/logout/",
                "/auth/logout/",
                "/api/v2/auth/logout",
                "/login/",
                "/aws_mwaa/aws-console-sso",
                "/aws_mwaa/aws-console-sso?handover=1",
                "/api/v1/dags",
                "/static/x.js",
            ] {
                let request = bare("GET", path, headers);
                refusals.push((path, request, &[403], Some("guard.foreign_origin")));
            }
            refusals.push(("cli", cli(headers), &[403], Some("guard.foreign_origin")));
        }
        all_refused(&harness, &refusals).await;
    }
}

/// Chromium says `none` for what the speculation rules of a page name, with its address as the
/// referrer: no field is believed alone.
#[tokio::test]
async fn a_navigation_with_a_referrer_is_not_a_typed_address() {
    let harness = Harness::configured(QUIET).await;
    let mut refusals: Vec<Refusal> = Vec::new();
    for sender in [
        "Referer: http://evil.example/\r\n",
        "Referer: http://localhost:1/\r\n",
        "Origin: null\r\n",
        "Origin: http://evil.example\r\n",
    ] {
        for site in ["none", "same-origin"] {
            if (site, sender) == ("same-origin", "Origin: null\r\n") {
                continue; // a page of our own that hides its address
            }
            let headers = format!(
                "{sender}Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: navigate\r\n\
                 Sec-Fetch-Dest: document\r\nSec-Fetch-User: ?1\r\n"
            );
            for way in [
                "/logout/",
                "/auth/logout/",
                "/api/v2/auth/logout",
                "/api/v2//auth/logout",
            ] {
                let request = bare("GET", way, &headers);
                refusals.push((way, request, &[403], Some("guard.foreign_origin")));
            }
            refusals.push((
                "POST",
                post("/home", &headers),
                &[403],
                Some("guard.foreign_origin"),
            ));
        }
    }
    all_refused(&harness, &refusals).await;
}

#[tokio::test]
async fn escaped_logout_and_token_paths_are_recognised() {
    let harness = Harness::configured(QUIET).await;
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let own =
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n";
    let mut refusals: Vec<Refusal> = Vec::new();
    for path in [
        "/logout/",
        "/%6cogout",
        "/auth/logou%74/",
        "/api/v2/auth%2Flogout",
        "/%61pi/v2/auth/logout",
    ] {
        let request = bare("GET", path, link);
        refusals.push((path, request, &[403], Some("guard.foreign_origin")));
    }
    for path in ["/ui/auth/token", "/ui/auth%2ftoken", "/u%69/auth/token/"] {
        let request = bare("POST", path, own);
        refusals.push((path, request, &[403], Some("policy.forbidden_path")));
    }
    all_refused(&harness, &refusals).await;
}

#[tokio::test]
async fn trusted_origins_and_hosts_can_be_configured() {
    let extra = format!(
        "{QUIET}[listener]\ntrusted_origins = [\"https://tool.example\"]\n\
         hosts = [\"airflow.corp.example:8080\"]\n"
    );
    let harness = Harness::configured(&extra).await;
    all_refused(
        &harness,
        &[
            (
                "another origin",
                cli("Origin: https://tool.example.evil\r\n"),
                &[403],
                Some("guard.foreign_origin"),
            ),
            (
                "another port",
                with_hosts("Host: airflow.corp.example:1\r\n"),
                &[421],
                Some("guard.foreign_host"),
            ),
        ],
    )
    .await;
    for request in [
        cli("Origin: https://tool.example\r\nSec-Fetch-Site: cross-site\r\n"),
        with_hosts("Host: airflow.corp.example:8080\r\n"),
    ] {
        let reply = ask(&harness, &request).await;
        assert_eq!(reply.status, 200, "{reply}");
    }
}
