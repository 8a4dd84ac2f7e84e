//! The value that the policy makes: a routed request with the command that may be sent for it.

use super::{Command, Refusal, Rules, judge};
use crate::names::{AirflowVersion, Entry, RequestId};
use crate::route::Routed;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;

/// A command that may run. What is sent is our own re-quoted form of what was judged, never
/// the client's bytes.
#[derive(Debug)]
pub struct Permitted {
    id: RequestId,
    entry: Arc<Entry>,
    headers: HeaderMap,
    command: Bytes,
    name: &'static str,
}

impl Permitted {
    /// The request's name.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Where it goes.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The client's header section, none of which is forwarded unless listed.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The canonical command. A reference count, not a copy, for each use.
    pub fn command(&self) -> &Bytes {
        &self.command
    }

    /// The command's name without its arguments, for logs.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Judges the command by the environment's rules at its version.
pub fn permit(
    routed: Routed,
    command: &Command,
    version: AirflowVersion,
) -> Result<Permitted, Refusal> {
    let (admitted, entry) = routed.into_parts();
    let environment = &entry.environment;
    let rules = Rules {
        policy: environment.policy,
        allow: environment.allow.clone(),
        deny: environment.deny.clone(),
    };
    let permit = judge(command, version, &rules)?;
    Ok(Permitted {
        id: admitted.id(),
        name: permit.name(),
        command: permit.into_line(),
        headers: admitted.into_headers(),
        entry,
    })
}
