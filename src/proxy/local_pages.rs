//! Our own pages: gathers what they show.

use crate::context::RequestContext;
use crate::live;
use crate::queue::QueueSummary;
use crate::response::{self, Response};
use crate::routing::{LocalPage, LocalPageRequest};
use crate::state::{ProxyState, ReverseProxy};
use crate::status::EnvironmentStatus;
use futures_util::future::join_all;
use mwaa_fleet::{FleetStatus, ReplicaId};
use mwaa_model::{Directory, Entry, EnvName, Fault as _};
use mwaa_pages::{
    ActivityMinute, Address, EnvironmentCard, FleetInfo, Identity, NotReadyReason, Overview,
    QueueState, RefusedRequestInfo, RunningCommand, SessionState, SharedSlots, Status,
    TokenState, UnresolvedName,
};
use mwaa_policy::check_handover;
use mwaa_runtime::{Timestamp, boot_clock};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Answers a request for a page of our own, or for a part of one.
pub(crate) async fn respond(
    proxy: &ReverseProxy,
    request: LocalPageRequest,
    ctx: &RequestContext,
) -> Response {
    let id = ctx.id();
    match request.page {
        LocalPage::Overview => {
            let state = &proxy.state;
            if let (Some(discovery), None) = (&state.discovery, &request.scope) {
                let _late = proxy.timer.within(AWS_WAIT, discovery.refresh()).await;
            }

            // an answer that comes too late is there on the next visit
            let directory = Arc::clone(&state.registry.snapshot());
            let refreshes = shown(&directory, &request)
                .iter()
                .map(|entry| state.versions.refresh(entry));
            let _late = proxy.timer.within(AWS_WAIT, join_all(refreshes)).await;

            let overview = gather(&request, ctx);
            response::from_page(mwaa_pages::render_overview(&overview), id)
        }
        LocalPage::Events => live::respond(request, ctx),
        LocalPage::SignedOut => {
            let name = request
                .scope
                .as_ref()
                .map_or("Airflow", |entry| entry.environment.local.as_str());
            response::from_page(mwaa_pages::render_signed_out(name), id)
        }
        LocalPage::ConsoleLogin => response::from_page(mwaa_pages::render_console_login(), id),
        LocalPage::Style => response::from_asset(mwaa_pages::STYLE_SHEET, id),
        LocalPage::Icon => response::from_asset(mwaa_pages::ICON, id),
        LocalPage::Script => response::from_asset(mwaa_pages::COPY_SCRIPT, id),
        LocalPage::LiveScript => response::from_asset(mwaa_pages::LIVE_SCRIPT, id),
        LocalPage::LoginScript => response::from_asset(mwaa_pages::LOGIN_SCRIPT, id),
    }
}

/// Gathers the overview from what is known already. On the host of one environment it shows that
/// environment alone, because the page is in its origin.
pub(crate) fn gather(request: &LocalPageRequest, ctx: &RequestContext) -> Overview {
    let state = &ctx.proxy().state;
    let directory = Arc::clone(&state.registry.snapshot());
    let links = Links::new(state, request, ctx);
    let many = directory.entries().len() > 1;

    // among several environments it helps to know which one a bare URL means
    let cards = shown(&directory, request).iter().map(|entry| {
        let status = state.environment_status(&directory, entry);
        EnvironmentCard {
            is_default: status.is_default && many && request.scope.is_none(),
            ..card(status, &links)
        }
    });

    let discovery = state.discovery.as_ref().filter(|_| request.scope.is_none());
    let only = request.scope.as_ref();
    let only = only.map(|entry| &entry.environment.local);
    Overview {
        version: env!("CARGO_PKG_VERSION"),
        addresses: match request.scope {
            Some(_) => vec![Address {
                url: ctx.origin(),
                about: None,
            }],
            None => addresses(state),
        },
        cards: cards.collect(),
        discovery: discovery.and_then(|discovery| discovery.trouble()),
        configuration: state
            .metrics
            .configuration
            .failure()
            .filter(|_| request.scope.is_none()),
        refusals: refusals(state, request.scope.as_ref()),
        // it names other environments
        fleet: match request.scope {
            Some(_) => None,
            None => state.queues.fleet_status().map(fleet),
        },
        scoped: request.scope.is_some(),
        activity: activity(state, only),
        events: format!("/-/events?ticket={}", ctx.page_ticket(only)),
    }
}

fn fleet(status: FleetStatus) -> FleetInfo {
    let names = |ids: Vec<ReplicaId>| ids.iter().map(ToString::to_string).collect();
    let slots = status.slots.into_iter();
    let slots = slots.map(|(environment, owners, is_alone)| SharedSlots {
        environment: environment.to_string(),
        held_by: names(owners),
        is_alone,
    });
    FleetInfo {
        me: status.me.to_string(),
        trouble: status.trouble.map(|trouble| trouble.to_string()),
        slots: slots.collect(),
        shared: status.totals.shared,
        calls: status.totals.calls,
        errors: status.totals.errors,
        mean: status.totals.mean(),
        replicas: names(status.replicas),
    }
}

/// Returns the minutes of the last hour, of one environment or of all.
fn activity(state: &ProxyState, only: Option<&EnvName>) -> Vec<ActivityMinute> {
    let minutes = state.metrics.last_hour(only, boot_clock()).into_iter();
    let minutes = minutes.map(|minute| ActivityMinute {
        requests: minute.requests,
        faults: minute.faults,
        waiting: minute.waiting,
        mints: minute.mints,
    });
    minutes.collect()
}

/// Returns every address, with a summary of its rules if it has any.
fn addresses(state: &ProxyState) -> Vec<Address> {
    let listeners = state.urls.listeners.iter();
    listeners
        .map(|listening| Address {
            url: listening.url.clone(),
            about: listening.summary(),
        })
        .collect()
}

/// Returns the environments that the page shows.
fn shown<'a>(directory: &'a Directory, request: &'a LocalPageRequest) -> &'a [Arc<Entry>] {
    match &request.scope {
        Some(only) => std::slice::from_ref(only),
        None => directory.entries(),
    }
}

fn card(status: EnvironmentStatus, links: &Links<'_>) -> EnvironmentCard {
    let entry = &status.entry;
    let is_default = status.is_default;
    let environment = &entry.environment;
    let listener = links.ctx.listener();
    let text = |text: &Arc<str>| text.to_string();

    EnvironmentCard {
        local: environment.local.to_string(),
        name: environment.name.to_string(),
        airflow: entry.airflow_version(),
        region: environment.region.as_ref().map(ToString::to_string),
        profile: environment.profile.as_ref().map(text),
        role: environment.role_arn.as_ref().map(text),
        is_default,
        status: status.info.as_ref().map(|latest| Status {
            word: latest.info.status.clone(),
            meaning: latest.info.status_meaning().map(str::to_owned),
        }),
        notes: status.notes,
        not_ready: status.issue.map(|issue| NotReadyReason {
            code: issue.code.map(|code| code.text),
            detail: issue.what,
            hint: issue.hint,
        }),
        identity: status.session.identity.as_ref().map(|who| Identity {
            iam: who.iam.clone(),
            airflow: who.airflow.clone(),
        }),
        token: token(&status.token),
        session: Some(session(&status.session)),
        queue: queue(&status.queue),
        browser: environment.browser,
        policy: environment.policy,
        listener_rules: listener.rules.as_ref().map(ToString::to_string),
        allows_handover: check_handover(entry, listener).is_ok(),
        url: links.url(entry, is_default),
        base: links.base(entry, is_default),
        unresolved_name: links.unknown_name(entry),
    }
}

fn queue(queue: &QueueSummary) -> QueueState {
    let running = queue.running.iter().map(|run| RunningCommand {
        name: run.name(),
        age: run.age(),
        request_id: run.id().to_string(),
        client_left: run.is_abandoned(),
    });
    QueueState {
        running: running.collect(),
        waiting: queue.waiting,
        longest_wait: queue.longest_wait,
    }
}

fn token(state: &mwaa_auth::TokenState) -> TokenState {
    // a live token is enough, even if its refresh failed
    match (state.age, &state.failure) {
        (Some(age), _) => TokenState::Ready { age },
        (None, _) if state.minting => TokenState::Minting,
        (None, Some(error)) => TokenState::Failing {
            reason: error.code().title.to_owned(),
        },
        (None, None) => TokenState::None,
    }
}

fn session(state: &mwaa_auth::SessionState) -> SessionState {
    // a live session is enough, even if its renewal failed
    match (state.age, &state.failure) {
        (Some(age), _) => SessionState::Ready {
            age,
            left: state.left,
        },
        (None, _) if state.signing_in => SessionState::LoggingIn,
        (None, Some(error)) => SessionState::Failing {
            reason: error.detail(),
        },
        (None, None) => SessionState::None,
    }
}

fn refusals(state: &ProxyState, scope: Option<&Arc<Entry>>) -> Vec<RefusedRequestInfo> {
    let now = Timestamp::now();
    let last = state.refusals.list().into_iter();
    let shown = last.filter(|refusal| {
        scope.is_none_or(|only| refusal.environment.as_ref() == Some(&only.environment.local))
    });
    let rows = shown.map(|refusal| RefusedRequestInfo {
        age: refusal.at.age(now),
        code: refusal.code.text,
        environment: refusal.environment.map(|name| name.to_string()),
        method: refusal.method,
        path: refusal.path,
        detail: refusal.detail,
        request_id: refusal.id.to_string(),
    });
    rows.collect()
}

/// The links from the page to an environment.
struct Links<'a> {
    state: &'a ProxyState,
    request: &'a LocalPageRequest,
    ctx: &'a RequestContext,
    /// The origin that the client called.
    origin: String,
}

impl<'a> Links<'a> {
    fn new(
        state: &'a ProxyState,
        request: &'a LocalPageRequest,
        ctx: &'a RequestContext,
    ) -> Self {
        Self {
            state,
            request,
            ctx,
            origin: ctx.origin(),
        }
    }

    /// For a browser: the environment's own origin, `NAME.localhost`; ports do not keep cookies
    /// apart. A browser elsewhere has another localhost, and gets the host that it called.
    fn url(&self, entry: &Entry, is_default: bool) -> String {
        if self.request.scope.is_some() || (is_default && !self.is_here()) {
            return self.origin.clone();
        }
        let port = self
            .ctx
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        format!(
            "{}://{}.localhost{port}",
            self.ctx.scheme(),
            entry.environment.local
        )
    }

    /// For tools, not all of which know that `NAME.localhost` is this machine (RFC 6761 section
    /// 6.3): the environment's own listener, or the bare host where it is the default.
    fn base(&self, entry: &Entry, is_default: bool) -> String {
        let local = &entry.environment.local;
        match self.state.urls.own(local) {
            _ if self.request.scope.is_some() => self.origin.clone(),
            Some(url) => url.to_owned(),
            None if is_default => self.origin.clone(),
            None => self.url(entry, is_default),
        }
    }

    /// The name of the environment's origin, if this machine's resolver is known not to find it.
    /// A browser elsewhere has another resolver.
    fn unknown_name(&self, entry: &Entry) -> Option<UnresolvedName> {
        if self.request.scope.is_some() || !self.is_here() {
            return None;
        }
        let local = &entry.environment.local;
        let name = format!("{local}.localhost");
        (self.state.resolver.is_local(&name) == Some(false)).then(|| UnresolvedName {
            name,
            address: self.state.urls.loopback(),
            own_listener: self.state.urls.own(local).map(str::to_owned),
        })
    }

    /// Returns true if the client called us by a name of its own machine.
    fn is_here(&self) -> bool {
        let uri = self.origin.parse::<http::Uri>().unwrap_or_default();
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.to_ascii_lowercase().ends_with(".localhost")
            || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// A page's longest wait for AWS's answers.
const AWS_WAIT: Duration = Duration::from_millis(800);
