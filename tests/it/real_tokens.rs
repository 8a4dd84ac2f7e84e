//! AWS's own tokens on the listener (`aws_tokens = "real"`): who gets them, and what is written about it.

use crate::support::{Client, Harness, Response};
use mwaa_emulator::{Settings, TokenKind};
use serde_json::{Value, json};

const REAL: &str =
    "environments.demo.aws_tokens = \"real\"\nenvironments.demo.policy = \"all\"\n";

async fn start(extra: &str) -> Harness {
    Harness::airflow_with(Settings::default(), "3.0.6", extra).await
}

async fn call(harness: &Harness, path: &str, headers: &str) -> Response {
    let request = harness.sending("POST", path, headers, "");
    harness.connect().await.exchange(request).await
}

#[tokio::test]
async fn a_cli_token_is_the_one_that_the_gateway_uses() {
    let harness = start(REAL).await;
    let first = call(&harness, "/clitoken/demo", "").await;
    assert_eq!((first.status, first.fault()), (200, None), "{first}");
    let again = call(&harness, "/clitoken/demo", "").await;
    let token = first.json()["CliToken"].as_str().unwrap().to_owned();
    assert_eq!(again.json()["CliToken"], json!(token));
    assert_eq!(
        first.json()["WebServerHostname"].as_str(),
        harness.emulator().host("demo").as_deref()
    );

    // the real one: the web server has seen it
    assert_eq!(harness.command("version").await.status, 200);
    let sent = harness.journal().web_requests().pop().unwrap();
    assert_eq!(
        sent.header("authorization"),
        Some(&*format!("Bearer {token}"))
    );
    assert_eq!(harness.mints(), 1);
    // and it is no token of this gateway's
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let request = harness.request_with(&bearer, "version");
    assert_eq!(harness.connect().await.exchange(request).await.status, 200);
}

#[tokio::test]
async fn a_web_token_is_new_each_time_and_has_its_identities() {
    let harness = start(REAL).await;
    let mut tokens = Vec::new();
    for count in 1..=2 {
        let reply = call(&harness, "/webtoken/demo", "").await.json();
        assert_eq!(
            reply["WebServerHostname"].as_str(),
            harness.emulator().host("demo").as_deref()
        );
        assert_eq!(reply["AirflowIdentity"], "assumed-role/Admin", "{reply}");
        assert!(reply["IamIdentity"].is_string(), "{reply}");
        tokens.push(reply["WebToken"].as_str().unwrap().to_owned());
        assert_eq!(harness.journal().mints(TokenKind::Web), count);
    }
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn only_clients_that_may_do_everything_get_one() {
    let listener = |rules: &str| {
        format!("{REAL}listeners.one.address = \"127.0.0.1:0\"\nlisteners.one.{rules}\n")
    };
    for (config, door, fault, table) in [
        (
            REAL.replace("\"all\"", "\"supported\""),
            0,
            "policy.aws_operation",
            "[environments.demo]",
        ),
        (
            REAL.replace("\"all\"", "\"operator\""),
            0,
            "policy.aws_operation",
            "[environments.demo]",
        ),
        (
            REAL.replace("\"all\"", "\"read-only\""),
            0,
            "policy.read_only",
            "read-only",
        ),
        (
            format!("{REAL}environments.demo.deny = [\"dags delete\"]\n"),
            0,
            "policy.aws_operation",
            "[environments.demo]",
        ),
        (
            listener("policy = \"read-only\""),
            1,
            "policy.read_only",
            "[listeners.one]",
        ),
        (
            listener("policy = \"supported\""),
            1,
            "policy.aws_operation",
            "[listeners.one]",
        ),
        (
            listener("deny = [\"dags delete\"]"),
            1,
            "policy.aws_operation",
            "[listeners.one]",
        ),
    ] {
        let harness = start(&config).await;
        let (_, address) = harness.urls()[door].split_once("://").unwrap();
        for path in ["/clitoken/demo", "/webtoken/demo"] {
            let request =
                format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
            let reply = Client::tcp(address.parse().unwrap())
                .await
                .exchange(request)
                .await;
            assert_eq!((reply.status, reply.fault()), (403, Some(fault)), "{reply}");
            assert_eq!(
                reply.header("x-amzn-errortype"),
                Some("AccessDeniedException")
            );
            assert!(reply.text().contains(table), "{reply}");
        }
        assert_eq!(harness.journal().control_count(), 0, "{config}");
    }
}

#[tokio::test]
async fn no_page_gets_one_not_even_a_trusted_one() {
    let origin = "https://tool.example";
    let harness = start(&format!(
        "listener.trusted_origins = [\"{origin}\"]\n{REAL}"
    ))
    .await;
    let headers = format!("Origin: {origin}\r\n");
    for path in ["/clitoken/demo", "/webtoken/demo"] {
        let reply = call(&harness, path, &headers).await;
        assert_eq!(reply.fault(), Some("guard.foreign_origin"), "{reply}");
        assert!(reply.text().contains("no token of AWS's"), "{reply}");
    }
    assert_eq!(harness.journal().control_count(), 0);
}

#[tokio::test]
async fn each_one_is_in_the_audit_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let harness = start(&format!(
        "audit.file = {file:?}\naudit.required = true\n{REAL}"
    ))
    .await;
    for (path, token) in [("/clitoken/demo", "cli"), ("/webtoken/demo", "web")] {
        let reply = call(&harness, path, "").await;
        assert_eq!(reply.status, 200, "{reply}");
        // the line is there before the token is
        let log = std::fs::read_to_string(&file).unwrap();
        let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(
            (
                &line["event"],
                &line["token"],
                &line["environment"],
                &line["listener"]
            ),
            (
                &json!("token"),
                &json!(token),
                &json!("demo"),
                &json!("listener")
            )
        );
        assert_eq!(
            line["request_id"].as_str(),
            reply.header("mwaa-gateway-request-id")
        );
        let given = reply.json();
        let secret = given
            .get("CliToken")
            .or_else(|| given.get("WebToken"))
            .unwrap();
        assert!(!log.contains(secret.as_str().unwrap()), "{log}");
    }
    // a refusal is none
    let reply = call(&harness, "/clitoken/nosuch", "").await;
    assert_eq!(reply.status, 404);
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn without_a_line_in_a_required_audit_log_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let file = logs.join("audit.log");
    let extra = format!("audit.file = {file:?}\naudit.required = true\n{REAL}");
    let harness = start(&extra).await;
    std::fs::remove_dir_all(&logs).unwrap();
    for path in ["/clitoken/demo", "/webtoken/demo"] {
        let reply = call(&harness, path, "").await;
        assert_eq!(reply.fault(), Some("gateway.off_record"), "{reply}");
        assert!(!reply.text().contains("Token\""), "{reply}");
    }
}
