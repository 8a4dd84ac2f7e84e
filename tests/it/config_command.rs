//! `config`: the starter file, the configuration in effect, the JSON Schema.

use crate::program::{command, end, run};
use crate::tree;
use serde_json::Value;

#[tokio::test]
async fn the_starter_file_is_the_annotated_one_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let init = |arguments: &[&str]| {
        let mut command = command(&["config", "init"]);
        command.args(arguments).current_dir(folder.path());
        end(command)
    };
    let ended = init(&[]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("wrote mwaa-gateway.toml"),
        "{ended:?}"
    );
    let file = folder.path().join("mwaa-gateway.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written, tree::read("config.toml"));
    std::fs::write(&file, "mine").unwrap();
    let ended = init(&[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--config"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let ended = init(&["--config=other.toml"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(folder.path().join("other.toml").is_file());
}

#[tokio::test]
async fn each_value_is_shown_with_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "[limits]\nqueue_size = 7\n[environments.prod]\n").unwrap();
    let config = format!("--config={}", file.display());
    let mut show = command(&["config", "show", &config, "--listen=127.0.0.1:8089"]);
    show.env("MWAA_GATEWAY_REGION", "eu-west-1");
    let ended = end(show).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    for line in [
        format!("limits.queue_size = 7  # {}:2:14", file.display()),
        "listener.address = \"127.0.0.1:8089\"  # --listen".to_owned(),
        "aws.region = \"eu-west-1\"  # MWAA_GATEWAY_REGION".to_owned(),
        "environments.prod.region = \"eu-west-1\"  # aws.region".to_owned(),
        "limits.queue_wait = \"120s\"  # default".to_owned(),
    ] {
        let is_shown = ended.stdout.lines().any(|shown| shown == line);
        assert!(is_shown, "{line}\n{}", ended.stdout);
    }

    std::fs::write(&file, "limit = 1\n").unwrap();
    let ended = run(&["config", "show", &config]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(78), ""),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("limits"), "{ended:?}");
}

#[tokio::test]
async fn the_schema_is_json_and_has_every_table() {
    let ended = run(&["config", "schema"]).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    let schema: Value = serde_json::from_str(&ended.stdout).unwrap();
    for table in ["listener", "management", "aws", "limits", "environments"] {
        assert!(schema["properties"][table].is_object(), "{table}");
    }
}

#[tokio::test]
async fn each_part_has_a_help_with_an_example() {
    for part in ["init", "show", "schema"] {
        let ended = run(&["config", part, "--help"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let example = format!("Example: mwaa-gateway config {part}");
        assert!(ended.stdout.contains(&example), "{ended:?}");
    }
    let ended = run(&["config", "-q"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("init, show, schema"), "{ended:?}");
}
