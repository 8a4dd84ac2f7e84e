//! What the policy lets pass to the web server besides commands: a request of Airflow's REST API
//! or UI.

use super::Refusal;
use crate::names::{Entry, Policy, RequestId};
use crate::route::{Body, Kind, Routed};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use std::sync::Arc;

/// A request for the REST API or the UI that may be sent, without its body.
#[derive(Debug)]
pub struct Passage(Box<Inner>);

/// Boxed: from here on the value is only handed on, from room to room and future to future.
#[derive(Debug)]
struct Inner {
    id: RequestId,
    entry: Arc<Entry>,
    kind: Kind,
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    origin: String,
}

impl Passage {
    /// The request's name.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// Where it goes.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.0.entry
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The path and query that were judged, and that are sent byte for byte.
    pub fn target(&self) -> &PathAndQuery {
        &self.0.target
    }

    /// The client's header section, none of which is forwarded unless listed.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Our own origin as the client calls it (RFC 6454).
    pub fn origin(&self) -> &str {
        &self.0.origin
    }
}

/// Judges the request by the environment's policy: a read-only environment takes no change.
/// The body is given back apart from the rest, to be sent after it.
pub fn pass(routed: Routed) -> Result<(Passage, Body), Refusal> {
    let kind = routed.kind();
    let (admitted, entry) = routed.into_parts();
    let method = admitted.method();
    if admitted.target().meant() == TOKEN_MAKER {
        return Err(Refusal::ForbiddenPath);
    }
    if entry.environment.policy == Policy::ReadOnly
        && kind != Kind::Logout
        && !is_read(method, admitted.target().path())
    {
        return Err(Refusal::ReadOnly {
            method: method.clone(),
        });
    }
    let origin = admitted.origin();
    let (id, method, target) = (
        admitted.id(),
        method.clone(),
        admitted.target().sent().clone(),
    );
    let (headers, body) = admitted.into_headers_and_body();
    let passage = Passage(Box::new(Inner {
        id,
        entry,
        kind,
        method,
        target,
        headers,
        origin,
    }));
    Ok((passage, body))
}

/// Judges whether a browser may be handed over to the environment's own host: what it does there,
/// nobody here sees.
pub fn may_leave(entry: &Entry) -> Result<(), Refusal> {
    match entry.environment.policy {
        Policy::ReadOnly => Err(Refusal::HandOver),
        Policy::All | Policy::Operator | Policy::Supported => Ok(()),
    }
}

/// Whether nothing changes: a safe method (RFC 9110 section 9.2.1), or one of the queries that
/// Airflow takes as a POST because they may be long.
fn is_read(method: &Method, path: &str) -> bool {
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let api = path.starts_with("/api/v1/") || path.starts_with("/api/v2/");
    safe || (*method == Method::POST
        && (QUERIES.contains(&path) || (api && path.ends_with("/list"))))
}

/// Where Airflow 3 turns a session into a token for use elsewhere ("Generate Token" of its
/// menu): a script in a page could carry it off.
const TOKEN_MAKER: &str = "/ui/auth/token";

/// What Airflow 2's list of DAGs asks for.
const QUERIES: &[&str] = &["/blocked", "/dag_stats", "/last_dagruns", "/task_stats"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_by_post_are_reads() {
        for (method, path, read) in [
            (Method::GET, "/home", true),
            (Method::POST, "/task_stats", true),
            (Method::POST, "/api/v1/dags/~/dagRuns/list", true),
            (Method::POST, "/api/v2/dags/x/dagRuns", false),
            (Method::POST, "/variable/list", false),
            (Method::PATCH, "/api/v2/dags/x/list", false),
            (Method::DELETE, "/api/v1/dags/x", false),
            (Method::POST, "/paused", false),
        ] {
            assert_eq!(is_read(&method, path), read, "{method} {path}");
        }
    }
}
