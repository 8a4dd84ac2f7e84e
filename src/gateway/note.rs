//! What is kept of a request in case that it is refused: enough to tell a person about it. All
//! of it is shared with the request, nothing is copied.

use super::Shared;
use super::trail::Trail;
use crate::guard::UserAgent;
use crate::listener::Arrived;
use crate::names::{Entrance, EnvName, Fault, RequestId, code, debug_only};
use crate::reply::{self, Reply};
use crate::runtime::Moment;
use crate::telemetry::Refusal;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Method, Uri};
use std::rc::Rc;
use std::sync::Arc;

/// What is kept of a request.
#[derive(Clone)]
pub(super) struct Note {
    id: RequestId,
    secure: bool,
    entrance: Rc<Entrance>,
    host: Option<HeaderValue>,
    method: Method,
    uri: Uri,
    wants_page: bool,
    trail: Trail,
}

debug_only!(Note: id, secure, entrance, method, wants_page);

impl Note {
    pub(super) fn of(arrived: &Arrived, agent: UserAgent, shared: &Arc<Shared>) -> Self {
        let head = &arrived.head;
        Self {
            id: arrived.id,
            secure: arrived.secure,
            entrance: Rc::clone(&arrived.caller.entrance),
            host: head.headers.get(HOST).cloned(),
            method: head.method.clone(),
            uri: head.uri.clone(),
            wants_page: agent.wants_page,
            trail: Trail::of(arrived, shared),
        }
    }

    pub(super) fn id(&self) -> RequestId {
        self.id
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// What the audit log will tell.
    pub(super) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Counts, logs and remembers the refusal, and makes its reply: a page for a person.
    pub(super) fn refused(&self, shared: &Shared, fault: &dyn Fault) -> Reply {
        self.tell(shared, fault);
        if self.wants_page {
            reply::fault_page(fault, self.id, self.home(fault).as_deref())
        } else {
            reply::fault(fault, self.id)
        }
    }

    /// Counts, logs and remembers the refusal.
    pub(super) fn tell(&self, shared: &Shared, fault: &dyn Fault) {
        let (id, code) = (self.id, fault.code());
        shared.metrics.fault(code);
        self.trail.fault(fault);
        // clients choose paths and names, and so the length of what is told about them
        let detail: String = fault.to_string().chars().take(LONGEST_DETAIL).collect();
        tracing::info!(%id, code = code.text, detail, "refused");
        shared.refusals.note(Refusal {
            at: Moment::now(),
            code,
            environment: self.environment(shared, fault),
            method: self.method.to_string(),
            path: self.uri.path().to_owned(),
            detail: format!("{fault:#}"),
            id,
        });
    }

    /// The environment that the request was for: the listener's, else the one that the Host names,
    /// else the one that serves what names none.
    fn environment(&self, shared: &Shared, fault: &dyn Fault) -> Option<EnvName> {
        if let Some(only) = &self.entrance.environment {
            return Some(only.clone());
        }
        if *fault.code() == code::FOREIGN_HOST {
            return None;
        }
        let host = self.authority()?;
        let known = shared.known.now();
        let entry = match host.host().strip_suffix(".localhost") {
            Some(label) if !matches!(label, "env" | "api") => known.find(label),
            _ => known.default_entry(),
        };
        entry.map(|entry| entry.environment.local.clone())
    }

    /// The address of the overview, as it can be reached from where the reply stands.
    fn home(&self, fault: &dyn Fault) -> Option<String> {
        let code = fault.code();
        if [&code::FOREIGN_HOST, &code::PEER, &code::SECRET].contains(&code) {
            return None;
        }
        if *code != code::UNKNOWN_ENVIRONMENT {
            return Some("/-/".to_owned());
        }
        // the host is one of ours, and names nothing
        let scheme = if self.secure { "https" } else { "http" };
        let port = self.authority()?.port_u16();
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{scheme}://localhost{port}/-/"))
    }

    /// The Host, in lower case.
    fn authority(&self) -> Option<Authority> {
        let host = self.host.as_ref()?.to_str().ok()?;
        host.to_ascii_lowercase().parse().ok()
    }
}

/// The longest detail of a log line, in characters.
const LONGEST_DETAIL: usize = 700;
