//! `mwaa-gateway commands`: the table, what one command takes, a line that is only tried.

use crate::program::{command, end, run};
use std::io::Write as _;

#[derive(serde::Deserialize)]
struct Row {
    command: String,
    verdict: String,
    reason: String,
}

#[tokio::test]
async fn commands_are_listed_for_programs_and_for_people() {
    let ended = run(&["commands", "--airflow-version", "3.0.6", "--output", "json"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let rows: Vec<Row> = serde_json::from_str(&ended.stdout).unwrap();
    assert!(rows.len() > 50, "only {} rows", rows.len());
    let verdict = |command: &str| {
        let row = rows
            .iter()
            .find(|row| row.command == command)
            .expect(command);
        assert!(!row.reason.is_empty(), "{command}");
        row.verdict.as_str()
    };
    assert_eq!(verdict("dags trigger"), "supported");
    assert_eq!(verdict("db migrate"), "unsupported");

    let table = run(&["commands", "--airflow-version", "3.0.6"]).await;
    let lines: Vec<_> = table.stdout.lines().collect();
    assert_eq!(lines.len(), rows.len() + 1);
    assert!(lines[0].starts_with("COMMAND"), "{}", lines[0]);

    let newer = run(&["commands", "--airflow-version", "3.9.0", "--output", "json"]).await;
    assert_eq!(newer.code, Some(0));
    assert!(
        newer.stderr.contains("3.9.0") && newer.stderr.contains("3.3.1"),
        "{}",
        newer.stderr
    );
    assert!(
        serde_json::from_str::<Vec<Row>>(&newer.stdout).is_ok(),
        "talk is not in the data"
    );
}

#[derive(serde::Deserialize)]
struct Signature {
    command: String,
    verdict: String,
    arguments: Vec<Argument>,
}

#[derive(serde::Deserialize)]
struct Argument {
    spellings: Vec<String>,
    takes: String,
    required: bool,
    verdict: String,
    reason: String,
}

#[tokio::test]
async fn a_command_is_shown_with_its_arguments() {
    let version = ["--airflow-version", "2.10.3", "--output", "json"];
    let ended = run(&[&["commands", "dags", "show"], &version[..]].concat()).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let found: Vec<Signature> = serde_json::from_str(&ended.stdout).unwrap();
    let [show] = found.as_slice() else {
        panic!("{}", ended.stdout);
    };
    assert_eq!(
        (show.command.as_str(), show.verdict.as_str()),
        ("dags show", "supported")
    );
    let dag_id = &show.arguments[0];
    assert_eq!(
        (dag_id.spellings[0].as_str(), dag_id.required),
        ("DAG_ID", true)
    );
    let save = show
        .arguments
        .iter()
        .find(|a| a.spellings == ["-s", "--save"]);
    let save = save.expect("--save");
    assert_eq!(
        (
            save.takes.as_str(),
            save.verdict.as_str(),
            save.reason.as_str()
        ),
        ("value", "unsupported", "it writes a file on the web server")
    );

    let group = run(&[&["commands", "dags"], &version[..]].concat()).await;
    let group: Vec<Signature> = serde_json::from_str(&group.stdout).unwrap();
    assert!(group.len() > 10, "{}", group.len());

    let unknown = run(&["commands", "dags", "hunt"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
    assert!(
        unknown.stderr.contains("has no command `dags hunt`"),
        "{}",
        unknown.stderr
    );
}

#[tokio::test]
async fn a_command_line_can_be_tried_without_sending_it() {
    let passes = run(&["commands", "--try", "airflow dags  trigger x -c{} --run=a"]).await;
    assert_eq!(passes.code, Some(0));
    assert_eq!(passes.stdout, "passes   dags trigger x \"-c{}\" --run=a\n");
    let refused = run(&["commands", "--try=-v dags list"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(
        refused
            .stdout
            .starts_with("refused  policy.unreadable_command: ")
    );
    let arguments = ["commands", "--airflow-version", "2.10.3", "--try"];
    let old = run(&[&arguments[..], &["variables -s k hunter2"]].concat()).await;
    assert_eq!(
        (old.code, old.stdout.as_str()),
        (
            Some(1),
            "refused  policy.unsupported_command: `variables --set` is Airflow 1.10 syntax and \
             does not exist in Airflow 2.10.3; on Airflow 2, send `variables set KEY VALUE`\n"
        )
    );

    let mut command = command(&["commands", "--try", "-", "--output", "json"]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    command.stdin(reader);
    writer
        .write_all(b"dags trigger x -vc{} --run=a\ndags list -S /x\ndags delete x\n\xff\n")
        .unwrap();
    drop(writer);
    let ended = end(command).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    let lines = ended.stdout.lines().map(serde_json::from_str);
    let lines: Vec<serde_json::Value> = lines.collect::<Result<_, _>>().unwrap();
    assert_eq!(
        lines[0],
        serde_json::json!({
            "verdict": "passes", "command": "dags trigger",
            "options": ["--verbose", "--conf", "--run-id"],
            "line": "dags trigger x \"-vc{}\" --run=a",
        })
    );
    let codes: Vec<_> = lines.iter().map(|line| line["code"].as_str()).collect();
    assert_eq!(
        codes,
        [
            None,
            Some("policy.forbidden_option"),
            Some("policy.needs_confirmation"),
            Some("policy.unreadable_command")
        ]
    );
}

const RULES: &str = "[listener]\ndeny = [\"dags pause\"]\n\
    [listeners.agents]\naddress = \"127.0.0.1:1\"\nenvironment = \"prod\"\npolicy = \"read-only\"\n\
    [environments.prod]\nairflow_version = \"2.10.3\"\npolicy = \"operator\"\nallow = [\"pools set\"]\n\
    deny = [\"dags backfill\"]\ndefault = true\n\
    [environments.new]\nairflow_version = \"3.0.6\"\n";

/// `explain` and `commands` judge as a gateway with this configuration would.
#[tokio::test]
async fn the_rules_of_the_configuration_are_applied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, RULES).unwrap();
    let config = format!("--config={}", file.display());
    for (options, line, code, told) in [
        (&[][..], "dags list", 0, "passes   dags list\n"),
        (&[], "pools set a 1 b", 0, "passes   pools set a 1 b\n"),
        (&[], "variables set a b", 1, "policy \"operator\""),
        (&[], "dags backfill x", 1, "deny list"),
        (&[], "dags pause x", 1, "the deny list of [listener]"),
        (
            &[],
            "dags trigger x",
            0,
            "but refused at listeners.agents: policy.forbidden_command",
        ),
        (
            &["-e", "new"],
            "variables set a b",
            0,
            "passes   variables set a b\n",
        ),
        (&["-e", "new"], "dags backfill x", 1, "Airflow 3.0.6"),
        (
            &["-e", "new", "--airflow-version", "2.10.3"],
            "dags backfill x",
            0,
            "passes",
        ),
    ] {
        let arguments = [&["explain", &config][..], options, &[line]].concat();
        let ended = run(&arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.stdout.contains(told), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.starts_with("note: the rules of "), "{ended:?}");
        // the alias says the same
        let arguments = [&["commands", &config][..], options, &["--try", line]].concat();
        assert_eq!(run(&arguments).await.stdout, ended.stdout, "{arguments:?}");
    }
    let typo = run(&["explain", &config, "-e", "typo", "version"]).await;
    let told =
        "note: no environment `typo` is configured; the default rules apply: policy supported";
    assert!(typo.stderr.starts_with(told), "{typo:?}");
    let json = run(&["explain", &config, "-qo", "json", "dags trigger x"]).await;
    let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(told["refused_at"][0]["listener"], "listeners.agents");
    let table = run(&["commands", &config, "-q"]).await;
    for (command, verdict) in [
        ("dags list", "passes"),
        ("dags pause", "refused"),
        ("pools set", "passes"),
        ("variables set", "refused"),
    ] {
        let line = format!("{command:39} {verdict}");
        assert!(
            table.stdout.lines().any(|told| told.starts_with(&line)),
            "{line}\n{}",
            table.stdout
        );
    }
    std::fs::write(&file, "[listener]\npolcy = 1\n").unwrap();
    let ended = run(&["explain", &config, "version"]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(78), ""),
        "{ended:?}"
    );
}
