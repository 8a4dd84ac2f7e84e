//! `tasks list|state|states-for-dag-run|clear|test|render|failed-deps|run`.

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::arguments::{
    Parsed, command, dated, group, option, output, positional, subdir, switch, yes,
};
use super::clock::Moment;
use super::dags::loaded;
use super::output::{Format, Rows};
use super::release::Release;
use super::reply::{CommandResult, Reply};
use super::state::{Run, State, Task};

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
        "states-for-dag-run" => states(state, dag_id, meant, given.format()),
        "clear" => clear(state, dag_id, given),
        _ => {
            let task = task(state, dag_id, given.required("task_id"))?;
            match name {
                "state" => task_state(state, dag_id, task, meant),
                "render" => render(state, dag_id, task, meant),
                "failed-deps" => failed_deps(state, dag_id, task, meant),
                "run" => run_one(state, dag_id, task, meant),
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

/// The run an argument means, or how commands end that find none.
fn the_run<'a>(state: &'a State, dag_id: &str, meant: &str) -> Result<&'a Run, CommandResult> {
    state.find_run(dag_id, meant).ok_or_else(|| {
        let message = format!(
            "DagRun for {dag_id} with run_id or {} of '{meant}' not found",
            state.release.logical_date()
        );
        CommandResult::traceback("airflow.exceptions.DagRunNotFound", message)
    })
}

/// Prints the ids, sorted, or the tree.
pub(super) fn list(state: &State, dag_id: &str, tree: bool) -> Reply {
    let dag = loaded(state, dag_id)?;
    let mut lines: Vec<String> = Vec::new();
    for (depth, task) in dag.tasks.iter().enumerate() {
        lines.push(match tree {
            true => format!(
                "{}<Task({}): {}>\n",
                "    ".repeat(depth),
                task.operator,
                task.id
            ),
            false => format!("{}\n", task.id),
        });
    }
    if !tree {
        lines.sort_unstable();
    }
    Ok(CommandResult::printed(lines.concat()))
}

/// Prints the state of one task within a run, `None` before it was scheduled.
pub(super) fn task_state(state: &State, dag_id: &str, task: &Task, meant: &str) -> Reply {
    let run = the_run(state, dag_id, meant)?;
    let instance = run
        .tasks
        .iter()
        .find(|instance| instance.task_id == task.id);
    Ok(CommandResult::line(
        instance
            .and_then(|instance| instance.state)
            .unwrap_or("None"),
    ))
}

fn states(state: &State, dag_id: &str, meant: &str, format: Format) -> Reply {
    let run = the_run(state, dag_id, meant)?;
    let three = state.release.is_three();
    let iso = |moment: Option<Moment>| json!(moment.map(Moment::iso).unwrap_or_default());
    let mut rows = Rows::new(&[
        "dag_id",
        state.release.logical_date(),
        "task_id",
        "state",
        "start_date",
        "end_date",
    ]);
    for instance in &run.tasks {
        let none = if three { json!("") } else { Value::Null };
        rows.push(vec![
            json!(dag_id),
            iso(run.logical),
            json!(instance.task_id),
            instance.state.map_or(none, Value::from),
            iso(instance.start),
            iso(instance.end),
        ]);
    }
    Ok(rows.print(format))
}

/// Clears the runs of a range of dates; they are queued again.
pub(super) fn clear(state: &mut State, dag_id: &str, given: &ArgMatches) -> Reply {
    let from = given.moment("start-date");
    let to = given.moment("end-date");
    loaded(state, dag_id)?;
    let wanted = |run: &Run| {
        let at = run.logical.unwrap_or(run.queued_at);
        run.dag_id == dag_id
            && from.is_none_or(|from| at >= from)
            && to.is_none_or(|to| at <= to)
            && !(given.has("only-failed") && run.state != "failed")
            && !(given.has("only-running") && run.state != "running")
    };
    let pattern = given.text("task-regex").or(given.text("task_regex"));
    let named =
        |id: &str| pattern.is_none_or(|pattern| id.contains(pattern.trim_matches(['^', '$'])));
    if !given.has("yes") && !given.has("no_confirm") {
        let listed: Vec<String> = state
            .runs
            .iter()
            .filter(|run| wanted(run))
            .flat_map(|run| run.tasks.iter().map(move |task| (run, task)))
            .filter(|(_, task)| named(task.task_id))
            .map(|(run, task)| {
                let state = task.state.unwrap_or("None");
                format!(
                    "<TaskInstance: {dag_id}.{} {} [{state}]>\n",
                    task.task_id, run.run_id
                )
            })
            .collect();
        if listed.is_empty() {
            return Ok(CommandResult::printed(""));
        }
        return Err(CommandResult::unanswered(&format!(
            "You are about to delete these {} tasks:\n{}\nAre you sure? [y/n]\n",
            listed.len(),
            listed.concat()
        )));
    }
    let now = state.now;
    for run in state.runs.iter_mut().filter(|run| wanted(run)) {
        if run.tasks.iter().any(|task| named(task.task_id)) {
            run.clear(now);
        }
    }
    Ok(CommandResult::printed(""))
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
        None => return the_run(state, dag_id, meant).map(|_| CommandResult::printed("")),
    };
    let (property, source) = task.template;
    let rule = "# ----------------------------------------------------------";
    let text = source.replace("{{ ds }}", &date.date());
    Ok(CommandResult::printed(format!(
        "{rule}\n# property: {property}\n{rule}\n{text}\n\n"
    )))
}

/// Prints why a task would not be run now.
pub(super) fn failed_deps(state: &State, dag_id: &str, task: &Task, meant: &str) -> Reply {
    let run = the_run(state, dag_id, meant)?;
    let mut reasons = String::new();
    if loaded(state, dag_id)?.paused {
        reasons.push_str(&format!(
            "Dag Not Paused: Task's DAG '{dag_id}' is paused.\n"
        ));
    }
    let at = run
        .tasks
        .iter()
        .position(|instance| instance.task_id == task.id);
    let now = at
        .and_then(|at| run.tasks.get(at))
        .and_then(|instance| instance.state);
    reasons.push_str(&format!(
        "Task Instance State: Task is in the '{}' state.\n",
        now.unwrap_or("None")
    ));
    if run.state != "running" {
        reasons.push_str(&format!(
            "Dagrun Running: Task instance's dagrun was not in the 'running' state but in the state '{}'.\n",
            run.state
        ));
    }
    let before = at
        .and_then(|at| at.checked_sub(1))
        .and_then(|at| run.tasks.get(at));
    if let Some(before) = before.filter(|before| before.state != Some("success")) {
        reasons.push_str(&format!(
            "Trigger Rule: Task's trigger rule 'all_success' requires all upstream tasks to have \
             succeeded, but found 1 non-success(es): '{}'.\n",
            before.task_id
        ));
    }
    Ok(CommandResult::printed(format!(
        "Task instance dependencies not met:\n{reasons}"
    )))
}

/// Runs one task of a run at once.
pub(super) fn run_one(state: &mut State, dag_id: &str, task: &Task, meant: &str) -> Reply {
    let now = state.now;
    let run_id = the_run(state, dag_id, meant)?.run_id.clone();
    let ours = |run: &&mut Run| run.dag_id == dag_id && run.run_id == run_id;
    if let Some(run) = state.runs.iter_mut().find(ours) {
        for instance in run
            .tasks
            .iter_mut()
            .filter(|instance| instance.task_id == task.id)
        {
            (instance.state, instance.start, instance.end) =
                (Some("success"), Some(now), Some(now));
        }
    }
    Ok(CommandResult::line(format_args!(
        "Running <TaskInstance: {dag_id}.{} {run_id} [None]> on host emulator",
        task.id
    )))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, fails, ok, run, world};

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
    fn a_run_goes_through_its_tasks_and_can_be_cleared() {
        let world = world("2.10.3");
        let state = |seconds| {
            at(
                &world,
                seconds,
                &["tasks", "state", "lab_hello", "greet", "r1"],
            )
            .stdout
        };
        at(&world, 0, &["dags", "trigger", "lab_hello", "-r", "r1"]);
        assert_eq!(state(0), "None\n");
        assert_eq!(state(4), "running\n");
        assert_eq!(state(60), "success\n");
        let states = at(
            &world,
            61,
            &[
                "tasks",
                "states-for-dag-run",
                "lab_hello",
                "r1",
                "-o",
                "json",
            ],
        );
        assert!(
            states
                .stdout
                .contains("\"task_id\": \"greet\", \"state\": \"success\""),
            "{}",
            states.stdout
        );

        let refused = at(&world, 62, &["tasks", "clear", "lab_hello"]);
        assert!(
            refused
                .stdout
                .contains("<TaskInstance: lab_hello.say r1 [success]>"),
            "{}",
            refused.stdout
        );
        assert_eq!(refused.exit_code, 1);
        assert_eq!(
            at(&world, 62, &["tasks", "clear", "lab_hello", "-y"]).exit_code,
            0
        );
        assert_eq!(state(62), "None\n");
        assert_eq!(state(90), "success\n");
    }

    #[test]
    fn columns_follow_the_release() {
        for (version, column) in [("2.10.3", "execution_date"), ("3.0.6", "logical_date")] {
            let world = world(version);
            run(&world, &["dags", "trigger", "lab_hello", "-r", "r1"]);
            let table = ok(&world, &["tasks", "states-for-dag-run", "lab_hello", "r1"]);
            assert!(table.lines().next().unwrap().contains(column), "{table}");
        }
        assert_eq!(
            run(&world("3.0.6"), &["tasks", "run", "a", "b", "c"]).exit_code,
            2
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
