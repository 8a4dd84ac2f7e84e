//! What DAGs, runs and tasks look like in the JSON of each major.
//!
//! Source: airflow 2.10.5 `api_connexion/openapi/v1.yaml`, 3.0.6 `core_api/openapi`.

use serde_json::{Value, json};

use super::super::super::world::{ConnectionView, DagView, InstanceView, RunView, TaskView};

pub(crate) fn dag(dag: &DagView, three: bool) -> Value {
    let tags: Vec<Value> = dag
        .tags
        .iter()
        .map(|tag| {
            if three {
                json!({ "name": tag, "dag_id": dag.dag_id })
            } else {
                json!({ "name": tag })
            }
        })
        .collect();
    let mut body = json!({
        "dag_id": dag.dag_id,
        "dag_display_name": dag.dag_id,
        "description": dag.description,
        "fileloc": dag.fileloc,
        "file_token": dag.dag_id,
        "has_import_errors": false,
        "has_task_concurrency_limits": false,
        "is_paused": dag.is_paused,
        "max_active_runs": 16,
        "max_active_tasks": 16,
        "max_consecutive_failed_dag_runs": 0,
        "owners": [dag.owner],
        "tags": tags,
        "timetable_description": dag.schedule.as_deref().unwrap_or("Never, external triggers only"),
    });
    let more = if three {
        json!({
            "bundle_name": "dags-folder",
            "is_stale": false,
            "timetable_summary": dag.schedule,
            "next_dagrun_run_after": dag.next_run,
        })
    } else {
        json!({
            "is_active": true,
            "is_subdag": false,
            "root_dag_id": null,
            "next_dagrun_create_after": dag.next_run,
            "schedule_interval": dag.schedule.as_ref().map(
                |cron| json!({ "__type": "CronExpression", "value": cron })
            ),
        })
    };
    join(&mut body, more);
    body
}

pub(crate) fn task(task: &TaskView) -> Value {
    json!({
        "task_id": task.task_id,
        "task_display_name": task.task_id,
        "operator_name": task.operator,
        "class_ref": { "class_name": task.operator },
        "downstream_task_ids": task.downstream.into_iter().collect::<Vec<_>>(),
        "is_mapped": false,
        "owner": "airflow",
        "pool": "default_pool",
        "retries": 0,
        "trigger_rule": "all_success",
    })
}

pub(crate) fn run(run: &RunView, three: bool) -> Value {
    let (from, to) = run.data_interval.clone().unzip();
    let mut body = json!({
        "conf": run.conf,
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "data_interval_start": from,
        "data_interval_end": to,
        "start_date": run.start,
        "end_date": run.end,
        "last_scheduling_decision": run.start,
        "logical_date": run.logical_date,
        "note": null,
        "run_type": run.run_type,
        "state": run.state,
    });
    let more = if three {
        json!({
            "bundle_version": null,
            "dag_versions": [],
            "queued_at": run.queued_at,
            "run_after": run.queued_at,
            "triggered_by": if run.run_type == "manual" { "rest_api" } else { "timetable" },
        })
    } else {
        json!({
            "execution_date": run.logical_date,
            "external_trigger": run.run_type == "manual",
        })
    };
    join(&mut body, more);
    body
}

pub(crate) fn instance(run: &RunView, task: &InstanceView, three: bool) -> Value {
    let mut body = json!({
        "task_id": task.task_id,
        "task_display_name": task.task_id,
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "state": task.state,
        "start_date": task.start,
        "end_date": task.end,
        "duration": task.duration,
        "operator": task.operator,
        "map_index": -1,
        "try_number": u8::from(task.start.is_some()),
        "max_tries": 0,
        "hostname": "worker-1",
        "unixname": "airflow",
        "pool": "default_pool",
        "pool_slots": 1,
        "queue": "default",
        "priority_weight": 1,
        "queued_when": run.queued_at,
        "note": null,
    });
    let more = if three {
        json!({ "logical_date": run.logical_date, "run_after": run.queued_at })
    } else {
        json!({ "execution_date": run.logical_date, "sla_miss": null })
    };
    join(&mut body, more);
    body
}

pub(super) fn variable(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value, "description": null })
}

pub(super) fn connection(connection: &ConnectionView) -> Value {
    json!({
        "connection_id": connection.conn_id,
        "conn_type": connection.conn_type,
        "description": connection.description,
        "host": connection.host,
        "login": connection.login,
        "schema": connection.schema,
        "port": connection.port,
    })
}

fn join(body: &mut Value, more: Value) {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
}
