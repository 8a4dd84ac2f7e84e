//! The proxy's shared state, and each worker thread's own.

use crate::admission::{self, AdmissionMemory};
use crate::health::Reachability;
use crate::live::Watchers;
use crate::login_pages::LoginVisits;
use crate::queue::CommandQueues;
use crate::rest_via::RestRoutes;
use crate::upstream::UpstreamClient;
use mwaa_auth::aws::{Discovery, VersionResolver};
use mwaa_auth::{CredentialCache, LocalTokens};
use mwaa_model::{EntryId, EnvName, ListenerPolicy, Registry};
use mwaa_policy::CommandMemory;
use mwaa_runtime::resolver::Resolver;
use mwaa_runtime::{CoarseTimer, LocalTasks, PaceLimit, Shutdown};
use mwaa_telemetry::traces::Tracer;
use mwaa_telemetry::{AccessLog, Audit, Metrics, RecentRefusals, WorkerMetrics};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;

/// One worker thread's proxy, with one configuration. A request keeps the one that it began with.
#[derive(Debug)]
pub struct ReverseProxy {
    /// The state that all threads share.
    pub state: Arc<ProxyState>,
    /// This thread's counters.
    pub metrics: Rc<WorkerMetrics>,
    /// This thread's verdicts about heads that come again and again.
    pub admissions: AdmissionMemory,
    /// This thread's commands that come again and again.
    pub commands: CommandMemory,
    /// This thread's access log.
    pub access: AccessLog,
    /// This thread's client for web servers.
    pub upstream: UpstreamClient,
    /// This thread's coarse clock.
    pub timer: CoarseTimer,
    /// This thread's tasks.
    pub tasks: LocalTasks,
    /// Announces the shutdown to responses that have no end of their own.
    pub shutdown: Shutdown,
    /// Set once another configuration counts, which ends such responses too.
    pub is_replaced: Cell<bool>,
}

/// The state that all worker threads share.
#[derive(Debug)]
pub struct ProxyState {
    /// The rules of admission.
    pub admission: admission::Settings,
    /// The known environments.
    pub registry: Arc<Registry>,
    /// The search for environments, if the configuration names none.
    pub discovery: Option<Arc<Discovery>>,
    /// The environments' Airflow versions.
    pub versions: Arc<VersionResolver>,
    /// The environments' command queues.
    pub queues: CommandQueues,
    /// The environments' tokens and sessions.
    pub credentials: Arc<CredentialCache>,
    /// The gateway's own tokens.
    pub local_tokens: Arc<LocalTokens>,
    /// Recent visits to login pages.
    pub login_visits: Arc<LoginVisits>,
    /// The web servers that could not be reached.
    pub reachability: Arc<Reachability>,
    /// The routes to the REST APIs.
    pub rest_routes: Arc<RestRoutes>,
    /// The counters of all threads.
    pub metrics: Arc<Metrics>,
    /// The export of traces, if there is one.
    pub tracer: Option<Tracer>,
    /// The audit log, if there is one.
    pub audit: Option<Audit>,
    /// The most recent refusals.
    pub refusals: Arc<RecentRefusals>,
    /// The clients that watch the overview.
    pub watchers: Watchers,
    /// The listeners' addresses.
    pub urls: ListenerUrls,
    /// This machine's resolver and its answers for `NAME.localhost`.
    pub resolver: Resolver,
    /// The proxy's own limits.
    pub limits: Limits,
}

impl ProxyState {
    /// Returns the local name of an environment that is known.
    pub(crate) fn environment_name(&self, id: EntryId) -> Option<EnvName> {
        let directory = self.registry.snapshot();
        let mut entries = directory.entries().iter();
        let entry = entries.find(|entry| entry.id == id)?;
        Some(entry.environment.local.clone())
    }
}

/// The proxy's own limits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest command, in bytes.
    pub cli_body: usize,
    /// The longest body of a REST or UI request, in bytes.
    pub request_body: usize,
    /// The slowest pace of a request body.
    pub body_pace: PaceLimit,
    /// The largest decoded output, in bytes.
    pub cli_output: usize,
}

/// The listeners' addresses, for people and for the links of our own pages.
#[derive(Debug, Clone, Default)]
pub struct ListenerUrls {
    /// Every listener, the main one first.
    pub listeners: Vec<ListenerUrl>,
}

/// An open listener.
#[derive(Debug, Clone)]
pub struct ListenerUrl {
    /// Its address, as a URL.
    pub url: String,
    /// The environment and the requests that it serves.
    pub policy: ListenerPolicy,
    /// True if it accepts TLS beside plain HTTP, which the URL has.
    pub has_optional_tls: bool,
    /// The names of the listeners that serve the same requests over TLS, if this one cannot.
    pub tls_twins: Vec<String>,
}

impl ListenerUrl {
    /// Returns what is special about it, for people.
    pub fn summary(&self) -> Option<String> {
        let tls = self.has_optional_tls.then(|| "also https".to_owned());
        let parts: Vec<_> = tls.into_iter().chain(self.policy.summary()).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Returns its port; `None` for a Unix socket.
    pub(crate) fn port(&self) -> Option<u16> {
        self.url.rsplit_once(':')?.1.parse().ok()
    }
}

impl ListenerUrls {
    /// Returns a listener that serves the same requests over TLS as the one with this name, if that
    /// one has only plain HTTP: for the environment, and for a client that called this port.
    pub(crate) fn find_tls_twin(
        &self,
        name: &str,
        environment: &EnvName,
        called: u16,
    ) -> Option<&ListenerUrl> {
        let own = self.find(name)?;

        // another port is forwarded to ours, and the twin's may not be
        if own.port() != Some(called) {
            return None;
        }
        let serves = |twin: &&ListenerUrl| {
            let only = twin.policy.environment.as_ref();
            only.is_none_or(|only| only == environment)
        };
        let mut twins = own.tls_twins.iter().filter_map(|twin| self.find(twin));
        twins.find(serves)
    }

    /// Returns the listener with this name.
    pub(crate) fn find(&self, name: &str) -> Option<&ListenerUrl> {
        self.listeners.iter().find(|own| own.policy.name == *name)
    }

    /// Returns the loopback address at which the main listener is reached.
    pub(crate) fn loopback(&self) -> IpAddr {
        let first = self.listeners.first().map_or("", |first| &first.url);
        if first.contains("://[::1]") {
            Ipv6Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        }
    }

    /// Returns the URL of the environment's own listener (`environments.NAME.listen`), if it has
    /// one with a port.
    pub fn own(&self, environment: &EnvName) -> Option<&str> {
        let own = self.listeners.iter().find(|listener| {
            listener.policy.is_own()
                && listener.policy.environment.as_ref() == Some(environment)
                && !listener.url.starts_with("unix:")
        });
        own.map(|own| own.url.as_str())
    }
}
