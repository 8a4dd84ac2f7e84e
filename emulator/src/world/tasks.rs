//! `tasks list|render|test`; the commands on tasks within runs are in `task_instances`.

use clap::{ArgMatches, Command};

use super::arguments::{
    Parsed, command, dated, group, option, output, positional, subdir, switch, yes,
};
use super::clock::Moment;
use super::dags::loaded;
use super::release::Release;
use super::reply::{CommandResult, Reply};
use super::state::{State, Task};
use super::task_instances;

pub(super) fn grammar(release: Release) -> Command {
    let dag_id = || positional("dag_id", "The id of the dag");
    let task_id = || positional("task_id", "The id of the task");
    let when = || {
        positional(
            "run",
            "The execution date of the DAG or run_id of the DAGRun",
        )
        .value_name("execution_date_or_run_id")
    };
    let index = || option(None, "map-index", "Mapped task index");
    let mut commands = vec![
        command(
            "clear",
            "Clear a set of task instance, as if they never ran",
        )
        .args([
            dag_id(),
            option(
                Some('t'),
                "task-regex",
                "The regex to filter specific task_ids",
            ),
            dated(option(
                Some('s'),
                "start-date",
                "Override start_date YYYY-MM-DD",
            )),
            dated(option(
                Some('e'),
                "end-date",
                "Override end_date YYYY-MM-DD",
            )),
            switch(Some('f'), "only-failed", "Only failed jobs"),
            switch(Some('r'), "only-running", "Only running jobs"),
            switch(Some('d'), "downstream", "Include downstream tasks"),
            switch(Some('u'), "upstream", "Include upstream tasks"),
            subdir(),
            yes(),
        ]),
        command(
            "failed-deps",
            "Returns the unmet dependencies for a task instance",
        )
        .args([dag_id(), task_id(), when(), index(), subdir()]),
        command("list", "List the tasks within a DAG").args([
            dag_id(),
            switch(Some('t'), "tree", "Tree view"),
            output(),
            subdir(),
        ]),
        command("render", "Render a task instance's template(s)").args([
            dag_id(),
            task_id(),
            when(),
            index(),
            subdir(),
        ]),
        command("state", "Get the status of a task instance").args([
            dag_id(),
            task_id(),
            when(),
            index(),
            subdir(),
        ]),
        command(
            "states-for-dag-run",
            "Get the status of all task instances in a dag run",
        )
        .args([dag_id(), when(), output()]),
        command("test", "Test a task instance").args([
            dag_id(),
            task_id(),
            when().required(false),
            index(),
            switch(Some('n'), "dry-run", "Perform a dry run for each task"),
            option(
                Some('t'),
                "task-params",
                "Sends a JSON params dict to the task",
            ),
            option(
                None,
                "env-vars",
                "Set env var in both parsing time and runtime",
            ),
            subdir(),
        ]),
    ];
    if !release.is_three() {
        commands.push(command("run", "Run a single task instance").args([
            dag_id(),
            task_id(),
            when(),
            index(),
            switch(Some('f'), "force", "Ignore previous task instance state"),
            switch(Some('l'), "local", "Run the task using the LocalExecutor"),
            switch(
                Some('m'),
                "mark-success",
                "Mark jobs as succeeded without running them",
            ),
            subdir(),
        ]));
    }
    group("tasks", "Manage tasks", commands)
}

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let (dag_id, meant) = (given.required("dag_id"), given.required("run"));
    match name {
        "list" => list(state, dag_id, given.has("tree")),
        "states-for-dag-run" => task_instances::states(state, dag_id, meant, given.format()),
        "clear" => task_instances::clear(state, dag_id, given),
        _ => {
            let task = task(state, dag_id, given.required("task_id"))?;
            match name {
                "state" => task_instances::task_state(state, dag_id, task, meant),
                "render" => render(state, dag_id, task, meant),
                "failed-deps" => task_instances::failed_deps(state, dag_id, task, meant),
                "run" => task_instances::run_one(state, dag_id, task, meant),
                _ if given.has("dry-run") => render(state, dag_id, task, meant),
                _ => Ok(CommandResult::line(task.prints)),
            }
        }
    }
}

/// The task of this name, as commands find it that load the DAG's file.
pub(super) fn task(
    state: &State,
    dag_id: &str,
    task_id: &str,
) -> Result<&'static Task, CommandResult> {
    loaded(state, dag_id)?.task(task_id).ok_or_else(|| {
        let message = format!("Task {task_id} not found");
        CommandResult::traceback("airflow.exceptions.TaskNotFound", message)
    })
}

/// Prints the ids, sorted, or the tree.
pub(super) fn list(state: &State, dag_id: &str, tree: bool) -> Reply {
    let dag = loaded(state, dag_id)?;
    let mut lines: Vec<String> = Vec::new();
    for (depth, task) in dag.tasks.iter().enumerate() {
        lines.push(if tree {
            format!(
                "{}<Task({}): {}>\n",
                "    ".repeat(depth),
                task.operator,
                task.id
            )
        } else {
            format!("{}\n", task.id)
        });
    }
    if !tree {
        lines.sort_unstable();
    }
    Ok(CommandResult::printed(lines.concat()))
}

/// Prints a task's templated property with the date filled in.
pub(super) fn render(state: &State, dag_id: &str, task: &Task, meant: &str) -> Reply {
    let found = state.find_run(dag_id, meant);
    let date = match found
        .and_then(|run| run.logical)
        .or_else(|| Moment::parse(meant))
    {
        Some(date) => date,
        None if meant.is_empty() || found.is_some() => state.now,
        None => {
            return task_instances::the_run(state, dag_id, meant)
                .map(|_| CommandResult::printed(""));
        }
    };
    let (property, source) = task.template;
    let rule = "# ----------------------------------------------------------";
    let text = source.replace("{{ ds }}", &date.date());
    Ok(CommandResult::printed(format!(
        "{rule}\n# property: {property}\n{rule}\n{text}\n\n"
    )))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, world};

    #[test]
    fn tasks_are_listed_flat_and_as_a_tree() {
        let world = world("2.10.3");
        assert_eq!(
            ok(&world, &["tasks", "list", "example_etl"]),
            "extract\nload\ntransform\n"
        );
        assert_eq!(
            ok(&world, &["tasks", "list", "lab_hello", "--tree"]),
            "<Task(BashOperator): say>\n    <Task(PythonOperator): greet>\n"
        );
        let missing =
            "Dag 'nope' could not be found; either it does not exist or it failed to parse.\n";
        fails(&world, &["tasks", "list", "nope"], 1, missing);
        fails(
            &world,
            &["tasks", "state", "lab_hello", "nope", "r"],
            1,
            "TaskNotFound: Task nope not found\n",
        );
    }

    #[test]
    fn rendering_testing_and_unmet_dependencies() {
        let world = world("2.10.3");
        let rendered = ok(
            &world,
            &["tasks", "render", "example_etl", "extract", "2024-01-01"],
        );
        assert!(
            rendered.contains("\necho extracting 2024-01-01\n"),
            "{rendered}"
        );
        assert_eq!(
            ok(
                &world,
                &["tasks", "test", "lab_hello", "greet", "2024-01-01"]
            ),
            "hello from greet\n"
        );
        ok(&world, &["dags", "trigger", "daily_report", "-r", "r1"]);
        let unmet = ok(
            &world,
            &["tasks", "failed-deps", "daily_report", "collect", "r1"],
        );
        assert!(
            unmet.contains("Task's DAG 'daily_report' is paused."),
            "{unmet}"
        );
        assert!(unmet.contains("but in the state 'queued'"), "{unmet}");
    }
}
