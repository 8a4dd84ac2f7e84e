//! PATCH of a DAG and POST of a run.

use http::header;
use serde_json::{Map, Value, json};

use super::super::super::web::Reply;
use super::super::super::world::{Moment, Wanted};
use super::read::{self, run_json, with_dag};
use super::{Call, Outcome};

/// Pauses or resumes a DAG.
pub(super) fn patch(call: Call<'_>, dag_id: &str) -> Outcome {
    let body = object(call)?;
    with_dag(call, dag_id, |_, _| ())?;
    let Some(paused) = body.get("is_paused").and_then(Value::as_bool) else {
        return Err(unfit(call, "is_paused"));
    };
    call.world().now(|state| state.set_paused(dag_id, paused));
    read::dag(call, dag_id)
}

/// Triggers a run.
pub(super) fn trigger(call: Call<'_>, dag_id: &str) -> Outcome {
    let mut body = object(call)?;
    // Airflow 3 takes null for the date, but the member must be there
    if call.three && !body.contains_key("logical_date") {
        return Err(unfit(call, "logical_date"));
    }
    let conf = match body.remove("conf") {
        Some(Value::Object(conf)) => conf,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(unfit(call, "conf")),
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let date = text("logical_date").or_else(|| text("execution_date"));
    let date = date.map(|date| Moment::parse(date).ok_or_else(|| unfit(call, "logical_date")));
    let mut wanted = Wanted {
        run_id: text("dag_run_id").map(str::to_owned),
        conf,
        date: date.transpose()?,
    };
    with_dag(call, dag_id, |_, _| ())?;

    call.world().now(|state| {
        if !call.three {
            wanted.date.get_or_insert(state.now);
        }
        if state.clash(dag_id, &wanted).is_some() {
            let run_id = wanted
                .run_id
                .unwrap_or_else(|| state.manual_run_id(wanted.date));
            let text = format!(
                "DAGRun with DAG ID: '{dag_id}' and DAGRun ID: '{run_id}' already exists"
            );
            return Err(call.error(409, "Conflict", Some(&text)));
        }
        let run = state.add_run(dag_id, wanted);
        let run = run.ok_or_else(|| call.no_dag(dag_id))?;
        Ok(call.json(&run_json(call, &run)))
    })
}

/// Returns the body as a JSON object. Airflow 2 wants its content type too.
fn object(call: Call<'_>) -> Result<Map<String, Value>, Reply> {
    let visit = call.guest.visit;
    let content_type = visit.header(header::CONTENT_TYPE).unwrap_or_default();
    if !call.three && !content_type.starts_with("application/json") {
        let text = format!("Invalid Content-type ({content_type}), expected JSON data");
        return Err(call.error(415, "Unsupported Media Type", Some(&text)));
    }
    serde_json::from_slice(visit.body).map_err(|_invalid| unfit(call, "body"))
}

/// The refusal of a field that is missing or not what it should be.
fn unfit(call: Call<'_>, field: &str) -> Reply {
    if !call.three {
        let text = format!("{{'{field}': ['Not a valid value.']}}");
        return call.error(400, "Bad Request", Some(&text));
    }
    let problem = json!({ "loc": ["body", field], "msg": "Field required", "type": "missing" });
    Reply::json(json!({ "detail": [problem] }).to_string()).with_status(422)
}
