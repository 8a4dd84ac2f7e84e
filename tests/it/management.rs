//! The management address: health with a reason, metrics that can be parsed, a status without
//! secrets, and no access for strangers.

use crate::support::{Client, Harness, Response, eventually};
use mwaa_emulator::{ControlFault, Settings};
use std::collections::BTreeMap;

async fn get(harness: &Harness, path: &str) -> Response {
    let address = harness.management();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    Client::tcp(address).await.exchange(request).await
}

/// Polls until the response has the expected status.
async fn becomes(harness: &Harness, path: &str, status: u16) -> Response {
    eventually(&format!("{path} to be {status}"), async || {
        let reply = get(harness, path).await;
        (reply.status == status).then_some(reply)
    })
    .await
}

#[tokio::test]
async fn liveness_does_not_depend_on_aws() {
    let harness = Harness::new().await;
    harness.script().describe_fault.always(ControlFault::Hang);
    for path in ["/livez", "/startupz"] {
        let reply = get(&harness, path).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "ok\n"),
            "{path}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let unknown = get(&harness, "/nothing").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("/readyz"), "{unknown}");
}

/// Not ready while the version is unknown, with the reason and the fix; ready by itself when
/// the permission is there, although no request has come.
#[tokio::test]
async fn readiness_names_the_cause_and_recovers() {
    let settings = Settings::default();
    let harness = Harness::scripted(settings, "", |script| {
        script.describe_fault.always(ControlFault::AccessDenied);
    })
    .await;
    harness
        .seen("the first question", |j| j.calls("GetEnvironment") > 0)
        .await;
    let reply = becomes_saying(&harness, "aws.denied").await;
    for text in [
        "demo: not ready",
        "airflow:GetEnvironment",
        "environment/demo",
    ] {
        assert!(reply.text().contains(text), "{text}: {reply}");
    }
    assert_eq!(get(&harness, "/livez").await.status, 200);
    let status = get(&harness, "/status").await.json();
    assert_eq!(status["environments"][0]["ready"], false);
    harness.script().describe_fault.off();
    let reply = becomes(&harness, "/readyz", 200).await;
    assert_eq!(reply.text(), "demo: ready\n");
}

async fn becomes_saying(harness: &Harness, text: &str) -> Response {
    let reply = eventually(text, async || {
        let reply = get(harness, "/readyz").await;
        reply.text().contains(text).then_some(reply)
    })
    .await;
    assert_eq!(reply.status, 503, "{reply}");
    reply
}

/// A failed mint is reported until a token is there.
#[tokio::test]
async fn a_failing_mint_is_reported_until_it_succeeds() {
    let harness =
        Harness::configured("[environments.demo]\nairflow_version = \"2.10.3\"\n").await;
    assert_eq!(
        get(&harness, "/readyz").await.status,
        200,
        "nothing has failed yet"
    );
    harness
        .script()
        .mint_fault
        .always(ControlFault::AccessDenied);
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
    let reply = get(&harness, "/readyz").await;
    assert_eq!(reply.status, 503, "{reply}");
    assert!(reply.text().contains("airflow:CreateCliToken"), "{reply}");
    harness.script().mint_fault.off();
    // the failure is kept for a few seconds, then the next request may try again
    harness.advance(std::time::Duration::from_mins(1));
    becomes(&harness, "/readyz", 200).await;
    assert_eq!(harness.command("version").await.status, 200);
}

/// One sample of the exposition: name, labels, value.
type Samples = BTreeMap<String, f64>;

/// Reads OpenMetrics text strictly: types and help before samples, `# EOF` at the end.
fn parse(text: &str) -> (BTreeMap<String, String>, Samples) {
    let (mut types, mut samples) = (BTreeMap::new(), Samples::new());
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (keyword, name, value) = (words.next(), words.next().unwrap(), words.next());
            match keyword.unwrap() {
                "TYPE" => drop(types.insert(name.to_owned(), value.unwrap().to_owned())),
                "HELP" | "UNIT" => {
                    assert!(value.is_some_and(|text| !text.is_empty()), "{line}");
                }
                other => panic!("{other}: {line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let value = value
            .parse()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(
            samples.insert(series.to_owned(), value).is_none(),
            "twice: {series}"
        );
    }
    (types, samples)
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let harness = Harness::new().await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.command("users list").await.status, 403);
    let asked = "GET /metrics HTTP/1.1\r\nHost: ADDRESS\r\nAccept: application/openmetrics-text;\
                 version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n\r\n";
    let asked = asked.replace("ADDRESS", &harness.management().to_string());
    let reply = Client::tcp(harness.management())
        .await
        .exchange(asked)
        .await;
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let (types, samples) = parse(&reply.text());
    for (name, kind) in [
        ("mwaa_gateway_requests", "counter"),
        ("mwaa_gateway_faults", "counter"),
        ("mwaa_gateway_mints", "counter"),
        ("mwaa_gateway_queue_waiting", "gauge"),
        ("mwaa_gateway_token_age_seconds", "gauge"),
        ("mwaa_gateway_request_duration_seconds", "histogram"),
        ("mwaa_gateway_command_duration_seconds", "histogram"),
        ("mwaa_gateway_connections", "gauge"),
        ("process_cpu_seconds", "counter"),
    ] {
        assert_eq!(
            types.get(name).map(String::as_str),
            Some(kind),
            "{name}: {types:?}"
        );
    }
    let value = |series: &str| {
        *samples
            .get(series)
            .unwrap_or_else(|| panic!("{series}: {samples:?}"))
    };
    for (series, count) in [
        (
            r#"requests_total{kind="cli",status="200",environment="demo"}"#,
            2.0,
        ),
        (
            r#"requests_total{kind="fault",status="403",environment="demo"}"#,
            1.0,
        ),
        (
            r#"faults_total{code="policy.unsupported_command",blame="caller",environment="demo"}"#,
            1.0,
        ),
        (r#"queue_waiting{environment="demo"}"#, 0.0),
        (r#"request_duration_seconds_count{kind="cli"}"#, 2.0),
        (
            r#"request_duration_seconds_bucket{le="+Inf",kind="fault"}"#,
            1.0,
        ),
        (r#"command_duration_seconds_count{environment="demo"}"#, 2.0),
        (r#"build_info{version="0.1.0"}"#, 1.0),
    ] {
        assert!(
            (value(&format!("mwaa_gateway_{series}")) - count).abs() < 0.1,
            "{series}"
        );
    }
    // each worker thread has connections of its own
    let opened = value(r#"mwaa_gateway_upstream_connections_total{environment="demo"}"#);
    assert!((1.0..=2.0).contains(&opened), "{opened}");
    let open = value(r#"mwaa_gateway_connections{listener="listener"}"#);
    assert!(open <= value("mwaa_gateway_connections_max"), "{open}");
    let age = value("mwaa_gateway_token_age_seconds{environment=\"demo\"}");
    assert!((0.0..50.0).contains(&age), "{age}");
    let mints: f64 = samples
        .iter()
        .filter(|(series, _)| {
            series.starts_with("mwaa_gateway_mints_total{environment=\"demo\"")
        })
        .map(|(_, value)| value)
        .sum();
    assert!((mints - 1.0).abs() < 0.1, "{samples:?}");
}

#[tokio::test]
async fn status_shows_the_token_s_age_and_never_its_text() {
    let harness = Harness::new().await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.command("users list").await.status, 403);
    let reply = get(&harness, "/status").await;
    let status = reply.json();
    let environment = &status["environments"][0];
    assert_eq!(environment["local"], "demo");
    assert_eq!(environment["airflow_version"], "2.10.3");
    assert_eq!(environment["ready"], true);
    assert_eq!(environment["cli_token"]["live"], true);
    let host = harness.emulator().host("demo").unwrap();
    assert_eq!(environment["cli_token"]["web_server"], host);
    assert_eq!(status["faults"]["policy.unsupported_command"], 1);
    let sent = harness.journal().web_requests().pop().unwrap();
    let token = sent
        .header("authorization")
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap();
    for path in ["/status", "/metrics", "/readyz"] {
        let text = get(&harness, path).await.text();
        for part in token
            .split('.')
            .chain([harness.emulator().secret_access_key()])
        {
            assert!(!text.contains(part), "{path} shows a secret");
        }
    }
}

/// A-24: a page that found the port gets nothing, and nothing there changes anything.
#[tokio::test]
async fn other_hosts_and_methods_are_refused() {
    let harness = Harness::new().await;
    let address = harness.management();
    let port = address.port();
    for (host, status) in [
        (format!("evil.example:{port}"), 421),
        (format!("0.0.0.0:{port}"), 421),
        ("localhost".to_owned(), 421),
        (harness.address().to_string(), 421),
        ("a, b".to_owned(), 421),
        (format!("localhost:{port}"), 200),
    ] {
        let request = format!("GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let reply = Client::tcp(address).await.exchange(request).await;
        assert_eq!(reply.status, status, "{host}: {reply}");
    }
    for (method, path) in [
        ("POST", "/livez"),
        ("POST", "/quitquitquit"),
        ("PUT", "/status"),
        ("DELETE", "/metrics"),
        ("OPTIONS", "/status"),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\
             \r\n"
        );
        let reply = Client::tcp(address).await.exchange(request).await;
        assert_eq!(reply.status, 405, "{method} {path}: {reply}");
        assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    }
    let page = "GET /status HTTP/1.1\r\nHost: ADDRESS\r\nSec-Fetch-Site: cross-site\r\n\
                Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n\r\n";
    let page = page.replace("ADDRESS", &address.to_string());
    let reply = Client::tcp(address).await.exchange(page).await;
    assert_eq!(reply.status, 403, "a foreign page may not read it: {reply}");
    assert_eq!(get(&harness, "/quitquitquit").await.status, 404);
    assert_eq!(
        harness.command("version").await.status,
        200,
        "it still serves"
    );
    // the listener serves none of it
    let request = format!(
        "GET /status HTTP/1.1\r\nHost: {}\r\n\r\n",
        harness.address()
    );
    let reply = harness.connect().await.exchange(request).await;
    assert_eq!(
        (reply.status, reply.fault()),
        (404, None),
        "the web server's own: {reply}"
    );
}
