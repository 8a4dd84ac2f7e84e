//! The control address, used as a test in another language uses it.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::identity::Role;
use super::super::{Emulator, Journal, Settings, TokenKind};
use super::client::{
    Answer, ask, aws, cli_token, dial, exchange, post_token, request, run, sign_in, start,
    web_token,
};

async fn controlled() -> Emulator {
    start(Settings {
        control: Some(([127, 0, 0, 1], 0).into()),
        ..Settings::default()
    })
    .await
}

/// Sends one request to the control address.
async fn control(
    emulator: &Emulator,
    line: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut stream = dial(emulator.control_addr().unwrap()).await;
    let answer = exchange(&mut stream, &request(line, host, headers, body)).await;
    answer.unwrap()
}

/// The same from curl, which must succeed.
async fn done(emulator: &Emulator, line: &str, body: &str) -> Value {
    let answer = control(emulator, line, "localhost:1", &[], body).await;
    assert_eq!(answer.status, 200, "{line}: {}", answer.body);
    answer.json()
}

/// The status of a command.
async fn status(emulator: &Emulator, token: &str) -> u16 {
    let answer = run(emulator, "demo", Some(token), "version").await;
    answer.unwrap().status
}

#[tokio::test]
async fn a_fault_hits_what_it_names_and_nothing_else() {
    let emulator = controlled().await;
    let token = cli_token(&emulator, "demo").await;
    let web = web_token(&emulator, "demo", Role::Admin).await;
    let statuses = async || {
        [
            aws(&emulator, "POST /clitoken/demo").await.status,
            aws(&emulator, "POST /webtoken/demo").await.status,
            aws(&emulator, "GET /environments/demo").await.status,
            aws(&emulator, "GET /environments").await.status,
            status(&emulator, &token).await,
            post_token(&emulator, "demo", &web).await.status,
            ask(&emulator, "demo", "GET /health", &[], "").await.status,
        ]
    };
    for (place, (name, kind, status)) in [
        ("CreateCliToken", "Throttling", 400),
        ("CreateWebLoginToken", "AccessDenied", 403),
        ("GetEnvironment", "InternalServer", 500),
        ("ListEnvironments", "Unavailable", 503),
        ("command", "Status:502", 502),
        ("login", "Status:503", 503),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "kind": kind, "times": 1 }).to_string();
        let active = done(&emulator, &format!("PUT /faults/{name}"), &body).await;
        assert_eq!(active, json!({ name: { "kind": kind, "times": 1 } }));
        let mut expected = [200; 7];
        expected[place] = status;
        assert_eq!(statuses().await, expected, "{name}");
        assert_eq!(statuses().await, [200; 7], "{name} once");
        assert_eq!(done(&emulator, "GET /faults", "").await, json!({}));
    }
    // every request to a web server, until it is removed
    done(&emulator, "PUT /faults/web", r#"{"kind": "Status:500"}"#).await;
    for _ in 0..2 {
        assert_eq!(statuses().await, [200, 200, 200, 200, 500, 500, 500]);
    }
    done(&emulator, "DELETE /faults/web", "").await;
    assert_eq!(statuses().await, [200; 7]);
    done(&emulator, "PUT /faults/login", r#"{"kind": "Hang"}"#).await;
    assert_eq!(done(&emulator, "DELETE /faults", "").await, json!({}));
    assert_eq!(statuses().await, [200; 7]);
}

#[tokio::test]
async fn a_broken_answer_is_the_kind_that_was_asked_for() {
    let emulator = controlled().await;
    let token = cli_token(&emulator, "demo").await;
    let put = async |kind: &str| {
        let body = json!({ "kind": kind, "times": 1 }).to_string();
        done(&emulator, "PUT /faults/command", &body).await;
        run(&emulator, "demo", Some(&token), "version").await
    };
    for kind in ["Drop", "Reset", "CutBody"] {
        assert!(put(kind).await.is_err(), "{kind}");
    }
    assert!(put("NotJson").await.unwrap().body.contains("<html>"));
    assert!(put("BadBase64").await.unwrap().body.contains("%%%"));
}

#[tokio::test]
async fn what_is_slow_has_begun_and_is_not_answered() {
    let emulator = controlled().await;
    let token = cli_token(&emulator, "demo").await;
    for (name, kind) in [("CreateCliToken", "Slow:1h"), ("command", "Slow:30m")] {
        let body = json!({ "kind": kind }).to_string();
        let active = done(&emulator, &format!("PUT /faults/{name}"), &body).await;
        assert_eq!(active[name]["kind"], kind);
    }
    let slow = tokio::time::timeout(Duration::from_mins(1), async {
        tokio::select! {
            _ = run(&emulator, "demo", Some(&token), "version") => panic!("the command was answered"),
            _ = cli_token(&emulator, "demo") => panic!("the token was given"),
            () = emulator.journal().wait_for(|journal| {
                journal.running_commands() == 1 && journal.mints(TokenKind::Cli) == 2
            }) => {}
        }
        // cut off, as by a panic
        emulator.shared.commands.lock().unwrap().abort_all();
        let ended = |journal: &Journal| journal.running_commands() == 0;
        emulator.journal().wait_for(ended).await;
    });
    slow.await.unwrap();
}

#[tokio::test]
async fn the_journal_follows_a_token_and_shows_no_secret() {
    let emulator = controlled().await;
    let token = cli_token(&emulator, "demo").await;
    run(&emulator, "demo", Some(&token), "dags list")
        .await
        .unwrap();
    let leaked = format!("GET /home?token={token}");
    ask(&emulator, "demo", &leaked, &[], "").await;
    // in places where no token of ours belongs
    ask(&emulator, "demo", "GET /eyJh.eyJi%2Esig/x", &[], "").await;
    aws(&emulator, &format!("POST /clitoken/{token}")).await;
    let long = format!("variables set k {token} {}", "x".repeat(1 << 17));
    run(&emulator, "demo", Some(&token), &long).await.unwrap();
    let text = control(&emulator, "GET /journal", "127.0.0.1", &[], "").await;
    for secret in [&token, "eyJ", emulator.secret_access_key()] {
        assert!(!text.body.contains(secret), "{}", text.body);
    }
    let text = text.json();
    let entries = text["entries"].as_array().unwrap();
    let [minted, sent, page, foreign, named, stored] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    let masked = [&foreign["target"], &named["environment"]];
    assert_eq!(masked, ["/…/x", "…"]);
    let stored = stored["command"].as_str().unwrap();
    assert!(stored.starts_with("variables set k … xxx"), "{stored}");
    let journal = emulator.journal();
    let (body, command) = (&journal.web_requests()[3].body, &journal.commands()[1]);
    assert_eq!((body.len(), command.len()), (1 << 16, 1 << 16));
    assert_eq!(
        (&minted["kind"], &minted["operation"], &minted["status"]),
        (&json!("aws"), &json!("CreateCliToken"), &json!(200))
    );
    assert_eq!(
        (&sent["kind"], &sent["command"], &sent["environment"]),
        (&json!("web"), &json!("dags list"), &json!("demo"))
    );
    assert!(sent["token_id"].is_string());
    assert_eq!(minted["token_id"], sent["token_id"]);
    assert_eq!(page["target"], "/home");

    for (kind, count) in [("aws", 2), ("web", 4)] {
        let found = done(&emulator, &format!("GET /journal?kind={kind}"), "").await;
        assert_eq!(found["entries"].as_array().unwrap().len(), count, "{kind}");
    }
    done(&emulator, "DELETE /journal", "").await;
    let empty = done(&emulator, "GET /journal", "").await;
    assert_eq!(empty, json!({ "entries": [] }));
    run(&emulator, "demo", Some(&token), "version")
        .await
        .unwrap();
    let next = done(&emulator, "GET /journal", "").await;
    assert_eq!(next["entries"][0]["command"], "version");
}

#[tokio::test]
async fn tokens_and_sessions_end_on_request() {
    let emulator = controlled().await;
    let token = cli_token(&emulator, "demo").await;
    done(&emulator, "PUT /clock", r#"{"advance": "30s"}"#).await;
    assert_eq!(status(&emulator, &token).await, 200);
    done(&emulator, "PUT /clock", r#"{"advance": "31s"}"#).await;
    assert_eq!(status(&emulator, &token).await, 403);
    let token = cli_token(&emulator, "demo").await;
    assert_eq!(status(&emulator, &token).await, 200);
    done(&emulator, "DELETE /tokens", "").await;
    assert_eq!(status(&emulator, &token).await, 403);
    let token = cli_token(&emulator, "demo").await;
    done(&emulator, "PUT /clock", r#"{"advance": "100y"}"#).await;
    assert_eq!(status(&emulator, &token).await, 403);
    done(&emulator, "DELETE /clock", "").await;
    assert_eq!(status(&emulator, &token).await, 200);

    let login = sign_in(&emulator, "demo", Role::Admin).await;
    let cookie = format!("session={}", login.cookie("session").unwrap());
    let dags = async || {
        let headers = [("Cookie", cookie.as_str())];
        ask(&emulator, "demo", "GET /api/v1/dags", &headers, "")
            .await
            .status
    };
    assert_eq!(dags().await, 200);
    done(&emulator, "DELETE /sessions", "").await;
    assert_eq!(dags().await, 401);
}

#[tokio::test]
async fn a_command_answers_what_was_put() {
    let emulator = controlled().await;
    let token = cli_token(&emulator, "demo").await;
    done(&emulator, "PUT /answers/dags%20report", "file | parse\n").await;
    let failing = r#"{"stdout": "", "stderr": "no such variable\n", "exit_code": 1}"#;
    done(&emulator, "PUT /answers/variables%20get", failing).await;
    let answer = async |command: &str| {
        let answer = run(&emulator, "demo", Some(&token), command).await.unwrap();
        (answer.status, answer.streams())
    };
    let report = ("file | parse\n".to_owned(), String::new());
    assert_eq!(answer("dags report -S /x").await, (200, report));
    let missing = (String::new(), "no such variable\n".to_owned());
    assert_eq!(answer("variables get a").await, (400, missing));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_a_hint() {
    let emulator = controlled().await;
    let kind = |kind: &str| json!({ "kind": kind }).to_string();
    let advance = |by: &str| json!({ "advance": by }).to_string();
    let (put, put_web) = ("PUT /faults/CreateCliToken", "PUT /faults/web");
    let (clock, answer, long) = ("PUT /clock", "PUT /answers/version", "x".repeat(9 << 20));
    for (line, body, status, hint) in [
        ("GET /", "", 404, "GET and DELETE /journal"),
        ("POST /journal", "", 404, "PUT and DELETE /clock"),
        ("GET /journal?kind=x", "", 400, "aws or web"),
        ("PUT /faults/No", &kind("Drop"), 400, "CreateCliToken, Crea"),
        ("DELETE /faults/Nothing", "", 404, "CreateCliToken, Create"),
        (put, &kind("Nothing"), 400, "Throttling"),
        (put, &kind("Status:503"), 400, "Throttling"),
        (put, &kind("Drop:1"), 400, "Throttling"),
        (put, &kind("Slow:soon"), 400, "Slow:5s"),
        (put, r#"{"kind": "Drop", "time": 2}"#, 400, "\"times\": 2"),
        (put, "", 400, "\"kind\": \"Throttling\""),
        (put_web, &kind("Status:200"), 400, "400 to 599"),
        (put_web, &kind("Throttling"), 400, "Status:CODE"),
        ("PUT /faults/login", &kind("NotJson"), 400, "Reset, Slow"),
        ("PUT /answers/", "x", 400, "PUT /answers/dags%20list"),
        ("PUT /answers/users%20list", "x", 400, "MWAA refuses"),
        (answer, r#"{"stdout": "", "code": 1}"#, 400, "field `code`"),
        (answer, r#"{"exit_code": "1"}"#, 400, "expected i32"),
        (answer, &long, 413, "8 MiB"),
        (clock, &advance("soon"), 400, "61s"),
        (clock, &advance("101y"), 400, "100 years"),
        (clock, &advance("500000000000y"), 400, "100 years"),
    ] {
        let refused = control(&emulator, line, "localhost", &[], body).await;
        assert_eq!(refused.status, status, "{line}");
        let found = refused.json()["hint"].as_str().unwrap().to_owned();
        assert!(found.contains(hint), "{line}: {found}");
    }
    assert_eq!(done(&emulator, "GET /faults", "").await, json!({}));
}

#[tokio::test]
async fn a_page_in_a_browser_cannot_use_it() {
    let emulator = controlled().await;
    for (host, more, status) in [
        ("localhost", None, 200),
        ("a.LOCALHOST:1", None, 200),
        ("127.0.0.9:1", None, 200),
        ("[::1]:1", None, 200),
        ("evil.example", None, 403),
        ("localhost.evil.example", None, 403),
        ("10.0.0.1:1", None, 403),
        ("localhost", Some(("Origin", "http://localhost")), 403),
        ("localhost", Some(("Origin", "null")), 403),
        ("localhost", Some(("Sec-Fetch-Site", "cross-site")), 403),
        ("localhost", Some(("Sec-Fetch-Site", "same-site")), 403),
        ("localhost", Some(("Sec-Fetch-Site", "none")), 200),
    ] {
        let headers: Vec<_> = more.into_iter().collect();
        let answer = control(&emulator, "DELETE /tokens", host, &headers, "").await;
        assert_eq!(answer.status, status, "{host} {headers:?}: {}", answer.body);
    }
}
