//! What GET returns: DAGs, runs, task instances, variables, connections.

use serde_json::{Value, json};

use super::super::super::web::Reply;
use super::super::super::world::{DagView, RunView};
use super::{Call, Outcome, shape};

pub(super) fn dags(call: Call<'_>) -> Reply {
    let visit = call.guest.visit;
    let pattern = visit.query("dag_id_pattern").unwrap_or_default();
    let pattern = pattern.trim_matches(['%', '~']).to_lowercase();
    let paused = visit.query("paused").map(|paused| paused == "true");
    let wanted = |dag: &DagView| {
        dag.dag_id.contains(&pattern) && paused.is_none_or(|paused| dag.is_paused == paused)
    };
    let dags = call.world().dags().into_iter().filter(wanted).collect();
    let (total, dags) = call.page(dags);
    let dags: Vec<Value> = dags.iter().map(|dag| shape::dag(dag, call.three)).collect();
    call.json(&json!({ "dags": dags, "total_entries": total }))
}

pub(super) fn dag(call: Call<'_>, dag_id: &str) -> Outcome {
    let dag = find(call, dag_id)?;
    Ok(call.json(&shape::dag(&dag, call.three)))
}

/// The runs of a DAG; `~` means all DAGs.
pub(super) fn runs(call: Call<'_>, dag_id: &str) -> Outcome {
    let runs: Vec<RunView> = if dag_id == "~" {
        let dags = call.world().dags();
        dags.iter()
            .flat_map(|dag| call.world().runs(&dag.dag_id))
            .collect()
    } else {
        find(call, dag_id)?;
        call.world().runs(dag_id)
    };
    let visit = call.guest.visit;
    let state = visit.query("state");
    let mut runs: Vec<RunView> = runs
        .into_iter()
        .filter(|run| state.as_deref().is_none_or(|state| state == run.state))
        .collect();
    // Airflow's own order is that of the database, the oldest first
    if !visit
        .query("order_by")
        .is_some_and(|by| by.starts_with('-'))
    {
        runs.reverse();
    }
    let (total, runs) = call.page(runs);
    let runs: Vec<Value> = runs.iter().map(|run| shape::run(run, call.three)).collect();
    Ok(call.json(&json!({ "dag_runs": runs, "total_entries": total })))
}

pub(super) fn run(call: Call<'_>, dag_id: &str, run_id: &str) -> Outcome {
    let run = find_run(call, dag_id, run_id)?;
    Ok(call.json(&shape::run(&run, call.three)))
}

pub(super) fn instances(call: Call<'_>, dag_id: &str, run_id: &str) -> Outcome {
    let run = find_run(call, dag_id, run_id)?;
    let tasks: Vec<Value> = run
        .tasks
        .iter()
        .map(|task| shape::instance(&run, task))
        .collect();
    Ok(call.json(&json!({ "task_instances": tasks, "total_entries": tasks.len() })))
}

pub(super) fn variables(call: Call<'_>) -> Reply {
    let (total, page) = call.page(call.world().variables());
    let variables: Vec<Value> = page
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value, "description": null }))
        .collect();
    call.json(&json!({ "variables": variables, "total_entries": total }))
}

pub(super) fn connections(call: Call<'_>) -> Reply {
    let (total, page) = call.page(call.world().connections());
    let connections: Vec<Value> = page.iter().map(shape::connection).collect();
    call.json(&json!({ "connections": connections, "total_entries": total }))
}

/// Returns the DAG, or the 404 of a DAG that does not exist.
pub(super) fn find(call: Call<'_>, dag_id: &str) -> Result<DagView, Reply> {
    call.world().dag(dag_id).ok_or_else(|| call.no_dag(dag_id))
}

/// Returns the run, or the 404 of a run that does not exist.
pub(super) fn find_run(call: Call<'_>, dag_id: &str, run_id: &str) -> Result<RunView, Reply> {
    find(call, dag_id)?;
    let run = call.world().find_run(dag_id, run_id);
    run.ok_or_else(|| {
        let text =
            format!("The DagRun with dag_id: {dag_id} and run_id: {run_id} was not found");
        call.error(404, "DAGRun not found", Some(&text))
    })
}
