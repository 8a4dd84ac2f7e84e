//! DAGs, runs and tasks in the JSON of each major version: the members that programs use most.
//!
//! Source: airflow 2.10.5 `api_connexion/openapi/v1.yaml`, 3.0.6 `core_api/openapi`.

use serde_json::{Value, json};

use super::super::super::world::{ConnectionView, DagView, InstanceView, RunView};

pub(super) fn dag(dag: &DagView, three: bool) -> Value {
    let tags: Vec<Value> = dag.tags.iter().map(|tag| json!({ "name": tag })).collect();
    let mut body = json!({
        "dag_id": dag.dag_id,
        "dag_display_name": dag.dag_id,
        "description": dag.description,
        "fileloc": dag.fileloc,
        "has_import_errors": false,
        "is_paused": dag.is_paused,
        "owners": [dag.owner],
        "tags": tags,
    });
    let more = if three {
        json!({ "timetable_summary": dag.schedule, "next_dagrun_run_after": dag.next_run })
    } else {
        let cron = |cron| json!({ "__type": "CronExpression", "value": cron });
        json!({
            "is_active": true,
            "next_dagrun_create_after": dag.next_run,
            "schedule_interval": dag.schedule.as_ref().map(cron),
        })
    };
    join(&mut body, more);
    body
}

pub(super) fn run(run: &RunView, three: bool) -> Value {
    let (from, to) = run.data_interval.clone().unzip();
    let mut body = json!({
        "conf": run.conf,
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "data_interval_start": from,
        "data_interval_end": to,
        "start_date": run.start,
        "end_date": run.end,
        "logical_date": run.logical_date,
        "note": null,
        "run_type": run.run_type,
        "state": run.state,
    });
    let more = if three {
        json!({ "queued_at": run.queued_at, "run_after": run.queued_at })
    } else {
        json!({
            "execution_date": run.logical_date,
            "external_trigger": run.run_type == "manual",
        })
    };
    join(&mut body, more);
    body
}

pub(super) fn instance(run: &RunView, task: &InstanceView) -> Value {
    json!({
        "task_id": task.task_id,
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "state": task.state,
        "start_date": task.start,
        "end_date": task.end,
        "duration": task.duration,
        "operator": task.operator,
        "map_index": -1,
        "try_number": u8::from(task.start.is_some()),
    })
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
