//! The environments that are known, as one snapshot.

use super::{AirflowVersion, Described, EnvName, Environment, Hosts};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use std::sync::Arc;
use std::time::Duration;

/// A small number that stands for an environment while the process lives: the key of every
/// cache and pool. Never given to another environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u32);

/// A known environment and what was learnt about it.
#[derive(Debug)]
pub struct Entry {
    /// The key of caches and pools.
    pub id: EntryId,
    /// What the configuration or the discovery said.
    pub environment: Environment,
    /// What AWS has said of the web server's host.
    pub hosts: Arc<Hosts>,
    learnt: ArcSwapOption<Learnt>,
}

/// AWS's last answer about an environment.
#[derive(Debug, Clone)]
pub struct Learnt {
    /// What it told. A release that an earlier answer named is kept.
    pub described: Described,
    /// When, by the wall clock: since 1970.
    pub when: Duration,
}

impl Entry {
    /// Makes the entry.
    pub fn new(id: EntryId, environment: Environment) -> Self {
        Self {
            id,
            environment,
            hosts: Arc::default(),
            learnt: ArcSwapOption::empty(),
        }
    }

    /// The same environment under another local name: it keeps its id and what was learnt of it.
    #[must_use]
    pub fn renamed(&self, local: EnvName) -> Self {
        let environment = Environment {
            local,
            ..self.environment.clone()
        };
        Self {
            id: self.id,
            environment,
            hosts: Arc::clone(&self.hosts),
            learnt: ArcSwapOption::new(self.learnt()),
        }
    }

    /// The configured version, else the one that `GetEnvironment` told; `None` before that.
    pub fn airflow_version(&self) -> Option<AirflowVersion> {
        self.environment
            .airflow_version
            .or_else(|| self.learnt.load().as_ref()?.described.airflow_version)
    }

    /// AWS's last answer; `None` before the first.
    pub fn learnt(&self) -> Option<Arc<Learnt>> {
        self.learnt.load_full()
    }

    /// Remembers what `GetEnvironment` told, at `when` by the wall clock.
    pub fn learn(&self, mut described: Described, when: Duration) {
        if described.airflow_version.is_none() {
            described.airflow_version = self
                .learnt
                .load()
                .as_ref()
                .and_then(|old| old.described.airflow_version);
        }
        self.learnt
            .store(Some(Arc::new(Learnt { described, when })));
    }
}

/// All known environments.
#[derive(Debug, Default)]
pub struct Directory {
    entries: Vec<Arc<Entry>>,
    default: Option<usize>,
}

impl Directory {
    /// Makes a directory; `default` names the environment that serves requests which name none.
    pub fn new(entries: Vec<Arc<Entry>>, default: Option<&EnvName>) -> Self {
        let named = default.and_then(|name| {
            entries
                .iter()
                .position(|entry| entry.environment.local == *name)
        });
        let only = (entries.len() == 1).then_some(0);
        Self {
            default: named.or(only),
            entries,
        }
    }

    /// The environment with this local name.
    pub fn find(&self, local: &str) -> Option<&Arc<Entry>> {
        self.entries
            .iter()
            .find(|entry| entry.environment.local.as_str() == local)
    }

    /// The only or the default environment.
    pub fn default_entry(&self) -> Option<&Arc<Entry>> {
        self.default.and_then(|index| self.entries.get(index))
    }

    /// Every environment, in configuration order.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }
}

/// The directory as it is at the moment; discovery replaces it as a whole.
#[derive(Debug, Default)]
pub struct Known(ArcSwap<Directory>);

impl Known {
    /// Starts with what the configuration names.
    pub fn new(directory: Directory) -> Self {
        Self(ArcSwap::from_pointee(directory))
    }

    /// The directory now. Cheap, and not to be kept.
    pub fn now(&self) -> Guard<Arc<Directory>> {
        self.0.load()
    }

    /// From now on it is this one.
    pub fn replace(&self, directory: Directory) {
        self.0.store(Arc::new(directory));
    }
}
