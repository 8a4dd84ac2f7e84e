//! `environments`: what it lists, and its exit codes.

use crate::program::{Ended, command, end};
use mwaa_emulator::{ControlFault, Emulator, Seed, Settings};

async fn emulator() -> Emulator {
    let environments = vec![
        Seed::new("analytics", "2.10.3"),
        Seed {
            status: "UPDATING".to_owned(),
            ..Seed::new("Billing_EU", "3.0.6")
        },
    ];
    let settings = Settings {
        environments,
        ..Settings::default()
    };
    Emulator::start(settings).await.unwrap()
}

async fn list(emulator: &Emulator, config: &str, arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let aws = format!(
        "[aws]\nregion = {:?}\nendpoint_url = {:?}\n",
        emulator.region(),
        emulator.endpoint_url()
    );
    std::fs::write(&file, format!("{aws}{config}")).unwrap();
    let mut program = command(&["environments"]);
    program
        .arg(format!("--config={}", file.display()))
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", emulator.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", emulator.secret_access_key());
    end(program).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_lists_the_environments() {
    let emulator = emulator().await;
    let ended = list(&emulator, "", &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = "billing-eu: the environment's status is UPDATING: it is being updated, ";
    assert!(ended.stderr.starts_with(told), "{ended:?}");
    insta::assert_snapshot!("environments", ended.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_holds_the_same_and_more() {
    let emulator = emulator().await;
    let config = "discover = true\n[environments.mine]\nname = \"analytics\"\ndefault = true\n\
                  listen = \"127.0.0.1:8081\"\n";
    let ended = list(&emulator, config, &["--output=json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let [mine, billing] = rows.as_array().unwrap().as_slice() else {
        panic!("two: {rows}")
    };
    assert_eq!(
        *mine,
        serde_json::json!({
            "local": "mine",
            "name": "analytics",
            "region": "eu-west-1",
            "profile": null,
            "airflow_version": "2.10.3",
            "status": "AVAILABLE",
            "status_meaning": null,
            "access_mode": "PUBLIC_ONLY",
            "default": true,
            "urls": [
                "http://127.0.0.1:8081",
                "http://localhost:8080",
                "http://mine.localhost:8080"
            ],
        })
    );
    assert_eq!(billing["local"], "billing-eu");
    assert_eq!(billing["status"], "UPDATING");
    assert!(
        billing["status_meaning"]
            .as_str()
            .unwrap()
            .contains("being updated")
    );
    assert_eq!(
        billing["urls"],
        serde_json::json!(["http://billing-eu.localhost:8080"])
    );
}

/// 1: AWS answered no; 69: it could not be asked. What is known is printed all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_query_is_reported_and_sets_the_exit_code() {
    let emulator = emulator().await;
    let fault = &emulator.script().describe_fault;
    let named = "[environments.analytics]\n";
    for (kind, config, code, told) in [
        (
            ControlFault::AccessDenied,
            named,
            1,
            "analytics: aws.denied: ",
        ),
        (ControlFault::AccessDenied, "", 1, "eu-west-1: aws.denied: "),
        (
            ControlFault::Throttling,
            named,
            69,
            "analytics: aws.throttled: ",
        ),
        (
            ControlFault::AccessDenied,
            "[environments.analytics]\nairflow_version = \"2.10.3\"\n",
            0,
            "analytics: aws.denied: ",
        ),
    ] {
        fault.always(kind);
        let ended = list(&emulator, config, &[]).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.starts_with(told), "{ended:?}");
        let listed = ended.stdout.contains("http://localhost:8080");
        assert_eq!(listed, !config.is_empty(), "{ended:?}");
    }
}
