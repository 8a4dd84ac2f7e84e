//! The flat spellings of Airflow 1.10, and what later releases say about removed names.

use clap::{ArgMatches, Command};

use super::arguments::{Parsed, command, dated, option, positional, subdir, switch, yes};
use super::dags::{self, loaded};
use super::reply::{CommandResult, Reply};
use super::runs::{self, Asked};
use super::state::{Pool, State};
use super::{backfill, pools, tasks, variables};

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
    // only the grammar of Airflow 3 has `backfill`
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

/// The commands of 1.10.12.
pub(super) fn grammar() -> Vec<Command> {
    let dag_id = || positional("dag_id", "The id of the dag");
    let task_id = || positional("task_id", "The id of the task");
    let date = || {
        dated(positional(
            "execution_date",
            "The execution date of the DAG",
        ))
    };
    let task = |name, about| command(name, about).args([dag_id(), task_id(), date(), subdir()]);
    let pairs = |arg: clap::Arg| arg.num_args(1..);
    vec![
        command(
            "backfill",
            "Run subsections of a DAG for a specified date range",
        )
        .args([
            dag_id(),
            dated(option(
                Some('s'),
                "start_date",
                "Override start_date YYYY-MM-DD",
            ))
            .alias("start-date"),
            dated(option(
                Some('e'),
                "end_date",
                "Override end_date YYYY-MM-DD",
            ))
            .alias("end-date"),
            option(
                Some('c'),
                "conf",
                "JSON string that gets pickled into the DagRun's conf",
            ),
            switch(None, "dry_run", "Perform a dry run"),
            subdir(),
            yes(),
        ]),
        command(
            "clear",
            "Clear a set of task instance, as if they never ran",
        )
        .args([
            dag_id(),
            option(
                Some('t'),
                "task_regex",
                "The regex to filter specific task_ids",
            ),
            switch(Some('c'), "no_confirm", "Do not request confirmation"),
            subdir(),
        ]),
        command("dag_state", "Get the status of a dag run").args([dag_id(), date(), subdir()]),
        command(
            "delete_dag",
            "Delete all DB records related to the specified DAG",
        )
        .args([dag_id(), yes()]),
        command("list_dag_runs", "List dag runs given a DAG id").args([
            dag_id(),
            option(None, "state", "Only list the dag runs of the state"),
        ]),
        command("list_dags", "List all the DAGs").args([
            subdir(),
            switch(Some('r'), "report", "Show DagBag loading report"),
        ]),
        command("list_tasks", "List the tasks within a DAG").args([
            dag_id(),
            switch(Some('t'), "tree", "Tree view"),
            subdir(),
        ]),
        command("next_execution", "Get the next execution datetime of a DAG")
            .args([dag_id(), subdir()]),
        command("pause", "Pause a DAG").args([dag_id(), subdir()]),
        command("pool", "CRUD operations on pools").args([
            pairs(option(
                Some('s'),
                "set",
                "Set pool slot count and description",
            ))
            .num_args(3),
            option(Some('g'), "get", "Get pool info"),
            option(Some('x'), "delete", "Delete a pool"),
        ]),
        task("render", "Render a task instance's template(s)"),
        task("run", "Run a single task instance"),
        command("show_dag", "Displays DAG's tasks with their dependencies").args([
            dag_id(),
            option(None, "save", "Saves the result to the indicated file"),
            subdir(),
        ]),
        task(
            "task_failed_deps",
            "Returns the unmet dependencies for a task instance",
        ),
        task("task_state", "Get the status of a task instance"),
        task("test", "Test a task instance"),
        command("trigger_dag", "Trigger a DAG run").args([
            dag_id(),
            option(Some('r'), "run_id", "Helps to identify this run").alias("run-id"),
            option(
                Some('c'),
                "conf",
                "JSON string that gets pickled into the DagRun's conf attribute",
            ),
            dated(option(
                Some('e'),
                "exec_date",
                "The execution date of the DAG",
            ))
            .alias("exec-date"),
            subdir(),
        ]),
        command("unpause", "Resume a paused DAG").args([dag_id(), subdir()]),
        command("variables", "CRUD operations on variables").args([
            pairs(option(Some('s'), "set", "Set a variable")).num_args(2),
            option(Some('g'), "get", "Get value of a variable"),
            switch(Some('j'), "json", "Deserialize JSON variable"),
            option(
                Some('d'),
                "default",
                "Default value returned if variable does not exist",
            ),
            option(Some('x'), "delete", "Delete a variable"),
        ]),
    ]
}

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
            };
            let run = runs::trigger(state, dag_id, &asked)?;
            let at = run.logical.map(|at| at.iso()).unwrap_or_default();
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
        "clear" => tasks::clear(state, dag_id, given),
        "backfill" => backfill::of_two(state, dag_id, given),
        "pool" => pool(state, given),
        "variables" => variable(state, given),
        _ => {
            let task = tasks::task(state, dag_id, given.required("task_id"))?;
            match name {
                "task_state" => tasks::task_state(state, dag_id, task, date),
                "task_failed_deps" => tasks::failed_deps(state, dag_id, task, date),
                "render" => tasks::render(state, dag_id, task, date),
                "run" => tasks::run_one(state, dag_id, task, date),
                _ => Ok(CommandResult::line(task.prints)),
            }
        }
    }
}

fn list_dags(state: &State) -> CommandResult {
    let rule = "-".repeat(67);
    let ids: String = state.dags.keys().map(|id| format!("{id}\n")).collect();
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
        let iso = |at: Option<super::clock::Moment>| at.map(|at| at.iso()).unwrap_or_default();
        text.push_str(&format!(
            "{:<3} | {:<20} | {:<10} | {:<32} | {:<32} |\n",
            runs.len() - position,
            run.run_id,
            run.state,
            iso(run.logical),
            iso(run.start),
        ));
    }
    Ok(CommandResult::printed(text))
}

/// Runs `pool`: each change shows the pools that remain.
fn pool(state: &mut State, given: &ArgMatches) -> Reply {
    if let [name, slots, description] = given.texts("set").as_slice() {
        let slots = slots.parse().map_err(|_| {
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
            .map(|key| format!("{key}\n"))
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
