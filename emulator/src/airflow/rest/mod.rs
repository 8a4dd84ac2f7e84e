//! The REST API: `/api/v1` of Airflow 2 and `/api/v2` of Airflow 3, as far as a gateway's tests
//! and a small UI need it.

mod health;
mod logs;
mod read;
pub(super) mod shape;
mod write;

use http::{HeaderValue, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::super::session::Dialect;
use super::super::web::Reply;
use super::super::world::World;
use super::Guest;
use super::door;
use super::rights::{Right, demand};

pub(super) use logs::plain;

/// One call: who makes it, and in which dialect it is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) guest: Guest<'a>,
    pub(super) three: bool,
}

/// An answer, or the refusal that ends the work early.
pub(super) type Outcome = Result<Reply, Reply>;

/// Answers a path below `/api/`, and the health pages beside it.
pub(super) fn answer(guest: Guest<'_>) -> Option<Reply> {
    let visit = guest.visit;
    let call = Call {
        guest,
        three: visit.dialect() != Dialect::Two,
    };
    let path = visit.path();
    if let Some(reply) = health::answer(call) {
        return Some(reply);
    }
    let base = if call.three { "/api/v2/" } else { "/api/v1/" };
    match path.strip_prefix(base) {
        Some(rest) => Some(route(call, rest).unwrap_or_else(|refusal| refusal)),
        None if path.starts_with("/api/") => Some(call.no_route()),
        None => None,
    }
}

fn route(call: Call<'_>, rest: &str) -> Outcome {
    let parts: Vec<String> = rest
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let method = call.guest.visit.method();
    let right = match (method, parts.first().copied()) {
        (_, Some("connections" | "variables")) => Right::Configure,
        ("GET", _) => Right::Look,
        _ => Right::Run,
    };
    demand(call.guest, right)?;
    match (method, parts.as_slice()) {
        ("GET", ["dags"]) => Ok(read::dags(call)),
        ("GET", ["dags", id] | ["dags", id, "details"]) => read::dag(call, id),
        ("PATCH", ["dags", id]) => write::patch(call, id),
        ("GET", ["dags", id, "tasks"]) => read::tasks(call, id),
        ("GET", ["dags", id, "dagRuns"]) => read::runs(call, id),
        ("POST", ["dags", id, "dagRuns"]) => write::trigger(call, id),
        ("GET", ["dags", id, "dagRuns", run]) => read::run(call, id, run),
        ("GET", ["dags", id, "dagRuns", run, "wait"]) if call.three => {
            logs::wait(call, id, run)
        }
        ("GET", ["dags", id, "dagRuns", run, "taskInstances"]) => {
            read::instances(call, id, run)
        }
        ("GET", ["dags", id, "dagRuns", run, "taskInstances", task]) => {
            read::instance(call, id, run, task)
        }
        ("GET", ["dags", id, "dagRuns", run, "taskInstances", task, "logs", _]) => {
            logs::logs(call, id, run, task)
        }
        ("GET", ["variables"]) => Ok(read::variables(call)),
        ("GET", ["variables", key]) => read::variable(call, key),
        ("GET", ["connections"]) => Ok(read::connections(call)),
        ("GET", ["connections", id]) => read::connection(call, id),
        (_, ["dags" | "variables" | "connections", ..]) => {
            Err(call.error(405, "Method Not Allowed", None))
        }
        _ => Err(call.no_route()),
    }
}

impl<'a> Call<'a> {
    pub(super) fn world(self) -> &'a World {
        &self.guest.visit.environment.world
    }

    /// An error in the dialect's shape; Airflow 3 says only one sentence.
    pub(super) fn error(self, status: u16, title: &str, detail: Option<&str>) -> Reply {
        if self.three {
            door::detail(status, detail.unwrap_or(title))
        } else {
            door::problem(self.guest.visit, status, title, detail)
        }
    }

    pub(super) fn no_dag(self, dag_id: &str) -> Reply {
        if self.three {
            let text = format!("The Dag with ID: `{dag_id}` was not found");
            return self.error(404, &text, None);
        }
        let text = format!("The DAG with dag_id: {dag_id} was not found");
        self.error(404, "DAG not found", Some(&text))
    }

    pub(super) fn no_run(self, dag_id: &str, run_id: &str) -> Reply {
        if self.three {
            let text = format!(
                "The DagRun with dag_id: `{dag_id}` and run_id: `{run_id}` was not found"
            );
            return self.error(404, &text, None);
        }
        let text =
            format!("DAGRun with DAG ID: '{dag_id}' and DagRun ID: '{run_id}' not found");
        self.error(404, "DAGRun not found", Some(&text))
    }

    fn no_route(self) -> Reply {
        if self.three {
            return Reply::json(r#"{"error":"API route not found"}"#).with_status(404);
        }
        self.error(404, "Not Found", None)
    }

    /// An answer of 200.
    pub(super) fn json(self, body: &Value) -> Reply {
        let reply = Reply::json(body.to_string());
        if self.three {
            return reply;
        }
        reply.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// `limit` and `offset` of a list; 100 and 0 unless the query says otherwise.
    pub(super) fn page<T>(self, all: Vec<T>) -> (usize, Vec<T>) {
        let number = |name| self.guest.visit.query(name)?.parse::<usize>().ok();
        let total = all.len();
        let offset = number("offset").unwrap_or(0);
        let limit = number("limit").unwrap_or(LIMIT).min(LIMIT);
        (total, all.into_iter().skip(offset).take(limit).collect())
    }
}

/// The longest page of a list, and the default.
const LIMIT: usize = 100;
