//! `dags`: the DAGs themselves (list, details, pause, delete, show, report); runs are in `runs`.

use clap::{ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::arguments::{
    Parsed, command, group, option, output, positional, subdir, switch, yes,
};
use super::clock::{DAY, Moment};
use super::output::{Format, Rows};
use super::release::Release;
use super::reply::{CommandResult, Reply};
use super::state::{Dag, State};
use super::{jobs, runs, seed};

pub(super) fn grammar(release: Release) -> Command {
    let dag_id = || positional("dag_id", "The id of the dag");
    let mut commands = vec![
        command(
            "delete",
            "Delete all DB records related to the specified DAG",
        )
        .args([dag_id(), yes()]),
        command("details", "Get DAG details given a DAG id").args([dag_id(), output()]),
        command("list", "List all the DAGs").args([
            option(
                None,
                "columns",
                "List of columns to render (comma separated)",
            ),
            output(),
            subdir(),
            option(
                Some('B'),
                "bundle-name",
                "The name of the DAG bundle to use",
            ),
        ]),
        command(
            "list-import-errors",
            "List all the DAGs that have import errors",
        )
        .args([output(), subdir()]),
        jobs::grammar(),
        command(
            "next-execution",
            "Get the next execution datetimes of a DAG",
        )
        .args([
            dag_id(),
            option(
                Some('n'),
                "num-executions",
                "The number of next execution datetimes to show",
            )
            .value_parser(value_parser!(u16).range(1..)),
            subdir(),
        ]),
        command("report", "Show DagBag loading report").args([output(), subdir()]),
        command(
            "reserialize",
            "Reserialize all DAGs by parsing the DagBag files",
        )
        .args([
            subdir(),
            switch(
                None,
                "clear-only",
                "If passed, serialized DAGs will be cleared but not reserialized",
            ),
            option(
                Some('B'),
                "bundle-name",
                "The name of the DAG bundle to use",
            ),
        ]),
        command("show", "Displays DAG's tasks with their dependencies").args([
            dag_id(),
            option(Some('s'), "save", "Saves the result to the indicated file"),
            switch(None, "imgcat", "Displays graph using the imgcat tool"),
            subdir(),
        ]),
    ];
    for (name, about) in [
        ("pause", "Pause DAG(s)"),
        ("unpause", "Resume paused DAG(s)"),
    ] {
        commands.push(command(name, about).args([dag_id(), output(), subdir(), yes()]));
    }
    commands.extend(runs::grammars(release));
    group("dags", "Manage DAGs", commands)
}

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let dag_id = given.required("dag_id");
    match name {
        "list" => list(state, given.text("columns"), given.format()),
        "details" => details(state, dag_id, given.format()),
        "pause" | "unpause" => set_paused(state, dag_id, name == "pause", given.format()),
        "delete" => delete(state, dag_id, given.has("yes")),
        "list-import-errors" => Ok(Rows::new(&["filepath", "error"]).print(given.format())),
        "list-jobs" => Ok(jobs::list(state, given)),
        "next-execution" => {
            let count = given.number::<u16>("num-executions").unwrap_or(1);
            next_execution(state, dag_id, count)
        }
        "report" => Ok(report(state).print(given.format())),
        "reserialize" => {
            reserialize(state);
            Ok(CommandResult::printed(""))
        }
        "show" => show(state, dag_id, given.text("save")),
        _ => runs::run(state, name, given),
    }
}

/// The DAG of this id, as commands find it that load the DAG's file.
pub(super) fn loaded<'a>(state: &'a State, dag_id: &str) -> Result<&'a Dag, CommandResult> {
    state.dags.get(dag_id).ok_or_else(|| {
        let message = format!(
            "Dag '{dag_id}' could not be found; either it does not exist or it failed to parse."
        );
        CommandResult::traceback("airflow.exceptions.AirflowException", message)
    })
}

/// The DAG of this id, as commands find it that ask the database.
pub(super) fn recorded<'a>(state: &'a State, dag_id: &str) -> Result<&'a Dag, CommandResult> {
    state.dags.get(dag_id).ok_or_else(|| {
        CommandResult::system_exit(format_args!("DAG: {dag_id} does not exist in 'dag' table"))
    })
}

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

fn list(state: &State, columns: Option<&str>, format: Format) -> Reply {
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
        return Ok(rows(state, &chosen).print(format).with_note(&message));
    }
    Ok(rows(state, &chosen).print(format))
}

fn rows(state: &State, columns: &[&'static str]) -> Rows {
    let mut rows = Rows::new(columns);
    for (dag_id, dag) in &state.dags {
        let value = |column: &&str| property(column, dag_id, dag).unwrap_or_default();
        rows.push(columns.iter().map(value).collect());
    }
    rows
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

fn details(state: &State, dag_id: &str, format: Format) -> Reply {
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

/// Sets whether a DAG is paused; from 2.9 the command says so in rows.
fn set_paused(state: &mut State, dag_id: &str, paused: bool, format: Format) -> Reply {
    let in_rows = state.release.at_least(2, 9);
    let now = state.now;
    let Some(dag) = state.dags.get_mut(dag_id) else {
        return Ok(match in_rows {
            true => unchanged(paused),
            false => CommandResult::system_exit(format_args!(
                "DAG: {dag_id} does not exist in 'dag' table"
            )),
        });
    };
    if in_rows && dag.paused == paused {
        return Ok(unchanged(paused));
    }
    dag.set_paused(paused, now);
    if !in_rows {
        let paused = if paused { "True" } else { "False" };
        return Ok(CommandResult::line(format_args!(
            "Dag: {dag_id}, paused: {paused}"
        )));
    }
    let mut rows = Rows::new(&["dag_id", "is_paused"]);
    rows.push(vec![json!(dag_id), json!(paused)]);
    Ok(rows.print(format))
}

fn unchanged(paused: bool) -> CommandResult {
    let state = if paused { "unpaused" } else { "paused" };
    CommandResult::line(format_args!("No {state} DAGs were found"))
}

fn delete(state: &mut State, dag_id: &str, yes: bool) -> Reply {
    if !yes {
        return Err(CommandResult::unanswered(
            "This will drop all existing records related to the specified DAG. Proceed? (y/n)",
        ));
    }
    let removed = forget(state, dag_id).ok_or_else(|| {
        let message = format!("Dag id {dag_id} not found");
        CommandResult::traceback("airflow.exceptions.DagNotFound", message)
    })?;
    Ok(CommandResult::line(format_args!(
        "Removed {removed} record(s)"
    )))
}

/// Removes a DAG's records and says how many they were.
pub(super) fn forget(state: &mut State, dag_id: &str) -> Option<usize> {
    state.dags.remove(dag_id)?;
    let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut state.runs)
        .into_iter()
        .partition(|run| run.dag_id == dag_id);
    state.runs = kept;
    Some(1 + gone.iter().map(|run| 1 + run.tasks.len()).sum::<usize>())
}

/// Reads the folder again: a deleted DAG whose file is still there comes back, paused.
fn reserialize(state: &mut State) {
    for (dag_id, dag) in seed::dags() {
        state.dags.entry(dag_id).or_insert(Dag {
            paused: true,
            ..dag
        });
    }
}

fn next_execution(state: &State, dag_id: &str, count: u16) -> Reply {
    let dag = loaded(state, dag_id)?;
    let mut ended = CommandResult::printed("");
    if dag.paused {
        ended = ended.with_note("[INFO] Please be reminded this DAG is PAUSED now.");
    }
    let Some((_, end)) = dag.last_interval(state.now) else {
        "None\n".clone_into(&mut ended.stdout);
        return Ok(ended.with_note(
            "[WARN] No following schedule can be found. This DAG may have schedule interval '@once' or `None`.",
        ));
    };
    for step in 0..i64::from(count) {
        ended.stdout.push_str(&end.plus(step * DAY).iso());
        ended.stdout.push('\n');
    }
    Ok(ended)
}

/// The loading report: a row for each file.
fn report(state: &State) -> Rows {
    let mut rows = Rows::new(&["file", "duration", "dag_num", "task_num", "dags"]);
    let slash = if state.release.is_three() { "" } else { "/" };
    for (dag_id, dag) in &state.dags {
        let tasks = dag.tasks.len();
        let file = format!("{slash}{}", dag.file);
        rows.push(vec![
            json!(file),
            json!("0:00:00.002461"),
            json!(1),
            json!(tasks),
            json!([dag_id]),
        ]);
    }
    rows
}

/// Prints the graph in the dot language, one edge from each task to the next.
pub(super) fn show(state: &State, dag_id: &str, save: Option<&str>) -> Reply {
    let dag = loaded(state, dag_id)?;
    if let Some(file) = save {
        return Ok(CommandResult::line(format_args!("File {file} saved")));
    }
    let mut dot =
        format!("digraph {dag_id} {{\n\tgraph [label={dag_id} labelloc=t rankdir=LR]\n");
    for task in dag.tasks {
        dot.push_str(&format!(
            "\t{} [color=\"#000000\" fillcolor=\"#f0ede4\" label={} shape=rectangle style=\"filled,rounded\"]\n",
            task.id, task.id
        ));
    }
    for (task, next) in dag.tasks.iter().zip(dag.tasks.iter().skip(1)) {
        dot.push_str(&format!("\t{} -> {}\n", task.id, next.id));
    }
    dot.push_str("}\n");
    Ok(CommandResult::line(dot))
}

impl Dag {
    /// Pauses or resumes; what is queued begins after it is resumed.
    pub(super) fn set_paused(&mut self, paused: bool, now: Moment) {
        if self.paused && !paused {
            self.unpaused_at = now;
        }
        self.paused = paused;
    }

    fn schedule(&self) -> Option<String> {
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
    use super::super::tests::{fails, ok, run, world};

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

    #[test]
    fn pausing_is_seen_by_the_next_list() {
        let world = world("2.10.5");
        let paused = "[{\"dag_id\": \"lab_hello\", \"is_paused\": \"True\"}]\n";
        assert_eq!(
            ok(&world, &["dags", "pause", "lab_hello", "-o", "json"]),
            paused
        );
        assert_eq!(
            ok(&world, &["dags", "pause", "lab_hello"]),
            "No unpaused DAGs were found\n"
        );
        let list = [
            "dags",
            "list",
            "--columns",
            "dag_id,is_paused",
            "-o",
            "json",
        ];
        assert!(
            ok(&world, &list).contains("{\"dag_id\": \"lab_hello\", \"is_paused\": \"True\"}")
        );
        assert!(
            ok(&world, &["dags", "unpause", "lab_hello"]).contains("lab_hello | False    ")
        );
        assert_eq!(
            ok(&world, &["dags", "unpause", "nope"]),
            "No paused DAGs were found\n"
        );
    }

    #[test]
    fn older_releases_say_it_in_a_sentence() {
        let world = world("2.7.2");
        assert_eq!(
            ok(&world, &["dags", "pause", "lab_hello"]),
            "Dag: lab_hello, paused: True\n"
        );
    }

    #[test]
    fn deleting_needs_yes_and_reserializing_brings_the_file_back() {
        let world = world("2.10.5");
        let refused = run(&world, &["dags", "delete", "lab_hello"]);
        assert!(
            refused.stdout.ends_with("Proceed? (y/n)"),
            "{}",
            refused.stdout
        );
        assert_eq!(refused.exit_code, 1);
        assert_eq!(
            ok(&world, &["dags", "delete", "lab_hello", "-y"]),
            "Removed 1 record(s)\n"
        );
        let missing = "DagNotFound: Dag id lab_hello not found\n";
        fails(&world, &["dags", "delete", "lab_hello", "-y"], 1, missing);
        let unknown = "DAG: lab_hello does not exist in 'dag' table\n";
        fails(&world, &["dags", "details", "lab_hello"], 1, unknown);
        assert_eq!(ok(&world, &["dags", "reserialize"]), "");
        assert!(
            ok(&world, &["dags", "details", "lab_hello"])
                .contains("is_paused             | True")
        );
    }

    #[test]
    fn the_next_execution_follows_the_schedule() {
        let world = world("2.10.5");
        let next = ["dags", "next-execution", "example_etl", "-n", "2"];
        assert_eq!(
            ok(&world, &next),
            "2026-11-22T00:00:00+00:00\n2026-11-23T00:00:00+00:00\n"
        );
        let paused = run(&world, &["dags", "next-execution", "daily_report"]);
        assert_eq!(paused.stdout, "2026-11-21T06:00:00+00:00\n");
        assert_eq!(
            paused.stderr,
            "[INFO] Please be reminded this DAG is PAUSED now.\n"
        );
        let none = run(&world, &["dags", "next-execution", "lab_hello"]);
        assert!(
            none.stdout == "None\n" && none.stderr.starts_with("[WARN] No following schedule")
        );
    }

    #[test]
    fn graphs_reports_and_jobs() {
        let world = world("2.10.5");
        assert!(ok(&world, &["dags", "show", "lab_hello"]).contains("\tsay -> greet\n"));
        assert!(ok(&world, &["dags", "report"]).contains("/lab_hello.py"));
        assert_eq!(
            ok(&world, &["dags", "list-import-errors", "-o", "json"]),
            "[]\n"
        );
        let all = ok(&world, &["dags", "list-jobs"]);
        assert!(
            all.contains("SchedulerJob") && all.contains("LocalTaskJob"),
            "{all}"
        );
        let one = ok(
            &world,
            &[
                "dags",
                "list-jobs",
                "-d",
                "example_etl",
                "--limit",
                "2",
                "-o",
                "plain",
            ],
        );
        assert_eq!(one.lines().count(), 3, "{one}");
    }
}
