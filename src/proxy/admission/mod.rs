//! Access checks, in a fixed order: they turn an [`IncomingRequest`] into a [`ValidatedRequest`].
//! Pure: no I/O, no clock, no logging.
#![deny(clippy::wildcard_enum_match_arm)]

mod aws_call;
mod client;
mod error;
mod framing;
mod host;
mod origin;

pub use aws_call::AwsCall;
pub use client::{AccessRules, NetworkFilter, SharedSecret, UserAgent};
pub use error::AdmissionError;
pub(crate) use host::split_host;
pub use host::{HostFilter, HostName};

use http::{HeaderMap, Method};
use mwaa_model::{ListenerPolicy, Target, debug_fields};
use mwaa_server::{IncomingRequest, RequestBody};

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
/// one. Its parts are boxed: it is moved from step to step.
pub struct ValidatedRequest {
    incoming: Box<IncomingRequest>,
    checked: Box<Checked>,
}

/// The parts of a request that the checks have parsed.
struct Checked {
    host_name: HostName,
    target: Target,
    aws_call: Option<AwsCall>,
    has_credential: bool,
}

debug_fields!(ValidatedRequest: incoming);

impl ValidatedRequest {
    /// The name by which the client called the gateway.
    pub fn host_name(&self) -> &HostName {
        &self.checked.host_name
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.incoming.head.method
    }

    /// The request target, strictly parsed.
    pub fn target(&self) -> &Target {
        &self.checked.target
    }

    /// The call of the MWAA API, on a host that names no environment.
    pub fn aws_call(&self) -> Option<&AwsCall> {
        self.checked.aws_call.as_ref()
    }

    /// The header section, less the fields that `Connection` nominates.
    pub fn headers(&self) -> &HeaderMap {
        &self.incoming.head.headers
    }

    /// Returns true if there is an `Authorization` or a `Cookie`.
    pub fn has_credential(&self) -> bool {
        self.checked.has_credential
    }

    /// The body, to be read.
    pub fn body_mut(&mut self) -> &mut RequestBody {
        &mut self.incoming.body
    }

    /// Returns the header section and the body.
    pub fn into_headers_and_body(self) -> (HeaderMap, RequestBody) {
        (self.incoming.head.headers, self.incoming.body)
    }
}

/// Checks a request, the cheapest and most decisive checks first. Fails with the first check that
/// fails; nothing has been read of the body by then.
///
/// `user_agent` was read from the same head.
pub fn validate(
    mut incoming: Box<IncomingRequest>,
    user_agent: UserAgent,
    settings: &Settings,
) -> Result<ValidatedRequest, AdmissionError> {
    let client = &incoming.client;

    // 1. The client's address.
    let rules = settings.find_rules(&client.listener);
    rules.networks.check(client.peer)?;

    // 2. The form of the request: two parsers must not read it differently.
    let head = &mut incoming.head;
    let has_credential = framing::check(head, settings)?;

    // 3. The Host, before the secret: a page that DNS rebinding brought here gets nothing to try.
    let head = &incoming.head;
    let host_name = settings
        .hosts
        .check(head, incoming.client.peer, incoming.secure)?;

    // 4. The shared secret.
    if let Some(secret) = &rules.secret {
        secret.check(&head.headers)?;
    }

    // 5. The target, and the requests that a browser may send to it.
    let target = Target::parse(&head.uri, settings.target_size)?;
    // an environment's own host has only Airflow's paths
    let is_plain = host_name == HostName::Plain && target.reserved().is_none();
    let aws_call = is_plain
        .then(|| AwsCall::find(&head.method, &target))
        .flatten();
    let trusted = &settings.trusted_origins;
    origin::check(head, &target, aws_call.is_some(), user_agent.fetch, trusted)?;

    let checked = Box::new(Checked {
        host_name,
        target,
        aws_call,
        has_credential,
    });
    Ok(ValidatedRequest { incoming, checked })
}
