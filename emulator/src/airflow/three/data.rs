//! `/ui/…`: what the page of Airflow 3 asks for beside the REST API.

use serde_json::{Value, json};

use super::super::super::web::Reply;
use super::super::super::world::RunView;
use super::super::rest::{Outcome, shape};
use super::super::rights::{Right, demand};
use super::super::{Guest, door};

pub(super) fn answer(guest: Guest<'_>, rest: &str) -> Outcome {
    let visit = guest.visit;
    let world = &visit.environment.world;
    let limit = |name: &str| visit.query(name).and_then(|text| text.parse().ok());
    let json = |body: Value| Ok(Reply::json(body.to_string()));
    let instances = |run: &RunView| -> Vec<Value> {
        let tasks = run.tasks.iter();
        tasks.map(|task| shape::instance(run, task, true)).collect()
    };
    if visit.method() != "GET" {
        return Err(door::detail(405, "Method Not Allowed"));
    }
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        // these three answer a user without any rights too
        ["config"] => {
            door::signed_in(guest)?;
            json(json!({ "instance_name": "Airflow emulator", "auto_refresh_interval": 3 }))
        }
        ["auth", "menus"] => {
            door::signed_in(guest)?;
            json(json!({ "authorized_menu_items": ["Dags"], "extra_menu_items": [] }))
        }
        ["auth", "me"] => {
            let holder = &door::signed_in(guest)?.holder;
            json(json!({
                "id": holder.identity, "username": holder.identity, "role": holder.role.name(),
            }))
        }
        ["dags"] => {
            demand(guest, Right::Look)?;
            let runs = limit("dag_runs_limit").unwrap_or(10);
            let dags: Vec<Value> = world
                .dags()
                .iter()
                .map(|dag| {
                    let latest = world.runs(&dag.dag_id);
                    let latest: Vec<Value> = latest
                        .iter()
                        .take(runs)
                        .map(|run| shape::run(run, true))
                        .collect();
                    let mut body = shape::dag(dag, true);
                    if let Some(body) = body.as_object_mut() {
                        body.insert("latest_dag_runs".to_owned(), Value::from(latest));
                    }
                    body
                })
                .collect();
            json(json!({ "dags": dags, "total_entries": dags.len() }))
        }
        ["grid", id] => {
            demand(guest, Right::Look)?;
            let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
            let Some(dag) = world.dag(&id) else {
                let text = format!("Dag with id {id} was not found");
                return Err(door::detail(404, &text));
            };
            let mut runs = world.runs(&id);
            runs.truncate(limit("limit").unwrap_or(25));
            runs.reverse();
            let runs: Vec<Value> = runs
                .iter()
                .map(|run| {
                    let mut body = shape::run(run, true);
                    if let Some(body) = body.as_object_mut() {
                        body.insert("task_instances".to_owned(), Value::from(instances(run)));
                    }
                    body
                })
                .collect();
            let tasks: Vec<&str> = dag.tasks.iter().map(|task| task.task_id).collect();
            json(json!({ "runs": runs, "tasks": tasks }))
        }
        _ => Err(door::detail(404, "Not Found")),
    }
}
