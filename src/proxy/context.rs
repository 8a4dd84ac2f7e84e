//! What travels beside a request from its arrival to the end of its response.

use crate::admission::{AwsCall, UserAgent};
use crate::command_record::CommandRecord;
use crate::response::{self, Response};
use crate::state::{ProxyState, ReverseProxy};
use http::Method;
use http::uri::Authority;
use mwaa_http1::RequestHead;
use mwaa_http1::name::HOST;
use mwaa_model::{
    Client, Entry, EntryId, EnvName, Fault, ListenerPolicy, RequestId, code, debug_fields,
};
use mwaa_runtime::{Timestamp, boot_clock};
use mwaa_server::IncomingRequest;
use mwaa_telemetry::RefusedRequest;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tracing::Span;

/// The context of one request. Clones share it; it is never sent anywhere.
#[derive(Clone, Debug)]
pub struct RequestContext(Rc<Inner>);

struct Inner {
    proxy: Rc<ReverseProxy>,
    id: RequestId,
    client: Client,
    secure: bool,
    user_agent: UserAgent,
    head: Rc<RequestHead>,
    arrived: Duration,
    kind: Cell<&'static str>,
    /// The environment that it is counted for.
    entry: Cell<Option<EntryId>>,
    /// The environment of a fault.
    scope: RefCell<Scope>,
    command: OnceCell<CommandRecord>,
    /// A request that may change something was written to the web server or to AWS.
    change_sent: Cell<bool>,
    span: Span,
}

/// The environment that a request is for, as far as its faults are concerned.
#[derive(Default)]
enum Scope {
    /// The listener's, else the one that the Host names, else the default one.
    #[default]
    Called,
    /// The one that a token or a call of the MWAA API names.
    Environment(EnvName),
    /// None: a call of the MWAA API that names none.
    Nothing,
}

debug_fields!(Inner: id, client, secure);

impl RequestContext {
    /// Creates the context of a request that has just arrived. Nothing about it has been checked
    /// yet.
    pub fn new(incoming: &IncomingRequest, proxy: &Rc<ReverseProxy>) -> Self {
        let head = &incoming.head;
        let context = Self(Rc::new(Inner {
            proxy: Rc::clone(proxy),
            id: incoming.id,
            client: incoming.client.clone(),
            secure: incoming.secure,
            user_agent: UserAgent::from_head(head, incoming.secure),
            head: Rc::clone(head),
            arrived: boot_clock(),
            kind: Cell::new(FAULT),
            entry: Cell::new(None),
            scope: RefCell::default(),
            command: OnceCell::new(),
            change_sent: Cell::new(false),
            span: tracing::debug_span!(
                "request",
                id = %incoming.id,
                environment = tracing::field::Empty,
                kind = tracing::field::Empty,
            ),
        }));

        // the audit log has every request to the CLI route, also those that admission refuses
        if proxy.state.audit.is_some() && head.target.path() == CLI_PATH {
            // created on first use, which is now
            let _record = context.command_record();
        }
        context
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// The sender of the request.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The listener that received the request.
    pub fn listener(&self) -> &ListenerPolicy {
        &self.0.client.listener
    }

    /// The program that sent the request, as far as its head says.
    pub fn user_agent(&self) -> UserAgent {
        self.0.user_agent
    }

    /// The scheme of URLs of this gateway: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.0.secure { "https" } else { "http" }
    }

    /// Returns the origin that the client called, as it wrote it: `scheme://Host` (RFC 6454).
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.host())
    }

    /// Returns the port in the Host header, for URLs in our responses.
    pub fn port(&self) -> Option<u16> {
        crate::admission::split_host(self.host()).1
    }

    /// Returns the time since the request arrived.
    pub(crate) fn elapsed(&self) -> Duration {
        boot_clock().saturating_sub(self.0.arrived)
    }

    /// Returns the ticket by which this listener's overview of one environment, or of all, gets its events.
    pub(crate) fn page_ticket(&self, only: Option<&EnvName>) -> String {
        let tokens = &self.0.proxy.state.local_tokens;
        tokens.page_ticket(only, &self.listener().name)
    }

    /// Returns true if a ticket is of this listener's overview of one environment, or of all.
    pub(crate) fn is_page_ticket(&self, ticket: &str, only: Option<&EnvName>) -> bool {
        let tokens = &self.0.proxy.state.local_tokens;
        tokens.is_page_ticket(ticket, only, &self.listener().name)
    }

    /// The request's span, for what runs on its behalf.
    pub(crate) fn span(&self) -> &Span {
        &self.0.span
    }

    /// The request's kind in metrics and logs: `cli`, `rest`, ...; `fault` if it failed.
    pub(crate) fn kind(&self) -> &'static str {
        self.0.kind.get()
    }

    /// Sets the kind and the environment, once routing knows them.
    pub(crate) fn set_kind(&self, kind: &'static str, environment: Option<&EnvName>) {
        self.0.kind.set(kind);
        self.0.span.record("kind", kind);
        if let Some(environment) = environment {
            self.0
                .span
                .record("environment", tracing::field::display(environment));
        }
    }

    /// The environment that the request is counted for.
    pub(crate) fn entry(&self) -> Option<EntryId> {
        self.0.entry.get()
    }

    /// Sets the environment that the request is counted for.
    pub(crate) fn set_entry(&self, entry: &Entry) {
        self.0.entry.set(Some(entry.id));
    }

    /// Sets the environment of the request's faults; `None` means that it is for none.
    pub(crate) fn set_environment(&self, environment: Option<EnvName>) {
        *self.0.scope.borrow_mut() = environment.map_or(Scope::Nothing, Scope::Environment);
    }

    /// Returns true if the path is one of the MWAA API's, before anything is known about the request.
    pub(crate) fn is_aws_path(&self) -> bool {
        AwsCall::is_path(self.0.head.target.path()) && !self.0.user_agent.wants_page
    }

    pub(crate) fn method(&self) -> &Method {
        &self.0.head.method
    }

    /// Records that some of the request is about to be written to the web server, or to AWS.
    pub(crate) fn mark_sending(&self) {
        self.0.change_sent.set(!self.0.head.method.is_safe());
    }

    /// Returns true if the request may have changed something.
    pub(crate) fn is_change_sent(&self) -> bool {
        self.0.change_sent.get()
    }

    /// The thread's proxy.
    pub(crate) fn proxy(&self) -> &Rc<ReverseProxy> {
        &self.0.proxy
    }

    /// The record of the command that the request sends. It is created on first use.
    pub(crate) fn command_record(&self) -> &CommandRecord {
        let inner = &self.0;
        inner.command.get_or_init(|| CommandRecord::new(self))
    }

    /// The record of the command, if the request sends one.
    pub(crate) fn existing_command_record(&self) -> Option<&CommandRecord> {
        self.0.command.get()
    }

    /// Records a fault and returns the response for it: a page if a person reads it.
    pub(crate) fn respond_with_fault(&self, fault: &dyn Fault) -> Response {
        self.fail(fault);
        if self.0.user_agent.wants_page {
            response::render_fault_page(fault, self.0.id, self.overview_url(fault).as_deref())
        } else {
            response::from_fault(fault, self.0.id)
        }
    }

    /// Records a fault that is the end of the request.
    pub(crate) fn fail(&self, fault: &dyn Fault) {
        self.0.kind.set(FAULT);
        self.record_fault(fault);
    }

    /// Counts and logs a fault, and keeps it for the overview and the audit log.
    pub(crate) fn record_fault(&self, fault: &dyn Fault) {
        let inner = &self.0;
        let state = &inner.proxy.state;
        let code = fault.code();
        let environment = self.environment(state, fault);
        state.metrics.count_fault(code, environment.as_ref());
        if let Some(command) = inner.command.get() {
            command.on_fault(fault);
        }

        // clients choose paths and names, and so the length of a detail
        let detail: String = fault.detail().chars().take(MAX_DETAIL).collect();
        tracing::info!(parent: &inner.span, id = %inner.id, code = code.text, detail, "refused");
        state.refusals.push(RefusedRequest {
            at: Timestamp::now(),
            code,
            environment,
            method: inner.head.method.to_string(),
            path: inner.head.target.path().to_owned(),
            detail: fault.detail_without_links(),
            id: inner.id,
        });
    }

    /// Returns the environment that the request was for: the listener's, else the one that the
    /// Host names, else the default one.
    fn environment(&self, state: &ProxyState, fault: &dyn Fault) -> Option<EnvName> {
        match &*self.0.scope.borrow() {
            Scope::Called => {}
            Scope::Nothing => return None,
            Scope::Environment(name) => return Some(name.clone()),
        }

        if let Some(only) = &self.listener().environment {
            return Some(only.clone());
        }
        if *fault.code() == code::FOREIGN_HOST {
            return None;
        }
        let host = self.authority()?;
        let directory = state.registry.snapshot();
        let entry = match host.host().strip_suffix(".localhost") {
            Some(label) if !matches!(label, "env" | "api") => directory.find(label),
            _ => directory.default_entry(),
        };
        entry.map(|entry| entry.environment.local.clone())
    }

    /// Returns the address of the overview as the client can reach it; `None` for a client that
    /// may not see it.
    fn overview_url(&self, fault: &dyn Fault) -> Option<String> {
        let code = fault.code();
        if [&code::FOREIGN_HOST, &code::PEER, &code::SECRET].contains(&code) {
            return None;
        }
        if *code != code::UNKNOWN_ENVIRONMENT {
            return Some("/-/".to_owned());
        }
        // the host is one of ours and names no environment, so `/-/` would fail there too
        let scheme = self.scheme();
        let port = self.authority()?.port_u16();
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{scheme}://localhost{port}/-/"))
    }

    /// Returns the Host, in lower case.
    fn authority(&self) -> Option<Authority> {
        self.host().to_ascii_lowercase().parse().ok()
    }

    /// The Host as the client wrote it; empty before admission if there is none.
    pub(crate) fn host(&self) -> &str {
        self.0.head.headers.get_str(HOST).unwrap_or_default()
    }
}

/// The path of commands.
const CLI_PATH: &str = "/aws_mwaa/cli";
/// The kind of a request that failed.
const FAULT: &str = "fault";
/// The longest detail of a log line, in characters.
const MAX_DETAIL: usize = 700;
