//! What travels beside a request from its arrival to the end of its response.

use crate::admission::{AwsCall, UserAgent};
use crate::command_record::CommandRecord;
use crate::response::{self, Response};
use crate::state::{ProxyState, ReverseProxy};
use crate::steps::Steps;
use http::Method;
use http::uri::Authority;
use mwaa_http1::RequestHead;
use mwaa_http1::name::{HOST, USER_AGENT};
use mwaa_model::{
    Client, Code, Entry, EntryId, EnvName, Fault, ListenerPolicy, RequestId, code, debug_fields,
};
use mwaa_runtime::{Timestamp, boot_clock};
use mwaa_server::{IncomingRequest, RequestBody};
use mwaa_telemetry::traces::{Attribute, RequestTrace, Value};
use mwaa_telemetry::{AccessLine, RefusedRequest};
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
    /// The environment, once routing knows it.
    environment: OnceCell<EnvName>,
    /// The facts of the access line.
    ending: Ending,
    /// The environment of a fault.
    scope: RefCell<Scope>,
    command: OnceCell<CommandRecord>,
    /// A request that may change something was written to the web server or to AWS.
    change_sent: Cell<bool>,
    steps: Steps,
}

/// The facts of the access line that are known at the end.
#[derive(Default)]
struct Ending {
    body: RequestBody,
    /// The kind, which remains if the request fails; empty until routing knows it.
    kind: Cell<&'static str>,
    /// The status of the response; 0 while there is none.
    status: Cell<u16>,
    /// The time to the head of the response.
    head: Cell<Duration>,
    /// The time that the web server took to answer.
    upstream: Cell<Option<Duration>>,
    /// The time at which the last request to the web server began.
    exchange_begun: Cell<Duration>,
    /// The size of the response's body, as far as it was sent.
    sent: Cell<u64>,
    is_complete: Cell<bool>,
    /// The last fault and its detail.
    fault: RefCell<Option<(&'static Code, String)>>,
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
        let span = tracing::debug_span!(
            "request",
            id = %incoming.id,
            environment = tracing::field::Empty,
            kind = tracing::field::Empty,
        );
        let tracer = proxy.state.tracer.as_ref();
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
            environment: OnceCell::new(),
            ending: Ending {
                body: incoming.body.clone(),
                ..Ending::default()
            },
            scope: RefCell::default(),
            command: OnceCell::new(),
            change_sent: Cell::new(false),
            steps: Steps::begin(span, tracer, head),
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
        self.0.steps.span()
    }

    /// The observer of the request's steps.
    pub(crate) fn steps(&self) -> &Steps {
        &self.0.steps
    }

    /// The request's kind in metrics and logs: `cli`, `rest`, ...; `fault` if it failed.
    pub(crate) fn kind(&self) -> &'static str {
        self.0.kind.get()
    }

    /// Sets the kind and the environment, once routing knows them.
    pub(crate) fn set_kind(&self, kind: &'static str, environment: Option<&EnvName>) {
        self.0.kind.set(kind);
        self.0.ending.kind.set(kind);
        self.span().record("kind", kind);
        if let Some(environment) = environment {
            self.0.environment.get_or_init(|| environment.clone());
            self.span()
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

    /// A request to the web server begins. It ends, also if it fails, when the exchange is dropped.
    pub(crate) fn begin_exchange(&self) -> Exchange<'_> {
        self.0.ending.exchange_begun.set(boot_clock());
        self.0.steps.begin_upstream();
        Exchange(self)
    }

    /// The head of the response is ready. Returns the time since the request arrived.
    pub(crate) fn on_head(&self, status: u16) -> Duration {
        let took = self.elapsed();
        self.0.ending.status.set(status);
        self.0.ending.head.set(took);
        self.0.steps.begin_response();
        took
    }

    /// Some of the response's body is passed on to the client.
    pub(crate) fn on_sent(&self, bytes: usize) {
        let sent = &self.0.ending.sent;
        sent.set(sent.get() + bytes as u64);
    }

    /// All of the response was passed on. A response to HEAD has no body to pass on.
    pub(crate) fn on_end(&self, is_complete: bool) {
        let is_complete = is_complete || *self.method() == Method::HEAD;
        self.0.ending.is_complete.set(is_complete);
    }

    /// Returns true if the end of the request is written to the access log.
    pub(crate) fn has_access_line(&self) -> bool {
        self.0.proxy.access.is_on()
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
        if !self.has_access_line() {
            tracing::info!(parent: self.span(), id = %inner.id, code = code.text, detail, "refused");
        }
        *inner.ending.fault.borrow_mut() = Some((code, detail));
        let environment = self.environment(state, fault);
        if let Some(environment) = &environment {
            inner.environment.get_or_init(|| environment.clone());
        }
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

/// A request to the web server. It is no more than a reference: the future of a request has it.
pub(crate) struct Exchange<'a>(&'a RequestContext);

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        let Inner { ending, steps, .. } = &*self.0.0;
        let took = boot_clock().saturating_sub(ending.exchange_begun.get());
        steps.end_upstream(took);
        let upstream = &ending.upstream;
        upstream.set(Some(upstream.get().unwrap_or_default() + took));
    }
}

impl Inner {
    fn write_access_line(&self) {
        let ending = &self.ending;
        let command = self.command.get();
        let fault = ending.fault.borrow();
        let status = Some(ending.status.get()).filter(|status| *status != 0);
        let head = &self.head;
        let ended = Timestamp::now();
        let upstream = ending.upstream.get();

        self.proxy.access.write(&AccessLine {
            id: self.id,
            client: &self.client,
            method: head.method.as_str(),
            path: head.target.path(),
            user_agent: head.headers.get(USER_AGENT).unwrap_or_default(),
            environment: self.environment.get().map(EnvName::as_str),
            kind: Some(ending.kind.get()).filter(|kind| !kind.is_empty()),
            command: command.and_then(CommandRecord::command_name),
            status,
            fault: fault
                .as_ref()
                .map(|(code, detail)| (code.text, detail.as_str())),
            received: ending.body.received(),
            sent: ending.sent.get(),
            head: ending.head.get(),
            total: ended.boot().saturating_sub(self.arrived),
            ended,
            queued: command.and_then(CommandRecord::queue_time),
            upstream: upstream.or_else(|| command.and_then(CommandRecord::upstream_time)),
            is_cut: !ending.is_complete.get(),
            trace: self.steps.trace_id(head),
        });
    }

    /// Passes the request's spans to the exporter.
    fn end_trace(&self, trace: &RequestTrace) {
        let ending = &self.ending;
        // a method of the client's own invention would be one more name of spans
        let method = &self.head.method;
        let is_known = KNOWN_METHODS.contains(method);
        let shown = if is_known { method.as_str() } else { "HTTP" };
        let name = format!("{shown} {}", ending.kind.get());
        let status = ending.status.get();
        let has_failed = status == 0 || status >= 500 || !ending.is_complete.get();
        let attributes = self.list_attributes(if is_known { shown } else { "_OTHER" });
        trace.end(name.trim_end().to_owned(), attributes, has_failed);
    }

    fn list_attributes(&self, method: &str) -> Vec<Attribute> {
        let ending = &self.ending;
        let path = self.head.target.path().chars().take(MAX_DETAIL).collect();
        let scheme = if self.secure { "https" } else { "http" };
        let status = Some(ending.status.get()).filter(|status| *status != 0);
        let environment = self.environment.get().map(EnvName::as_str);
        let command = self.command.get().and_then(CommandRecord::command_name);
        let fault = ending.fault.borrow();
        let fault = fault.as_ref().map(|(code, _)| code.text);

        let text = |text: &str| Value::Text(text.to_owned());
        let attributes = [
            ("http.request.method", Some(text(method))),
            ("url.scheme", Some(text(scheme))),
            ("url.path", Some(Value::Text(path))),
            (
                "http.request.body.size",
                Some(Value::Number(ending.body.received())),
            ),
            (
                "http.response.body.size",
                Some(Value::Number(ending.sent.get())),
            ),
            (
                "http.response.status_code",
                status.map(|status| Value::Number(status.into())),
            ),
            ("error.type", fault.map(text)),
            (
                "mwaa_gateway.request_id",
                Some(Value::Text(self.id.to_string())),
            ),
            (
                "mwaa_gateway.listener",
                Some(text(&self.client.listener.name)),
            ),
            ("mwaa_gateway.environment", environment.map(text)),
            ("mwaa_gateway.command", command.map(text)),
        ];
        let known = attributes.into_iter();
        known
            .filter_map(|(name, value)| Some((name.into(), value?)))
            .collect()
    }
}

impl Drop for Inner {
    /// The end of the request, also of one whose client has left.
    fn drop(&mut self) {
        if self.proxy.access.is_on() {
            self.write_access_line();
        }
        if let Some(trace) = self.steps.end_response() {
            self.end_trace(trace);
        }
    }
}

/// The path of commands.
const CLI_PATH: &str = "/aws_mwaa/cli";
/// The methods that spans are named after.
const KNOWN_METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];
/// The kind of a request that failed.
const FAULT: &str = "fault";
/// The longest detail of a log line, in characters.
const MAX_DETAIL: usize = 700;
