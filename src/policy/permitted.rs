//! The value that the policy makes: a routed request with the command that may be sent for it.

use super::repeatable::repeatable;
use super::{Command, Refusal, Rulebook, output_form};
use crate::names::{AirflowVersion, Caller, Entry, RequestId, debug_only};
use crate::route::Routed;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;

/// A command that may run. What is sent is our own re-quoted form of what was judged, never
/// the client's bytes.
#[derive(Debug)]
pub struct Permitted(Box<Inner>);

/// Boxed: from here on the value is only handed on, from room to room and future to future.
struct Inner {
    id: RequestId,
    caller: Caller,
    entry: Arc<Entry>,
    headers: HeaderMap,
    command: Bytes,
    name: &'static str,
    wants_json: bool,
    may_repeat: bool,
    options: Vec<&'static str>,
}

debug_only!(Inner: id, caller, entry, name, options, wants_json, may_repeat);

impl Permitted {
    /// The request's name.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// Who sent it, and by which listener.
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Where it goes.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.0.entry
    }

    /// The client's header section, none of which is forwarded unless listed.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The canonical command. A reference count, not a copy, for each use.
    pub fn command(&self) -> &Bytes {
        &self.0.command
    }

    /// The command's name without its arguments, for logs.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Whether the command was asked for its output as JSON.
    pub fn wants_json(&self) -> bool {
        self.0.wants_json
    }

    /// Whether it may be written once more when nobody knows what became of the first time.
    pub fn may_repeat(&self) -> bool {
        self.0.may_repeat
    }

    /// The options that the command is given, by their longest spelling and without values.
    pub fn options(&self) -> &[&'static str] {
        &self.0.options
    }
}

/// Judges the command by the environment's rules at its version, then by the listener's.
pub fn permit(
    routed: Routed,
    command: &Command,
    version: AirflowVersion,
) -> Result<Permitted, Refusal> {
    let (admitted, entry) = routed.into_parts();
    let rules = Rulebook {
        environment: &entry.environment,
        listener: admitted.caller().entrance.rules.as_ref(),
    };
    let mut permit = rules.judge(command, version)?;
    let may_repeat = repeatable(
        admitted.headers(),
        permit.name(),
        command.words(),
        permit.options(),
        version,
    )?;
    Ok(Permitted(Box::new(Inner {
        id: admitted.id(),
        caller: admitted.caller().clone(),
        name: permit.name(),
        may_repeat,
        wants_json: output_form::wants_json(command.words()),
        options: permit.take_options(),
        command: permit.into_line(),
        headers: admitted.into_headers(),
        entry,
    })))
}
