//! What the policy lets pass to the web server besides commands: a request of Airflow's REST API
//! or UI.

use super::paths::{self, Does};
use super::{Closed, Refusal, Whose};
use crate::names::{Entrance, Entry, Policy, RequestId};
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
    only_reads: bool,
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

    /// Whether rules of the environment or the listener let it pass as a read only, so that
    /// rendered templates within the reply are not for the client.
    pub fn only_reads(&self) -> bool {
        self.0.only_reads
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

/// Judges the request by the policies of the environment and of the listener: a read-only one lets
/// nothing pass that changes something or reads secrets.
/// The body is given back apart from the rest, to be sent after it.
pub fn pass(routed: Routed) -> Result<(Passage, Body), Refusal> {
    let kind = routed.kind();
    let (admitted, entry) = routed.into_parts();
    let (method, meant) = (admitted.method(), admitted.target().meant());
    if meant == TOKEN_MAKER {
        return Err(Refusal::ForbiddenPath);
    }
    let reader = read_only(&entry, &admitted.caller().entrance);
    if let Some(whose) = reader
        && kind != Kind::Logout
        && let Some(closed) = closed(method, &meant)
    {
        return Err(refusal(closed, whose));
    }
    let (only_reads, origin) = (reader.is_some(), admitted.origin());
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
        only_reads,
        method,
        target,
        headers,
        origin,
    }));
    Ok((passage, body))
}

/// Judges whether a browser may be handed over to the environment's own host: what it does there,
/// nobody here sees.
pub fn may_leave(entry: &Entry, entrance: &Entrance) -> Result<(), Refusal> {
    match read_only(entry, entrance) {
        Some(whose) => Err(refusal(Closed::HandOver, whose)),
        None => Ok(()),
    }
}

/// Whose rules are read-only, if any are.
fn read_only<'a>(entry: &Entry, entrance: &'a Entrance) -> Option<Whose<'a>> {
    if entry.environment.policy == Policy::ReadOnly {
        return Some(Whose::Environment);
    }
    let own = entrance.rules.as_ref()?;
    (own.policy == Policy::ReadOnly).then_some(Whose::Listener(&own.table))
}

fn refusal(closed: Closed, whose: Whose<'_>) -> Refusal {
    Refusal::ReadOnly {
        closed,
        table: match whose {
            Whose::Environment => None,
            Whose::Listener(table) => Some(table.to_owned()),
        },
    }
}

/// Why a request does not pass where only reads do.
fn closed(method: &Method, meant: &str) -> Option<Closed> {
    match paths::does(method, meant) {
        Some(Does::Read) => None,
        Some(Does::Change) => Some(Closed::Change(method.clone())),
        Some(Does::Secret) => Some(Closed::Secret),
        None => Some(Closed::Unknown),
    }
}

/// Where Airflow 3 turns a session into a token for use elsewhere ("Generate Token" of its
/// menu): a script in a page could carry it off.
const TOKEN_MAKER: &str = "/ui/auth/token";
