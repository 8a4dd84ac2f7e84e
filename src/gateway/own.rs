//! Our own pages: gathers what they show from the rooms that know it.

use super::Shared;
use crate::names::{Entry, Fault as _};
use crate::pages::{self, Card, Overview, RefusalRow, TokenState};
use crate::reply::{self, Reply};
use crate::route::{Own, OwnPage};
use crate::runtime::Moment;
use std::net::IpAddr;
use std::sync::Arc;

/// Answers a request for a page of our own, or for what pages are made of.
pub(super) fn answer(shared: &Shared, own: &Own) -> Reply {
    let id = own.admitted().id();
    match own.page() {
        OwnPage::Overview => reply::page(pages::overview(&overview(shared, own)), id),
        OwnPage::Style => reply::asset(pages::style(), id),
        OwnPage::Icon => reply::asset(pages::icon(), id),
        OwnPage::Script => reply::asset(pages::script(), id),
    }
}

/// On the host of one environment the page tells about this one only: it stands in its origin.
fn overview(shared: &Shared, own: &Own) -> Overview {
    let directory = shared.known.now();
    let ways = Ways::of(shared, own);
    let default = directory.default_entry().map(|entry| entry.id);
    let many = directory.entries().len() > 1;
    let shown = match own.scope() {
        Some(only) => std::slice::from_ref(only),
        None => directory.entries(),
    };
    let cards = shown.iter().map(|entry| {
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
            Some(_) => vec![own.admitted().origin()],
            None => shared.front.addresses.clone(),
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

fn card(shared: &Shared, entry: &Entry, ways: &Ways<'_>, is_default: bool) -> Card {
    let environment = &entry.environment;
    let text = |text: &Arc<str>| text.to_string();
    Card {
        local: environment.local.to_string(),
        name: environment.name.to_string(),
        airflow: entry.airflow_version(),
        region: environment.region.as_ref().map(ToString::to_string),
        profile: environment.profile.as_ref().map(text),
        role: environment.role_arn.as_ref().map(text),
        is_default,
        status: None,
        trouble: shared.trouble(entry),
        identity: None,
        token: token(shared, entry),
        session: None,
        running: shared.queues.running(entry),
        waiting: shared.queues.depth(entry),
        browser: environment.browser,
        policy: environment.policy,
        url: ways.url(entry, is_default),
        base: ways.base(entry, is_default),
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
        let mut doors = self.shared.front.doors.iter();
        match doors.find(|(name, _)| name == local) {
            _ if self.own.scope().is_some() => self.origin.clone(),
            Some((_, url)) => url.clone(),
            None if is_default => self.origin.clone(),
            None => self.url(entry, is_default),
        }
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
