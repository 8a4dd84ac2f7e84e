//! The grammar of Airflow 1.10.

use clap::Command;

use super::arguments::{command, dated, option, positional, subdir, switch, yes};

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
