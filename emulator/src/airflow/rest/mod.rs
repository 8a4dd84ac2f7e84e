//! The REST API: a small part of `/api/v1` of Airflow 2 and of `/api/v2` of Airflow 3.

mod logs;
mod read;
mod write;

use http::{HeaderValue, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::super::identity::Role;
use super::super::session::Dialect;
use super::super::web::Reply;
use super::super::world::World;
use super::Guest;
use super::door::{self, demand};

/// A request, and the dialect in which it is answered.
#[derive(Clone, Copy, Debug)]
struct Call<'a> {
    guest: Guest<'a>,
    three: bool,
}

/// An answer, or the refusal that ends the work early.
type Outcome = Result<Reply, Reply>;

/// Answers a path below `/api/`, and the health pages beside it.
pub(super) fn answer(guest: Guest<'_>) -> Option<Reply> {
    let visit = guest.visit;
    let call = Call {
        guest,
        three: visit.dialect() != Dialect::Two,
    };
    let path = visit.path();
    if let Some(reply) = without_session(call) {
        return Some(reply);
    }
    let base = if call.three { "/api/v2/" } else { "/api/v1/" };
    match path.strip_prefix(base) {
        Some(rest) => Some(route(call, rest).unwrap_or_else(|refusal| refusal)),
        None if path.starts_with("/api/") => Some(call.no_route()),
        None => None,
    }
}

/// Version and health need no session.
fn without_session(call: Call<'_>) -> Option<Reply> {
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
            let now = httpdate::fmt_http_date(visit.shared.script.clock.now());
            Some(call.json(&json!({
                "metadatabase": { "status": "healthy" },
                "scheduler": { "status": "healthy", "latest_scheduler_heartbeat": now },
            })))
        }
        // in Airflow 3 this is one of the few paths that are not the UI
        (true, "/health") => Some(call.no_route()),
        _ => None,
    }
}

fn route(call: Call<'_>, rest: &str) -> Outcome {
    let parts: Vec<String> = rest
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let method = call.guest.visit.method();
    let lowest = match (method, parts.first().copied()) {
        (_, Some("connections" | "variables")) => Role::Op,
        ("GET", _) => Role::Viewer,
        _ => Role::User,
    };
    demand(call.guest, lowest)?;
    match (method, parts.as_slice()) {
        ("GET", ["dags"]) => Ok(read::dags(call)),
        ("GET", ["dags", id]) => read::dag(call, id),
        ("PATCH", ["dags", id]) => write::patch(call, id),
        ("GET", ["dags", id, "dagRuns"]) => read::runs(call, id),
        ("POST", ["dags", id, "dagRuns"]) => write::trigger(call, id),
        ("GET", ["dags", id, "dagRuns", run]) => read::run(call, id, run),
        ("GET", ["dags", id, "dagRuns", run, "wait"]) if call.three => {
            logs::wait(call, id, run)
        }
        ("GET", ["dags", id, "dagRuns", run, "taskInstances"]) => {
            read::instances(call, id, run)
        }
        ("GET", ["dags", id, "dagRuns", run, "taskInstances", task, "logs", _]) => {
            logs::logs(call, id, run, task)
        }
        ("GET", ["variables"]) => Ok(read::variables(call)),
        ("GET", ["connections"]) => Ok(read::connections(call)),
        (_, ["dags" | "variables" | "connections", ..]) => {
            Err(call.error(405, "Method Not Allowed", None))
        }
        _ => Err(call.no_route()),
    }
}

impl<'a> Call<'a> {
    fn world(self) -> &'a World {
        &self.guest.visit.environment.world
    }

    /// An error in the dialect's shape; Airflow 3 says only one sentence.
    fn error(self, status: u16, title: &str, detail: Option<&str>) -> Reply {
        if self.three {
            door::detail(status, detail.unwrap_or(title))
        } else {
            door::problem(self.guest.visit, status, title, detail)
        }
    }

    /// The 404 that names the DAG.
    fn no_dag(self, dag_id: &str) -> Reply {
        let text = format!("The DAG with dag_id: {dag_id} was not found");
        self.error(404, "DAG not found", Some(&text))
    }

    fn no_route(self) -> Reply {
        if self.three {
            return Reply::json(r#"{"error":"API route not found"}"#).with_status(404);
        }
        self.error(404, "Not Found", None)
    }

    /// An answer of 200.
    fn json(self, body: &Value) -> Reply {
        let reply = Reply::json(body.to_string());
        if self.three {
            return reply;
        }
        reply.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// A page of a list. `limit` is 100 and `offset` is 0 unless the query says otherwise.
    fn list(self, name: &str, all: Vec<Value>) -> Reply {
        let number = |name| self.guest.visit.query(name)?.parse::<usize>().ok();
        let total = all.len();
        let offset = number("offset").unwrap_or(0);
        let limit = number("limit").unwrap_or(LIMIT).min(LIMIT);
        let page: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
        self.json(&json!({ name: page, "total_entries": total }))
    }
}

/// The longest page of a list, and the default.
const LIMIT: usize = 100;
