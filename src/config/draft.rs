//! A configuration on its way: what setters write into, with the place of every value.

use super::keys::{ENVIRONMENT_TABLE, KEYS, Key, LISTENERS_TABLE, Shown, TLS_TABLE};
use super::problems::{Complaint, Place, Problem, Problems, shown};
use super::{
    Address, Audit, Aws, Config, EnvironmentEntry, Limits, Listener, Management, OwnListener,
    Tls, assign,
};
use crate::names::{EnvName, Environment, ListenerRules, Proxy, ProxyChoice, Tunnel};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The configuration so far. Setters of `[environments.…]` write into `environment`.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) listener: Listener,
    /// The further listener whose table is being read.
    pub(super) own_listener: OwnListenerDraft,
    pub(super) own_listeners: Vec<OwnListenerDraft>,
    /// The table of the TLS listener, if it was begun.
    pub(super) tls: TlsDraft,
    pub(super) management: Management,
    pub(super) audit: Audit,
    pub(super) aws: Aws,
    pub(super) proxy: ProxyDraft,
    pub(super) limits: Limits,
    /// The environment whose table is being read.
    pub(super) environment: EnvironmentEntry,
    pub(super) environments: Vec<EnvironmentEntry>,
    /// Relative paths start here.
    pub(super) folder: PathBuf,
    pub(super) problems: Problems,
    places: BTreeMap<String, Place>,
    broken: BTreeSet<String>,
}

/// A further listener so far; what it does not say is as in `[listener]`.
#[derive(Debug, Clone)]
pub(super) struct OwnListenerDraft {
    pub(super) name: EnvName,
    pub(super) address: Option<Address>,
    pub(super) socket_mode: Option<u32>,
    pub(super) environment: Option<EnvName>,
    pub(super) networks: Option<Vec<IpNet>>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) rules: ListenerRules,
}

impl OwnListenerDraft {
    fn new(name: EnvName) -> Self {
        Self {
            address: None,
            socket_mode: None,
            environment: None,
            networks: None,
            secret_file: None,
            rules: ListenerRules::open(format!("listeners.{name}")),
            name,
        }
    }

    fn finish(self, usual: &Listener) -> Option<OwnListener> {
        Some(OwnListener {
            name: self.name,
            address: self.address?,
            socket_mode: self.socket_mode.unwrap_or(usual.socket_mode),
            environment: self.environment,
            networks: self.networks.unwrap_or_else(|| usual.networks.clone()),
            secret_file: self.secret_file.or_else(|| usual.secret_file.clone()),
            rules: self.rules,
        })
    }
}

/// The TLS listener's files so far.
#[derive(Debug, Default)]
pub(super) struct TlsDraft {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
}

impl TlsDraft {
    fn finish(self) -> Option<Tls> {
        Some(Tls {
            certificate: self.certificate?,
            key: self.key?,
            client_ca: self.client_ca,
        })
    }
}

/// `[proxy]` so far.
#[derive(Debug, Default)]
pub(super) struct ProxyDraft {
    pub(super) url: Option<ProxyChoice>,
    pub(super) user_file: Option<PathBuf>,
}

/// The proxy with its user's file.
fn with_user(choice: ProxyChoice, user_file: Option<&Path>) -> ProxyChoice {
    match choice {
        ProxyChoice::Off => ProxyChoice::Off,
        ProxyChoice::Through(proxy) => ProxyChoice::Through(Proxy {
            user_file: user_file.map(Arc::from),
            ..proxy
        }),
    }
}

impl Draft {
    /// A draft that holds the table's defaults, put there by the setters that read the file.
    pub(super) fn with_defaults() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let unnamed = EnvName::new("unnamed").expect("a DNS label");
        let mut draft = Self {
            listener: Listener {
                address: Address::Tcp(nowhere),
                socket_mode: 0,
                hosts: Vec::new(),
                networks: Vec::new(),
                trusted_origins: Vec::new(),
                allow_forwarded: false,
                secret_file: None,
                dangerous_non_loopback: false,
                tls: None,
                rules: ListenerRules::open("listener"),
            },
            own_listener: OwnListenerDraft::new(unnamed.clone()),
            own_listeners: Vec::new(),
            tls: TlsDraft::default(),
            management: Management {
                address: nowhere,
                probes: None,
            },
            audit: Audit::default(),
            aws: Aws::default(),
            proxy: ProxyDraft::default(),
            limits: Limits::default(),
            environment: blank(unnamed, "".into()),
            environments: Vec::new(),
            folder: PathBuf::new(),
            problems: Problems::default(),
            places: BTreeMap::new(),
            broken: BTreeSet::new(),
        };
        draft.set_defaults(|key| !key.table.ends_with(".*"));
        draft
    }

    /// Begins an environment: a blank one with its defaults, under construction.
    pub(super) fn begin(&mut self, local: EnvName, name: &str) {
        self.environment = blank(local, name.into());
        self.set_defaults(|key| key.table == ENVIRONMENT_TABLE);
    }

    /// Begins a further listener, likewise.
    pub(super) fn begin_listener(&mut self, name: EnvName) {
        self.own_listener = OwnListenerDraft::new(name);
        self.set_defaults(|key| key.table == LISTENERS_TABLE);
    }

    fn set_defaults(&mut self, wanted: fn(&Key) -> bool) {
        for key in KEYS.iter().filter(|key| wanted(key)) {
            if let Shown::Default(text) = key.shown {
                assign::assign_default(self, key, text);
            }
        }
    }

    /// Remembers where a value was written.
    pub(super) fn placed(&mut self, path: &str, place: Place) {
        self.places.insert(path.to_owned(), place);
    }

    /// Where the value of a key was written.
    pub(super) fn place(&self, path: &str) -> Place {
        self.places.get(path).cloned().unwrap_or(Place::Default)
    }

    /// Whether the TLS listener's table was begun.
    pub(super) fn has_tls(&self) -> bool {
        self.places.contains_key(TLS_TABLE)
    }

    /// Whether the key's value was refused, so that checks on it would mislead.
    pub(super) fn is_broken(&self, path: &str) -> bool {
        self.broken.contains(path)
    }

    /// Notes that a value was refused.
    pub(super) fn refuse(
        &mut self,
        path: &str,
        place: Place,
        what: impl Into<String>,
        hint: Option<String>,
    ) {
        self.broken.insert(path.to_owned());
        self.problems.push(Problem {
            place,
            key: path.to_owned(),
            what: what.into(),
            hint,
        });
    }

    /// Notes what a setter or check has against a value.
    pub(super) fn complain(&mut self, path: &str, place: Place, text: &str, why: Complaint) {
        let what = format!("{} {}", shown(path, text), why.what);
        self.refuse(path, place, what, why.hint);
    }

    /// The finished configuration, unless something was wrong.
    pub(super) fn finish(mut self, source: Option<PathBuf>) -> Result<Config, Problems> {
        if !self.problems.is_empty() {
            self.problems.sort();
            return Err(self.problems);
        }
        self.listener.tls = self.tls.finish();
        let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
        for entry in &mut self.environments {
            let own = &mut entry.environment;
            let file = entry.proxy_user_file.as_deref();
            own.proxy = own.proxy.take().map(|proxy| with_user(proxy, file));
            own.tunnel = Tunnel::new(&entry.tunnel_words).ok();
            own.region = own.region.take().or_else(|| self.aws.region.clone());
            own.profile = own.profile.take().or_else(|| shared(&self.aws.profile));
            own.role_arn = own.role_arn.take().or_else(|| shared(&self.aws.role_arn));
            own.endpoint_url = own
                .endpoint_url
                .take()
                .or_else(|| shared(&self.aws.endpoint_url));
        }
        let own = self.own_listeners.into_iter();
        let listeners = own.filter_map(|own| own.finish(&self.listener)).collect();
        Ok(Config {
            listeners,
            listener: self.listener,
            management: self.management,
            audit: self.audit,
            aws: self.aws,
            proxy: (self.proxy.url)
                .map(|proxy| with_user(proxy, self.proxy.user_file.as_deref())),
            limits: self.limits,
            environments: self.environments,
            source,
        })
    }
}

fn blank(local: EnvName, name: Arc<str>) -> EnvironmentEntry {
    EnvironmentEntry {
        environment: Environment::new(local, name),
        listen: None,
        ca_file: None,
        proxy_user_file: None,
        tunnel_words: Vec::new(),
        default: false,
        configured: true,
    }
}
