//! What the policy lets pass to the web server besides commands: a request of Airflow's REST API
//! or UI.

use super::paths::{self, Does};
use super::{Closed, Refusal, Whose};
use crate::names::{Browser, Entrance, Entry, Policy, RequestId, debug_only};
use crate::route::{Body, Kind, Routed, Target, UserAgent};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use std::sync::Arc;

/// A request for the REST API or the UI that may be sent, without its body.
#[derive(Debug)]
pub struct Passage(Box<Inner>);

/// Boxed: from here on the value is only handed on, from room to room and future to future.
struct Inner {
    id: RequestId,
    entry: Arc<Entry>,
    kind: Kind,
    hidden: &'static [&'static str],
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    agent: UserAgent,
    origin: String,
}

debug_only!(Inner: id, entry, kind, method);

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

    /// Members of a JSON reply whose values are not for the client, because it passes as a read
    /// of no secrets; empty where more passes.
    pub fn hidden(&self) -> &'static [&'static str] {
        self.0.hidden
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

    /// What sent it.
    pub fn agent(&self) -> UserAgent {
        self.0.agent
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
    let (method, target) = (admitted.method(), admitted.target());
    if target.may_be(&[TOKEN_MAKER]) {
        return Err(Refusal::ForbiddenPath);
    }
    let hidden = match read_only(&entry, &admitted.caller().entrance) {
        Some(whose) if kind != Kind::Logout => {
            hidden(method, target).map_err(|closed| refusal(closed, whose))?
        }
        Some(_) | None => &[],
    };
    let (origin, agent) = (admitted.origin(), admitted.agent());
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
        hidden,
        method,
        target,
        headers,
        agent,
        origin,
    }));
    Ok((passage, body))
}

/// Judges whether a browser may be handed over to the environment's own host, with a token: only
/// where the configuration says so, since nobody here sees what it does there.
pub fn may_leave(entry: &Entry, entrance: &Entrance) -> Result<(), Refusal> {
    if let Some(whose) = read_only(entry, entrance) {
        return Err(refusal(Closed::HandOver, whose));
    }
    if entry.environment.browser != Browser::Redirect {
        return Err(Refusal::HandoverOff);
    }
    Ok(())
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

/// What of the reply is not for a client that only reads, or why the request does not pass. A
/// path that a web server could read in several ways passes only if each of them is a read.
fn hidden(method: &Method, target: &Target) -> Result<&'static [&'static str], Closed> {
    let mut hidden = RENDERED;
    for reading in target.readings() {
        match paths::does(method, reading) {
            Some(Does::Read) => {}
            Some(Does::Audit) => hidden = QUOTED,
            Some(Does::Change) => return Err(Closed::Change(method.clone())),
            Some(Does::Secret) => return Err(Closed::Secret),
            None => return Err(Closed::Unknown),
        }
    }
    Ok(hidden)
}

/// The values that a task's templates had when it ran: Airflow 2 and 3 put them into their
/// replies about task instances.
const RENDERED: &[&str] = &["rendered_fields"];
/// What an entry of the audit log quotes of the request.
const QUOTED: &[&str] = &["rendered_fields", "extra"];

/// Where Airflow 3 turns a session into a token for use elsewhere ("Generate Token" of its
/// menu): a script in a page could carry it off.
const TOKEN_MAKER: &str = "/ui/auth/token";
