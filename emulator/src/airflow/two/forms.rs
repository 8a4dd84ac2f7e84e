//! What the pages of Airflow 2 post: pausing a DAG, triggering a run.

use super::super::super::web::{Reply, Visit};
use super::super::super::world::{NotTriggered, TriggerRequest};
use super::super::rest::Outcome;

/// `POST /paused?is_paused=true&dag_id=ID`: pauses, or with anything else resumes.
pub(super) fn paused(visit: Visit<'_>) -> Outcome {
    let dag_id = visit.query("dag_id").unwrap_or_default();
    let paused = visit.query("is_paused").as_deref() == Some("true");
    if visit.environment.world.set_paused(&dag_id, paused) {
        Ok(Reply::text(200, "OK"))
    } else {
        Err(Reply::page(404, "there is no such DAG"))
    }
}

/// `POST /dags/ID/trigger`: triggers a run and goes back to where the form says.
pub(super) fn trigger(visit: Visit<'_>, dag_id: &str) -> Outcome {
    let conf = visit.field("conf").filter(|conf| !conf.is_empty());
    let conf = match conf.map(|conf| serde_json::from_str(&conf)) {
        None => serde_json::Map::new(),
        Some(Ok(conf)) => conf,
        Some(Err(_)) => return Err(Reply::page(400, "the configuration is no JSON object")),
    };
    let asked = TriggerRequest {
        run_id: visit.field("run_id").filter(|id| !id.is_empty()),
        conf,
        ..TriggerRequest::default()
    };
    match visit.environment.world.trigger(dag_id, &asked) {
        Ok(_) => {}
        Err(NotTriggered::NoSuchDag) => {
            return Err(Reply::page(404, "there is no such DAG"));
        }
        Err(NotTriggered::Date | NotTriggered::Exists(_)) => {
            return Err(Reply::page(409, "there is a run of that name"));
        }
    }
    let own = |origin: &String| origin.starts_with('/') && !origin.starts_with("//");
    let origin = visit.field("origin").filter(own);
    let origin = origin.unwrap_or_else(|| format!("/dags/{dag_id}/grid"));
    Ok(Reply::redirect(302, &visit.absolute(&origin)))
}
