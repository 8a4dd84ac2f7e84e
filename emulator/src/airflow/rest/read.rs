//! What GET returns: DAGs, runs, task instances, variables and connections, in the JSON of each
//! major version. It has the members that programs use most.
//!
//! Source: airflow 2.10.5 `api_connexion/openapi/v1.yaml`, 3.0.6 `core_api/openapi`.

use serde_json::{Value, json};

use super::super::super::web::Reply;
use super::super::super::world::{Dag, Moment, Run, State};
use super::{Call, Outcome};

pub(super) fn dags(call: Call<'_>) -> Reply {
    let dags = call.world().now(|state| {
        let dags = state.dags_by_id().into_iter();
        dags.map(|dag| dag_json(call, state, dag)).collect()
    });
    call.list("dags", dags)
}

pub(super) fn dag(call: Call<'_>, dag_id: &str) -> Outcome {
    let dag = with_dag(call, dag_id, |state, dag| dag_json(call, state, dag))?;
    Ok(call.json(&dag))
}

/// The runs of a DAG; `~` means all DAGs.
pub(super) fn runs(call: Call<'_>, dag_id: &str) -> Outcome {
    if dag_id != "~" {
        with_dag(call, dag_id, |_, _| ())?;
    }
    let visit = call.guest.visit;
    let wanted = visit.query("state");
    let mut runs: Vec<Value> = call.world().now(|state| {
        let dags = state.dags_by_id().into_iter();
        let dags = dags.filter(|dag| dag_id == "~" || dag.id == dag_id);
        dags.flat_map(|dag| state.runs_of(&dag.id))
            .filter(|run| wanted.as_deref().is_none_or(|wanted| wanted == run.state))
            .map(|run| run_json(call, run))
            .collect()
    });
    // Airflow's own order is that of the database, the oldest first
    let order = visit.query("order_by").unwrap_or_default();
    if !order.starts_with('-') {
        runs.reverse();
    }
    Ok(call.list("dag_runs", runs))
}

pub(super) fn run(call: Call<'_>, dag_id: &str, run_id: &str) -> Outcome {
    let run = with_run(call, dag_id, run_id, |_, run| run_json(call, run))?;
    Ok(call.json(&run))
}

pub(super) fn instances(call: Call<'_>, dag_id: &str, run_id: &str) -> Outcome {
    let tasks = with_run(call, dag_id, run_id, instances_json)?;
    Ok(call.list("task_instances", tasks))
}

pub(super) fn variables(call: Call<'_>) -> Reply {
    let mut variables = call.world().now(|state| state.variables.clone());
    variables.sort();
    let json = |(key, value)| json!({ "key": key, "value": value, "description": Value::Null });
    call.list("variables", variables.into_iter().map(json).collect())
}

/// The connections, without their passwords.
pub(super) fn connections(call: Call<'_>) -> Reply {
    let connections = call.world().now(|state| {
        let connections = state.connections.iter().map(|connection| {
            json!({
                "connection_id": connection.conn_id,
                "conn_type": connection.conn_type,
                "description": connection.description,
                "host": connection.host,
                "login": connection.login,
                "schema": connection.schema,
                "port": connection.port,
            })
        });
        connections.collect()
    });
    call.list("connections", connections)
}

/// Reads a DAG. Fails with the 404 of a DAG that does not exist.
pub(super) fn with_dag<R>(
    call: Call<'_>,
    dag_id: &str,
    read: impl FnOnce(&State, &Dag) -> R,
) -> Result<R, Reply> {
    let found = call
        .world()
        .now(|state| Some(read(state, state.dag(dag_id)?)));
    found.ok_or_else(|| call.no_dag(dag_id))
}

/// Reads a run. Fails with the 404 of a DAG or a run that does not exist.
pub(super) fn with_run<R>(
    call: Call<'_>,
    dag_id: &str,
    run_id: &str,
    read: impl FnOnce(&State, &Run) -> R,
) -> Result<R, Reply> {
    let found = with_dag(call, dag_id, |state, _| {
        let run = state.run(dag_id, run_id)?;
        Some(read(state, run))
    })?;
    found.ok_or_else(|| {
        let text =
            format!("The DagRun with dag_id: {dag_id} and run_id: {run_id} was not found");
        call.error(404, "DAGRun not found", Some(&text))
    })
}

fn dag_json(call: Call<'_>, state: &State, dag: &Dag) -> Value {
    let interval = dag.last_interval(state.now).filter(|_| !dag.paused);
    let next = interval.map(|(_, end)| end.iso());
    let tags: Vec<Value> = dag.tags.iter().map(|tag| json!({ "name": tag })).collect();
    let body = json!({
        "dag_id": dag.id,
        "dag_display_name": dag.id,
        "description": dag.description,
        "fileloc": dag.fileloc(),
        "has_import_errors": false,
        "is_paused": dag.paused,
        "owners": [dag.owner],
        "tags": tags,
    });
    let more = if call.three {
        json!({ "timetable_summary": dag.schedule(), "next_dagrun_run_after": next })
    } else {
        let cron = |cron| json!({ "__type": "CronExpression", "value": cron });
        json!({
            "is_active": true,
            "next_dagrun_create_after": next,
            "schedule_interval": dag.schedule().map(cron),
        })
    };
    joined(body, more)
}

pub(super) fn run_json(call: Call<'_>, run: &Run) -> Value {
    let (from, to) = run.interval.unzip();
    let logical = run.logical.map(Moment::iso);
    let body = json!({
        "conf": run.conf,
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "data_interval_start": from.map(Moment::iso),
        "data_interval_end": to.map(Moment::iso),
        "start_date": run.start.map(Moment::iso),
        "end_date": run.end.map(Moment::iso),
        "logical_date": logical,
        "note": null,
        "run_type": run.run_type,
        "state": run.state,
    });
    let more = if call.three {
        json!({ "queued_at": run.queued_at.iso(), "run_after": run.queued_at.iso() })
    } else {
        json!({ "execution_date": logical, "external_trigger": run.run_type == "manual" })
    };
    joined(body, more)
}

fn instances_json(state: &State, run: &Run) -> Vec<Value> {
    let dag = state.dag(&run.dag_id);
    let instances = run.tasks.iter().map(|task| {
        let known = dag.and_then(|dag| dag.task(task.task_id));
        let until = task.end.unwrap_or(state.now).seconds();
        json!({
            "task_id": task.task_id,
            "dag_id": run.dag_id,
            "dag_run_id": run.run_id,
            "state": task.state,
            "start_date": task.start.map(Moment::iso),
            "end_date": task.end.map(Moment::iso),
            "duration": task.start.map(|start| until - start.seconds()),
            "operator": known.map(|task| task.operator),
            "map_index": -1,
            "try_number": u8::from(task.start.is_some()),
        })
    });
    instances.collect()
}

fn joined(mut body: Value, more: Value) -> Value {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}
