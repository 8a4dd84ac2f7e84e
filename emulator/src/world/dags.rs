//! `dags list|list-runs|pause|unpause` and `tasks list`.

use regex_lite::Regex;
use serde_json::{Value, json};

use super::super::answers::Answer;
use super::arguments::Arguments;
use super::clock::Moment;
use super::output::Rows;
use super::state::{Dag, Run, State};
use super::texts::Release;
use super::{Outcome, python, table};

pub(super) fn list(state: &State, given: &Arguments) -> Outcome {
    let three = state.release > Some(Release::Two);
    if let Some(bundle) = given.get("bundle-name").filter(|name| *name != BUNDLE) {
        return Err(Answer::failed(format!("Bundles not found: {bundle}\n")));
    }
    let usual = if three {
        "dag_id,fileloc,owners,is_paused,bundle_name,bundle_version"
    } else {
        "dag_id,fileloc,owners,is_paused"
    };
    let valid = state.failure("columns of dags list", &[]);
    let valid: Vec<&str> = valid.lines().collect();
    let asked = given.get("columns").unwrap_or(usual).split(',');
    let (chosen, ignored): (Vec<&str>, Vec<&str>) =
        asked.partition(|name| valid.contains(name));

    let mut rows = Rows::new(&chosen.join(","));
    for dag in state.dags_by_id() {
        rows.push(chosen.iter().map(|column| dag.property(column)).collect());
    }
    let mut answer = rows.print(given.format());
    if !ignored.is_empty() {
        let [ignored, valid] = [ignored, valid].map(|names| python::repr(&json!(names)));
        let text = format!(
            "Error: Ignoring the following invalid columns: {ignored}.  List of valid columns: {valid}"
        );
        answer.stderr = table::wrap(&text, 80).join("\n") + "\n";
    }
    Ok(answer)
}

/// The name of MWAA's only DAG bundle.
const BUNDLE: &str = "dags-folder";

impl Dag {
    /// The value of a column of `dags list`; null for what this Airflow does not know.
    fn property(&self, name: &str) -> Value {
        match name {
            "dag_id" | "dag_display_name" => json!(self.id),
            "fileloc" => json!(self.fileloc()),
            "relative_fileloc" => json!(self.file),
            "owners" => json!([self.owner]),
            "is_paused" => json!(self.paused),
            "is_active" => json!(true),
            "is_stale" | "has_import_errors" | "has_task_concurrency_limits" | "is_subdag" => {
                json!(false)
            }
            "description" => json!(self.description),
            "tags" => self.tags.iter().map(|tag| json!({"name": tag})).collect(),
            "bundle_name" => json!(BUNDLE),
            "max_active_tasks" | "max_active_runs" => json!(16),
            "schedule_interval" | "timetable_summary" => json!(self.schedule()),
            _ => Value::Null,
        }
    }
}

pub(super) fn list_runs(state: &State, given: &Arguments) -> Outcome {
    let three = state.release > Some(Release::Two);
    let dag_id = given.get("dag-id").unwrap_or_else(|| given.text("dag_id"));
    if state.dag(dag_id).is_none() {
        let text = format!("DAG: {dag_id} does not exist in 'dag' table\n");
        return Err(Answer::failed(text));
    }
    let wanted = |run: &&Run| {
        given.get("state").is_none_or(|state| run.state == state)
            && given
                .date("start-date")
                .is_none_or(|from| run.logical >= Some(from))
            && given
                .date("end-date")
                .is_none_or(|to| run.logical.is_some_and(|at| at <= to))
    };

    let iso = |moment: Option<Moment>| json!(moment.map(Moment::iso).unwrap_or_default());
    let mut rows = Rows::new(if three {
        "dag_id,run_id,state,run_after,logical_date,start_date,end_date"
    } else {
        "dag_id,run_id,state,execution_date,start_date,end_date"
    });
    for run in state.runs_of(dag_id).into_iter().filter(wanted) {
        let mut row = vec![json!(run.dag_id), json!(run.run_id), json!(run.state)];
        if three {
            row.push(iso(Some(run.queued_at)));
        }
        row.extend([run.logical, run.start, run.end].map(iso));
        rows.push(row);
    }
    Ok(rows.print(given.format()))
}

pub(super) fn set_paused(state: &mut State, given: &Arguments, paused: bool) -> Outcome {
    let dag_id = given.text("dag_id");
    let regex = if given.has("treat-dag-id-as-regex") {
        let invalid =
            || Answer::failed(state.failure("regex not valid", &[("dag_id", dag_id)]));
        // no DAG has a longer id, and a very long pattern would use up the memory
        let pattern = Some(dag_id).filter(|pattern| pattern.len() <= 250);
        let regex = pattern.and_then(|pattern| Regex::new(pattern).ok());
        Some(regex.ok_or_else(invalid)?)
    } else {
        None
    };
    let matches = |dag: &Dag| match &regex {
        Some(regex) => regex.is_match(&dag.id),
        None => dag.id == dag_id,
    };
    let ids = state
        .dags
        .iter()
        .filter(|dag| matches(dag) && dag.paused != paused);
    let ids: Vec<String> = ids.map(|dag| dag.id.clone()).collect();
    let (verb, other) = if paused {
        ("pause", "unpaused")
    } else {
        ("unpause", "paused")
    };
    if ids.is_empty() {
        return Ok(Answer::stdout(format!("No {other} DAGs were found\n")));
    }
    if regex.is_some() && !given.has("yes") {
        let (count, ids) = (ids.len(), ids.join(","));
        return Err(Answer {
            stdout: format!(
                "You are about to {verb} {count} DAGs:\n{ids}\n\nAre you sure? [y/n]\n"
            ),
            ..Answer::failed(state.failure("no answer", &[]))
        });
    }

    // since 3.2 the table shows the old value
    let shown = paused != (state.release == Some(Release::ThreeTwo));
    let mut rows = Rows::new("dag_id,is_paused");
    for id in ids {
        rows.push(vec![json!(id), json!(shown)]);
        state.set_paused(&id, paused);
    }
    Ok(rows.print(given.format()))
}

pub(super) fn list_tasks(state: &State, given: &Arguments) -> Outcome {
    let dag_id = given.text("dag_id");
    let missing = || Answer::failed(state.failure("tasks of no DAG", &[("dag_id", dag_id)]));
    let tasks = state.dag(dag_id).ok_or_else(missing)?.tasks;
    if given.has("tree") {
        let line = |(depth, task): (usize, &super::state::Task)| {
            format!(
                "{}<Task({}): {}>\n",
                "    ".repeat(depth),
                task.operator,
                task.id
            )
        };
        return Ok(Answer::stdout(
            tasks.iter().enumerate().map(line).collect::<String>(),
        ));
    }
    let mut ids: Vec<&str> = tasks.iter().map(|task| task.id).collect();
    ids.sort_unstable();
    Ok(Answer::stdout(ids.join("\n") + "\n"))
}
