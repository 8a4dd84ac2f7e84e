//! The web side: tokens, slots and commands.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::super::{Answer, FailureForm, Seed, Settings, TokenKind};
use super::client::{Signing, call, cli_request, cli_token, exchange, run, start, tls};

#[tokio::test]
async fn a_signed_call_gets_a_token_that_runs_a_command() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let answer = run(&emulator, "demo", Some(&token), "version")
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.streams().0.trim(), "2.10.3");
    let journal = emulator.journal();
    assert_eq!(journal.mints(TokenKind::Cli), 1);
    assert_eq!(journal.commands(), ["version"]);
    assert_eq!(journal.web_connections(), 1);
    assert_eq!(journal.server_names(), [emulator.host("demo")]);
    let request = &journal.web_requests()[0];
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/aws_mwaa/cli")
    );
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer {token}").as_str())
    );
    assert_eq!(request.status, Some(200));
    assert!(request.token.is_some());
    let host = emulator.host("demo").unwrap();
    assert_eq!(
        String::from_utf8(journal.received(request.connection)).unwrap(),
        cli_request(&host, Some(&token), "version")
    );
}

#[tokio::test]
async fn a_token_counts_only_where_it_should() {
    let environments = vec![Seed::default(), Seed::new("other", "2.10.3")];
    let emulator = start(Settings {
        environments,
        ..Settings::default()
    })
    .await;
    let token = cli_token(&emulator, "demo").await;
    let web = call(&emulator, "POST", "/webtoken/demo", Signing::default())
        .await
        .json();
    let status = async |environment: &str, token: Option<&str>| {
        run(&emulator, environment, token, "version")
            .await
            .unwrap()
            .status
    };
    assert_eq!(status("demo", Some(&token)).await, 200);
    assert_eq!(status("demo", Some(&token)).await, 200);
    assert_eq!(status("demo", None).await, 403);
    assert_eq!(status("demo", Some("nonsense")).await, 403);
    assert_eq!(status("demo", web["WebToken"].as_str()).await, 403);
    assert_eq!(status("other", Some(&token)).await, 403);
    emulator.script().advance_clock(Duration::from_mins(1));
    assert_eq!(status("demo", Some(&token)).await, 403);
    emulator.script().refuse_with_401.next(1, ());
    assert_eq!(status("demo", Some(&token)).await, 401);
    let token = cli_token(&emulator, "demo").await;
    emulator.script().revoke_tokens();
    assert_eq!(status("demo", Some(&token)).await, 403);
    assert_eq!(emulator.journal().commands().len(), 2);
}

#[tokio::test]
async fn failures_take_the_form_that_was_asked_for() {
    for (failure_form, status, other, other_status) in [
        (FailureForm::BadRequest, 400, FailureForm::Ok, 200),
        (FailureForm::Ok, 200, FailureForm::BadRequest, 400),
    ] {
        let emulator = start(Settings {
            failure_form,
            ..Settings::default()
        })
        .await;
        let token = cli_token(&emulator, "demo").await;
        let failed = run(&emulator, "demo", Some(&token), "variables get missing")
            .await
            .unwrap();
        assert_eq!(failed.status, status);
        assert_ne!(failed.streams().1, "");
        emulator.script().failure_form.next(1, other);
        let failed = run(&emulator, "demo", Some(&token), "variables get missing")
            .await
            .unwrap();
        assert_eq!(failed.status, other_status);
        for broken in ["pools import x", "dags trigger 'x", "trigger_dag x", ""] {
            let answer = run(&emulator, "demo", Some(&token), broken).await.unwrap();
            assert_eq!(answer.status, 500, "{broken}");
        }
    }
}

#[tokio::test]
async fn the_fifth_command_at_once_gets_503() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    emulator
        .script()
        .command_delay
        .next(4, Duration::from_hours(1));
    let mut held = JoinSet::new();
    for _ in 0..4 {
        let host = emulator.host("demo").unwrap();
        let mut stream = tls(&emulator, &host).await.unwrap();
        let request = cli_request(&host, Some(&token), "version");
        held.spawn(async move { exchange(&mut stream, &request).await.is_ok() });
    }
    emulator
        .journal()
        .wait_for(|journal| journal.running_commands() == 4)
        .await;
    assert_eq!(
        run(&emulator, "demo", Some(&token), "version")
            .await
            .unwrap()
            .status,
        503
    );
    assert_eq!(emulator.journal().peak_commands(), 4);
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
    let answer = run(&emulator, "demo", Some(&token), &command)
        .await
        .unwrap();
    assert_eq!(answer.status, 504);
    assert!(serde_json::from_str::<Value>(&answer.body).is_err());
    assert_eq!(emulator.journal().running_commands(), 1);
    let written = tokio::task::spawn_blocking(move || std::fs::write(fifo, ""));
    written.await.unwrap().unwrap();
    emulator
        .journal()
        .wait_for(|journal| journal.running_commands() == 0)
        .await;
    assert_eq!(emulator.journal().commands(), [command]);
}

#[tokio::test]
async fn a_real_program_runs_with_the_split_words() {
    let airflow_bin = Some("/bin/echo".into());
    let emulator = start(Settings {
        environments: vec![Seed {
            airflow_bin,
            ..Seed::default()
        }],
        ..Settings::default()
    })
    .await;
    let token = cli_token(&emulator, "demo").await;
    let command = r#"variables set k '{"a":  "b c"}' $HOME"#;
    let answer = run(&emulator, "demo", Some(&token), command).await.unwrap();
    let printed = "variables set k {\"a\":  \"b c\"} $HOME\n".to_owned();
    assert_eq!(answer.streams(), (printed, String::new()));
}

#[tokio::test]
async fn condition_p_breaks_what_parses_dags() {
    let seed = Seed {
        plugins_need_packages: true,
        ..Seed::new("demo", "2.0.2")
    };
    let emulator = start(Settings {
        environments: vec![seed],
        ..Settings::default()
    })
    .await;
    let token = cli_token(&emulator, "demo").await;
    let broken = run(&emulator, "demo", Some(&token), "dags list")
        .await
        .unwrap();
    assert_eq!(broken.status, 400);
    assert!(broken.streams().1.contains("ModuleNotFoundError"));
    assert_eq!(
        run(&emulator, "demo", Some(&token), "version")
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn an_answer_goes_before_airflow_and_after_the_table_of_mwaa() {
    let emulator = start(Settings {
        answers: vec![
            ("dags report".to_owned(), Answer::stdout("a report\n")),
            ("users list".to_owned(), Answer::stdout("never\n")),
        ],
        ..Settings::default()
    })
    .await;
    let token = cli_token(&emulator, "demo").await;
    let ask = async |command: &str| {
        let answer = run(&emulator, "demo", Some(&token), command).await.unwrap();
        let streams = (answer.status != 500).then(|| answer.streams());
        (answer.status, streams)
    };
    let printed = |stdout: &str, stderr: &str| Some((stdout.to_owned(), stderr.to_owned()));

    assert_eq!(
        ask("dags report -v").await,
        (200, printed("a report\n", ""))
    );
    assert_eq!(ask("users list").await, (500, None));
    let (status, streams) = ask("providers list").await;
    assert_eq!(status, 400);
    assert!(
        streams
            .unwrap()
            .1
            .contains("--answer 'providers list=FILE'")
    );

    let failed = Answer::failed("not today\n");
    emulator.script().answer("version", failed);
    assert_eq!(ask("version").await, (400, printed("", "not today\n")));
}
