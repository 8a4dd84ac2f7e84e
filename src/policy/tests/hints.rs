//! The texts of errors: the command, the version and what to do.

use super::*;
use crate::tables::commands::command_table;

#[test]
fn a_refusal_names_the_command_the_version_and_the_next_step() {
    let cases = [
        (
            "trigger_dag x",
            "2.10.3",
            "`trigger_dag` is not supported by MWAA on Airflow 2.10.3",
            "send `dags trigger` instead; MWAA supports `trigger_dag` on Airflow 1.10.12",
        ),
        (
            "dags backfill x",
            "3.0.6",
            "`dags backfill` is not supported by MWAA on Airflow 3.0.6",
            "send `backfill create` instead; MWAA supports `dags backfill` on Airflow 2.2.2 to 2.11.2",
        ),
        (
            "backfill x -s 2024-01-01",
            "3.0.6",
            "",
            "send `backfill create` instead; MWAA supports `backfill` on Airflow 1.10.12",
        ),
        (
            "backfill create --dag-id x",
            "2.10.3",
            "",
            "send `dags backfill` instead; MWAA supports `backfill create` on Airflow 3.0.6 to 3.3.1",
        ),
        (
            "dags list",
            "1.10.12",
            "",
            "send `list_dags` instead; MWAA supports `dags list` on Airflow 2.2.2 to 2.11.2 and 3.0.6 to 3.3.1",
        ),
        (
            "dags state x",
            "1.10.12",
            "",
            "send `dag_state` instead; MWAA supports `dags state` on Airflow 2.0.2 to 2.11.2 and 3.0.6 to 3.3.1",
        ),
        (
            "variables get k",
            "1.10.12",
            "",
            "send `variables` with options instead; MWAA supports `variables get` on Airflow 2.0.2 to 2.11.2 and 3.0.6 to 3.3.1",
        ),
        (
            "dags -v list",
            "2.10.3",
            "there is an option before the command's name",
            "write the command first, then its options: `dags list --verbose`",
        ),
        (
            "db clean",
            "2.2.2",
            "",
            "MWAA supports `db clean` on Airflow 2.4.3 to 2.11.2 and 3.0.6 to 3.3.1",
        ),
        (
            "dag list",
            "2.10.3",
            "`dag list` is not supported by MWAA on Airflow 2.10.3",
            "did you mean `dags list`?",
        ),
        ("dags trig x", "2.10.3", "", "did you mean `dags trigger`?"),
        (
            "DAGS LIST",
            "2.10.3",
            "`DAGS LIST` is not supported by MWAA on Airflow 2.10.3",
            "did you mean `dags list`?",
        ),
        (
            "users list",
            "2.10.3",
            "`users list` is not supported by MWAA on Airflow 2.10.3",
            "MWAA takes users and roles from IAM; if your environment runs it, set allow = [\"users list\"]",
        ),
        (
            "list_users",
            "2.10.3",
            "",
            "it is now `users list`, which MWAA does not support either: MWAA takes users and roles from IAM; if your environment runs it, set allow = [\"users list\"]",
        ),
        (
            "initdb",
            "3.0.6",
            "",
            "it is now `db migrate`, which MWAA does not support either: MWAA manages the database itself; if your environment runs it, set allow = [\"db migrate\"]",
        ),
        ("pool", "2.10.3", "", "it is now `pools`"),
        (
            "list_dag",
            "2.10.3",
            "`list_dag` is not supported by MWAA on Airflow 2.10.3",
            "send `dags list` instead",
        ),
        (
            "hunter2= x",
            "2.10.3",
            "at byte 0, there is a variable assignment before the command",
            "start with the command's name: the line is not run by a shell",
        ),
        (
            "dags hunter2",
            "2.10.3",
            "`dags hunter2` is not supported by MWAA on Airflow 2.10.3",
            "MWAA supports `dags backfill`",
        ),
        (
            "my-pass/word! hunter2",
            "2.10.3",
            "the first word is not supported by MWAA on Airflow 2.10.3",
            "`mwaa-gateway commands` lists the supported commands",
        ),
    ];
    for (line, airflow, detail, hint) in cases {
        let refusal = refusal(line, airflow, &Rules::default());
        assert!(refusal.to_string().contains(detail), "{line}: {refusal}");
        assert!(
            refusal.hint().starts_with(hint),
            "{line}: {}",
            refusal.hint()
        );
    }
}

/// The 27 names of `COMMAND_MAP` in Airflow 2.10.5's `legacy_commands.py`. `dags status` and
/// `db init` have been renamed since; the rest is as there.
const LEGACY: &[(&str, &str)] = &[
    ("worker", "celery worker"),
    ("flower", "celery flower"),
    ("trigger_dag", "dags trigger"),
    ("delete_dag", "dags delete"),
    ("show_dag", "dags show"),
    ("list_dag", "dags list"),
    ("dag_status", "dags state"),
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

#[test]
fn every_legacy_name_has_its_successor() {
    for (old, new) in LEGACY {
        assert_eq!(command_table().find_successor(old), Some(*new), "{old}");
        let refusal = refusal(old, "2.6.3", &Rules::default());
        assert_eq!(refusal.code().text, UNSUPPORTED, "{old}");
        let new = match *new {
            // renamed again within 2.x
            "db init" | "db upgrade" => "db ",
            new => new,
        };
        assert!(refusal.hint().contains(new), "{old}: {}", refusal.hint());
    }
}
