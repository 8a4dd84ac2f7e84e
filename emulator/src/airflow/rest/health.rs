//! Version and health, which need no session.

use serde_json::json;

use super::super::super::web::Reply;
use super::Call;

/// Answers what is asked of an Airflow without signing in.
pub(super) fn answer(call: Call<'_>) -> Option<Reply> {
    let visit = call.guest.visit;
    if visit.method() != "GET" {
        return None;
    }
    match (call.three, visit.path()) {
        (false, "/api/v1/version") | (true, "/api/v2/version") => {
            let version = &visit.environment.seed.airflow_version;
            Some(call.json(&json!({ "version": version, "git_version": null })))
        }
        (false, "/health" | "/api/v1/health") | (true, "/api/v2/monitor/health") => {
            Some(health(call))
        }
        // in Airflow 3 this is one of the few paths that are not the UI
        (true, "/health") => Some(call.no_route()),
        _ => None,
    }
}

fn health(call: Call<'_>) -> Reply {
    let now = httpdate::fmt_http_date(call.guest.visit.shared.script.clock.now());
    let beat = |name: &str| json!({ "status": "healthy", name: now });
    call.json(&json!({
        "metadatabase": { "status": "healthy" },
        "scheduler": beat("latest_scheduler_heartbeat"),
        "triggerer": beat("latest_triggerer_heartbeat"),
        "dag_processor": beat("latest_dag_processor_heartbeat"),
    }))
}
