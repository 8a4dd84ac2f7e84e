//! The way back: MWAA's JSON byte for byte, the decoded forms, and what is no output at all.

use crate::support::{Harness, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mwaa_emulator::{FailureForm, Noise, Settings, WebFault};

const TEXT: &str = "Accept: text/plain\r\n";
const JSON: &str = "Accept: application/vnd.mwaa-gateway.cli+json\r\n";
const SUCCEEDED: &str = "mwaa-gateway-succeeded";

async fn ask(harness: &Harness, headers: &str, command: &str) -> Response {
    let request = harness.request_with(headers, command);
    let reply = harness.connect().await.exchange(request).await;
    let id = reply.header("mwaa-gateway-request-id").unwrap_or_default();
    assert!(!id.is_empty(), "every reply has an id: {reply}");
    reply
}

/// What the emulator says for this output; its spacing is Python's, as MWAA's is.
fn mwaa_json(stdout: &str, stderr: &str) -> String {
    let (stdout, stderr) = (STANDARD.encode(stdout), STANDARD.encode(stderr));
    format!("{{\"stderr\": \"{stderr}\", \"stdout\": \"{stdout}\"}}")
}

#[tokio::test]
async fn mwaa_s_own_json_passes_byte_for_byte() {
    let harness = Harness::new().await;
    let expected = mwaa_json("2.10.3\n", "");
    for accept in [
        "",
        "Accept: */*\r\n",
        "Accept: application/json\r\n",
        "Accept: application/json, text/plain;q=0.5\r\n",
        "Accept: image/png\r\n",
        "Accept: text/plain;q=0\r\n",
    ] {
        let reply = ask(&harness, accept, "version").await;
        assert_eq!(reply.status, 200, "{accept}{reply}");
        assert_eq!(reply.text(), expected, "{accept}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/json"),
            "{accept}"
        );
        assert_eq!(reply.header(SUCCEEDED), None, "{accept}: only we decode");
        assert_eq!(reply.fault(), None, "{accept}");
    }
    // any bytes at all: the raw form does not look at them
    let odd = b"{\"stdout\":\n\n \"\\u0041\", \"x\": 1e5}\xff\0 trailing";
    let mut raw =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", odd.len()).into_bytes();
    raw.extend_from_slice(odd);
    harness.script().web_fault.next(1, WebFault::Raw(raw));
    assert_eq!(ask(&harness, "", "version").await.body, odd);
}

#[tokio::test]
async fn output_is_decoded_on_request() {
    let harness = Harness::new().await;
    for accept in [
        TEXT,
        "Accept: text/*\r\n",
        "Accept: Text/Plain, */*;q=0.1\r\n",
    ] {
        let reply = ask(&harness, accept, "version").await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "2.10.3\n"),
            "{accept}{reply}"
        );
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(reply.header(SUCCEEDED), Some("true"));
        assert_eq!(reply.header("content-length"), Some("7"));
    }
    let reply = ask(&harness, JSON, "version").await;
    assert_eq!(
        reply.header("content-type"),
        Some("application/vnd.mwaa-gateway.cli+json")
    );
    let expected = serde_json::json!({"stdout": "2.10.3\n", "stderr": "", "succeeded": true});
    assert_eq!(reply.json(), expected);
    assert_eq!(reply.header(SUCCEEDED), Some("true"));
}

#[tokio::test]
async fn a_failed_command_is_recognised_with_status_200_and_400() {
    for (form, status) in [(FailureForm::BadRequest, 400), (FailureForm::Ok, 200)] {
        let settings = Settings {
            failure_form: form,
            ..Settings::default()
        };
        let harness = Harness::with(settings, "").await;
        let command = "variables get nosuch";
        let raw = ask(&harness, "", command).await;
        assert_eq!((raw.status, raw.fault()), (status, None), "{raw}");
        let stderr = raw.json()["stderr"].as_str().unwrap().to_owned();
        let stderr = String::from_utf8(STANDARD.decode(stderr).unwrap()).unwrap();
        assert!(stderr.contains("nosuch"), "{stderr}");
        assert_eq!(raw.text(), mwaa_json("", &stderr), "{form:?}");

        let text = ask(&harness, TEXT, command).await;
        assert_eq!((text.status, text.fault()), (status, None), "{text}");
        assert_eq!(
            text.text(),
            stderr,
            "{form:?}: stderr when the command failed"
        );
        assert_eq!(text.header(SUCCEEDED), Some("false"), "{form:?}");

        let json = ask(&harness, JSON, command).await;
        assert_eq!(json.status, status);
        let expected = serde_json::json!({"stdout": "", "stderr": stderr, "succeeded": false});
        assert_eq!(json.json(), expected, "{form:?}");
    }
}

#[tokio::test]
async fn output_with_noise_is_returned_and_is_not_a_failure() {
    let harness = Harness::new().await;
    let noise = &harness.script().noise;
    for (kind, stdout, stderr) in [
        (Noise::Ansi, "\u{1b}[34m2.10.3\u{1b}[0m\n", ""),
        (Noise::Empty, "", ""),
        (
            Noise::Stderr,
            "2.10.3\n",
            "UserWarning: Could not import graphviz",
        ),
        (
            Noise::Warnings,
            "[\u{1b}[34m2026-11-22T09:30:00.000+0000\u{1b}[0m]",
            "",
        ),
        (Noise::Huge(1_000_000), "2.10.3\n.....", ""),
    ] {
        noise.always(kind);
        let json = ask(&harness, JSON, "version").await;
        assert_eq!(json.status, 200, "{kind:?}: {json}");
        let body = json.json();
        let word = |name: &str| body[name].as_str().unwrap().to_owned();
        // `version` that prints nothing: it is unknown whether it succeeded
        let succeeded = if stdout.is_empty() { "unknown" } else { "true" };
        let verdict = body["succeeded"].to_string();
        assert_eq!(verdict.trim_matches('"'), succeeded, "{kind:?}");
        assert!(word("stdout").contains(stdout), "{kind:?}");
        assert!(word("stderr").contains(stderr), "{kind:?}");
        let text = ask(&harness, TEXT, "version").await;
        assert_eq!(
            text.text(),
            word("stdout"),
            "{kind:?}: stdout and nothing else"
        );
        assert_eq!(text.header(SUCCEEDED), Some(succeeded), "{kind:?}");
        let raw = ask(&harness, "", "version").await;
        assert_eq!(
            raw.text(),
            mwaa_json(&word("stdout"), &word("stderr")),
            "{kind:?}"
        );
    }
}

/// Warnings, log lines and colour codes are apart from the output, and `-o json` is found.
#[tokio::test]
async fn the_full_result_is_clean() {
    let harness = Harness::new().await;
    let (full, output) = (
        "Accept: application/vnd.mwaa-gateway.cli+json; detail=full\r\n",
        "Accept: text/plain; detail=output\r\n",
    );
    let command = "dags list -o json";
    let clean = ask(&harness, TEXT, command).await.text();
    let document: serde_json::Value = serde_json::from_str(&clean).unwrap();
    for (kind, warnings) in [
        (None, 0),
        (Some(Noise::Ansi), 0),
        (Some(Noise::Stderr), 1),
        (Some(Noise::Warnings), 3),
    ] {
        if let Some(kind) = kind {
            harness.script().noise.always(kind);
        }
        let reply = ask(&harness, full, command).await;
        assert_eq!(
            reply.header("content-type"),
            Some("application/vnd.mwaa-gateway.cli+json; detail=full")
        );
        let body = reply.json();
        assert_eq!(body["succeeded"], true, "{kind:?}");
        assert_eq!(body["reason"], serde_json::Value::Null, "{kind:?}");
        assert_eq!(body["json"], document, "{kind:?}");
        assert_eq!(body["output"], clean.trim_end(), "{kind:?}");
        assert_eq!(body["errors"], "", "{kind:?}");
        assert_eq!(
            body["warnings"].as_array().unwrap().len(),
            warnings,
            "{kind:?}"
        );
        let text = ask(&harness, output, command).await;
        assert_eq!(text.text(), clean.trim_end(), "{kind:?}");
        assert_eq!(
            text.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
    let failed = ask(&harness, full, "variables get nosuch").await;
    assert_eq!(failed.status, 400);
    let body = failed.json();
    assert_eq!(
        (&body["succeeded"], &body["reason"]),
        (&false.into(), &"status 400".into())
    );
    assert!(body.get("json").is_none(), "it was not asked for: {body}");
    let text = ask(&harness, output, "variables get nosuch").await;
    assert_eq!(
        text.text(),
        body["errors"].as_str().unwrap(),
        "why it failed"
    );
    // MWAA's own text, whatever it is
    harness.script().web_fault.next(1, WebFault::NotJson);
    assert_eq!(
        ask(&harness, full, command).await.fault(),
        Some("upstream.broken")
    );
}

/// A body that cannot be decoded is a fault in the decoded forms; the raw form passes it on.
#[tokio::test]
async fn an_undecodable_body_is_a_fault_only_in_decoded_forms() {
    let harness = Harness::new().await;
    let fault = &harness.script().web_fault;
    for (spoilt, raw_body) in [
        (WebFault::NotJson, "<html>Airflow is starting</html>"),
        (WebFault::BadBase64, r#"{"stderr": "", "stdout": "%%%"}"#),
    ] {
        fault.always(spoilt.clone());
        let raw = ask(&harness, "", "version").await;
        assert_eq!(
            (raw.status, raw.text().as_str()),
            (200, raw_body),
            "{spoilt:?}"
        );
        for accept in [TEXT, JSON] {
            let reply = ask(&harness, accept, "version").await;
            assert_eq!(
                (reply.status, reply.fault()),
                (502, Some("upstream.broken")),
                "{spoilt:?}: {reply}"
            );
        }
    }
    fault.always(WebFault::CutBody);
    for accept in [TEXT, JSON] {
        let reply = ask(&harness, accept, "version").await;
        assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
        assert!(
            reply.complaint().contains("the command ran"),
            "{}",
            reply.complaint()
        );
    }
    // a cut reply is never a complete one
    let mut client = harness.connect().await;
    client.send(harness.request("version")).await;
    assert!(client.try_response().await.is_err(), "the cut is seen");
}

/// Error pages of the web server are not ours to change.
#[tokio::test]
async fn error_pages_are_returned_with_their_status() {
    let harness = Harness::new().await;
    for status in [404, 429, 500, 501] {
        harness.script().web_fault.always(WebFault::html(status));
        for accept in ["", TEXT, JSON] {
            let reply = ask(&harness, accept, "version").await;
            assert_eq!(
                (reply.status, reply.fault()),
                (status, None),
                "{accept}{reply}"
            );
            let page =
                format!("<html><head><title>{status}</title></head><body></body></html>\n");
            assert_eq!(reply.text(), page, "byte for byte: {reply}");
            assert_eq!(reply.header("content-type"), Some("text/html"), "{accept}");
            assert_eq!(reply.header(SUCCEEDED), None, "{accept}");
        }
    }
    harness.script().web_fault.always(WebFault::Raw(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
            .to_vec(),
    ));
    let reply = ask(&harness, "", "version").await;
    assert_eq!(
        (reply.status, reply.fault()),
        (502, Some("upstream.broken")),
        "G-11 {reply}"
    );
    for bytes in [
        WebFault::garbage_head(),
        WebFault::Raw(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec(),
        ),
        WebFault::Raw(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n".to_vec()),
    ] {
        harness.script().web_fault.always(bytes.clone());
        let reply = ask(&harness, "", "version").await;
        assert_eq!(
            reply.fault(),
            Some("upstream.broken"),
            "G-14 {bytes:?}: {reply}"
        );
        assert!(reply.complaint().contains("outcome: unknown"), "{reply}");
    }
}

/// More output than the limit is an error and never a cut; the raw form has no limit.
#[tokio::test]
async fn decoded_output_has_an_exact_limit() {
    const LIMIT: usize = 64 * 1024;
    let harness = Harness::configured("[limits]\ncli_output = \"64KiB\"\n").await;
    let version = "2.10.3\n".len();
    for (size, fits) in [
        (LIMIT, true),
        (LIMIT + 1, false),
        (LIMIT + 4096, false),
        (4 * LIMIT, false),
    ] {
        harness.script().noise.always(Noise::Huge(size - version));
        for accept in [TEXT, JSON] {
            let reply = ask(&harness, accept, "version").await;
            if fits {
                assert_eq!(reply.status, 200, "{size}: {reply}");
                assert!(
                    reply.body.len() >= size,
                    "{size}: cut to {}",
                    reply.body.len()
                );
            } else {
                let code = Some("upstream.output_too_large");
                assert_eq!(
                    (reply.status, reply.fault()),
                    (502, code),
                    "{size}: {reply}"
                );
                let told = reply.json();
                let (detail, hint) = (told["detail"].as_str(), told["hint"].as_str());
                assert!(detail.unwrap().contains("the command ran"), "{told}");
                assert!(hint.unwrap().contains("only if that is safe"), "{told}");
            }
        }
        let raw = ask(&harness, "", "version").await;
        assert_eq!(raw.stdout().len(), size, "raw");
    }
}

#[tokio::test]
async fn other_methods_get_405_with_allow() {
    let harness = Harness::new().await;
    let mut client = harness.connect().await;
    let head = format!(
        "HEAD /aws_mwaa/cli HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        harness.address()
    );
    client.send(head).await;
    let reply = String::from_utf8(client.rest().await)
        .unwrap()
        .to_ascii_lowercase();
    assert!(reply.starts_with("http/1.1 405 "), "{reply}");
    assert!(reply.ends_with("\r\n\r\n"), "no body after HEAD: {reply}");
    for field in [
        "allow: post",
        "mwaa-gateway-fault: request.method",
        "mwaa-gateway-request-id: ",
    ] {
        assert!(reply.contains(&format!("\r\n{field}")), "{field}: {reply}");
    }
}

#[tokio::test]
async fn every_request_has_an_id_of_its_own() {
    let harness = Harness::new().await;
    let mut ids = std::collections::BTreeSet::new();
    for (headers, command) in [
        ("", "version"),
        (TEXT, "version"),
        ("", "users list"),
        ("", ""),
    ] {
        let reply = ask(&harness, headers, command).await;
        let id = reply.header("mwaa-gateway-request-id").unwrap().to_owned();
        if reply.fault().is_some() {
            assert_eq!(reply.json()["request_id"], id, "body and header agree");
        }
        assert!(ids.insert(id), "{ids:?}");
    }
}
