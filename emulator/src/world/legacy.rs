//! The commands of Airflow 1.10, under their flat names.

use std::fmt::Write as _;

use clap::ArgMatches;

use super::arguments::Parsed;
use super::dags::{self, loaded};
use super::reply::{CommandResult, Reply};
use super::state::{Pool, State};
use super::trigger::{self, Asked};
use super::{backfill, pools, task_instances, tasks, variables};

/// Runs a command of 1.10.
pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let dag_id = given.required("dag_id");
    let date = given
        .moment("execution_date")
        .map(super::clock::Moment::iso)
        .unwrap_or_default();
    let date = date.as_str();
    match name {
        "list_dags" => Ok(list_dags(state)),
        "list_tasks" => tasks::list(state, dag_id, given.has("tree")),
        "trigger_dag" => {
            let asked = Asked {
                run_id: given.text("run_id"),
                conf: given.text("conf"),
                date: given.moment("exec_date"),
                exact: false,
            };
            let run = trigger::trigger(state, dag_id, &asked)?;
            let at = run
                .logical
                .map(super::clock::Moment::iso)
                .unwrap_or_default();
            Ok(CommandResult::line(format_args!(
                "Created <DagRun {dag_id} @ {at}: {}, externally triggered: True>",
                run.run_id
            )))
        }
        "list_dag_runs" => list_dag_runs(state, dag_id, given.text("state")),
        "dag_state" => {
            loaded(state, dag_id)?;
            let found = state.find_run(dag_id, date);
            Ok(CommandResult::line(found.map_or("None", |run| run.state)))
        }
        "pause" | "unpause" => {
            let now = state.now;
            let paused = name == "pause";
            loaded(state, dag_id)?;
            if let Some(dag) = state.dags.get_mut(dag_id) {
                dag.set_paused(paused, now);
            }
            let paused = if paused { "True" } else { "False" };
            Ok(CommandResult::line(format_args!(
                "Dag: {dag_id}, paused: {paused}"
            )))
        }
        "delete_dag" | "next_execution" | "show_dag" => {
            let successor = match name {
                "delete_dag" => "delete",
                "next_execution" => "next-execution",
                _ => "show",
            };
            dags::run(state, successor, given)
        }
        "clear" => task_instances::clear(state, dag_id, given),
        "backfill" => backfill::of_two(state, dag_id, given),
        "pool" => pool(state, given),
        "variables" => variable(state, given),
        _ => {
            let task = tasks::task(state, dag_id, given.required("task_id"))?;
            match name {
                "task_state" => task_instances::task_state(state, dag_id, task, date),
                "task_failed_deps" => task_instances::failed_deps(state, dag_id, task, date),
                "render" => tasks::render(state, dag_id, task, date),
                "run" => task_instances::run_one(state, dag_id, task, date),
                _ => Ok(CommandResult::line(task.prints)),
            }
        }
    }
}

fn list_dags(state: &State) -> CommandResult {
    let rule = "-".repeat(67);
    let ids: String = state.dags.keys().map(|id| id.clone() + "\n").collect();
    CommandResult::printed(format!("\n\n{rule}\nDAGS\n{rule}\n{ids}\n"))
}

fn list_dag_runs(state: &State, dag_id: &str, only: Option<&str>) -> Reply {
    loaded(state, dag_id)?;
    let rule = "-".repeat(148);
    let mut text = format!(
        "\n{rule}\nDAG RUNS\n{rule}\n{:<3} | {:<20} | {:<10} | {:<32} | {:<32} |\n\n",
        "id", "run_id", "state", "execution_date", "state_date"
    );
    let runs = state.runs_of(dag_id);
    for (position, run) in runs
        .iter()
        .enumerate()
        .filter(|(_, run)| only.is_none_or(|only| run.state == only))
    {
        let iso = |at: Option<super::clock::Moment>| {
            at.map(super::clock::Moment::iso).unwrap_or_default()
        };
        let _ = writeln!(
            text,
            "{:<3} | {:<20} | {:<10} | {:<32} | {:<32} |",
            runs.len() - position,
            run.run_id,
            run.state,
            iso(run.logical),
            iso(run.start),
        );
    }
    Ok(CommandResult::printed(text))
}

/// Runs `pool`: each change shows the pools that remain.
fn pool(state: &mut State, given: &ArgMatches) -> Reply {
    if let [name, slots, description] = given.texts("set").as_slice() {
        let slots = slots.parse().ok().ok_or_else(|| {
            let message = "invalid literal for int() with base 10: ".to_owned()
                + &super::python::quoted(slots);
            CommandResult::traceback("ValueError", message)
        })?;
        let pool = Pool {
            slots,
            description: description.clone(),
            include_deferred: false,
        };
        state.pools.insert(name.clone(), pool);
    } else if let Some(name) = given.text("get") {
        if !state.pools.contains_key(name) {
            let message = format!("Pool '{name}' doesn't exist");
            return Err(CommandResult::traceback(
                "airflow.exceptions.PoolNotFound",
                message,
            ));
        }
    } else if let Some(name) = given.text("delete") {
        pools::delete(state, name)?;
    }
    Ok(pools::list(state).print(super::output::Format::Table))
}

/// Runs `variables`, which says nothing when it sets or deletes.
fn variable(state: &mut State, given: &ArgMatches) -> Reply {
    if let [key, value] = given.texts("set").as_slice() {
        state.variables.insert(key.clone(), value.clone());
        return Ok(CommandResult::printed(""));
    }
    if let Some(key) = given.text("get") {
        return variables::get(state, key, given.text("default"), given.has("json"));
    }
    if let Some(key) = given.text("delete") {
        state.variables.remove(key);
        return Ok(CommandResult::printed(""));
    }
    Ok(CommandResult::printed(
        state
            .variables
            .keys()
            .map(|key| key.clone() + "\n")
            .collect::<String>(),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, run, world};

    #[test]
    fn dags_are_listed_paused_and_triggered() {
        let world = world("1.10.12");
        assert!(ok(&world, &["list_dags"]).contains("\nDAGS\n"));
        assert_eq!(
            ok(&world, &["pause", "lab_hello"]),
            "Dag: lab_hello, paused: True\n"
        );
        assert_eq!(
            ok(&world, &["unpause", "lab_hello"]),
            "Dag: lab_hello, paused: False\n"
        );
        let words = [
            "trigger_dag",
            "lab_hello",
            "-r",
            "r1",
            "-c",
            "{\"a\": 1}",
            "-e",
            "2026-01-01",
        ];
        let created = "Created <DagRun lab_hello @ 2026-01-01T00:00:00+00:00: r1, externally triggered: True>\n";
        assert_eq!(ok(&world, &words), created);
        assert!(ok(&world, &["list_dag_runs", "lab_hello"]).contains("| r1  "));
        assert_eq!(
            ok(&world, &["dag_state", "lab_hello", "2026-01-01"]),
            "queued\n"
        );
        assert_eq!(
            ok(&world, &["task_state", "lab_hello", "say", "2026-01-01"]),
            "None\n"
        );
        assert_eq!(ok(&world, &["list_tasks", "lab_hello"]), "greet\nsay\n");
        assert_eq!(
            ok(&world, &["test", "lab_hello", "greet", "2026-01-01"]),
            "hello from greet\n"
        );
        assert!(
            ok(&world, &["next_execution", "example_etl"]).starts_with("2026-11-22T00:00:00")
        );
        assert!(ok(&world, &["show_dag", "lab_hello"]).starts_with("digraph lab_hello {"));
        assert_eq!(ok(&world, &["clear", "lab_hello", "-c"]), "");
        assert_eq!(
            ok(&world, &["delete_dag", "lab_hello", "-y"]),
            "Removed 4 record(s)\n"
        );
        assert_eq!(run(&world, &["delete_dag", "lab_hello", "-y"]).exit_code, 1);
    }

    #[test]
    fn variables_and_pools_are_options() {
        let world = world("1.10.12");
        assert_eq!(ok(&world, &["variables", "-s", "x", "a b"]), "");
        assert_eq!(ok(&world, &["variables", "-g", "x"]), "a b\n");
        assert_eq!(ok(&world, &["variables"]), "x\n");
        assert_eq!(ok(&world, &["variables", "-g", "y", "-d", "dd"]), "dd\n");
        assert_eq!(ok(&world, &["variables", "-x", "x"]), "");
        fails(
            &world,
            &["variables", "-g", "x"],
            1,
            "Variable x does not exist\n",
        );
        assert!(
            ok(&world, &["pool", "-s", "p", "3", "two words"])
                .contains("p            | 3     | two words")
        );
        assert!(!ok(&world, &["pool", "-x", "p"]).contains("two words"));
        assert_eq!(run(&world, &["pool", "-s", "p", "many", "d"]).exit_code, 1);
    }

    #[test]
    fn backfill_takes_the_old_spelling() {
        let world = world("1.10.12");
        ok(
            &world,
            &[
                "backfill",
                "example_etl",
                "-s",
                "2024-01-01",
                "-e",
                "2024-01-02",
            ],
        );
        assert_eq!(
            ok(&world, &["dag_state", "example_etl", "2024-01-02"]),
            "success\n"
        );
    }
}
