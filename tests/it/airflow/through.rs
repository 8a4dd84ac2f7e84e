//! Through a gateway that runs: every kind of listener, and which environment.

use super::{Stand, airflow, printed, secret, through, two};
use crate::program::{Running, end};
use crate::support::{Authority, Harness};
use mwaa_emulator::WebFault;

const DEFAULT: &str = "[environments.demo]
default = true
";

#[tokio::test]
async fn both_streams_are_decoded_byte_for_byte() {
    let harness = Harness::new().await;
    let stdout = "a \u{1b}[31mred\u{1b}[0m\r\nb\0\u{7}\u{9b}\u{202e} without an end";
    let stderr = "a warning\rwithout an end";
    harness.script().web_fault.next(1, printed(stdout, stderr));
    let ended = end(through(&harness, &["--", "dags", "list"])).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        (stdout, stderr)
    );
}

#[tokio::test]
async fn words_arrive_unchanged() {
    let harness = Harness::new().await;
    let value = "it's \"quoted\" \\ $HOME `x` {\"a\": \"b  c\"} é 😀";
    for arguments in [
        &["--", "variables", "set", "k", value][..],
        &["variables", "set", "k", value],
        &["--", "airflow", "variables", "set", "k", value],
    ] {
        let ended = end(through(&harness, arguments)).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let ended = end(through(&harness, &["variables", "get", "k"])).await;
        assert_eq!(ended.stdout, format!("{value}\n"), "{ended:?}");
    }
    let help = end(through(&harness, &["--", "dags", "--help"])).await;
    assert!(help.stdout.contains("list-runs"), "{help:?}");
}

#[tokio::test]
async fn the_named_environment_is_used() {
    let harness = Harness::with(two("archive"), DEFAULT).await;
    for (arguments, version) in [
        (&["version"][..], "2.10.3\n"),
        (&["-e", "demo", "version"], "2.10.3\n"),
        (&["-e", "archive", "version"], "3.0.6\n"),
        (&["--environment=archive", "version"], "3.0.6\n"),
    ] {
        let ended = end(through(&harness, arguments)).await;
        assert_eq!(ended.stdout, version, "{arguments:?}: {ended:?}");
    }
    let mut named = through(&harness, &["version"]);
    named.env("MWAA_GATEWAY_ENVIRONMENT", "archive");
    assert_eq!(end(named).await.stdout, "3.0.6\n");
    let ended = end(through(&harness, &["-e", "nobody", "version"])).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), ""),
        "{ended:?}"
    );
    for text in ["no environment \"nobody\"", "archive.localhost", "with -e"] {
        assert!(ended.stderr.contains(text), "{text}: {ended:?}");
    }
}

/// Only the gateway that runs knows which of its environments MWAA calls so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mwaa_name_of_an_environment_is_accepted() {
    let stand = Stand::new(two("Other_One"), "").await;
    let file = stand.path().join("mwaa-gateway.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let config = config.replace("[environments.Other_One]", "[environments.second]");
    std::fs::write(&file, config).unwrap();
    let mut serve = stand.program(&["serve", "--listen=127.0.0.1:0"]);
    serve.arg("--management=127.0.0.1:0");
    let mut gateway = Running::start(serve);
    let listen = gateway.told("listening on http://").await;
    let management = gateway.told("management on http://").await;
    let ended = end(airflow(
        &listen,
        &management,
        &["-e", "Other_One", "version"],
    ))
    .await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "3.0.6\n"),
        "{ended:?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_unix_socket_and_an_environment_s_own_listener_work() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}/gateway.sock", folder.path().display());
    let extra = format!("{DEFAULT}[listener]\naddress = \"{socket}\"\n");
    let harness = Harness::with(two("archive"), &extra).await;
    let management = harness.management().to_string();
    let ended = end(airflow(&socket, &management, &["-e", "archive", "version"])).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "3.0.6\n"),
        "{ended:?}"
    );

    let harness = Harness::configured("[environments.demo]\nlisten = \"127.0.0.1:0\"\n").await;
    let own = harness.urls()[1].strip_prefix("http://").unwrap();
    let file = folder.path().join("c.toml");
    let text = format!(
        "[listener]\naddress = \"unix:{}/nobody.sock\"\n[environments.demo]\nlisten = \"{own}\"\n",
        folder.path().display()
    );
    std::fs::write(&file, text).unwrap();
    let config = format!("--config={}", file.display());
    let mut command = crate::program::command(&["airflow", &config, "-e", "demo", "version"]);
    command.env("MWAA_GATEWAY_MANAGEMENT", harness.management().to_string());
    let ended = end(command).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "2.10.3\n"),
        "{ended:?}"
    );
}

/// TLS and the secret: the client takes the certificate of the configuration, and shows the
/// secret to a gateway only.
#[tokio::test]
async fn tls_and_the_secret_are_taken_from_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Authority::new()
        .pair(&["gateway.example"])
        .write(folder.path());
    let secret = secret(folder.path());
    let extra = format!("[listener]\nsecret_file = \"{}\"\n{tls}", secret.display());
    let harness = Harness::configured(&extra).await;
    let client = |more: &str| {
        let text = format!(
            "[listener]\naddress = \"{}\"\n{more}[environments.demo]\n",
            harness.address()
        );
        let file = folder.path().join("c.toml");
        std::fs::write(&file, text).unwrap();
        let config = format!("--config={}", file.display());
        crate::program::command(&["airflow", &config, "version"])
    };
    let shown = format!("secret_file = \"{}\"\n", secret.display());
    let ended = end(client(&format!("{shown}{tls}"))).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "2.10.3\n"),
        "{ended:?}"
    );
    let ended = end(client(&tls)).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("guard.secret"), "{ended:?}");

    let others = folder.path().join("others");
    std::fs::create_dir(&others).unwrap();
    let impostor = Authority::new().pair(&["gateway.example"]).write(&others);
    let ended = end(client(&format!("{shown}{impostor}"))).await;
    assert!(ended.stderr.contains(" is not used: "), "{ended:?}");
    assert_eq!(harness.journal().web_count(), 1, "only the first one came");
}

#[tokio::test]
async fn output_json_and_output_raw_select_the_form() {
    let harness = Harness::new().await;
    let ended = end(through(&harness, &["--output", "raw", "version"])).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, r#"{"stderr": "", "stdout": "Mi4xMC4zCg=="}"#);
    let ended = end(through(
        &harness,
        &["--output=json", "variables", "get", "nosuch"],
    ))
    .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let result: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(result["stderr"], "Variable nosuch does not exist\n");
    assert_eq!(result["succeeded"], false);
    assert!(result["reason"].is_string(), "{result}");
    // after the command's first word the options are Airflow's
    let ended = end(through(&harness, &["dags", "list", "--output", "json"])).await;
    let rows: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(rows[0]["dag_id"], "daily_report", "{ended:?}");
}

/// A trigger whose reply was lost is written once more, only when asked for.
#[tokio::test]
async fn a_trigger_is_retried_only_with_repeatable() {
    let harness = Harness::new().await;
    let run = ["--run-id", "mine", "--no-replace-microseconds"];
    let trigger = [&["dags", "trigger", "lab_hello"][..], &run].concat();
    for (option, writes, code) in [(&["--repeatable"][..], 2, 0), (&[], 1, 1)] {
        let before = harness.journal().web_count();
        let broken = WebFault::Drop;
        harness.script().web_fault.next(1, broken);
        let arguments: Vec<_> = option.iter().chain(&trigger).copied().collect();
        let ended = end(through(&harness, &arguments)).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(harness.journal().web_count() - before, writes, "{ended:?}");
    }
    let ended = end(through(&harness, &["--repeatable", "version"])).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("policy.not_repeatable"), "{ended:?}");
}
