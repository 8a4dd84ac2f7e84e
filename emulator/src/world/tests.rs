//! Command lines through the whole world; each family's own tests are in its file.

use super::clock::Moment;
use super::{CommandResult, World};

/// A world that began on 22 November 2026 at 02:30.
pub(super) fn world(version: &str) -> World {
    World::beginning_at(version, start())
}

fn start() -> Moment {
    Moment::parse("2026-11-22T02:30:00").unwrap()
}

/// Runs a command so many seconds after the beginning.
pub(super) fn at(world: &World, seconds: i64, words: &[&str]) -> CommandResult {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    world.run_at(start().plus(seconds), &words)
}

/// Runs a command at the beginning.
pub(super) fn run(world: &World, words: &[&str]) -> CommandResult {
    at(world, 0, words)
}

/// Runs a command that must succeed, and returns what it printed.
pub(super) fn ok(world: &World, words: &[&str]) -> String {
    let ended = run(world, words);
    assert_eq!(ended.exit_code, 0, "{words:?}: {}", ended.stderr);
    ended.stdout
}

/// Runs a command that must fail with this code, its standard error ending so.
pub(super) fn fails(world: &World, words: &[&str], code: i32, end: &str) {
    let ended = run(world, words);
    assert_eq!(ended.exit_code, code, "{words:?}: {}", ended.stdout);
    assert!(ended.stderr.ends_with(end), "{words:?}: {}", ended.stderr);
}

#[test]
fn usage_errors_are_argparses() {
    let two = world("2.10.5");
    let choices = "'cheat-sheet', 'connections', 'dags', 'db', 'pools', 'providers', 'roles', 'tasks', 'variables', 'version'";
    let wanted = format!(
        "\nairflow command error: argument GROUP_OR_COMMAND: invalid choice: 'nope' (choose from {choices}), see help above.\n"
    );
    let ended = run(&two, &["nope"]);
    assert_eq!(
        (ended.stderr.as_str(), ended.exit_code),
        (wanted.as_str(), 2)
    );
    assert!(
        ended
            .stdout
            .starts_with("Usage: airflow [-h] GROUP_OR_COMMAND ...\n"),
        "{}",
        ended.stdout
    );

    let cases: [(&[&str], &str); 9] = [
        (
            &[],
            "airflow command error: the following arguments are required: GROUP_OR_COMMAND",
        ),
        (
            &["dags"],
            "airflow dags command error: the following arguments are required: COMMAND",
        ),
        (&["dags", "nope"], "(choose from "),
        (
            &["dags", "trigger"],
            "airflow dags trigger command error: the following arguments are required: dag_id",
        ),
        (
            &["dags", "trigger", "a", "b"],
            "airflow command error: unrecognized arguments: b",
        ),
        (
            &["dags", "list", "--bogus"],
            "airflow command error: unrecognized arguments: --bogus",
        ),
        (
            &["dags", "list", "-o", "xml"],
            "airflow dags list command error: argument -o/--output: invalid choice: 'xml' (choose from 'table', 'json', 'yaml', 'plain')",
        ),
        (
            &["dags", "list", "-o"],
            "airflow dags list command error: argument -o/--output: expected one argument",
        ),
        (
            &["trigger_dag", "x"],
            "argument GROUP_OR_COMMAND: `airflow trigger_dag` command, has been removed, please use `airflow dags trigger`",
        ),
    ];
    for (words, message) in cases {
        let ended = run(&two, words);
        assert_eq!(ended.exit_code, 2, "{words:?}");
        assert!(
            ended.stderr.contains(message),
            "{words:?}: {}",
            ended.stderr
        );
        assert!(ended.stderr.ends_with(", see help above.\n"), "{words:?}");
        assert!(ended.stdout.starts_with("Usage: airflow"), "{words:?}");
    }
    let removed = "argument COMMAND: Command `dags backfill` has been removed. Please use `airflow backfill create`, see help above.\n";
    fails(&world("3.0.6"), &["dags", "backfill", "x"], 2, removed);
    let flat = run(&world("1.10.12"), &["worker"]).stderr;
    assert!(flat.contains("invalid choice: 'worker'"), "{flat}");
}

#[test]
fn help_is_printed_and_long_options_may_be_cut_short() {
    let two = world("2.10.5");
    let help = ok(&two, &["pools", "set", "--help"]);
    assert!(help.starts_with("Usage: airflow pools set [-h] "), "{help}");
    let synopsis = help.lines().next().unwrap();
    assert!(synopsis.ends_with("] NAME slots description"), "{help}");
    assert_eq!(
        synopsis.matches("[--include-deferred]").count(),
        1,
        "{help}"
    );
    assert!(help.contains("\n\nConfigure pool\n\n"), "{help}");
    assert!(help.contains("Positional Arguments:"), "{help}");
    assert_eq!(
        ok(&two, &["dags", "list", "--out", "json"]),
        ok(&two, &["dags", "list", "-o", "json"])
    );
}

#[test]
fn each_release_knows_its_own_commands() {
    assert_eq!(ok(&world("1.10.12"), &["version"]), "1.10.12\n");
    assert_eq!(ok(&world("3.3.1"), &["version"]), "3.3.1\n");
    assert_eq!(run(&world("1.10.12"), &["dags", "list"]).exit_code, 2);
    assert!(ok(&world("3.0.6"), &["cheat-sheet"]).contains("airflow assets materialize "));
    assert!(!ok(&world("2.10.5"), &["cheat-sheet"]).contains("airflow assets"));
}

#[test]
fn the_world_is_shared_between_threads() {
    let world = world("2.10.5");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let world = &world;
            scope.spawn(move || ok(world, &["variables", "set", &format!("k{thread}"), "v"]));
        }
    });
    assert_eq!(
        ok(&world, &["variables", "list", "-o", "plain"]),
        "key\nk0\nk1\nk2\nk3\n"
    );
}

#[test]
fn every_grammar_holds_together() {
    for version in ["1.10.12", "2.0.2", "2.5.1", "2.10.5", "3.0.6", "3.3.1"] {
        super::grammar(super::Release::parse(version)).debug_assert();
    }
}
