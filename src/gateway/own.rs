//! Our own pages: gathers what they show from the rooms that know it.

use super::{Corridor, Shared};
use crate::names::{Directory, Entry, Fault as _};
use crate::pages::{
    self, Address, Card, Identity, Overview, QueueState, RefusalRow, RunningCommand,
    SessionState, Status, TokenState, Trouble, UnknownName,
};
use crate::policy;
use crate::queue::Snapshot;
use crate::reply::{self, Reply};
use crate::route::{Own, OwnPage};
use crate::runtime::Moment;
use futures_util::future::join_all;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Answers a request for a page of our own, or for what pages are made of.
pub(super) async fn answer(corridor: &Corridor, own: &Own) -> Reply {
    let (shared, id) = (&corridor.shared, own.admitted().id());
    match own.page() {
        OwnPage::Overview => {
            if let (Some(search), None) = (&shared.discovery, own.scope()) {
                let _late = corridor.sweeper.within(PATIENCE, search.look_again()).await;
            }
            let directory = Arc::clone(&shared.known.now());
            let asked = shown(&directory, own)
                .iter()
                .map(|entry| shared.versions.refresh(entry));
            // what is not there in time is there when the page is looked at again
            let _late = corridor.sweeper.within(PATIENCE, join_all(asked)).await;
            reply::page(pages::overview(&overview(shared, &directory, own)), id)
        }
        OwnPage::SignedOut => {
            let name = own
                .scope()
                .map_or("Airflow", |entry| entry.environment.local.as_str());
            reply::page(pages::signed_out(name), id)
        }
        OwnPage::Style => reply::asset(pages::style(), id),
        OwnPage::Icon => reply::asset(pages::icon(), id),
        OwnPage::Script => reply::asset(pages::script(), id),
    }
}

/// On the host of one environment the page tells about this one only: it stands in its origin.
fn overview(shared: &Shared, directory: &Directory, own: &Own) -> Overview {
    let ways = Ways::of(shared, own);
    let default = directory.default_entry().map(|entry| entry.id);
    let many = directory.entries().len() > 1;
    let cards = shown(directory, own).iter().map(|entry| {
        let is_default = default == Some(entry.id);
        Card {
            is_default: is_default && many && own.scope().is_none(),
            ..card(shared, entry, &ways, is_default)
        }
    });
    let trouble = || shared.discovery.as_ref()?.trouble();
    Overview {
        version: env!("CARGO_PKG_VERSION"),
        addresses: match own.scope() {
            Some(_) => vec![Address {
                url: own.admitted().origin(),
                about: None,
            }],
            None => addresses(shared),
        },
        cards: cards.collect(),
        discovery: if own.scope().is_some() {
            None
        } else {
            trouble()
        },
        refusals: refusals(shared, own.scope()),
        scoped: own.scope().is_some(),
    }
}

/// Every address, with what it lets pass if that is less than all.
fn addresses(shared: &Shared) -> Vec<Address> {
    let listeners = shared.front.listeners.iter();
    listeners
        .map(|listening| Address {
            url: listening.url.clone(),
            about: listening.entrance.summary(),
        })
        .collect()
}

fn shown<'a>(directory: &'a Directory, own: &'a Own) -> &'a [Arc<Entry>] {
    match own.scope() {
        Some(only) => std::slice::from_ref(only),
        None => directory.entries(),
    }
}

fn card(shared: &Shared, entry: &Entry, ways: &Ways<'_>, is_default: bool) -> Card {
    let environment = &entry.environment;
    let entrance = &ways.own.admitted().caller().entrance;
    let text = |text: &Arc<str>| text.to_string();
    Card {
        local: environment.local.to_string(),
        name: environment.name.to_string(),
        airflow: entry.airflow_version(),
        region: environment.region.as_ref().map(ToString::to_string),
        profile: environment.profile.as_ref().map(text),
        role: environment.role_arn.as_ref().map(text),
        is_default,
        status: entry.learnt().map(|learnt| Status {
            word: learnt.described.status.clone(),
            meaning: learnt.described.status_meaning().map(str::to_owned),
        }),
        trouble: shared.trouble(entry).map(|trouble| Trouble {
            code: trouble.code,
            what: trouble.what,
            hint: trouble.hint,
        }),
        identity: shared
            .broker
            .session_state(entry)
            .identity
            .map(|who| Identity {
                iam: who.iam.clone(),
                airflow: who.airflow.clone(),
            }),
        token: token(shared, entry),
        session: Some(session(shared, entry)),
        queue: queue(&shared.queues.snapshot(entry)),
        browser: environment.browser,
        policy: environment.policy,
        listener_rules: entrance.rules.as_ref().map(ToString::to_string),
        may_leave: policy::may_leave(entry, entrance).is_ok(),
        url: ways.url(entry, is_default),
        base: ways.base(entry, is_default),
        unknown_name: ways.unknown_name(entry),
    }
}

fn queue(queue: &Snapshot) -> QueueState {
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

fn token(shared: &Shared, entry: &Entry) -> TokenState {
    let state = shared.broker.state(entry);
    // a live token serves, whatever became of its refresh
    match (state.age, state.failure) {
        (Some(age), _) => TokenState::Live { age },
        (None, _) if state.minting => TokenState::Minting,
        (None, Some(error)) => TokenState::Failing {
            why: error.code().title.to_owned(),
        },
        (None, None) => TokenState::None,
    }
}

fn session(shared: &Shared, entry: &Entry) -> SessionState {
    let state = shared.broker.session_state(entry);
    // a live session serves, whatever became of its renewal
    match (state.age, state.failure) {
        (Some(age), _) => SessionState::Live {
            age,
            left: state.left,
        },
        (None, _) if state.signing_in => SessionState::SigningIn,
        (None, Some(error)) => SessionState::Failing {
            why: error.to_string(),
        },
        (None, None) => SessionState::None,
    }
}

fn refusals(shared: &Shared, scope: Option<&Arc<Entry>>) -> Vec<RefusalRow> {
    let now = Moment::now();
    let last = shared.refusals.last().into_iter();
    let shown = last.filter(|refusal| {
        scope.is_none_or(|only| refusal.environment.as_ref() == Some(&only.environment.local))
    });
    let rows = shown.map(|refusal| RefusalRow {
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

/// The ways to an environment from where the page stands.
struct Ways<'a> {
    shared: &'a Shared,
    own: &'a Own,
    /// The origin that the client called.
    origin: String,
}

impl<'a> Ways<'a> {
    fn of(shared: &'a Shared, own: &'a Own) -> Self {
        Self {
            shared,
            own,
            origin: own.admitted().origin(),
        }
    }

    /// For a browser: the environment's own origin, `NAME.localhost`; ports do not keep cookies
    /// apart. A browser elsewhere has another localhost, and gets the host that it called.
    fn url(&self, entry: &Entry, is_default: bool) -> String {
        if self.own.scope().is_some() || (is_default && !self.is_here()) {
            return self.origin.clone();
        }
        let admitted = self.own.admitted();
        let port = admitted
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        format!(
            "{}://{}.localhost{port}",
            admitted.scheme(),
            entry.environment.local
        )
    }

    /// For tools, not all of which know that `NAME.localhost` is this machine (RFC 6761 section
    /// 6.3): the environment's own listener, or the bare host where it is the default.
    fn base(&self, entry: &Entry, is_default: bool) -> String {
        let local = &entry.environment.local;
        match self.shared.front.own(local) {
            _ if self.own.scope().is_some() => self.origin.clone(),
            Some(url) => url.to_owned(),
            None if is_default => self.origin.clone(),
            None => self.url(entry, is_default),
        }
    }

    /// The name of the environment's origin, if this machine's resolver is known not to find it.
    /// A browser elsewhere has another resolver.
    fn unknown_name(&self, entry: &Entry) -> Option<UnknownName> {
        if self.own.scope().is_some() || !self.is_here() {
            return None;
        }
        let local = &entry.environment.local;
        let name = format!("{local}.localhost");
        (self.shared.resolver.knows(&name) == Some(false)).then(|| UnknownName {
            name,
            address: self.shared.front.loopback(),
            own_listener: self.shared.front.own(local).map(str::to_owned),
        })
    }

    /// Whether the client called us by a name of its own machine.
    fn is_here(&self) -> bool {
        let uri = self.origin.parse::<http::Uri>().unwrap_or_default();
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.to_ascii_lowercase().ends_with(".localhost")
            || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// A page waits so long for AWS's word on the environments.
const PATIENCE: Duration = Duration::from_millis(800);
