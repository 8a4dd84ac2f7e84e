//! Access checks, in a fixed order: they turn an [`IncomingRequest`] into a [`ValidatedRequest`].
//! Pure: no I/O, no clock, no logging.
#![deny(clippy::wildcard_enum_match_arm)]

mod aws_call;
mod client;
mod error;
mod framing;
mod host;
mod memory;
mod origin;

pub use aws_call::AwsCall;
pub use client::{AccessRules, NetworkFilter, SharedSecret, UserAgent};
pub use error::AdmissionError;
pub(crate) use host::split_host;
pub use host::{HostFilter, HostName};
pub use memory::AdmissionMemory;

use http::Method;
use mwaa_http1::{Headers, RequestHead};
use mwaa_model::{ListenerPolicy, Target};
use mwaa_server::{IncomingRequest, RequestBody};
use std::fmt;
use std::rc::Rc;

/// The limits and rules of admission.
#[derive(Debug)]
pub struct Settings {
    /// The access rules of listeners that have none of their own.
    pub access: AccessRules,
    /// The access rules of the other listeners, by [`ListenerPolicy::name`].
    pub listener_access: Vec<(String, AccessRules)>,
    /// The names by which clients may call the gateway.
    pub hosts: HostFilter,
    /// Browser origins that may use the CLI route, as `scheme://host[:port]`.
    pub trusted_origins: Vec<String>,
    /// True if requests with `Forwarded` or `X-Forwarded-*` are admitted.
    pub allow_forwarded: bool,
    /// The longest request target, in bytes.
    pub target_size: usize,
}

impl Settings {
    /// Returns the listener's own rules, or else those of all listeners.
    fn find_rules(&self, listener: &ListenerPolicy) -> &AccessRules {
        let mut own = self.listener_access.iter();
        own.find(|(name, _)| *name == listener.name)
            .map_or(&self.access, |(_, rules)| rules)
    }
}

/// A request whose sender, framing, host and target have been checked. Only [`validate`] makes
/// one. Boxed inside: it is moved from step to step.
pub struct ValidatedRequest(Box<Checked>);

/// A request, and the verdict about it.
struct Checked {
    incoming: IncomingRequest,
    verdict: Rc<Verdict>,
}

/// The findings of the checks in a head.
struct Verdict {
    host_name: HostName,
    target: Target,
    aws_call: Option<AwsCall>,
    has_credential: bool,
}

impl fmt::Debug for ValidatedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValidatedRequest")
            .field(&self.0.incoming)
            .finish()
    }
}

impl ValidatedRequest {
    /// The name by which the client called the gateway.
    pub fn host_name(&self) -> &HostName {
        &self.0.verdict.host_name
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.0.incoming.head.method
    }

    /// The request target, strictly parsed.
    pub fn target(&self) -> &Target {
        &self.0.verdict.target
    }

    /// The call of the MWAA API, on a host that names no environment.
    pub fn aws_call(&self) -> Option<&AwsCall> {
        self.0.verdict.aws_call.as_ref()
    }

    /// The header section, less the fields that `Connection` nominates.
    pub fn headers(&self) -> &Headers {
        &self.0.incoming.head.headers
    }

    /// Returns true if there is an `Authorization` or a `Cookie`.
    pub fn has_credential(&self) -> bool {
        self.0.verdict.has_credential
    }

    /// The body, to be read.
    pub fn body_mut(&mut self) -> &mut RequestBody {
        &mut self.0.incoming.body
    }

    /// Returns the head, whose header section lacks the fields that `Connection` nominates, and the body.
    pub fn into_head_and_body(self) -> (Rc<RequestHead>, RequestBody) {
        let incoming = self.0.incoming;
        (incoming.head, incoming.body)
    }
}

/// Checks a request, the cheapest and most decisive checks first. Fails with the first check that
/// fails; nothing has been read of the body by then.
///
/// `user_agent` was read from the same head. `memory` has the verdicts of the same settings.
pub fn validate(
    mut incoming: IncomingRequest,
    user_agent: UserAgent,
    settings: &Settings,
    memory: &AdmissionMemory,
) -> Result<ValidatedRequest, AdmissionError> {
    let client = &incoming.client;

    // 1. The client's address.
    let rules = settings.find_rules(&client.listener);
    rules.networks.check(client.peer)?;

    // 2. to 5. What depends on the head.
    let verdict = match memory.find(&incoming) {
        // it has the same verdict, and no secret: one that is required is missing again
        Some(_) if rules.secret.is_some() => return Err(AdmissionError::Secret),
        Some(verdict) => verdict,
        None => judge(&mut incoming, user_agent, settings, rules, memory)?,
    };
    Ok(ValidatedRequest(Box::new(Checked { incoming, verdict })))
}

/// Checks a head that has no verdict yet, and removes the fields that `Connection` nominates.
fn judge(
    incoming: &mut IncomingRequest,
    user_agent: UserAgent,
    settings: &Settings,
    rules: &AccessRules,
    memory: &AdmissionMemory,
) -> Result<Rc<Verdict>, AdmissionError> {
    let sent = Rc::as_ptr(&incoming.head);

    // 2. The form of the request: two parsers must not read it differently.
    let head = &mut incoming.head;
    let has_credential = framing::check(head, settings)?;

    // 3. The Host, before the secret: a page that DNS rebinding brought here gets nothing to try.
    let head = &incoming.head;
    let host_name = settings.hosts.check(
        &head.headers,
        &head.target,
        incoming.client.peer,
        incoming.secure,
    )?;

    // 4. The shared secret.
    if let Some(secret) = &rules.secret {
        secret.check(&head.headers)?;
    }

    // 5. The target, and the requests that a browser may send to it.
    let target = Target::parse(&head.target, settings.target_size)?;
    // an environment's own host has only Airflow's paths
    let is_plain = host_name == HostName::Plain && target.reserved().is_none();
    let aws_call = is_plain
        .then(|| AwsCall::find(&head.method, &target))
        .flatten();
    let trusted = &settings.trusted_origins;
    origin::check(head, &target, aws_call.is_some(), user_agent.fetch, trusted)?;

    let verdict = Rc::new(Verdict {
        host_name,
        target,
        aws_call,
        has_credential,
    });
    // not if fields were removed: the next time the head has them again
    if incoming.is_repeated && Rc::as_ptr(&incoming.head) == sent {
        memory.keep(incoming, &verdict);
    }
    Ok(verdict)
}

/// Reads a head that has this method, target and fields.
#[cfg(test)]
fn read_head(method: &str, target: &str, fields: &[(&str, &str)]) -> Rc<RequestHead> {
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let text = format!(
        "{method} {target} HTTP/1.1\r\n{}\r\n",
        lines.collect::<String>()
    );
    let limits = mwaa_http1::RequestLimits {
        size: 65_536,
        fields: 64,
    };
    match mwaa_http1::parse_request(text.as_bytes(), 0, limits) {
        Ok(mwaa_http1::Parsed::Complete(head, _)) => head,
        other => panic!("{text:?} is {other:?}"),
    }
}
