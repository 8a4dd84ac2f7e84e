//! Completion in a real bash: names of environments and words of commands.

use super::two;
use crate::support::Harness;
use std::process::Stdio;
use tokio::process::Command;

/// What bash offers for this line; its last word, which may be empty, is the one to complete.
/// Files are offered where nothing else is, so there is one.
async fn offered(variables: &[(&str, String)], words: &[&str], function: &str) -> Vec<String> {
    const SCRIPT: &str = r#"
        source <("$PROGRAM" completions bash)
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        eval "$FUNCTION"' "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"'
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_mwaa-gateway");
    std::os::unix::fs::symlink(program, folder.path().join("mwaa-gateway")).unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-c", SCRIPT, "bash"])
        .args(words)
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("HOME", folder.path())
        .env("PROGRAM", program)
        .env("FUNCTION", function)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = bash.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The same by the function that the script registers for the program.
async fn ours(variables: &[(&str, String)], words: &[&str]) -> Vec<String> {
    let line: Vec<_> = ["mwaa-gateway"].iter().chain(words).copied().collect();
    let function = "$(complete -p mwaa-gateway | sed 's/.*-F \\([^ ]*\\).*/\\1/')";
    offered(variables, &line, function).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_come_from_the_running_gateway() {
    let harness = Harness::with(two("archive"), "").await;
    let management = ("MWAA_GATEWAY_MANAGEMENT", harness.management().to_string());
    let variables = [management];
    // both versions are asked for at the start
    harness
        .seen("the start", |journal| journal.control_count() == 2)
        .await;
    assert_eq!(
        ours(&variables, &["airflow", "-e", ""]).await,
        ["archive", "demo"]
    );
    assert_eq!(ours(&variables, &["airflow", "-e", "d"]).await, ["demo"]);
    assert_eq!(
        ours(&variables, &["airflow", "--environment", "=", "a"]).await,
        ["archive"]
    );
    assert_eq!(ours(&variables, &["open", ""]).await, ["archive", "demo"]);
    assert_eq!(harness.journal().control_count(), 2, "AWS is not asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_gateway_environments_come_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let text = "[management]\naddress = \"127.0.0.1:1\"\n[environments.prod]\nname = \"Big_One\"\n[environments.test]\n";
    std::fs::write(&file, text).unwrap();
    let config = file.display().to_string();
    assert_eq!(
        ours(&[], &["airflow", "--config", &config, "-e", ""]).await,
        ["prod", "test"]
    );
    let variables = [("MWAA_GATEWAY_CONFIG", config)];
    assert_eq!(ours(&variables, &["airflow", "-e", "t"]).await, ["test"]);
    assert_eq!(ours(&variables, &["airflow", "-e", "B"]).await, ["Big_One"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_airflow_commands_are_completed() {
    assert_eq!(
        ours(&[], &["airflow", "--", "dags", "tr"]).await,
        ["trigger"]
    );
    assert_eq!(
        ours(&[], &["airflow", "-e", "x", "vers"]).await,
        ["version"]
    );
    let alias = offered(&[], &["airflow", "variables", "g"], "_mwaa_gateway_airflow").await;
    assert_eq!(alias, ["get"]);
    // the rest is the generated script's, without what is for scripts only
    let commands = ours(&[], &["comp"]).await;
    assert_eq!(commands, ["completions"]);
    let options = ours(&[], &["airflow", "--out"]).await;
    assert!(options.contains(&"--output".to_owned()), "{options:?}");
    let commands = ours(&[], &["ser"]).await;
    assert_eq!(commands, ["serve"]);
}
