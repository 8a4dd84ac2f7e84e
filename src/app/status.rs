//! The state of a running gateway, as its management address shows it.

use super::generation::Generation;
use super::local_urls::LocalUrls;
use super::sockets::SocketSet;
use http::request::Parts;
use mwaa_auth::aws::Discovery;
use mwaa_auth::{SessionState, TokenState};
use mwaa_fleet::{FleetStatus, ReplicaId};
use mwaa_model::{EnvName, EnvironmentInfo, PeerAddress, Policy};
use mwaa_proxy::admission::HostFilter;
use mwaa_proxy::queue::QueueSummary;
use mwaa_proxy::{EnvironmentStatus, ListenerUrl, ProxyState};
use mwaa_runtime::Timestamp;
use mwaa_server::Places;
use mwaa_server::management::{ManagementSource, ReadinessStatus};
use mwaa_telemetry::traces::Tracer;
use mwaa_telemetry::{
    EnvironmentSnapshot, FleetSnapshot, GatewaySnapshot, Log, MetricsFormat, RefusedRequest,
};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The gateway's state and what is needed to show it.
#[derive(Debug)]
pub(super) struct GatewayStatus {
    current: Mutex<Arc<Current>>,
    stopping: Arc<AtomicBool>,
}

/// The configuration that counts now, and the addresses that show it.
#[derive(Debug)]
struct Current {
    generation: Arc<Generation>,
    hosts: HostFilter,
    /// The numbers of the listeners, in their order.
    numbers: Vec<usize>,
    places: Arc<Places>,
    management: SocketAddr,
    probes: Option<SocketAddr>,
}

impl Current {
    fn new(generation: Arc<Generation>, sockets: &SocketSet) -> Arc<Self> {
        let management = sockets.management.address;
        Arc::new(Self {
            generation,
            hosts: HostFilter::new(&[management], &[]),
            numbers: sockets.numbers(),
            places: Arc::clone(&sockets.places),
            management,
            probes: sockets.probes.as_ref().map(|probes| probes.address),
        })
    }

    fn state(&self) -> &ProxyState {
        &self.generation.state
    }

    /// Returns the state of the configuration: its file, the time at which it was read, and why a
    /// later state of the file is not used.
    fn render_configuration(&self) -> Value {
        let config = &self.generation.config;
        let state = &self.state().metrics.configuration;
        let now = Timestamp::now().wall();
        json!({
            "file": config.source.as_ref().map(|file| file.display().to_string()),
            "age_seconds": state.loaded().map(|when| now.saturating_sub(when).as_secs()),
            "reads": state.reads(),
            "failure": state.failure(),
        })
    }

    /// Returns an environment's object of `/status`.
    fn render_environment(&self, status: &EnvironmentStatus, urls: &LocalUrls) -> Value {
        let entry = &status.entry;
        let environment = &entry.environment;
        let latest = status.info.as_deref();
        let info = latest.map(|latest| &latest.info);
        let now = Timestamp::now().wall();

        // the way depends on the host or region, and is not known before that
        let host = status.web_server.as_deref();
        let way = host.map(|host| {
            self.generation
                .connector
                .find_route(environment, host)
                .to_string()
        });
        let region = environment.region.as_ref();
        let way_to_aws = region.map(|region| {
            self.generation
                .connector
                .find_aws_route(environment, region.as_str())
        });

        json!({
            "local": environment.local.as_str(),
            "name": environment.name.as_ref(),
            "region": region.map(ToString::to_string),
            "airflow_version": entry.airflow_version().map(|version| version.to_string()),
            "status": info.map(|info| &info.status),
            "status_meaning": info.and_then(EnvironmentInfo::status_meaning),
            "status_age_seconds": latest.map(|latest| now.saturating_sub(latest.when).as_secs()),
            "access_mode": info.and_then(|info| info.access_mode.as_deref()),
            "identity_center": info.and_then(|info| info.identity_center.as_deref()),
            "teams": info.map(|info| &info.teams),
            "notes": status.notes,
            "way": way,
            "way_to_aws": way_to_aws.map(|way| way.to_string()),
            "tunnel": self.generation.connector.tunnel_state(&environment.local),
            "webserver_host": info.and_then(|info| info.webserver_host.as_deref()),
            "default": status.is_default,
            "policy": environment.policy.as_str(),
            "urls": urls.environment_urls(environment, status.is_default),
            "ready": status.issue.is_none(),
            "trouble": status.issue.as_ref().map(ToString::to_string),
            "cli_token": render_token(&status.token),
            "session": render_session(&status.session),
            "rest_via": if status.is_rest_invoked { "invoke" } else { "direct" },
            "queue": render_queue(&status.queue),
        })
    }
}

impl GatewayStatus {
    pub(super) fn new(
        generation: Arc<Generation>,
        stopping: Arc<AtomicBool>,
        sockets: &SocketSet,
    ) -> Self {
        Self {
            current: Mutex::new(Current::new(generation, sockets)),
            stopping,
        }
    }

    /// Shows another configuration from now on.
    pub(super) fn replace(&self, generation: Arc<Generation>, sockets: &SocketSet) {
        *self.lock() = Current::new(generation, sockets);
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

impl ManagementSource for GatewayStatus {
    fn admits(&self, head: &Parts) -> bool {
        // the socket is a loopback one, so the peer says nothing: a page with a rebound name is
        // recognized by its Host
        let headers = head.headers.iter().collect();
        self.current()
            .hosts
            .check(
                &headers,
                &head.uri,
                PeerAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into()),
                false,
            )
            .is_ok()
    }

    /// Returns ready if at least one environment could be served, from what is known.
    fn ready(&self) -> ReadinessStatus {
        if self.is_stopping() {
            return ReadinessStatus {
                ready: false,
                summary: "not ready: stopping".to_owned(),
                details: "not ready: the gateway is stopping".to_owned(),
            };
        }

        // a search that failed is worth a line, but what is known already can be served
        let current = self.current();
        let environments = current.state().environment_statuses();
        let discovery = current.state().discovery.as_ref();
        let trouble = discovery.and_then(|discovery| discovery.trouble());
        let mut lines: Vec<_> = trouble
            .iter()
            .map(|trouble| match environments.as_slice() {
                [] => format!("not ready: {trouble}"),
                _ => format!("some environments are not known: {trouble}"),
            })
            .collect();
        lines.extend(environments.iter().map(|status| {
            let local = &status.entry.environment.local;
            match &status.issue {
                None => format!("{local}: ready"),
                Some(issue) => format!("{local}: not ready: {issue}"),
            }
        }));

        // one is enough: a restart or another pod would not help the others
        let ready = environments.iter().any(|status| status.issue.is_none());
        let summary = match environments.len() {
            _ if ready => "ready".to_owned(),
            0 => "not ready: no environment is known".to_owned(),
            1 => "not ready: 1 environment unavailable".to_owned(),
            many => format!("not ready: {many} environments unavailable"),
        };
        ReadinessStatus {
            ready,
            summary,
            details: lines.join("\n"),
        }
    }

    fn metrics(&self, format: MetricsFormat) -> String {
        let current = self.current();
        let state = current.state();
        let environments = state.environment_statuses();
        let environments = environments.iter().map(|status| EnvironmentSnapshot {
            entry: &status.entry,
            token_age: status.token.age,
            longest_wait: status.queue.longest_wait,
        });

        let listeners = state.urls.listeners.iter();
        let names = listeners.map(|listener| &*listener.policy.name);
        let open = current.numbers.iter();
        let open = open.map(|number| current.places.used(*number));
        let now = GatewaySnapshot {
            version: env!("CARGO_PKG_VERSION"),
            environments: environments.collect(),
            connections: names.zip(open).collect(),
            max_connections: current.places.max(),
            fleet: current
                .generation
                .fleet
                .as_ref()
                .map(|fleet| summarize(&fleet.status())),
            spans_dropped: state.tracer.as_ref().map_or(0, Tracer::dropped),
        };
        state.metrics.render(&now, format)
    }

    fn status(&self) -> Value {
        // these keys are read by the command line and by people's scripts
        let current = self.current();
        let state = current.state();
        let urls = LocalUrls::from_listeners(&state.urls);
        let environments = state.environment_statuses();
        let environments = environments
            .iter()
            .map(|status| current.render_environment(status, &urls));
        let listeners = state.urls.listeners.iter().map(render_listener);
        let discovery = state.discovery.as_ref();
        let refusals = state.refusals.list();

        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "stopping": self.is_stopping(),
            "url": urls.main_url(),
            "management": format!("http://{}", current.management),
            "configuration": current.render_configuration(),
            "probes": current.probes.map(|address| format!("http://{address}")),
            "listeners": listeners.collect::<Vec<_>>(),
            "environments": environments.collect::<Vec<_>>(),
            "discovery": discovery.map(|discovery| render_discovery(discovery)),
            "fleet": current.generation.fleet.as_ref().map(|fleet| render_fleet(&fleet.watch())),
            "faults": state.metrics.fault_counts(),
            "refusals": refusals.iter().map(render_refusal).collect::<Vec<_>>(),
        })
    }

    fn log_filter(&self) -> Option<String> {
        let current = self.current();
        current.generation.inputs.log.as_ref().map(Log::filter)
    }

    fn set_log_filter(&self, filter: &str) -> Result<(), String> {
        let current = self.current();
        let Some(log) = &current.generation.inputs.log else {
            return Err("there is no log".to_owned());
        };
        log.set_filter(filter).map_err(|error| {
            format!("{error}; write it as in `debug` or `mwaa_gateway=debug`")
        })?;
        tracing::info!(filter = log.filter(), "the filter of the log was changed");
        Ok(())
    }
}

/// Returns the figures of a fleet for a scrape.
fn summarize(fleet: &FleetStatus) -> FleetSnapshot {
    let slots = fleet.slots.iter();
    let slots = slots.map(|(name, owners, _)| (name.clone(), owners.len() as u64));
    FleetSnapshot {
        replicas: fleet.replicas.len() as u64,
        is_store_up: fleet.trouble.is_none(),
        slots: slots.collect(),
    }
}

/// Replicas are shown by the first digits of their ids.
fn render_fleet(fleet: &FleetStatus) -> Value {
    let names = |ids: &[ReplicaId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let slots = fleet.slots.iter().map(|(environment, owners, is_alone)| {
        json!({
            "environment": environment.as_str(),
            "held_by": names(owners),
            "without_store": is_alone,
        })
    });

    json!({
        "replica": fleet.me.to_string(),
        "replicas": names(&fleet.replicas),
        "trouble": fleet.trouble.as_ref().map(ToString::to_string),
        "slots": slots.collect::<Vec<_>>(),
        "shared_items": fleet.totals.shared,
        "store_calls": fleet.totals.calls,
        "store_errors": fleet.totals.errors,
        "store_mean_seconds": fleet.totals.mean().map(|mean| mean.as_secs_f64()),
    })
}

fn render_token(token: &TokenState) -> Value {
    json!({
        "live": token.age.is_some(),
        "age_seconds": token.age.map(|age| age.as_secs_f64()),
        "minting": token.minting,
        "web_server": token.host.as_deref(),
    })
}

fn render_session(session: &SessionState) -> Value {
    let identity = session.identity.as_ref();
    json!({
        "live": session.age.is_some(),
        "age_seconds": session.age.map(|age| age.as_secs_f64()),
        "seconds_left": session.left.map(|left| left.as_secs_f64()),
        "signing_in": session.signing_in,
        "iam_identity": identity.and_then(|identity| identity.iam.as_deref()),
        "airflow_identity": identity.and_then(|identity| identity.airflow.as_deref()),
    })
}

/// Commands are shown by their names, never with their arguments, which may hold secrets.
fn render_queue(queue: &QueueSummary) -> Value {
    let commands = queue.running.iter().map(|command| {
        json!({
            "command": command.name(),
            "request_id": command.id().to_string(),
            "age_seconds": command.age().as_secs_f64(),
            "sent": command.is_sent(),
            "client_left": command.is_abandoned(),
        })
    });
    json!({
        "running": queue.running.len(),
        "waiting": queue.waiting,
        "longest_wait_seconds": queue.longest_wait.map(|wait| wait.as_secs_f64()),
        "commands": commands.collect::<Vec<_>>(),
    })
}

fn render_listener(listener: &ListenerUrl) -> Value {
    let policy = &listener.policy;
    let rules = policy.rules.as_ref();
    let lines = |commands: &Vec<Vec<String>>| -> Vec<String> {
        commands.iter().map(|words| words.join(" ")).collect()
    };
    json!({
        "name": policy.name,
        "url": listener.url,
        "optional_tls": listener.has_optional_tls,
        "environment": policy.environment.as_ref().map(EnvName::as_str),
        "policy": rules.map_or(Policy::All, |rules| rules.policy).as_str(),
        "allow": rules.map(|rules| lines(&rules.allow)).unwrap_or_default(),
        "deny": rules.map(|rules| lines(&rules.deny)).unwrap_or_default(),
    })
}

fn render_discovery(discovery: &Discovery) -> Value {
    let places = discovery.places();
    let places = places.iter().map(|place| {
        json!({
            "region": place.region,
            "profile": place.profile,
            "found": place.found,
            "trouble": place.trouble,
        })
    });
    places.collect()
}

fn render_refusal(refusal: &RefusedRequest) -> Value {
    json!({
        "age_seconds": refusal.at.age(Timestamp::now()).as_secs_f64(),
        "code": refusal.code.text,
        "environment": refusal.environment.as_ref().map(EnvName::as_str),
        "method": refusal.method,
        "path": refusal.path,
        "detail": refusal.detail,
        "request_id": refusal.id.to_string(),
    })
}
