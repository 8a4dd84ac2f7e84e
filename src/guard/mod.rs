//! Who may call, and with what kind of request: the fixed order of checks that makes
//! [`Admitted`] of [`Arrived`]. Pure: no I/O, no clock, no logging.
#![deny(clippy::wildcard_enum_match_arm)]

mod authority;
mod caller;
mod decoding;
mod framing;
mod host;
mod origin;
mod peer;
mod refusal;
mod reserved;
mod target;
mod user_agent;

pub use caller::CallerSecret;
pub use host::{HostRules, Named};
pub use peer::Networks;
pub use refusal::{GuardError, PathFault};
pub use reserved::Reserved;
pub use target::{Target, is_opaque};
pub use user_agent::UserAgent;

pub use crate::listener::Body;

use crate::listener::Arrived;
use crate::names::{Caller, Entrance, RequestId, debug_only};
use http::HeaderMap;
use http::Method;

/// What the guard enforces.
#[derive(Debug)]
pub struct Settings {
    /// Who may connect.
    pub gate: Gate,
    /// The same for the listeners that say it for themselves, by [`Entrance::name`].
    pub own_gates: Vec<(String, Gate)>,
    /// The names that clients may call us by.
    pub hosts: HostRules,
    /// Browser origins that may use the CLI route, as `scheme://host[:port]`.
    pub trusted_origins: Vec<String>,
    /// Whether requests pass that carry `Forwarded` or `X-Forwarded-*`.
    pub allow_forwarded: bool,
    /// The most header fields.
    pub header_count: usize,
    /// The largest head: request line and header section, in bytes.
    pub head_size: usize,
    /// The longest request target, in bytes.
    pub target_size: usize,
}

/// Who may connect to a listener.
#[derive(Debug)]
pub struct Gate {
    /// Client addresses.
    pub networks: Networks,
    /// What clients must send in `Mwaa-Gateway-Secret`, if anything.
    pub secret: Option<CallerSecret>,
}

impl Settings {
    fn gate(&self, entrance: &Entrance) -> &Gate {
        let mut own = self.own_gates.iter();
        own.find(|(name, _)| *name == entrance.name)
            .map_or(&self.gate, |(_, gate)| gate)
    }
}

/// A request whose sender, framing, host and target have been checked.
pub struct Admitted {
    id: RequestId,
    secure: bool,
    caller: Caller,
    named: Named,
    agent: UserAgent,
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: Body,
}

debug_only!(Admitted: id, caller, secure, method, target);

impl Admitted {
    /// The request's name.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Who sent the request, and by which listener.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// How the client called us.
    pub fn named(&self) -> &Named {
        &self.named
    }

    /// What sent it.
    pub fn agent(&self) -> UserAgent {
        self.agent
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request target, strictly read.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the request came over TLS.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The scheme of URLs that lead here: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The origin that the client called, as it wrote it: `scheme://Host`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.host())
    }

    /// The port in the Host header, for URLs that we tell the client.
    pub fn port(&self) -> Option<u16> {
        authority::split_port(self.host()).1
    }

    /// Host has been checked, so it is there and readable.
    fn host(&self) -> &str {
        let host = self.headers.get(http::header::HOST);
        host.and_then(|host| host.to_str().ok()).unwrap_or_default()
    }

    /// The header section, as the client sent it.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, to be read.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// Keeps the header section and the body.
    pub fn into_headers_and_body(self) -> (HeaderMap, Body) {
        (self.headers, self.body)
    }

    /// Keeps the header section only.
    pub fn into_headers(self) -> HeaderMap {
        self.headers
    }
}

/// Checks the request, cheapest and most decisive first: the peer, the form of the request,
/// the Host (DNS rebinding), the caller's secret, and what a browser may do. `agent` is what was
/// read of the same head.
pub fn admit(
    arrived: Arrived,
    agent: UserAgent,
    settings: &Settings,
) -> Result<Admitted, GuardError> {
    let Arrived {
        id,
        caller,
        secure,
        mut head,
        body,
    } = arrived;
    let gate = settings.gate(&caller.entrance);
    gate.networks.check(caller.peer)?;
    if head.headers.len() > settings.header_count {
        return Err(GuardError::Headers {
            limit: settings.header_count,
        });
    }
    framing::check(&mut head, settings)?;

    let named = settings.hosts.check(&head, caller.peer, secure)?;
    if let Some(secret) = &gate.secret {
        secret.check(&head.headers)?;
    }
    let target = Target::read(&head.uri, settings.target_size)?;
    origin::check(&head, &target, agent.fetch, &settings.trusted_origins)?;
    Ok(Admitted {
        id,
        secure,
        caller,
        named,
        agent,
        method: head.method,
        target,
        headers: head.headers,
        body,
    })
}
