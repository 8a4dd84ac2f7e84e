//! REST requests that AWS sends (`InvokeRestApi`), by configuration or because the web server cannot be
//! reached.

use crate::support::airflow::{DAG, JSON, VERSIONS};
use crate::support::{CLOSED, Client, Harness, Response, eventually, soon};
use mwaa_emulator::{ControlFault, Settings, WebFault};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// A gateway whose environment has this `rest_via`, and a web server that refuses connections.
async fn cut_off(version: &str, rest_via: &str, extra: &str) -> Harness {
    let extra = format!(
        "environments.demo.rest_via = \"{rest_via}\"\nenvironments.demo.connect_to = \"{CLOSED}\"\n{extra}"
    );
    Harness::airflow_with(Settings::default(), version, &extra).await
}

async fn send(harness: &Harness, method: &str, target: &str, body: &str) -> Response {
    let request = harness.sending(method, target, JSON, body);
    harness.connect().await.exchange(request).await
}

fn api(version: &str) -> &'static str {
    if version.starts_with('2') {
        "/api/v1"
    } else {
        "/api/v2"
    }
}

#[tokio::test]
async fn requests_and_responses_are_plain_http() {
    for version in VERSIONS {
        for rest_via in ["invoke", "auto"] {
            let harness = cut_off(version, rest_via, "").await;
            let api = api(version);
            let reply = harness.get(&format!("{api}/dags?limit=1&offset=1")).await;
            assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert_eq!(reply.json()["dags"].as_array().unwrap().len(), 1, "{reply}");
            assert!(reply.json().get("RestApiResponse").is_none(), "{reply}");

            let reply = harness.pause(api, true).await;
            assert_eq!(reply.json()["is_paused"], true, "{reply}");
            // Airflow's own refusal, with its status and body
            let reply = harness.get(&format!("{api}/dags/nosuch")).await;
            assert_eq!((reply.status, reply.fault()), (404, None), "{reply}");
            assert!(reply.text().contains("nosuch"), "{reply}");
            // the other version's API has no routes
            let other = if api == "/api/v1" {
                "/api/v2"
            } else {
                "/api/v1"
            };
            let reply = harness.get(&format!("{other}/dags")).await;
            assert_eq!(reply.fault(), Some("route.unknown_path"), "{reply}");

            assert_eq!(harness.journal().calls("InvokeRestApi"), 3);
            assert_eq!(harness.journal().web_connections(), 0);
            let metrics = harness.manage("/metrics").await.text();
            let counted = r#"requests_total{kind="invoke",status="404",environment="demo"} 1"#;
            assert!(metrics.contains(counted), "{metrics}");
            let is_login = rest_via == "auto";
            assert_eq!(harness.journal().calls("CreateWebLoginToken") > 0, is_login);
        }
    }
}

#[tokio::test]
async fn a_document_of_an_sdk_takes_the_same_route() {
    let harness = cut_off("3.0.6", "invoke", "").await;
    let call = async |document: Value| {
        let body = document.to_string();
        send(&harness, "POST", "/restapi/demo", &body).await
    };
    let reply =
        call(json!({"Path": "/dags", "Method": "GET", "QueryParameters": {"limit": 1}})).await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(reply.json()["RestApiStatusCode"], 200);
    assert_eq!(
        reply.json()["RestApiResponse"]["dags"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let reply = call(json!({"Path": "/dags/nosuch", "Method": "GET"})).await;
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("RestApiClientException")
    );
    assert_eq!(reply.json()["RestApiStatusCode"], 404, "{reply}");

    // what AWS would not pass on is no error that an SDK repeats
    let document = json!({"Path": "/dags/x/dagRuns", "Method": "POST", "Body": []});
    let reply = call(document).await;
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype")),
        (400, Some("ValidationException")),
        "{reply}"
    );

    // a change with an unknown outcome is one here too
    harness.script().rest_api_fault.always(ControlFault::Drop);
    let document = json!({"Path": format!("/dags/{DAG}"), "Method": "PATCH", "Body": {}});
    let reply = call(document).await;
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("RestApiServerException"),
        "{reply}"
    );
    assert_eq!(harness.journal().calls("InvokeRestApi"), 3);
}

#[tokio::test]
async fn an_environment_is_ready_while_aws_serves_its_rest_api() {
    for rest_via in ["invoke", "auto", "direct"] {
        let harness = cut_off("3.0.6", rest_via, "").await;
        // the login fails, and the gateway knows that the web server is unreachable
        let reply = harness.get("/home").await;
        assert_eq!(reply.fault(), Some("upstream.unreachable"), "{reply}");
        let rest = harness.get("/api/v2/dags").await;
        let ready = harness.manage("/readyz").await;
        let is_served = rest_via != "direct";
        let status = if is_served { 200 } else { 503 };
        assert_eq!(rest.status == 200, is_served, "{rest}");
        assert_eq!(ready.status, status, "{rest_via}: {ready}");

        let shown = harness.manage("/status").await.json();
        let shown = &shown["environments"][0];
        assert_eq!(shown["ready"], is_served, "{shown}");
        assert_eq!(shown["trouble"].is_null(), is_served, "{shown}");
        let note = shown["notes"].to_string();
        let says_why = note.contains("only the REST API") && note.contains("unreachable");
        assert_eq!(says_why, is_served, "{shown}");
    }
    // AWS itself is no part of the other route
    let harness = cut_off("3.0.6", "invoke", "").await;
    let fault = ControlFault::ExpiredToken;
    harness.script().web_login_fault.always(fault);
    let reply = harness.get("/home").await;
    assert_eq!(reply.fault(), Some("aws.credentials"), "{reply}");
    assert_eq!(harness.manage("/readyz").await.status, 503);
}

#[tokio::test]
async fn what_aws_does_not_pass_on_is_a_fault_that_names_the_limit() {
    let harness = cut_off("3.0.6", "invoke", "").await;
    let long = format!("/api/v2/dags/{}", "x".repeat(80));
    let text = "Content-Type: text/plain\r\n";
    let zipped = format!("{JSON}Content-Encoding: gzip\r\n");
    for (method, target, headers, body, why) in [
        ("HEAD", "/api/v2/dags", "", "", ""),
        ("OPTIONS", "/api/v2/dags", "", "", "no OPTIONS"),
        (
            "GET",
            "/api/v2/dags",
            "Accept: text/plain\r\n",
            "",
            "JSON only",
        ),
        ("GET", "/api/v2/dags?x=%ff", "", "", "not UTF-8"),
        ("GET", &*long, "", "", "86 characters, AWS allows 64"),
        (
            "POST",
            "/api/v2/dags/x/dagRuns",
            JSON,
            "[]",
            "one JSON object",
        ),
        (
            "POST",
            "/api/v2/dags/x/dagRuns",
            JSON,
            "{} {}",
            "one JSON object",
        ),
        (
            "POST",
            "/api/v2/dags/x/dagRuns",
            JSON,
            "{\"a\":",
            "one JSON object",
        ),
        (
            "POST",
            "/api/v2/dags/x/dagRuns",
            text,
            "{}",
            "one JSON object",
        ),
        (
            "POST",
            "/api/v2/dags/x/dagRuns",
            &*zipped,
            "{}",
            "one JSON object",
        ),
        ("PATCH", "/api/v2/dags/x", "", "{}", "one JSON object"),
    ] {
        let request = harness.sending(method, target, headers, body);
        let mut client = harness.connect().await;
        if method == "HEAD" {
            client.send(request).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 501 "), "{head}");
            continue;
        }
        let reply = client.exchange(request).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (501, Some("request.invoke_limit")),
            "{reply}"
        );
        let complaint = reply.complaint();
        assert!(
            complaint.contains(why) && complaint.contains("rest_via"),
            "{complaint}"
        );
    }
    // only AWS knows whether it counts characters
    assert_eq!(harness.journal().calls("InvokeRestApi"), 1);

    for target in ["/api/v2//host/dags", "/api/v2", "/api/v3/dags"] {
        let reply = harness.get(target).await;
        assert!(
            matches!(
                reply.fault(),
                Some("route.unknown_path" | "upstream.unreachable")
            ),
            "{reply}"
        );
    }
    // the UI and commands have no other route
    for reply in [harness.get("/home").await, harness.command("version").await] {
        assert_eq!(reply.fault(), Some("upstream.unreachable"), "{reply}");
    }
    assert_eq!(harness.journal().calls("InvokeRestApi"), 1);
}

#[tokio::test]
async fn what_aws_does_not_pass_on_in_an_outage_is_a_fault_that_names_the_outage() {
    let harness = cut_off("3.0.6", "auto", "").await;
    let long = format!("/api/v2/dags/{}", "x".repeat(80));
    for (method, target, headers, why) in [
        ("OPTIONS", "/api/v2/dags", "", "no OPTIONS"),
        ("GET", "/api/v2/dags", "Accept: text/plain\r\n", "JSON only"),
        ("GET", &*long, "", "86 characters, AWS allows 64"),
    ] {
        let request = harness.sending(method, target, headers, "");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (502, Some("upstream.unreachable")),
            "{reply}"
        );
        let complaint = reply.complaint();
        assert!(
            complaint.contains(CLOSED) && complaint.contains(why),
            "{complaint}"
        );
    }
    let head = harness.sending("HEAD", "/api/v2/dags", "", "");
    let mut client = harness.connect().await;
    client.send(head).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");

    // an SDK repeats it
    let body = json!({"Path": "/dags/x", "Method": "PATCH", "Body": []}).to_string();
    let reply = send(&harness, "POST", "/restapi/demo", &body).await;
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("InternalServerException"),
        "{reply}"
    );
}

#[tokio::test]
async fn errors_of_aws_are_faults_and_a_change_is_sent_once() {
    let harness = cut_off("3.0.6", "invoke", "").await;
    for (fault, method, code, words) in [
        (
            ControlFault::AccessDenied,
            "GET",
            "aws.denied",
            "airflow:InvokeRestApi",
        ),
        (
            ControlFault::Throttling,
            "GET",
            "aws.throttled",
            "10 calls a second",
        ),
        (ControlFault::NotFound, "GET", "aws.not_found", "demo"),
        (
            ControlFault::InternalServer,
            "GET",
            "aws.unavailable",
            "10 s and 6 MB",
        ),
        (
            ControlFault::InternalServer,
            "POST",
            "upstream.broken",
            "outcome: unknown",
        ),
        (
            ControlFault::Drop,
            "GET",
            "aws.unavailable",
            "10 s and 6 MB",
        ),
        (
            ControlFault::Drop,
            "POST",
            "upstream.broken",
            "outcome: unknown",
        ),
        (
            ControlFault::GarbageJson,
            "POST",
            "upstream.broken",
            "an invalid response",
        ),
        (
            ControlFault::HtmlServiceUnavailable,
            "POST",
            "upstream.broken",
            "outcome: unknown",
        ),
        (
            ControlFault::AccessDenied,
            "POST",
            "aws.denied",
            "role/demo/Admin",
        ),
        (
            ControlFault::Validation,
            "POST",
            "request.invoke_limit",
            "validation error",
        ),
    ] {
        let before = harness.journal().calls("InvokeRestApi");
        harness.script().rest_api_fault.always(fault.clone());
        let reply = send(&harness, method, "/api/v2/dags/x/dagRuns", "{}").await;
        assert_eq!(reply.fault(), Some(code), "{fault:?}: {reply}");
        assert!(
            reply.complaint().contains(words),
            "{fault:?}: {}",
            reply.complaint()
        );
        assert_eq!(
            harness.journal().calls("InvokeRestApi"),
            before + 1,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn the_policy_holds_and_secrets_stay_hidden() {
    let harness = cut_off(
        "3.0.6",
        "invoke",
        "environments.demo.policy = \"read-only\"\n",
    )
    .await;
    for (method, target) in [
        ("PATCH", "/api/v2/dags/x"),
        ("POST", "/api/v2/dags/x/dagRuns"),
        ("GET", "/api/v2/variables"),
    ] {
        let reply = send(&harness, method, target, "{}").await;
        assert_eq!(reply.fault(), Some("policy.read_only"), "{reply}");
    }
    let reply = harness
        .get_with("/api/v2/dags", "Origin: http://evil.example\r\n")
        .await;
    assert_eq!(reply.fault(), Some("guard.foreign_origin"), "{reply}");
    assert_eq!(harness.journal().control_count(), 0);
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_repeat_or_hold_up_anything() {
    let harness = cut_off("3.0.6", "invoke", "").await;
    harness
        .script()
        .describe_delay
        .always(Duration::from_hours(1));
    let mut client = harness.connect().await;
    let body = r#"{"is_paused": true}"#;
    client
        .send(harness.sending("PATCH", &format!("/api/v2/dags/{DAG}"), JSON, body))
        .await;
    harness
        .seen("the call", |journal| journal.calls("InvokeRestApi") == 1)
        .await;
    drop(client);
    harness.script().describe_delay.off();
    let dag = harness.get(&format!("/api/v2/dags/{DAG}")).await;
    assert_eq!(dag.json()["is_paused"], true, "{dag}");
    assert_eq!(harness.journal().calls("InvokeRestApi"), 2);
}

/// A port that refuses connections until it is opened, and then forwards them to a web server.
struct Port(TcpSocket);

impl Port {
    fn new() -> (Self, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        (Self(socket), address)
    }

    fn open(self, to: SocketAddr) -> JoinSet<()> {
        let listener = self.0.listen(64).unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(relay(listener, to));
        accepting
    }
}

async fn relay(listener: TcpListener, to: SocketAddr) {
    let mut relaying = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        relaying.spawn(async move {
            let mut far: TcpStream = TcpSocket::new_v4().unwrap().connect(to).await.unwrap();
            drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
        });
    }
}

#[tokio::test]
async fn the_web_server_is_used_again_once_it_can_be_reached() {
    let (port, address) = Port::new();
    let extra = format!(
        "environments.demo.rest_via = \"auto\"\nenvironments.demo.connect_to = \"{address}\"\n"
    );
    let harness = Harness::airflow_with(Settings::default(), "3.0.6", &extra).await;
    let calls = || harness.journal().calls("InvokeRestApi");
    let mints = || harness.journal().calls("CreateWebLoginToken");

    // the first request finds out, and the next ones know
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    assert_eq!(calls(), 1);
    let tries = mints();
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    assert_eq!((calls(), mints()), (2, tries));
    harness
        .status_says("/environments/0/rest_via", "invoke")
        .await;
    // a fault says why this route was taken
    harness
        .script()
        .rest_api_fault
        .next(1, ControlFault::AccessDenied);
    let reply = harness.get("/api/v2/dags").await;
    assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
    assert!(reply.complaint().contains(&address.to_string()), "{reply}");

    let _open = port.open(harness.emulator().web_addr());
    harness.advance(Duration::from_secs(31));
    eventually("the web server's turn", async || {
        assert_eq!(harness.get("/api/v2/dags").await.status, 200);
        (!harness.reached().is_empty()).then_some(())
    })
    .await;
    let before = calls();
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    assert_eq!(calls(), before);
    harness
        .status_says("/environments/0/rest_via", "direct")
        .await;
}

#[tokio::test]
async fn a_web_server_that_refuses_the_login_is_used_again_too() {
    for is_known in [true, false] {
        let (port, address) = Port::new();
        let extra = format!(
            "environments.demo.rest_via = \"auto\"\nenvironments.demo.connect_to = \"{address}\"\n"
        );
        let harness = Harness::airflow_with(Settings::default(), "3.0.6", &extra).await;
        assert_eq!(harness.get("/api/v2/dags").await.status, 200);
        let script = harness.script();
        let code = if is_known {
            script.login_fault.always(WebFault::html(403));
            "session.login_failed"
        } else {
            // AWS issues no token, so only its earlier response names the web server's host
            script.web_login_fault.always(ControlFault::AccessDenied);
            "aws.denied"
        };

        let _open = port.open(harness.emulator().web_addr());
        harness.advance(Duration::from_secs(31));
        let reply = eventually("the web server's turn", async || {
            let reply = harness.get("/api/v2/dags").await;
            (reply.status != 200).then_some(reply)
        })
        .await;
        assert_eq!(reply.fault(), Some(code), "{reply}");
        harness
            .status_says("/environments/0/rest_via", "direct")
            .await;
    }
}

#[tokio::test]
async fn a_fault_other_than_no_connection_is_no_reason_for_another_route() {
    let extra = "environments.demo.rest_via = \"auto\"\n";
    let harness = Harness::airflow_with(Settings::default(), "3.0.6", extra).await;
    assert_eq!(harness.pause("/api/v2", true).await.status, 200);
    // the request was written, and a second one could act twice
    harness.script().web_fault.always(WebFault::Drop);
    let reply = harness.pause("/api/v2", false).await;
    assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
    harness.script().web_fault.off();
    harness
        .script()
        .web_login_fault
        .always(ControlFault::AccessDenied);
    harness.script().kill_sessions();
    let reply = harness.pause("/api/v2", false).await;
    assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
    assert_eq!(harness.journal().calls("InvokeRestApi"), 0);
}

/// A REST API of AWS whose every byte a test decides: takes one call, and returns its document.
async fn answer_once(listener: &TcpListener, document: &str) -> (String, String) {
    let (stream, _) = soon("a call", listener.accept()).await.unwrap();
    let mut call = Client::over(stream);
    let head = call.head().await;
    let length = head.to_ascii_lowercase();
    let (_, length) = length.split_once("content-length: ").unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let body = String::from_utf8(call.bytes(length).await).unwrap();
    call.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{document}",
        document.len()
    ))
    .await;
    (head, body)
}

#[tokio::test]
async fn documents_keep_every_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let harness = cut_off(
        "3.0.6",
        "invoke",
        &format!("aws.endpoint_url = \"http://{address}\"\n"),
    )
    .await;
    let object = r#"{ "n":123456789012345678901234567890, "f":1.10, "e":1e400, "n":-0, "s":"\ud83d\ude00" }"#;
    let deep = "[".repeat(3_000) + &"]".repeat(3_000);
    for response in [object, &*deep] {
        let document = format!(r#"{{"RestApiStatusCode":201, "RestApiResponse": {response}}}"#);
        let target = "/api/v2/dags/a%2Fb/dagRuns?tags=a+b&tags=c%26d&limit=1&flag";
        let (reply, (head, body)) = tokio::join!(
            send(&harness, "POST", target, object),
            answer_once(&listener, &document)
        );
        assert!(
            reply.status == 201 && reply.text() == response,
            "{:.300}",
            reply.text()
        );
        assert!(
            head.starts_with("POST /restapi/demo HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("AWS4-HMAC-SHA256"), "{head}");
        let parameters = r#"{"flag":"","limit":"1","tags":["a b","c&d"]}"#;
        assert_eq!(
            body,
            format!(
                r#"{{"Method":"POST","Path":"/dags/a%2Fb/dagRuns","QueryParameters":{parameters},"Body":{object}}}"#
            )
        );
    }
    let empty = r#"{"RestApiStatusCode":204,"RestApiResponse":{}}"#;
    let (reply, _call) = tokio::join!(
        send(&harness, "DELETE", "/api/v2/dags/x", ""),
        answer_once(&listener, empty)
    );
    assert_eq!((reply.status, reply.body.len()), (204, 0), "{reply}");
    assert_eq!(reply.header("content-type"), None);
}

#[tokio::test]
async fn bodies_and_responses_are_not_read_without_a_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let extra = format!("aws.endpoint_url = \"http://{address}\"\n");
    let harness = cut_off("3.0.6", "invoke", &extra).await;
    let runs = "/api/v2/dags/x/dagRuns";
    let longest = format!("{{\"conf\":\"{}\"}}", "x".repeat((6 << 20) - 11));
    for (method, filling, status, code, words) in [
        ("POST", 6 << 20, 200, None, ""),
        (
            "GET",
            16 << 20,
            501,
            Some("request.invoke_limit"),
            "longer than 16 MiB",
        ),
        (
            "POST",
            16 << 20,
            502,
            Some("upstream.broken"),
            "longer than 16 MiB; outcome: unknown",
        ),
    ] {
        let filling = "x".repeat(filling);
        let document =
            format!(r#"{{"RestApiStatusCode":200,"RestApiResponse":{{"x":"{filling}"}}}}"#);
        let body = if method == "POST" { &*longest } else { "" };
        let (reply, (_head, call)) = tokio::join!(
            send(&harness, method, runs, body),
            answer_once(&listener, &document)
        );
        assert!(call.contains(body), "{method}: {} bytes", call.len());
        assert!(
            (reply.status, reply.fault()) == (status, code),
            "{method}: {:.300}",
            reply.text()
        );
        let complaint = code.map(|_fault| reply.complaint()).unwrap_or_default();
        assert!(complaint.contains(words), "{complaint}");
        assert_eq!(
            complaint.contains("rest_via"),
            code.is_some(),
            "{complaint}"
        );
    }

    // one byte more: as a length, and in a chunk
    let length = longest.len() + 1;
    for (headers, body) in [
        (format!("Content-Length: {length}"), String::new()),
        (
            "Transfer-Encoding: chunked".to_owned(),
            format!("{length:x}\r\n{longest} \r\n"),
        ),
    ] {
        let host = harness.address();
        let mut client = harness.connect().await;
        client
            .send(format!(
                "POST {runs} HTTP/1.1\r\nHost: {host}\r\n{JSON}{headers}\r\n\r\n{body}"
            ))
            .await;
        let reply = client.response().await;
        assert_eq!(
            (reply.status, reply.fault()),
            (501, Some("request.invoke_limit")),
            "{reply}"
        );
        assert!(reply.complaint().contains("longer than 6 MiB"), "{reply}");
    }
    let document = format!(r#"{{"Path":"/dags/x/dagRuns","Method":"POST","Body":{longest} }}"#);
    let document = document.replacen("\"conf\"", "\"con_f\"", 1);
    let reply = send(&harness, "POST", "/restapi/demo", &document).await;
    assert!(reply.text().contains("longer than 6 MiB"), "{reply}");
}

#[tokio::test]
async fn a_body_that_only_the_web_server_takes_goes_there() {
    let extra = "environments.demo.rest_via = \"auto\"\n";
    let harness = Harness::airflow_with(Settings::default(), "3.0.6", extra).await;
    let body = format!(
        r#"{{"is_paused": true, "filling": "{}"}}"#,
        "x".repeat(6 << 20)
    );
    let reply = send(&harness, "PATCH", &format!("/api/v2/dags/{DAG}"), &body).await;
    assert_eq!(reply.fault(), None, "{:.300}", reply.text());
    assert_eq!(harness.reached().len(), 1);
    assert_eq!(harness.journal().calls("InvokeRestApi"), 0);
}

#[tokio::test]
async fn a_read_only_client_does_not_see_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let extra = format!(
        "aws.endpoint_url = \"http://{address}\"\nenvironments.demo.policy = \"read-only\"\n"
    );
    let harness = cut_off("3.0.6", "invoke", &extra).await;
    let document = r#"{"RestApiStatusCode":200,"RestApiResponse":{"rendered_fields":{"sql":"canary"},"n":1}}"#;
    let (reply, _call) = tokio::join!(
        harness.get("/api/v2/dags/x/dagRuns/y/taskInstances/z"),
        answer_once(&listener, document)
    );
    assert_eq!(reply.text(), r#"{"rendered_fields":{},"n":1}"#, "{reply}");
}

/// As with AWS_ENDPOINT_URL_MWAA in the environment of a second gateway, or of the gateway itself.
#[tokio::test]
async fn gateways_do_not_call_each_other_for_ever() {
    let outer = cut_off("3.0.6", "direct", "").await;
    let address = outer.address();
    let extra = format!("aws.endpoint_url = \"http://{address}\"\n");
    let inner = cut_off("3.0.6", "invoke", &extra).await;
    let reply = inner.get("/api/v2/dags").await;
    assert_eq!(reply.fault(), Some("aws.unavailable"), "{reply}");
    assert!(
        reply.complaint().contains("AWS_ENDPOINT_URL_MWAA"),
        "{reply}"
    );
    assert_eq!(outer.journal().control_count(), 0);
}
