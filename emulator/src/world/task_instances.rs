//! Tasks within runs: their states, clearing them, and why one would not run.

use std::fmt::Write as _;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::arguments::Parsed;
use super::clock::Moment;
use super::dags::loaded;
use super::output::{Format, Rows};
use super::reply::{CommandResult, Reply};
use super::state::{Run, State, Task};

/// The run an argument means, or how commands end that find none.
pub(super) fn the_run<'a>(
    state: &'a State,
    dag_id: &str,
    meant: &str,
) -> Result<&'a Run, CommandResult> {
    state.find_run(dag_id, meant).ok_or_else(|| {
        let message = format!(
            "DagRun for {dag_id} with run_id or {} of '{meant}' not found",
            state.release.logical_date()
        );
        CommandResult::traceback("airflow.exceptions.DagRunNotFound", message)
    })
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

pub(super) fn states(state: &State, dag_id: &str, meant: &str, format: Format) -> Reply {
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
    let pattern = given
        .text("task-regex")
        .or_else(|| given.text("task_regex"));
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

/// Prints why a task would not be run now.
pub(super) fn failed_deps(state: &State, dag_id: &str, task: &Task, meant: &str) -> Reply {
    let run = the_run(state, dag_id, meant)?;
    let mut reasons = String::new();
    if loaded(state, dag_id)?.paused {
        let _ = writeln!(reasons, "Dag Not Paused: Task's DAG '{dag_id}' is paused.");
    }
    let at = run
        .tasks
        .iter()
        .position(|instance| instance.task_id == task.id);
    let now = at
        .and_then(|at| run.tasks.get(at))
        .and_then(|instance| instance.state);
    let _ = writeln!(
        reasons,
        "Task Instance State: Task is in the '{}' state.",
        now.unwrap_or("None")
    );
    if run.state != "running" {
        let _ = writeln!(
            reasons,
            "Dagrun Running: Task instance's dagrun was not in the 'running' state but in the state '{}'.",
            run.state
        );
    }
    let before = at
        .and_then(|at| at.checked_sub(1))
        .and_then(|at| run.tasks.get(at));
    if let Some(before) = before.filter(|before| before.state != Some("success")) {
        let _ = writeln!(
            reasons,
            "Trigger Rule: Task's trigger rule 'all_success' requires all upstream tasks to have \
             succeeded, but found 1 non-success(es): '{}'.",
            before.task_id
        );
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
    use super::super::tests::{at, ok, run, world};

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
}
