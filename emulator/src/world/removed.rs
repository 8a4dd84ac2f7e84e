//! Commands that were removed, and what later releases say about them.

use clap::Command;

/// Names of 1.10 and their successors in 2.x, from Airflow's own list.
const REMOVED: [(&str, &str); 27] = [
    ("worker", "celery worker"),
    ("flower", "celery flower"),
    ("trigger_dag", "dags trigger"),
    ("delete_dag", "dags delete"),
    ("show_dag", "dags show"),
    ("list_dag", "dags list"),
    ("dag_status", "dags status"),
    ("backfill", "dags backfill"),
    ("list_dag_runs", "dags list-runs"),
    ("pause", "dags pause"),
    ("unpause", "dags unpause"),
    ("test", "tasks test"),
    ("clear", "tasks clear"),
    ("list_tasks", "tasks list"),
    ("task_failed_deps", "tasks failed-deps"),
    ("task_state", "tasks state"),
    ("run", "tasks run"),
    ("render", "tasks render"),
    ("initdb", "db init"),
    ("resetdb", "db reset"),
    ("upgradedb", "db upgrade"),
    ("checkdb", "db check"),
    ("shell", "db shell"),
    ("pool", "pools"),
    ("list_users", "users list"),
    ("create_user", "users create"),
    ("delete_user", "users delete"),
];

/// What a parser says of a command that was removed before its release.
pub(super) fn removed(parser: &Command, path: &str) -> Option<String> {
    if parser.find_subcommand("trigger_dag").is_some() {
        return None; // 1.10 itself
    }
    // only the grammar of Airflow 3 has `backfill` as a group
    let three = parser
        .find_subcommand("backfill")
        .is_some_and(Command::has_subcommands)
        || (parser.get_name() == "dags" && parser.find_subcommand("backfill").is_none());
    if three {
        let new = match path {
            "dags backfill" => "backfill create",
            "webserver" => "api-server",
            _ => return None,
        };
        return Some(format!(
            "Command `{path}` has been removed. Please use `airflow {new}`"
        ));
    }
    let (_, new) = REMOVED.iter().find(|(old, _)| *old == path)?;
    Some(format!(
        "`airflow {path}` command, has been removed, please use `airflow {new}`"
    ))
}
