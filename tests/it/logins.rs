//! Clients that log in with a user name and password: Airflow 3 gets a token from the gateway,
//! and no password reaches a web server or a log.

use crate::program::{Running, command};
use crate::support::airflow::JSON;
use crate::support::{Client, Harness, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mwaa_emulator::{Emulator, Seed, Settings, TokenKind};
use mwaa_runtime::Timestamp;
use serde_json::Value;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const LOGIN: &str = r#"{"username":"me","password":"hunter2"}"#;
const READERS: &str =
    "[listeners.readers]\naddress = \"127.0.0.1:0\"\npolicy = \"read-only\"\n";

/// Checks that AWS issued no token and that the web server was not called.
fn nothing_happened(harness: &Harness) {
    let journal = harness.journal();
    assert_eq!(
        (
            harness.mints(),
            harness.web_mints(),
            journal.web_connections()
        ),
        (0, 0, 0)
    );
}

/// The claims of the token in a reply.
fn claims(reply: &Response) -> Value {
    let body = reply.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&Value::from("bearer"), &Value::from(86_400)),
        "{reply}"
    );
    let token = body["access_token"].as_str().unwrap();
    let parts: Vec<_> = token
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
        .collect();
    let [header, claims, _] = parts.as_slice() else {
        panic!("{token}")
    };
    let header: Value = serde_json::from_slice(header).unwrap();
    assert_eq!(header["alg"], "none");
    serde_json::from_slice(claims).unwrap()
}

#[tokio::test]
async fn airflow_3_clients_get_a_token_under_every_policy() {
    for version in ["3.0.6", "3.3.1"] {
        let harness = Harness::airflow_with(Settings::default(), version, READERS).await;
        for door in [0, 1] {
            // one connection: each body is read to its end
            let mut client = Client::tcp(harness.door(door)).await;
            for (status, request) in [
                (200, harness.asking("GET", "/auth/token", "")),
                (200, harness.sending("GET", "/auth/token", JSON, LOGIN)),
                (201, harness.sending("POST", "/auth/token", JSON, LOGIN)),
                (
                    201,
                    harness.sending("POST", "/auth/token/", FORM, "username=me"),
                ),
                (201, harness.sending("POST", "/auth/t%6fken?x", "", "")),
                (201, harness.sending("POST", "/auth/token/cli", JSON, LOGIN)),
                (200, harness.asking("GET", "/auth/token", "")),
            ] {
                let own = harness.door(door).to_string();
                let request = request.replace(&harness.address().to_string(), &own);
                let reply = client.exchange(&request).await;
                assert_eq!(
                    (reply.status, reply.fault()),
                    (status, None),
                    "{request}{reply}"
                );
                assert_eq!(reply.header("content-type"), Some("application/json"));
                assert_eq!(reply.header("cache-control"), Some("no-store"));
                let claims = claims(&reply);
                assert_eq!(claims["sub"], "mwaa-gateway");
                let left = claims["exp"].as_u64().unwrap() - Timestamp::now().wall().as_secs();
                assert!((86_000..=86_400).contains(&left), "{claims}");
            }
        }
        nothing_happened(&harness);
    }
}

#[tokio::test]
async fn the_token_is_not_forwarded() {
    let harness = Harness::airflow("3.3.1").await;
    let token = harness.get("/auth/token").await.json();
    let token = token["access_token"].as_str().unwrap();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(harness.get_with("/api/v2/dags", &bearer).await.status, 200);
    let reached = harness.reached();
    assert_eq!(reached.len(), 1);
    assert!(!format!("{reached:?}").contains(token), "{reached:?}");
}

/// Clients use this 404 to distinguish Airflow 2 from Airflow 3.
#[tokio::test]
async fn airflow_2_has_no_token_route() {
    let harness = Harness::airflow("2.10.3").await;
    for request in [
        harness.asking("GET", "/auth/token", ""),
        harness.sending("POST", "/auth/token", JSON, LOGIN),
        harness.sending("POST", "/auth/token/cli", JSON, LOGIN),
    ] {
        let reply = harness.connect().await.exchange(&request).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (404, Some("route.unknown_path")),
            "{reply}"
        );
        assert!(
            reply.json()["hint"]
                .as_str()
                .unwrap()
                .contains("without a login")
        );
    }
    nothing_happened(&harness);
}

#[tokio::test]
async fn no_spelling_of_a_login_path_is_forwarded() {
    for version in ["2.10.3", "3.3.1"] {
        let harness = Harness::airflow(version).await;
        for path in [
            "/auth/token",
            "/auth/token/",
            "/auth/token%2F",
            "/auth%2ftoken",
            "/%61uth/token",
            "/auth/token//",
            "//auth/token",
            "/auth//token",
            "/auth/./token",
            "/x/../auth/token",
            "/x/%2e%2e/auth/token",
            "/auth/token;x",
            "/auth/token%20",
            "/auth/token%00",
            "/auth/%2574oken",
            "/auth\\token",
            "/AUTH/Token",
            "/auth/token/login",
            "/auth/token/client-credentials",
            "/auth/token/cli/",
            "/auth/token/CLI",
            "/api/v2/auth/token",
            "/api/v2//auth/token",
            "/api/v2/auth%2Ftoken",
            "/api/v2/%2561uth/token",
            "/api/v2/auth%5Ctoken",
            "/api/v2/..%252f..%252fauth/token",
            "/api/v2/auth/token/cli",
            "/api/v1/auth/token",
            "/api/auth/token",
            "/api/v1/security/login",
            "/api/v1/security%2Flogin/",
            "/auth/api/v1/security/login",
            "/ui/auth/token",
            "/login",
            "/login/",
            "/Login/",
            "/%6cogin/?next=/",
            "/auth/login",
            "/auth/login/",
            "/auth/login%2f",
            "/api/v2/auth/login",
            "/aws_mwaa/login",
            "/pluginsv2/aws_mwaa/login",
        ] {
            for method in ["POST", "PUT"] {
                let request = harness.sending(method, path, JSON, LOGIN);
                let reply = harness.connect().await.exchange(request).await;
                let ours = reply.fault().is_some() || matches!(reply.status, 201 | 302 | 303);
                assert!(ours, "{version} {method} {path}: {reply}");
            }
        }
        nothing_happened(&harness);
    }
}

/// Names below the API are opaque: a path there that looks like a login may be a variable.
#[tokio::test]
async fn a_variable_may_be_named_like_a_login() {
    let harness = Harness::airflow("3.3.1").await;
    for path in [
        "/api/v2/variables/auth/token",
        "/api/v2/dags/security/login",
    ] {
        harness.get(path).await;
        assert_eq!(harness.reached().pop().unwrap().target, path);
    }
}

#[tokio::test]
async fn other_methods_get_405_with_allow() {
    let harness = Harness::airflow("3.3.1").await;
    for (method, path, allow) in [
        ("PUT", "/auth/token", "GET, POST"),
        ("DELETE", "/auth/token/", "GET, POST"),
        ("OPTIONS", "/auth/token", "GET, POST"),
        ("GET", "/auth/token/cli", "POST"),
    ] {
        let request = harness.asking(method, path, "");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            (reply.status, reply.fault(), reply.header("allow")),
            (405, Some("request.method"), Some(allow)),
            "{method} {path}: {reply}"
        );
    }
    nothing_happened(&harness);
}

#[tokio::test]
async fn the_size_of_a_login_body_is_limited() {
    let harness = Harness::airflow("3.3.1").await;
    for (size, status) in [(65_536, 201), (65_537, 413)] {
        let body = "x".repeat(size);
        let chunks = format!("{size:x}\r\n{body}\r\n0\r\n\r\n");
        let chunked = "Transfer-Encoding: chunked\r\n";
        for request in [
            harness.sending("POST", "/auth/token", JSON, &body),
            harness.asking("POST", "/auth/token", chunked) + &chunks,
        ] {
            let reply = harness.connect().await.exchange(request).await;
            let fault = (status == 413).then_some("request.too_large");
            assert_eq!(
                (reply.status, reply.fault()),
                (status, fault),
                "{size}: {reply}"
            );
        }
    }
    // it is refused before it is sent
    let head = "Expect: 100-continue\r\nContent-Length: 65537\r\n";
    let mut client = harness.connect().await;
    client
        .send(harness.asking("POST", "/auth/token", head))
        .await;
    assert_eq!(client.response().await.status, 413);
    nothing_happened(&harness);
}

#[tokio::test]
async fn the_guard_checks_come_before_the_login() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "open-sesame").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    let extra = format!("listener.secret_file = \"{}\"\n", file.display());
    let harness = Harness::airflow_with(Settings::default(), "3.3.1", &extra).await;
    let good = "Mwaa-Gateway-Secret: open-sesame\r\n";
    for (status, fault, headers) in [
        (401, Some("guard.secret"), String::new()),
        (
            403,
            Some("guard.foreign_origin"),
            format!("{good}Origin: http://evil.example\r\n"),
        ),
        (201, None, good.to_owned()),
    ] {
        let request = harness.sending("POST", "/auth/token", &headers, LOGIN);
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!((reply.status, reply.fault()), (status, fault), "{reply}");
    }
    nothing_happened(&harness);
}

/// A form that is posted to Airflow's login page is not followed by another POST, whose body
/// would be forwarded; and a script that logs in often is no browser that is sent around.
#[tokio::test]
async fn a_login_form_is_redirected_with_303() {
    for (version, page) in [("2.10.3", "/login/"), ("3.3.1", "/auth/login/?next=/home")] {
        let harness = Harness::airflow(version).await;
        for _ in 0..10 {
            let request = harness.sending("POST", page, FORM, "username=me&password=hunter2");
            let reply = harness.connect().await.exchange(request).await;
            let to = if page.contains("next") { "/home" } else { "/" };
            assert_eq!(
                (reply.status, reply.header("location")),
                (303, Some(to)),
                "{version}: {reply}"
            );
        }
        nothing_happened(&harness);
    }
}

/// A password, in each of the places where clients put it.
const CANARY: &str = "canary-pass+w/rd";

/// Every way to log in, through the real program at its most talkative.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_not_logged_returned_or_forwarded() {
    let names = ["two", "three"];
    let settings = Settings {
        environments: vec![Seed::new("two", "2.10.3"), Seed::new("three", "3.3.1")],
        ..Settings::default()
    };
    let emulator = Emulator::start(settings).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (ca_file, file) = (folder.path().join("ca.pem"), folder.path().join("g.toml"));
    std::fs::write(&ca_file, emulator.ca_pem()).unwrap();
    let config = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\n[management]\naddress = \"127.0.0.1:0\"\n\
         [limits]\nbody_idle = \"200ms\"\n[audit]\nfile = \"audit.log\"\n{}",
        emulator.config_toml(&ca_file)
    );
    std::fs::write(&file, config).unwrap();
    let mut serve = command(&["serve", "--log", "trace", "--config"]);
    serve
        .arg(&file)
        .env("AWS_ACCESS_KEY_ID", emulator.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", emulator.secret_access_key());
    let mut gateway = Running::start(serve);
    let url = gateway.told("listening on http://").await;
    let address = url.parse().unwrap();
    let management = gateway.told("management on http://").await.parse().unwrap();

    let port = url.rsplit(':').next().unwrap();
    let basic = STANDARD.encode(format!("me:{CANARY}"));
    let (json, form) = (
        format!(r#"{{"username":"me","password":"{CANARY}"}}"#),
        format!("username=me&password={CANARY}"),
    );
    let (mut said, mut statuses) = (Vec::new(), Vec::new());
    for name in names {
        for (path, media, body) in [
            ("/auth/token", JSON, &json),
            ("/auth/token/cli", JSON, &json),
            ("/auth/token", FORM, &form),
            ("/auth/token/login", FORM, &form),
            ("/api/v2/auth/token", JSON, &json),
            ("/api/v1/security/login", JSON, &json),
            ("/login/", FORM, &form),
            ("/auth/login/", FORM, &form),
            ("/auth//token", JSON, &json),
        ] {
            let head = format!(
                "POST {path}?password={CANARY} HTTP/1.1\r\nHost: {name}.localhost:{port}\r\n\
                 Authorization: Basic {basic}\r\n{media}"
            );
            let whole = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            let stuck = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len() + 1);
            let broken = format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}");
            let long = format!("{head}Content-Length: 70000\r\n\r\n{body}");
            for request in [whole, stuck, broken, long] {
                let mut client = Client::tcp(address).await;
                client.send(request).await;
                let reply = client.response().await;
                statuses.push(reply.status);
                said.push(reply.to_string());
            }
        }
        // and then with what they believe to be a credential
        let request = format!(
            "GET /api/v{}/dags HTTP/1.1\r\nHost: {name}.localhost:{port}\r\n\
             Authorization: Basic {basic}\r\n\r\n",
            if name == "two" { 1 } else { 2 }
        );
        let reply = Client::tcp(address).await.exchange(request).await;
        assert_eq!(reply.status, 200, "{reply}");
        said.push(reply.to_string());
    }
    for right in [201, 303, 400, 404, 408, 413] {
        assert!(statuses.contains(&right), "no {right} among {statuses:?}");
    }
    for (address, path) in [
        (management, "/metrics"),
        (management, "/status"),
        (address, "/-/"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        said.push(Client::tcp(address).await.exchange(request).await.text());
    }
    let ended = gateway.stop().await;
    assert!(ended.stderr.lines().count() > 100, "{}", ended.stderr);
    said.extend([ended.stderr, ended.stdout]);
    said.push(std::fs::read_to_string(folder.path().join("audit.log")).unwrap());

    let requests = emulator.journal().web_requests();
    // two logins with a web token, and the two requests after it
    assert_eq!(requests.len(), 4, "{requests:?}");
    assert_eq!(emulator.journal().mints(TokenKind::Web), 2);
    said.push(format!("{requests:?}"));
    for canary in [CANARY, "canary-pass%2Bw", basic.as_str()] {
        let told = said.iter().flat_map(|text| text.lines());
        let told: Vec<_> = told.filter(|line| line.contains(canary)).collect();
        assert!(told.is_empty(), "{canary} was told: {told:?}");
    }
}
