//! Request targets and methods: what is unclear is refused, never repaired.

use super::{QUIET, Refusal, all_refused, ask, bare, cli, filled, post};
use crate::support::Harness;

#[tokio::test]
async fn ambiguous_targets_are_refused_and_not_normalized() {
    let harness = Harness::configured(QUIET).await;
    let malformed = Some("request.malformed");
    let mut refusals: Vec<Refusal> = Vec::new();
    for (name, target) in [
        ("C-06", "//aws_mwaa/cli"),
        ("C-07", "/aws_mwaa%2fcli"),
        ("C-07 capitals", "/aws_mwaa%2Fcli"),
        ("C-07 backslash", "/aws_mwaa%5ccli"),
        ("C-09 dot", "/aws_mwaa/./cli"),
        ("C-09 two dots", "/static/../aws_mwaa/cli"),
        ("C-09 escaped", "/static/%2e%2E/aws_mwaa/cli"),
        ("C-11", "/static/..;/aws_mwaa/cli"),
        ("C-12 parameter", "/aws_mwaa/cli;x=y"),
        ("C-14", "/AWS_MWAA/CLI"),
        ("C-14 plugin", "/PluginsV2/aws_mwaa/cli"),
        ("an escaped letter", "/%61ws_mwaa/cli"),
        ("an escaped letter inside", "/aws_mwaa/c%6ci"),
        ("C-16", "/static\\..\\aws_mwaa\\cli"),
        ("C-18 NUL", "/aws_mwaa/cli%00"),
        ("C-18 line end", "/aws_mwaa/cli%0d%0aX:y"),
        ("double encoding", "/aws_mwaa%252fcli"),
        ("a broken escape", "/x%zz"),
        ("a cut escape", "/x%4"),
        ("over-long UTF-8", "/x%c0%af"),
        ("encoded ten times", "/api/v1/x%25252525252525252525"),
    ] {
        refusals.push((name, post(target, ""), &[400], malformed));
    }
    let nothing = Some("route.unknown_path");
    for (name, target) in [
        ("a trailing slash", "/aws_mwaa/cli/"),
        ("below the route", "/aws_mwaa/cli/x"),
        ("C-20", "/pluginsv2/aws_mwaa/cli"),
        ("C-20 login", "/pluginsv2/aws_mwaa/login/"),
        ("login", "/aws_mwaa/login/"),
        ("C-22", "/aws_mwaa/other?next=/aws_mwaa/cli"),
        ("our own prefix", "/-/x"),
    ] {
        refusals.push((name, post(target, ""), &[404], nothing));
    }
    let (method, foreign) = (Some("request.method"), Some("guard.foreign_host"));
    let absolute = "http://169.254.169.254/latest";
    refusals.extend([
        ("C-01", bare("GET", absolute, ""), &[421][..], foreign),
        (
            "C-01 our Host",
            post("http://evil.example/aws_mwaa/cli", ""),
            &[421],
            foreign,
        ),
        (
            "another scheme",
            post("https://HOST/aws_mwaa/cli", ""),
            &[400],
            malformed,
        ),
        (
            "a password in the target",
            post("http://me:pw-canary@HOST/aws_mwaa/cli", ""),
            &[400],
            malformed,
        ),
        (
            "C-03",
            "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(),
            &[405],
            method,
        ),
        ("C-04", bare("OPTIONS", "*", ""), &[405], method),
        ("C-04 TRACE", bare("TRACE", "/x", ""), &[405], method),
        (
            "lower case",
            cli("").replacen("POST", "post", 1),
            &[400],
            malformed,
        ),
        (
            "C-22 GET",
            bare("GET", "/aws_mwaa/cli?x=/home", ""),
            &[405],
            method,
        ),
        ("our own page", post("/-/", ""), &[405], method),
        ("PUT", cli("").replacen("POST", "PUT", 1), &[405], method),
        (
            "DELETE",
            bare("DELETE", "/aws_mwaa/cli", ""),
            &[405],
            method,
        ),
    ]);
    all_refused(&harness, &refusals).await;
    let told = harness.manage("/status").await.text();
    assert!(
        told.contains("request.malformed") && !told.contains("pw-canary"),
        "{told}"
    );

    // every 405 says what would do (RFC 9110 section 15.5.6)
    for request in [bare("GET", "/aws_mwaa/cli", ""), bare("TRACE", "/x", "")] {
        let reply = ask(&harness, &request).await;
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some("POST")),
            "{reply}"
        );
    }
    // a query plays no part, and the path that was judged is the path that is sent
    let request = filled(&harness, &post("/aws_mwaa/cli?x=/home", ""));
    let reply = harness.connect().await.exchange(request).await;
    assert_eq!(reply.status, 200, "{reply}");
    let seen = harness.journal().web_requests().pop().unwrap();
    assert_eq!(seen.target, "/aws_mwaa/cli");
}
