//! What the scripts of Airflow 2's pages poll: the grid, counts of runs, logs.

use serde_json::{Value, json};

use bytes::Bytes;

use super::super::super::web::{Content, Reply, Visit};
use super::super::super::world::{LogLine, RunView};
use super::super::rest::{Outcome, plain};

/// `GET /object/grid_data?dag_id=ID&num_runs=N`: the newest runs, the oldest of them first.
pub(super) fn grid(visit: Visit<'_>) -> Outcome {
    let world = &visit.environment.world;
    let dag_id = visit.query("dag_id").unwrap_or_default();
    let Some(dag) = world.dag(&dag_id) else {
        return Err(Reply::json(r#"{"error":"can't find dag"}"#).with_status(404));
    };
    let count = visit.query("num_runs").and_then(|text| text.parse().ok());
    let mut runs = world.runs(&dag_id);
    runs.truncate(count.unwrap_or(25));
    runs.reverse();
    let instance = |run: &RunView, task_id: &str| {
        let task = run.tasks.iter().find(|task| task.task_id == task_id)?;
        Some(json!({
            "run_id": run.run_id, "task_id": task_id, "state": task.state,
            "start_date": task.start, "end_date": task.end, "try_number": 1,
        }))
    };
    let children: Vec<Value> = dag
        .tasks
        .iter()
        .map(|task| {
            let instances = runs.iter().filter_map(|run| instance(run, task.task_id));
            json!({
                "id": task.task_id, "label": task.task_id, "operator": task.operator,
                "instances": instances.collect::<Vec<_>>(),
            })
        })
        .collect();
    let runs: Vec<Value> = runs
        .iter()
        .map(|run| {
            json!({
                "run_id": run.run_id, "state": run.state, "run_type": run.run_type,
                "execution_date": run.logical_date, "queued_at": run.queued_at,
                "start_date": run.start, "end_date": run.end, "conf": null, "note": null,
            })
        })
        .collect();
    let body = json!({
        "groups": { "id": null, "label": null, "instances": [], "children": children },
        "dag_runs": runs,
        "ordering": ["data_interval_end", "execution_date"],
    });
    Ok(Reply::json(body.to_string()))
}

/// `POST /dag_stats`: how many runs of each DAG are in which state.
pub(super) fn stats(visit: Visit<'_>) -> Reply {
    let dags = visit.environment.world.dags();
    let stats = dags.iter().map(|dag| {
        let counts = counts(visit, &dag.dag_id);
        let counts: Vec<Value> = counts
            .iter()
            .map(|(state, count)| json!({ "state": state, "count": count }))
            .collect();
        (dag.dag_id.clone(), Value::from(counts))
    });
    Reply::json(Value::Object(stats.collect()).to_string())
}

pub(super) fn counts(visit: Visit<'_>, dag_id: &str) -> [(&'static str, usize); 4] {
    let runs = visit.environment.world.runs(dag_id);
    ["queued", "success", "running", "failed"]
        .map(|state| (state, runs.iter().filter(|run| run.state == state).count()))
}

/// A task instance that a query names, and its log.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) dag_id: String,
    pub(super) run_id: String,
    pub(super) task_id: String,
    pub(super) lines: Vec<LogLine>,
    pub(super) ended: bool,
}

impl Instance {
    pub(super) fn of(visit: Visit<'_>) -> Result<Self, Reply> {
        let text = |name: &str| visit.query(name).unwrap_or_default();
        let (dag_id, run_id, task_id) = (text("dag_id"), text("run_id"), text("task_id"));
        let world = &visit.environment.world;
        let lines = world.log(&dag_id, &run_id, &task_id);
        let run = world.find_run(&dag_id, &run_id);
        let (Some(lines), Some(run)) = (lines, run) else {
            return Err(Reply::page(404, "there is no such task instance"));
        };
        let ended = |state: Option<&str>| matches!(state, Some("success" | "failed"));
        let task = run.tasks.iter().find(|task| task.task_id == task_id);
        Ok(Self {
            ended: ended(task.and_then(|task| task.state)),
            dag_id,
            run_id,
            task_id,
            lines,
        })
    }
}

/// `GET /get_logs_with_metadata`: JSON, or with `format=file` the text line by line.
pub(super) fn log(visit: Visit<'_>) -> Outcome {
    let wanted = Instance::of(visit)?;
    if visit.query("format").as_deref() == Some("file") {
        let body = Content::pieces(wanted.lines.into_iter(), async |mut lines: Lines| {
            let line = lines.next()?;
            Some((Bytes::from(plain(&[line])), lines))
        });
        return Ok(Reply::text(200, "").with_body(body));
    }
    let body = json!({
        "message": plain(&wanted.lines),
        "metadata": { "end_of_log": wanted.ended },
    });
    Ok(Reply::json(body.to_string()))
}

type Lines = std::vec::IntoIter<LogLine>;
