//! Commands over the wire: tokens, slots, answers, and a host that environments share.

use std::time::Duration;

use super::super::identity::Role;
use super::super::{Answer, Seed, Settings, TokenKind};
use super::client::{
    self, FORM, aws, cli_token, exchange, request, run, start, tls, web_token,
    with_environments,
};

#[tokio::test]
async fn a_signed_call_gets_a_token_that_runs_a_command() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let answer = run(&emulator, "demo", Some(&token), "version")
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.streams().0, "2.10.3\n");
    let journal = emulator.journal();
    assert_eq!(journal.mints(TokenKind::Cli), 1);
    assert_eq!(journal.commands(), ["version"]);
    assert_eq!(journal.server_names(), [emulator.host("demo")]);
    let seen = &journal.web_requests()[0];
    let bearer = format!("Bearer {token}");
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/aws_mwaa/cli"));
    assert_eq!(seen.header("authorization"), Some(&*bearer));
    assert_eq!((seen.status, seen.token.is_some()), (Some(200), true));
    let host = emulator.host("demo").unwrap();
    let sent = request(
        "POST /aws_mwaa/cli",
        &host,
        &[("Authorization", &bearer)],
        "version",
    );
    assert_eq!(journal.received(seen.connection), sent.as_bytes());
}

#[tokio::test]
async fn a_token_counts_only_where_it_should() {
    let seeds = vec![Seed::default(), Seed::new("other", "2.10.3")];
    let emulator = start(with_environments(seeds)).await;
    let token = cli_token(&emulator, "demo").await;
    let web = web_token(&emulator, "demo", Role::Admin).await;
    let status = async |environment: &str, token: Option<&str>| {
        let answer = run(&emulator, environment, token, "version").await;
        answer.unwrap().status
    };
    for (environment, token, expected) in [
        ("demo", Some(&*token), 200),
        ("demo", Some(&*token), 200),
        ("demo", None, 403),
        ("demo", Some("nonsense"), 403),
        ("demo", Some(&*web), 403),
        ("other", Some(&*token), 403),
    ] {
        assert_eq!(status(environment, token).await, expected, "{token:?}");
    }
    emulator.script().advance_clock(Duration::from_mins(1));
    assert_eq!(status("demo", Some(&token)).await, 403);
    assert_eq!(emulator.journal().commands().len(), 2);
}

#[tokio::test]
async fn a_slow_command_gets_504_and_still_ends() {
    // `cat variables get FIFO` ends when the file is written, so that a busy machine changes nothing
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let emulator = start(Settings {
        command_timeout: Duration::from_millis(20),
        environments: vec![Seed {
            airflow_bin: Some("/bin/cat".into()),
            ..Seed::default()
        }],
        ..Settings::default()
    })
    .await;
    let token = cli_token(&emulator, "demo").await;
    let command = format!("variables get {}", fifo.display());
    let answer = run(&emulator, "demo", Some(&token), &command).await;
    assert_eq!(answer.unwrap().status, 504);
    let journal = emulator.journal();
    assert_eq!(journal.running_commands(), 1);
    let written = tokio::task::spawn_blocking(move || std::fs::write(fifo, ""));
    written.await.unwrap().unwrap();
    journal
        .wait_for(|journal| journal.running_commands() == 0)
        .await;
    assert_eq!(journal.commands(), [command]);
}

#[tokio::test]
async fn a_real_program_runs_with_the_split_words() {
    let seed = Seed {
        airflow_bin: Some("/bin/echo".into()),
        ..Seed::default()
    };
    let emulator = start(with_environments(vec![seed])).await;
    let token = cli_token(&emulator, "demo").await;
    let command = r#"variables set k '{"a":  "b c"}' $HOME"#;
    let answer = run(&emulator, "demo", Some(&token), command).await.unwrap();
    let printed = "variables set k {\"a\":  \"b c\"} $HOME\n".to_owned();
    assert_eq!(answer.streams(), (printed, String::new()));
}

#[tokio::test]
async fn a_given_answer_replaces_airflow_but_not_the_table_of_mwaa() {
    let answer = |command: &str, text| (command.to_owned(), Answer::stdout(text));
    let emulator = start(Settings {
        answers: vec![
            answer("dags report", "a report\n"),
            answer("users list", "never\n"),
        ],
        ..Settings::default()
    })
    .await;
    emulator
        .script()
        .answer("version", Answer::failed("not today\n"));
    let token = cli_token(&emulator, "demo").await;
    for (command, status, stdout, stderr) in [
        ("dags report -v", 200, "a report\n", ""),
        ("version", 400, "", "not today\n"),
        ("users list", 500, "", ""),
        ("pools import x", 500, "", ""),
        ("dags trigger 'x", 500, "", ""),
        ("", 500, "", ""),
        ("providers list", 400, "", "--answer 'providers list=FILE'"),
    ] {
        let answer = run(&emulator, "demo", Some(&token), command).await.unwrap();
        assert_eq!(answer.status, status, "{command}");
        if status != 500 {
            let (out, err) = answer.streams();
            assert_eq!(out, stdout, "{command}");
            assert!(err.contains(stderr), "{command}: {err}");
        }
    }
}

#[tokio::test]
async fn environments_share_a_host_that_was_chosen() {
    for (given, named) in [
        ("localhost:0", "localhost:PORT"),
        ("mwaa.test:8443", "mwaa.test:8443"),
    ] {
        let seed = |name, version| Seed {
            web_host: Some(given.to_owned()),
            ..Seed::new(name, version)
        };
        let seeds = vec![seed("demo", "2.10.3"), seed("archive", "3.3.1")];
        let emulator = start(with_environments(seeds)).await;
        let port = emulator.web_addr().port().to_string();
        let named = named.replace("PORT", &port);
        let described = aws(&emulator, "GET /environments/archive").await.json();
        assert_eq!(described["Environment"]["WebserverUrl"], named);
        let minted = aws(&emulator, "POST /clitoken/archive").await.json();
        assert_eq!(minted["WebServerHostname"], named);

        let (name, _) = given.split_once(':').unwrap();
        let at = async |line: &str, header: (&str, &str), body: &str| {
            let host = format!("{name}:{port}");
            let mut stream = tls(&emulator, name).await.unwrap();
            exchange(&mut stream, &request(line, &host, &[header], body))
                .await
                .unwrap()
        };
        for (environment, login, cookie, home, version) in [
            (
                "demo",
                "POST /aws_mwaa/login",
                "session",
                "GET /home",
                "2.10.3",
            ),
            (
                "archive",
                "POST /pluginsv2/aws_mwaa/login",
                "_token",
                "GET /",
                "3.3.1",
            ),
        ] {
            // a token decides, and then the session
            let token = format!("Bearer {}", cli_token(&emulator, environment).await);
            let ran = at("POST /aws_mwaa/cli", ("Authorization", &token), "version").await;
            assert_eq!(ran.streams().0.trim(), version);
            let token = web_token(&emulator, environment, Role::Admin).await;
            let signed_in: client::Answer = at(login, FORM, &format!("token={token}")).await;
            let cookie = format!("{cookie}={}", signed_in.cookie(cookie).unwrap());
            let page = at(home, ("Cookie", &cookie), "").await;
            assert!(page.body.contains(version), "{environment}: {}", page.body);
        }
        // the first one serves requests with neither
        let version = at("GET /api/v1/version", ("X-Any", "x"), "").await;
        assert_eq!(version.json()["version"], "2.10.3");
    }
}
