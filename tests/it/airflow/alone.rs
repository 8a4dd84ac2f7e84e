//! Where no gateway runs: one of the program's own, for one command.

use super::{Stand, nobody, two};
use mwaa_emulator::{ControlFault, Settings, TokenKind};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_without_any_gateway() {
    let stand = Stand::new(two("archive"), &nobody()).await;
    let ended = stand
        .run(&["--", "dags", "trigger", "lab_hello", "--run-id", "mine"])
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("mine"), "{ended:?}");
    assert_eq!(ended.stderr, "", "nothing but what was asked for");
    let ended = stand.run(&["-e", "archive", "version"]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "3.0.6\n"),
        "{ended:?}"
    );
    assert_eq!(stand.emulator.journal().mints(TokenKind::Cli), 2);
    let left: Vec<_> = std::fs::read_dir(stand.temporary()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The rules of the configuration apply without a gateway too, before any call to AWS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_applies_without_a_gateway_too() {
    let extra = format!(
        "{}[environments.strict]\nname = \"archive\"\npolicy = \"read-only\"\nairflow_version = \"3.0.6\"\n",
        nobody()
    );
    let stand = Stand::new(Settings::default(), &extra).await;
    let ended = stand
        .run(&["-e", "strict", "variables", "set", "k", "v"])
        .await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), ""),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("policy.forbidden_command"),
        "{ended:?}"
    );
    assert_eq!(stand.emulator.journal().mints(TokenKind::Cli), 0);
}

/// An environment that no file names needs nothing but its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unconfigured_environment_needs_only_its_name() {
    let stand = Stand::new(Settings::default(), &nobody()).await;
    let config = std::fs::read_to_string(stand.path().join("mwaa-gateway.toml")).unwrap();
    // what is left has the settings for AWS, and no environment
    let (aws, _) = config.split_once("[environments").unwrap();
    std::fs::write(
        stand.path().join("mwaa-gateway.toml"),
        format!("{aws}{}", nobody()),
    )
    .unwrap();
    stand
        .emulator
        .script()
        .mint_fault
        .always(ControlFault::AccessDenied);
    let ended = stand.run(&["-e", "demo", "version"]).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    for text in ["aws.denied", "airflow:CreateCliToken", "environment/demo"] {
        assert!(ended.stderr.contains(text), "{text}: {ended:?}");
    }
}
