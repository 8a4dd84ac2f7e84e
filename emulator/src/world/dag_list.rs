//! `dags list` and `dags details`: what a DAG is, in columns.

use serde_json::{Value, json};

use super::output::{Format, Rows};
use super::reply::{CommandResult, Reply};
use super::state::{Dag, State};

/// The value of a DAG's property, as `dags list --columns` and `dags details` name it.
fn property(name: &str, dag_id: &str, dag: &Dag) -> Option<Value> {
    Some(match name {
        "dag_id" | "dag_display_name" => json!(dag_id),
        "fileloc" | "filepath" => json!(dag.fileloc()),
        "relative_fileloc" => json!(dag.file),
        "owners" => json!([dag.owner]),
        "owner" => json!(dag.owner),
        "is_paused" | "paused" => json!(dag.paused),
        "is_active" => json!(true),
        "is_stale" | "has_import_errors" | "has_task_concurrency_limits" | "is_subdag" => {
            json!(false)
        }
        "description" => json!(dag.description),
        "tags" => dag.tags.iter().map(|tag| json!({"name": tag})).collect(),
        "bundle_name" => json!("dags-folder"),
        "bundle_version" | "last_expired" => Value::Null,
        "max_active_tasks" | "max_active_runs" => json!(16),
        "schedule_interval" | "timetable_summary" => json!(dag.schedule()),
        "timetable_description" => json!(dag.schedule_in_words()),
        _ => return None,
    })
}

/// The properties of `dags details`, in its order.
const DETAILS: [&str; 15] = [
    "dag_id",
    "dag_display_name",
    "is_paused",
    "is_active",
    "is_stale",
    "fileloc",
    "owners",
    "description",
    "schedule_interval",
    "timetable_summary",
    "timetable_description",
    "tags",
    "max_active_tasks",
    "max_active_runs",
    "has_import_errors",
];

pub(super) fn list(state: &State, columns: Option<&str>, format: Format) -> CommandResult {
    let usual: &[&'static str] = if state.release.is_three() {
        &[
            "dag_id",
            "fileloc",
            "owners",
            "is_paused",
            "bundle_name",
            "bundle_version",
        ]
    } else if state.release.at_least(2, 9) {
        &["dag_id", "fileloc", "owners", "is_paused"]
    } else {
        &["dag_id", "filepath", "owner", "paused"]
    };
    let asked: Vec<&str> = columns.map_or_else(Vec::new, |names| names.split(',').collect());
    let known = DETAILS.iter().chain(usual).copied();
    let mut chosen: Vec<&'static str> = asked
        .iter()
        .filter_map(|name| known.clone().find(|known| known == name))
        .collect();
    if asked.is_empty() {
        chosen = usual.to_vec();
    } else if chosen.len() < asked.len() {
        let ignored: Vec<&str> = asked
            .into_iter()
            .filter(|name| known.clone().all(|known| known != *name))
            .collect();
        let ignored = super::python::repr(&json!(ignored));
        let message = format!("Ignoring the following invalid columns: {ignored}.");
        return rows(state, &chosen).print(format).with_note(&message);
    }
    rows(state, &chosen).print(format)
}

fn rows(state: &State, columns: &[&'static str]) -> Rows {
    let mut rows = Rows::new(columns);
    for (dag_id, dag) in &state.dags {
        let value = |column: &&str| property(column, dag_id, dag).unwrap_or_default();
        rows.push(columns.iter().map(value).collect());
    }
    rows
}

pub(super) fn details(state: &State, dag_id: &str, format: Format) -> Reply {
    let Some(dag) = state.dags.get(dag_id) else {
        return Err(CommandResult::system_exit(format_args!(
            "DAG: {dag_id} does not exist in 'dag' table"
        )));
    };
    let foreign: &[&str] = if state.release.is_three() {
        &["is_active", "schedule_interval"]
    } else {
        &["is_stale", "timetable_summary"]
    };
    let shown: Vec<&'static str> = DETAILS
        .iter()
        .copied()
        .filter(|name| !foreign.contains(name))
        .collect();
    let values = shown
        .iter()
        .map(|name| property(name, dag_id, dag).unwrap_or_default());
    if matches!(format, Format::Json | Format::Yaml) {
        let mut rows = Rows::new(&shown);
        rows.push(values.collect());
        return Ok(rows.print(format));
    }
    let mut rows = Rows::new(&["property_name", "property_value"]);
    for (name, value) in shown.iter().zip(values) {
        rows.push(vec![json!(name), value]);
    }
    Ok(rows.print(format))
}

impl Dag {
    pub(super) fn schedule(&self) -> Option<String> {
        self.daily_at
            .map(|at| format!("{} {} * * *", at % 3600 / 60, at / 3600))
    }

    fn schedule_in_words(&self) -> String {
        match self.daily_at {
            Some(at) => format!("At {:02}:{:02}", at / 3600, at % 3600 / 60),
            None => "Never, external triggers only".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ok, world};

    #[test]
    fn the_list_is_in_the_columns_of_the_release() {
        let expected = [
            "dag_id       | fileloc                                         | owners    | is_paused",
            "=============+=================================================+===========+==========",
            "daily_report | /usr/local/airflow/dags/reports/daily_report.py | analytics | True     ",
            "example_etl  | /usr/local/airflow/dags/example_etl.py          | data-team | False    ",
            "lab_hello    | /usr/local/airflow/dags/lab_hello.py            | airflow   | False    ",
        ];
        let two = ok(&world("2.10.5"), &["dags", "list"]);
        assert_eq!(two.lines().take(5).collect::<Vec<_>>(), expected);
        assert!(ok(&world("2.5.1"), &["dags", "list"]).starts_with("dag_id       | filepath "));
        let three = ok(&world("3.0.6"), &["dags", "list", "-o", "json"]);
        assert!(
            three.contains("\"bundle_name\": \"dags-folder\", \"bundle_version\": null}"),
            "{three}"
        );
        let chosen = ok(
            &world("2.10.5"),
            &[
                "dags",
                "list",
                "--columns",
                "dag_id,is_paused",
                "-o",
                "plain",
            ],
        );
        assert!(
            chosen.starts_with("dag_id        is_paused\ndaily_report  True\n"),
            "{chosen}"
        );
    }
}
