//! The exit codes, as docs/reference/exit-codes.md lists them.

use super::{Stand, nobody, printed, through};
use crate::program::{Running, command, end, run};
use crate::support::Harness;
use mwaa_emulator::{ControlFault, Settings, WebFault};

#[tokio::test]
async fn a_failed_or_refused_command_exits_with_1() {
    let harness = Harness::new().await;
    for (arguments, said) in [
        (
            &["variables", "get", "nosuch"][..],
            "Variable nosuch does not exist\n",
        ),
        (&["dags", "list-runs", "-d", "nosuch"], "nosuch"),
        (&["users", "list"], "policy.unsupported_command"),
        (
            &["dags", "list", "--subdir", "/etc"],
            "policy.forbidden_option",
        ),
    ] {
        let ended = end(through(&harness, arguments)).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stdout, "", "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    let ended = end(through(&harness, &["users", "list"])).await;
    for text in ["error: ", "Airflow 2.10.3", "request ", "hint: "] {
        assert!(ended.stderr.contains(text), "{text}: {ended:?}");
    }
}

/// A command that was killed prints nothing, so the program has to report that it failed.
#[tokio::test]
async fn a_failure_without_output_is_reported() {
    let harness = Harness::new().await;
    let silent = WebFault::Status {
        status: 400,
        content_type: "application/json".to_owned(),
        body: r#"{"stderr": "", "stdout": "Cg=="}"#.to_owned(),
    };
    harness.script().web_fault.next(1, silent);
    let ended = end(through(&harness, &["dags", "list"])).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            Some(1),
            "note: the command failed and printed nothing: status 400\n"
        ),
        "{ended:?}"
    );
}

#[tokio::test]
async fn an_invalid_command_line_exits_with_2() {
    for arguments in [
        &["airflow"][..],
        &["airflow", "--"],
        &["airflow", "--ouput", "raw", "version"],
        &["airflow", "--output", "yaml", "version"],
        &["airflow", "--", "a\u{7}"],
        &["airflow", "--", "A=b", "dags", "list"],
    ] {
        let ended = run(arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:?}"
        );
        assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    }
}

/// AWS refuses the credentials, or the web server returns 503.
#[tokio::test]
async fn an_unavailable_service_exits_with_69() {
    let harness = Harness::new().await;
    let script = harness.script();
    script.mint_fault.always(ControlFault::ExpiredToken);
    let ended = end(through(&harness, &["version"])).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.stderr.contains("aws.credentials"), "{ended:?}");

    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::html(503));
    let ended = end(through(&harness, &["version"])).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.stderr.contains("upstream.unavailable"), "{ended:?}");
    assert!(ended.stderr.contains("hint: wait a moment"), "{ended:?}");
}

/// Without credentials the result is the same with and without `-e`, and with and without a
/// running gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_credentials_exit_with_69_with_and_without_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let aws = "[aws]\nregion = \"eu-west-1\"\nendpoint_url = \"http://127.0.0.1:1\"\n";
    let write = |name: &str, extra: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, format!("{aws}{extra}")).unwrap();
        format!("--config={}", file.display())
    };
    let alone = write("alone.toml", &nobody());
    let any =
        "[listener]\naddress = \"127.0.0.1:0\"\n[management]\naddress = \"127.0.0.1:0\"\n";
    let mut gateway = Running::start(command(&["serve", &write("any.toml", any)]));
    let listen = gateway.told("listening on http://").await;
    let management = gateway.told("management on http://").await;
    for through in [false, true] {
        for named in [&[][..], &["-e", "prod"]] {
            let mut airflow = command(&["airflow", &alone]);
            airflow.args(named).args(["--", "version"]);
            if through {
                airflow
                    .env("MWAA_GATEWAY_LISTEN", &listen)
                    .env("MWAA_GATEWAY_MANAGEMENT", &management);
            }
            let ended = end(airflow).await;
            assert_eq!(ended.code, Some(69), "{named:?} {through}: {ended:?}");
            for text in ["aws.credentials", "hint: "] {
                assert!(
                    ended.stderr.contains(text),
                    "{named:?} {through}: {ended:?}"
                );
            }
        }
    }
    gateway.stop().await;
}

/// Scripts take 69 for "try again", which could run the command a second time.
#[tokio::test]
async fn a_command_that_may_have_run_exits_with_1() {
    let harness = Harness::configured("limits.cli_output = \"64KiB\"").await;
    let backfill = ["dags", "backfill", "lab_hello", "-s", "2024-01-01"];
    for (fault, code, said, hint) in [
        (
            WebFault::html(504),
            "upstream.timeout",
            "may still be running",
            "do not simply run it again",
        ),
        (
            WebFault::html(502),
            "upstream.broken",
            "may have run",
            "do not simply run it again",
        ),
        (
            WebFault::ResetAfterExecution,
            "upstream.broken",
            "outcome: unknown",
            "the command may have run",
        ),
        (
            printed(&"long\n".repeat(20_000), ""),
            "upstream.output_too_large",
            "the command ran",
            "run it again only if that is safe",
        ),
    ] {
        harness.script().web_fault.next(1, fault);
        let ended = end(through(&harness, &backfill)).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{code}: {ended:?}"
        );
        for text in [code, said, hint] {
            assert!(ended.stderr.contains(text), "{code}: {text}: {ended:?}");
        }
        assert!(!ended.stderr.contains('<'), "{code}: no page: {ended:?}");
    }
    harness.script().web_fault.next(1, WebFault::html(500));
    let ended = end(through(&harness, &backfill)).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .starts_with("error: the web server returned 500"),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_credentials_exit_with_69_and_a_bad_file_with_78() {
    let stand = Stand::new(Settings::default(), &nobody()).await;
    let mut command = stand.command(&["version"]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let ended = end(command).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.stderr.contains("aws.credentials"), "{ended:?}");

    std::fs::write(
        stand.path().join("bad.toml"),
        "[listener]\nadress = \"x\"\n",
    )
    .unwrap();
    let ended = stand.run(&["--config", "bad.toml", "version"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    std::fs::write(
        stand.path().join("none.toml"),
        format!("{}[aws]\ndiscover = false\n", nobody()),
    )
    .unwrap();
    let ended = stand.run(&["--config", "none.toml", "version"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let missing = format!("{}secret_file = \"nosuch\"\n", nobody());
    std::fs::write(stand.path().join("missing.toml"), missing).unwrap();
    let ended = stand.run(&["--config", "missing.toml", "version"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
}

/// If it is unknown whether a command succeeded, it counts as a success, with a note, in every
/// form of the output.
#[tokio::test]
async fn an_unknown_success_exits_with_0_and_a_note() {
    let harness = Harness::new().await;
    for form in [&[][..], &["--output=json"], &["--output=raw"]] {
        let run = async |stdout: &str, stderr: &str| {
            harness.script().web_fault.next(1, printed(stdout, stderr));
            let arguments: Vec<_> = form.iter().chain(&["version"]).copied().collect();
            let ended = end(through(&harness, &arguments)).await;
            let noted = ended.stderr.contains("note: it is unknown whether");
            (ended.code, noted)
        };
        assert_eq!(run("2.10.3\n", "").await, (Some(0), false), "{form:?}");
        assert_eq!(run("", "").await, (Some(0), true), "{form:?}");
        let failing = ["variables", "get", "nosuch"];
        let arguments: Vec<_> = form.iter().chain(&failing).copied().collect();
        let ended = end(through(&harness, &arguments)).await;
        assert_eq!(ended.code, Some(1), "{form:?}: {ended:?}");
        for (status, code) in [(500, 1), (502, 1), (503, 69), (504, 1)] {
            harness.script().web_fault.next(1, WebFault::html(status));
            let arguments: Vec<_> = form.iter().chain(&["version"]).copied().collect();
            let ended = end(through(&harness, &arguments)).await;
            assert_eq!(ended.code, Some(code), "{form:?} {status}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn a_closed_output_pipe_is_not_an_error() {
    let harness = Harness::new().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    harness
        .script()
        .web_fault
        .next(1, printed(&"long\n".repeat(100_000), ""));
    let mut command = through(&harness, &["dags", "list"]);
    command.stdout(writer);
    let ended = end(command).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
}
