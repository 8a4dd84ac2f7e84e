//! What the management address shows of the running rooms.

use super::local_urls::Listeners;
use crate::control::Discovery;
use crate::egress::Egress;
use crate::gateway::Shared;
use crate::guard::HostRules;
use crate::management::{Readiness, View};
use crate::names::{Described, Entry, EnvName, Peer, Policy};
use crate::queue::Snapshot;
use crate::runtime::Moment;
use crate::telemetry::Observed;
use http::request::Parts;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(super) struct GatewayView {
    shared: Arc<Shared>,
    egress: Egress,
    hosts: HostRules,
    stopping: Arc<AtomicBool>,
    management: SocketAddr,
    probes: Option<SocketAddr>,
}

impl GatewayView {
    pub(super) fn new(
        shared: Arc<Shared>,
        egress: Egress,
        stopping: Arc<AtomicBool>,
        management: SocketAddr,
        probes: Option<SocketAddr>,
    ) -> Self {
        Self {
            shared,
            egress,
            hosts: HostRules::new(vec![management], &[]),
            stopping,
            management,
            probes,
        }
    }

    /// Every listener and what it lets pass.
    fn listeners(&self) -> Vec<Value> {
        let listeners = self.shared.front.listeners.iter();
        listeners
            .map(|listening| {
                let entrance = &listening.entrance;
                let rules = entrance.rules.as_ref();
                let words = |list: &[Vec<String>]| -> Vec<String> {
                    list.iter().map(|command| command.join(" ")).collect()
                };
                json!({
                    "name": entrance.name,
                    "url": listening.url,
                    "environment": entrance.environment.as_ref().map(EnvName::as_str),
                    "policy": rules.map_or(Policy::All, |rules| rules.policy).word(),
                    "allow": rules.map(|rules| words(&rules.allow)).unwrap_or_default(),
                    "deny": rules.map(|rules| words(&rules.deny)).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// How the web server is reached, once its host is known.
    fn way(&self, entry: &Entry) -> Option<String> {
        let environment = &entry.environment;
        let broker = &self.shared.broker;
        let known = (broker.state(entry).host).or_else(|| broker.session_host(entry));
        let learnt = entry.learnt();
        let described = learnt.as_deref().map(|learnt| &learnt.described);
        let host = known
            .as_deref()
            .or_else(|| described.and_then(|described| described.webserver_host.as_deref()))?;
        Some(self.egress.way(environment, host).to_string())
    }

    /// How AWS is asked for it, once its region is known.
    fn way_to_aws(&self, entry: &Entry) -> Option<String> {
        let environment = &entry.environment;
        let region = environment.region.as_ref()?.as_str();
        Some(self.egress.way_to_aws(environment, region).to_string())
    }

    /// The last refusals, newest first.
    fn refusals(&self) -> Vec<Value> {
        let now = Moment::now();
        let last = self.shared.refusals.last().into_iter();
        last.map(|refusal| {
            json!({
                "age_seconds": refusal.at.age(now).as_secs_f64(),
                "code": refusal.code.text,
                "environment": refusal.environment.as_ref().map(EnvName::as_str),
                "method": refusal.method,
                "path": refusal.path,
                "detail": refusal.detail,
                "request_id": refusal.id.to_string(),
            })
        })
        .collect()
    }
}

impl View for GatewayView {
    fn admits(&self, head: &Parts) -> bool {
        self.hosts
            .check(head, Peer::Tcp((Ipv4Addr::LOCALHOST, 0).into()), false)
            .is_ok()
    }

    /// Ready when at least one environment could be served from what is known.
    fn ready(&self) -> Readiness {
        if self.stopping.load(Ordering::Relaxed) {
            return Readiness {
                ready: false,
                summary: "not ready: stopping".to_owned(),
                details: "not ready: the gateway is stopping".to_owned(),
            };
        }
        let directory = self.shared.known.now();
        let mut lines = Vec::new();
        let mut ready = false;
        if let Some(trouble) = self
            .shared
            .discovery
            .as_ref()
            .and_then(|search| search.trouble())
        {
            lines.push(match directory.entries() {
                [] => format!("not ready: {trouble}"),
                _ => format!("not all environments are known: {trouble}"),
            });
        }
        for entry in directory.entries() {
            let trouble = self.shared.trouble(entry);
            ready |= trouble.is_none();
            lines.push(match trouble {
                None => format!("{}: ready", entry.environment.local),
                Some(why) => format!("{}: not ready: {why}", entry.environment.local),
            });
        }
        let summary = match directory.entries().len() {
            _ if ready => "ready".to_owned(),
            0 => "not ready: no environment is known".to_owned(),
            1 => "not ready: 1 environment unavailable".to_owned(),
            many => format!("not ready: {many} environments unavailable"),
        };
        Readiness {
            ready,
            summary,
            details: lines.join("\n"),
        }
    }

    fn metrics(&self) -> String {
        let directory = self.shared.known.now();
        let observed: Vec<_> = directory
            .entries()
            .iter()
            .map(|entry| Observed {
                entry,
                token_age: self.shared.broker.state(entry).age,
                longest_wait: self.shared.queues.snapshot(entry).longest_wait,
            })
            .collect();
        self.shared.metrics.text(&observed)
    }

    fn status(&self) -> Value {
        let now = Moment::now().wall();
        let listeners = Listeners::open(&self.shared.front);
        let directory = self.shared.known.now();
        let default = directory.default_entry().map(|entry| entry.id);
        let environments: Vec<_> = directory.entries()
            .iter()
            .map(|entry| {
                let token = self.shared.broker.state(entry);
                let session = self.shared.broker.session_state(entry);
                let environment = &entry.environment;
                let learnt = entry.learnt();
                let described = learnt.as_deref().map(|learnt| &learnt.described);
                json!({
                    "local": environment.local.as_str(),
                    "name": environment.name.as_ref(),
                    "region": environment.region.as_ref().map(ToString::to_string),
                    "airflow_version": entry.airflow_version().map(|version| version.to_string()),
                    "status": described.map(|described| &described.status),
                    "status_meaning": described.and_then(Described::status_meaning),
                    "status_age_seconds": learnt.as_deref().map(|learnt| now.saturating_sub(learnt.when).as_secs()),
                    "access_mode": described.and_then(|described| described.access_mode.as_deref()),
                    "way": self.way(entry),
                    "way_to_aws": self.way_to_aws(entry),
                    "tunnel": self.egress.tunnel_state(&environment.local),
                    "webserver_host": described.and_then(|described| described.webserver_host.as_deref()),
                    "default": default == Some(entry.id),
                    "policy": environment.policy.word(),
                    "urls": listeners.of(environment, default == Some(entry.id)),
                    "ready": self.shared.trouble(entry).is_none(),
                    "trouble": self.shared.trouble(entry).map(|why| why.to_string()),
                    "cli_token": {
                        "live": token.age.is_some(),
                        "age_seconds": token.age.map(|age| age.as_secs_f64()),
                        "minting": token.minting,
                        "web_server": token.host.as_deref(),
                    },
                    "session": {
                        "live": session.age.is_some(),
                        "age_seconds": session.age.map(|age| age.as_secs_f64()),
                        "seconds_left": session.left.map(|left| left.as_secs_f64()),
                        "signing_in": session.signing_in,
                        "iam_identity": session.identity.as_ref().and_then(|who| who.iam.as_deref()),
                        "airflow_identity": session.identity.as_ref().and_then(|who| who.airflow.as_deref()),
                    },
                    "queue": queue(&self.shared.queues.snapshot(entry)),
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "stopping": self.stopping.load(Ordering::Relaxed),
            "url": listeners.shared(),
            "management": format!("http://{}", self.management),
            "probes": self.probes.map(|address| format!("http://{address}")),
            "listeners": self.listeners(),
            "environments": environments,
            "discovery": self.shared.discovery.as_ref().map(|search| places(search)),
            "faults": self.shared.metrics.faults(),
            "refusals": self.refusals(),
        })
    }
}

/// What runs and waits, by the names of commands and never their arguments.
fn queue(queue: &Snapshot) -> Value {
    let commands = queue.running.iter().map(|run| {
        json!({
            "command": run.name(),
            "request_id": run.id().to_string(),
            "age_seconds": run.age().as_secs_f64(),
            "sent": run.is_sent(),
            "client_left": run.is_abandoned(),
        })
    });
    json!({
        "running": queue.running.len(),
        "waiting": queue.waiting,
        "longest_wait_seconds": queue.longest_wait.map(|wait| wait.as_secs_f64()),
        "commands": commands.collect::<Vec<_>>(),
    })
}

/// Where environments are looked for, and what came of it.
fn places(search: &Discovery) -> Vec<Value> {
    let places = search.places();
    places
        .iter()
        .map(|place| {
            json!({
                "region": place.region,
                "profile": place.profile,
                "found": place.found,
                "trouble": place.trouble,
            })
        })
        .collect()
}
