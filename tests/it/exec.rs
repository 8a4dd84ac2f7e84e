//! `exec`: a program with a gateway of its own, the variables that it gets, and its end.

use crate::program::{Ended, Running, command, end};
use crate::support::Client;
use mwaa_emulator::{Emulator, Seed, Settings};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;

/// An emulator with two environments, and a configuration file for it.
struct World {
    emulator: Emulator,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let settings = Settings {
            environments: vec![Seed::new("two", "2.10.3"), Seed::new("three", "3.0.6")],
            ..Settings::default()
        };
        let world = Self {
            emulator: Emulator::start(settings).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        let ca_file = world.folder.path().join("ca.pem");
        std::fs::write(&ca_file, world.emulator.ca_pem()).unwrap();
        let config = world.emulator.config_toml(&ca_file);
        std::fs::write(world.folder.path().join("g.toml"), config).unwrap();
        world
    }

    /// `exec` with these options, and a shell that runs this script.
    fn exec(&self, options: &[&str], program: &[&str]) -> Command {
        let file = self.folder.path().join("g.toml");
        let mut words = vec!["exec", "--config", file.to_str().unwrap()];
        words.extend(options);
        words.push("--");
        words.extend(program);
        let mut exec = command(&words);
        exec.env("AWS_ACCESS_KEY_ID", self.emulator.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", self.emulator.secret_access_key())
            .env("AWS_PROFILE", "")
            .env("NO_PROXY", "a.example")
            .env("PATH", "/usr/bin:/bin");
        exec
    }

    async fn shell(&self, options: &[&str], script: &str) -> Ended {
        end(self.exec(options, &["/bin/sh", "-c", script])).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_gets_the_variables_that_clients_read() {
    let world = World::start().await;
    for (name, version) in [("two", "v1"), ("three", "v2")] {
        let ended = world.shell(&["-e", name], "env").await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let value = |name: &str| {
            let mut lines = ended.stdout.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        let url = value("MWAA_GATEWAY_URL").unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        for variable in [
            "AIRFLOW_API_URL",
            "AIRFLOW_API_BASE_URL",
            "AIRFLOW_HOST",
            "AIRFLOW_URL",
            "AIRFLOW_BASE_ENDPOINT",
            "AWS_ENDPOINT_URL_MWAA",
        ] {
            assert_eq!(value(variable), Some(url), "{variable}");
        }
        assert_eq!(value("AIRFLOW_API_VERSION"), Some(version));
        assert!(value("AIRFLOW_CLI_TOKEN").is_some());
        assert_eq!(value("AWS_DISABLE_HOST_PREFIX_INJECTION"), Some("true"));
        assert_eq!(value("AWS_REGION"), Some("eu-west-1"));
        assert_eq!(value("NO_PROXY"), Some("a.example,localhost,127.0.0.1"));
        assert_eq!(value("AWS_PROFILE"), None);
        // the keys of the gateway are not the program's
        assert!(!ended.stdout.contains(world.emulator.secret_access_key()));
        assert!(!ended.stdout.contains(world.emulator.access_key_id()));
        assert!(value("AWS_ACCESS_KEY_ID").is_some());
        assert_eq!(ended.stderr, "");
    }
}

/// curl is the program that every machine of the tests has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_serves_the_environment_under_the_policy() {
    let world = World::start().await;
    let script = "curl -sS $AIRFLOW_URL/api/$AIRFLOW_API_VERSION/version; \
        curl -sS -X POST $AWS_ENDPOINT_URL_MWAA/clitoken/three; \
        curl -sS $MWAA_GATEWAY_URL/aws_mwaa/cli -H 'Content-Type: text/plain' -d 'dags pause x'";
    let ended = world
        .shell(&["-e", "three", "--policy", "read-only"], script)
        .await;
    for part in ["\"3.0.6\"", "\"CliToken\"", "policy.forbidden_command"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
    assert!(world.emulator.journal().commands().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_code_is_the_program_s() {
    let world = World::start().await;
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let ended = world.shell(&["-e", "two"], script).await;
        assert_eq!(ended.code, Some(code), "{script}: {ended:?}");
    }
    for (program, code) in [("nosuch-program", 127), ("/tmp", 126)] {
        let ended = end(world.exec(&["-e", "two"], &[program])).await;
        assert_eq!(ended.code, Some(code), "{program}: {ended:?}");
        assert!(ended.stderr.contains("hint: "), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_are_passed_on_and_nothing_is_left() {
    let world = World::start().await;
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT")] {
        let script = format!(
            "trap 'echo got {name}; exit 3' {name}; echo up $MWAA_GATEWAY_URL; \
             while :; do sleep 0.05; done"
        );
        let shell = world.exec(&["-e", "two"], &["/bin/sh", "-c", &script]);
        let mut exec = Running::start(shell);
        let url = exec.printed("up ").await;
        let ended = exec.end_by(signal).await;
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stdout.contains(&format!("got {name}")), "{ended:?}");
        let address = url.trim_start_matches("http://");
        let left = Client::try_tcp(address.parse().unwrap()).await;
        assert!(left.is_err(), "the gateway still listens");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_the_program_does_not_start() {
    let world = World::start().await;
    let mut exec = world.exec(&["-e", "two"], &["/bin/sh", "-c", "echo started"]);
    exec.env("AWS_SECRET_ACCESS_KEY", "wrong");
    let ended = end(exec).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(69), ""),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("hint: "), "{ended:?}");
}
