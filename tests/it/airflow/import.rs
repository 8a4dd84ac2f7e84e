//! Imports: a file of this machine becomes a command for each name.

use super::through;
use crate::program::{Ended, Running, end};
use crate::support::Harness;
use mwaa_emulator::{Answer, WebFault};
use std::path::PathBuf;
use tempfile::TempDir;

/// Where a test keeps its files, and the program its notes.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, harness: &Harness, arguments: &[&str]) -> tokio::process::Command {
        let mut command = through(harness, arguments);
        command.env("XDG_STATE_HOME", self.0.path().join("state"));
        command
    }

    async fn run(&self, harness: &Harness, arguments: &[&str]) -> Ended {
        end(self.command(harness, arguments)).await
    }

    /// The journals of imports that did not come to their end.
    fn journals(&self) -> Vec<PathBuf> {
        let folder = self.0.path().join("state/mwaa-gateway/imports");
        std::fs::read_dir(folder).map_or_else(
            |_none| Vec::new(),
            |files| files.map(|file| file.unwrap().path()).collect(),
        )
    }
}

fn sets(harness: &Harness) -> Vec<String> {
    let mut commands = harness.journal().commands();
    commands.retain(|line| line.contains(" set ") || line.contains(" add "));
    commands
}

#[tokio::test]
async fn each_variable_is_set_by_its_own_command() {
    let (harness, desk) = (Harness::new().await, Desk::new());
    let value = "it's \"quoted\" \\ $HOME\nand é 😀";
    let text = serde_json::json!({"-a": "-v", "b": value, "c": {"d": [1, true]}, "e": 1.5});
    // some editors begin a file with a byte order mark
    let file = desk.write("variables.json", &format!("\u{feff}{text}"));
    let ended = desk.run(&harness, &["variables", "import", &file]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (Some(0), "4 of 4 variables imported\n", "")
    );
    assert_eq!(sets(&harness).len(), 4);
    assert_eq!(harness.journal().peak_commands(), 1);
    for (name, stored) in [
        ("b", value),
        ("c", "{\n  \"d\": [\n    1,\n    true\n  ]\n}"),
        ("e", "1.5"),
    ] {
        let ended = desk.run(&harness, &["variables", "get", name]).await;
        assert_eq!(ended.stdout, format!("{stored}\n"));
    }
    assert!(desk.journals().is_empty(), "all is done");
    let mut piped = desk.command(
        &harness,
        &["--output", "json", "variables", "import", "-a", "skip", "-"],
    );
    piped.stdin(std::fs::File::open(file).unwrap());
    let ended = end(piped).await;
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (ended.code, &told["done"]),
        (Some(0), &0.into()),
        "{ended:?}"
    );
    assert_eq!(told["skipped"], serde_json::json!(["-a", "b", "c", "e"]));
    assert_eq!(sets(&harness).len(), 4, "they are there");
}

#[tokio::test]
async fn an_invalid_import_is_refused_before_anything_is_sent() {
    let (harness, desk) = (Harness::new().await, Desk::new());
    let bad = desk.write("bad.json", "{\"a\": \"1\", \"b\": \"\\u0007\"}");
    let wide = desk.write("wide.json", "");
    std::fs::write(&wide, b"\xff\xfe{\0}\0").unwrap();
    let here = desk.write("here.json", "{\"new\": \"1\", \"old\": \"2\"}");
    let yaml = desk.write("a.yaml", "a: 1");
    let list = desk.write("list.json", "[1]");
    let pools = desk.write("pools.json", r#"{"p": {"slots": 1, "description": "d"}}"#);
    let set = desk.run(&harness, &["variables", "set", "old", "1"]).await;
    assert_eq!(set.code, Some(0), "{set:?}");
    let before = sets(&harness);
    for (arguments, code, said) in [
        (
            &["variables", "import", &bad][..],
            1,
            "cannot be imported: b: ",
        ),
        (
            &["variables", "import", "-a", "fail", &here],
            1,
            "already exists: old",
        ),
        (&["variables", "import", &yaml], 1, "YAML"),
        (&["variables", "import", &list], 1, "a JSON object"),
        (&["variables", "import", &wide], 1, "save it as UTF-8"),
        (
            &["variables", "import", "/nosuch.json"],
            1,
            "cannot be read",
        ),
        (&["variables", "import"], 2, "needs a file"),
        (&["--resume", "variables", "list"], 2, "--resume"),
        (&["--output", "raw", "variables", "import", &here], 2, "raw"),
        // not on MWAA's list: the gateway refuses the first command
        (
            &["pools", "import", &pools],
            1,
            "policy.unsupported_command",
        ),
    ] {
        let ended = desk.run(&harness, arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(said), "{arguments:?}: {ended:?}");
    }
    assert_eq!(sets(&harness), before, "nothing was changed");
}

/// The running gateway takes less than the client believes: one fails, the others do not.
#[tokio::test]
async fn a_partial_failure_is_reported_and_can_be_resumed() {
    let harness = Harness::configured("limits.cli_body = \"1KiB\"").await;
    let desk = Desk::new();
    let text = serde_json::json!({"a": "1", "b": "x".repeat(2000), "c": "3"});
    let file = desk.write("variables.json", &text.to_string());
    let ended = desk.run(&harness, &["variables", "import", &file]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), "2 of 3 variables imported\n"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("failed: b: "), "{ended:?}");
    assert!(ended.stderr.contains("--resume"), "{ended:?}");
    let journals = desk.journals();
    assert_eq!(journals.len(), 1);
    assert_eq!(std::fs::read_to_string(&journals[0]).unwrap(), "0\n2\n");
    assert_eq!(sets(&harness).len(), 2);
    let ended = desk
        .run(&harness, &["--resume", "variables", "import", &file])
        .await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), "2 of 3 variables imported\n")
    );
    assert!(
        ended.stderr.contains("2 of them by an earlier run"),
        "{ended:?}"
    );
    assert_eq!(
        sets(&harness).len(),
        2,
        "only the one that failed was sent again"
    );
    // another content is another import
    let file = desk.write("variables.json", "{\"a\": \"4\"}");
    let ended = desk
        .run(&harness, &["--resume", "variables", "import", &file])
        .await;
    assert_eq!(
        (ended.code, sets(&harness).len()),
        (Some(0), 3),
        "{ended:?}"
    );
}

/// Where no notes can be kept, that is said once, and nothing is promised.
#[tokio::test]
async fn without_a_writable_journal_no_resume_is_promised() {
    let harness = Harness::configured("limits.cli_body = \"1KiB\"").await;
    let desk = Desk::new();
    let text = serde_json::json!({"a": "1", "b": "x".repeat(2000), "c": "3", "d": "4"});
    let file = desk.write("variables.json", &text.to_string());
    let mut command = desk.command(&harness, &["variables", "import", &file]);
    command.env("XDG_STATE_HOME", "/dev/null");
    let ended = end(command).await;
    assert_eq!(ended.stdout, "3 of 4 variables imported\n", "{ended:?}");
    assert_eq!(ended.stderr.matches("--resume").count(), 1, "{ended:?}");
    let note = "note: the progress cannot be recorded";
    assert!(ended.stderr.contains(note), "{ended:?}");
}

/// The second run finds the variables that the first one has set, and that is not a failure.
#[tokio::test]
async fn an_import_with_action_fail_can_be_resumed() {
    let harness = Harness::configured("limits.cli_body = \"1KiB\"").await;
    let desk = Desk::new();
    let text = serde_json::json!({"a": "1", "b": "x".repeat(2000), "c": "3"});
    let file = desk.write("variables.json", &text.to_string());
    let import = ["variables", "import", "-a", "fail", &file];
    let ended = desk.run(&harness, &import).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), "2 of 3 variables imported\n"),
        "{ended:?}"
    );
    // without `--resume` they count as another user's, and the record of the first run is kept
    let ended = desk.run(&harness, &import).await;
    assert!(ended.stderr.contains("already exists: a"), "{ended:?}");
    let ended = desk
        .run(&harness, &[&["--resume"], &import[..]].concat())
        .await;
    assert!(ended.stderr.contains("failed: b: "), "{ended:?}");
    assert!(
        ended.stderr.contains("2 of them by an earlier run"),
        "{ended:?}"
    );
    assert_eq!(sets(&harness).len(), 2);
    // another gateway's environment has none of it
    let other = Harness::configured("limits.cli_body = \"1KiB\"").await;
    let ended = desk
        .run(&other, &[&["--resume"], &import[..]].concat())
        .await;
    assert!(!ended.stderr.contains("an earlier run"), "{ended:?}");
    assert_eq!(sets(&other).len(), 2);
}

/// Two names without an answer stay unknown and the rest are set; three in a row end the import.
#[tokio::test]
async fn an_import_survives_a_load_balancer_s_errors() {
    const ALL: usize = 150;
    let desk = Desk::new();
    let names = (0..ALL).map(|number| (format!("v{number}"), "1".into()));
    let text = serde_json::Value::Object(names.collect());
    let file = desk.write("variables.json", &text.to_string());
    for (faults, unknown) in [(2, 2), (ALL, 3)] {
        let harness = Harness::new().await;
        let arguments = ["variables", "import", &file];
        let trouble = async {
            harness
                .seen("some commands", |journal| journal.commands().len() > 3)
                .await;
            let fault = WebFault::html(504);
            harness.script().web_fault.next(faults, fault);
        };
        let (ended, ()) = tokio::join!(desk.run(&harness, &arguments), trouble);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let lines = ended.stderr.lines();
        let told = lines.filter(|line| line.starts_with("unknown: v")).count();
        assert_eq!(told, unknown, "{ended:?}");
        let done = sets(&harness).len();
        assert_eq!(
            ended.stdout,
            format!("{done} of {ALL} variables imported\n"),
            "{ended:?}"
        );
        assert_eq!(done == ALL - 2, faults == 2, "{ended:?}");
        assert_eq!(
            ended.stderr.contains("upstream.timeout"),
            faults > 2,
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn an_interrupted_import_reports_its_progress_and_can_be_resumed() {
    const ALL: usize = 150;
    let (harness, desk) = (Harness::new().await, Desk::new());
    let names = (0..ALL).map(|number| (format!("v{number}"), "1".into()));
    let text = serde_json::Value::Object(names.collect());
    let file = desk.write("variables.json", &text.to_string());
    let running = Running::start(desk.command(&harness, &["variables", "import", &file]));
    harness
        .seen("some commands", |journal| journal.commands().len() > 3)
        .await;
    let ended = running.stop().await;
    assert_eq!(ended.code, Some(128 + 15), "{ended:?}");
    let done = ended
        .stdout
        .split(' ')
        .next()
        .unwrap()
        .parse::<usize>()
        .unwrap();
    assert!((1..ALL).contains(&done), "{ended:?}");
    assert_eq!(
        ended.stdout,
        format!("{done} of {ALL} variables imported\n")
    );
    assert!(ended.stderr.contains("not attempted: "), "{ended:?}");
    let ended = desk
        .run(&harness, &["--resume", "variables", "import", &file])
        .await;
    assert_eq!(
        (ended.code, ended.stdout),
        (Some(0), format!("{ALL} of {ALL} variables imported\n"))
    );
    assert!(
        ended
            .stderr
            .contains(&format!("{done} of them by an earlier run"))
    );
    // the one in flight may have been set twice: that changes nothing
    assert!((ALL..=ALL + 1).contains(&sets(&harness).len()));
    assert!(desk.journals().is_empty());
}

#[tokio::test]
async fn existing_connections_are_kept_unless_overwrite_is_given() {
    let (harness, desk) = (Harness::new().await, Desk::new());
    let text =
        r#"{"one": "http://user:pass@host:8080/x", "two": {"conn_type": "http", "host": "h"}}"#;
    let file = desk.write("connections.json", text);
    for (arguments, stdout) in [
        (
            &["connections", "import", &file][..],
            "2 of 2 connections imported\n",
        ),
        (
            &["connections", "import", &file],
            "0 of 2 connections imported\n",
        ),
        (
            &["connections", "import", "--overwrite", &file],
            "2 of 2 connections imported\n",
        ),
    ] {
        let ended = desk.run(&harness, arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(0), stdout),
            "{arguments:?}: {ended:?}"
        );
        assert!(!ended.stderr.contains("pass"), "{ended:?}");
        if stdout.starts_with('0') {
            assert!(
                ended.stderr.contains("skipped, already exists: two"),
                "{ended:?}"
            );
        }
    }
}

/// The guide does not list `pools set`, so a rule has to let it pass.
#[tokio::test]
async fn pools_are_imported_if_a_rule_allows_it() {
    let harness = Harness::configured("[environments.demo]\nallow = [\"pools set\"]").await;
    harness
        .script()
        .answer("pools set", Answer::stdout("Pool created\n"));
    let desk = Desk::new();
    let text =
        r#"{"p": {"slots": 3, "description": "a b"}, "q": {"slots": 1, "description": ""}}"#;
    let file = desk.write("pools.json", text);
    let ended = desk.run(&harness, &["pools", "import", &file]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "2 of 2 pools imported\n"),
        "{ended:?}"
    );
    let commands = harness.journal().commands();
    assert!(
        commands.contains(&"pools set -- p 3 \"a b\"".to_owned()),
        "{commands:?}"
    );
}
