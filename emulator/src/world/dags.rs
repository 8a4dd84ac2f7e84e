//! `dags pause|delete|next-execution|report|show` and so on; runs are in `runs`, rows in `dag_list`.

use std::fmt::Write as _;

use clap::ArgMatches;
use serde_json::json;

use super::arguments::Parsed;
use super::clock::DAY;
use super::output::Rows;
use super::reply::{CommandResult, Reply};
use super::state::{Dag, State};
use super::{dag_list, jobs, pausing, runs, seed};

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let dag_id = given.required("dag_id");
    match name {
        "list" => Ok(dag_list::list(state, given.text("columns"), given.format())),
        "details" => dag_list::details(state, dag_id, given.format()),
        "pause" | "unpause" => Ok(pausing::set_paused(
            state,
            dag_id,
            name == "pause",
            given.format(),
        )),
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
        let _ = writeln!(
            dot,
            "\t{} [color=\"#000000\" fillcolor=\"#f0ede4\" label={} shape=rectangle style=\"filled,rounded\"]",
            task.id, task.id
        );
    }
    for (task, next) in dag.tasks.iter().zip(dag.tasks.iter().skip(1)) {
        let _ = writeln!(dot, "\t{} -> {}", task.id, next.id);
    }
    dot.push_str("}\n");
    Ok(CommandResult::line(dot))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, run, world};

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
