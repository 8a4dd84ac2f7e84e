//! The known environments, as one snapshot.

use super::{AirflowVersion, EnvName, Environment, EnvironmentInfo, HostRecord};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// All known environments.
#[derive(Debug, Default)]
pub struct Directory {
    entries: Vec<Arc<Entry>>,
    default: Option<usize>,
}

impl Directory {
    /// Creates a directory. `default` names the environment for requests that name none; a single
    /// environment is always the default.
    pub fn new(entries: Vec<Arc<Entry>>, default: Option<&EnvName>) -> Self {
        let named = default.and_then(|name| {
            entries
                .iter()
                .position(|entry| entry.environment.local == *name)
        });
        // a client that names none of one can only mean that one
        let only = (entries.len() == 1).then_some(0);
        Self {
            default: named.or(only),
            entries,
        }
    }

    /// Returns the environment with this local name.
    pub fn find(&self, local: &str) -> Option<&Arc<Entry>> {
        self.entries
            .iter()
            .find(|entry| entry.environment.local.as_str() == local)
    }

    /// Returns the only or the default environment.
    pub fn default_entry(&self) -> Option<&Arc<Entry>> {
        self.default.and_then(|index| self.entries.get(index))
    }

    /// Returns every environment, in the order of the configuration.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }
}

/// The current [`Directory`], shared by all threads. The discovery replaces it as a whole.
#[derive(Debug, Default)]
pub struct Registry {
    current: ArcSwap<Directory>,
    /// The next id: one for all registries of the process.
    next_id: Arc<AtomicU32>,
}

impl Registry {
    /// Creates a registry that holds the environments of the configuration.
    pub fn new(directory: Directory) -> Self {
        let ids = directory.entries.iter().map(|entry| entry.id.0 + 1);
        let next_id = ids.max().unwrap_or_default();
        Self {
            current: ArcSwap::from_pointee(directory),
            next_id: Arc::new(next_id.into()),
        }
    }

    /// Creates the registry of another configuration. Its ids begin where those of this one end.
    #[must_use]
    pub fn succeed(&self, directory: Directory) -> Self {
        Self {
            current: ArcSwap::from_pointee(directory),
            next_id: Arc::clone(&self.next_id),
        }
    }

    /// Returns an id that no environment has had.
    pub fn next_id(&self) -> EntryId {
        EntryId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the current directory. This is cheap; do not keep the guard.
    pub fn snapshot(&self) -> Guard<Arc<Directory>> {
        // requests on every thread read this: no lock
        self.current.load()
    }

    /// Replaces the directory.
    pub fn replace(&self, directory: Directory) {
        self.current.store(Arc::new(directory));
    }
}

/// A known environment, and what AWS has said of it.
#[derive(Debug)]
pub struct Entry {
    /// The key of caches and pools.
    pub id: EntryId,
    /// The environment, as the configuration or the discovery describes it.
    pub environment: Environment,
    /// The host names that AWS has given for its web server.
    pub hosts: Arc<HostRecord>,
    latest: ArcSwapOption<InfoRecord>,
}

/// A small number that identifies an environment while the process lives: the key of every cache
/// and pool. They are assigned from 0 on, and no two environments ever have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u32);

impl EntryId {
    /// Returns the place of its value in a list of all environments: ids begin at 0 and have no gaps.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One value for each environment, found by its id: without a hash, and without a lock once the
/// value has been made. No value ever moves or is removed.
#[derive(Debug)]
pub struct EntryTable<T>(Block<T>);

/// Some of the values. The next block has twice as many.
#[derive(Debug)]
struct Block<T> {
    values: Vec<OnceLock<T>>,
    next: OnceLock<Box<Self>>,
}

impl<T> Default for EntryTable<T> {
    fn default() -> Self {
        Self(Block::new(FIRST_BLOCK))
    }
}

impl<T> EntryTable<T> {
    /// Returns the environment's value. `make` makes it on first use.
    pub fn get_or_init(&self, id: EntryId, make: impl FnOnce() -> T) -> &T {
        let mut block = &self.0;
        let mut index = id.index();
        loop {
            if let Some(value) = block.values.get(index) {
                return value.get_or_init(make);
            }
            let len = block.values.len();
            index -= len;
            block = block.next.get_or_init(|| Box::new(Block::new(2 * len)));
        }
    }

    /// Returns the values that were made.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let blocks =
            std::iter::successors(Some(&self.0), |block| block.next.get().map(Box::as_ref));
        blocks.flat_map(|block| block.values.iter().filter_map(OnceLock::get))
    }
}

impl<T> Block<T> {
    fn new(len: usize) -> Self {
        Self {
            values: (0..len).map(|_| OnceLock::new()).collect(),
            next: OnceLock::new(),
        }
    }
}

/// The last response of AWS about an environment.
#[derive(Debug, Clone)]
pub struct InfoRecord {
    /// The response. It keeps the release that an earlier one named.
    pub info: EnvironmentInfo,
    /// The time of the response by the wall clock: since 1970.
    pub when: Duration,
}

impl Entry {
    /// Creates an entry of which AWS has said nothing yet.
    pub fn new(id: EntryId, environment: Environment) -> Self {
        Self {
            id,
            environment,
            hosts: Arc::default(),
            latest: ArcSwapOption::empty(),
        }
    }

    /// Returns the same environment under another local name, with its id and what AWS has said
    /// of it.
    #[must_use]
    pub fn with_name(&self, local: EnvName) -> Self {
        self.with_environment(Environment {
            local,
            ..self.environment.clone()
        })
    }

    /// Returns an entry for the same environment with other settings, likewise.
    #[must_use]
    pub fn with_environment(&self, environment: Environment) -> Self {
        Self {
            // the key of tokens, sessions and queues: a new one would discard them
            id: self.id,
            environment,
            hosts: Arc::clone(&self.hosts),
            latest: ArcSwapOption::new(self.latest_info()),
        }
    }

    /// Returns the version in the configuration, else the one that `GetEnvironment` reported;
    /// `None` before that.
    pub fn airflow_version(&self) -> Option<AirflowVersion> {
        self.environment
            .airflow_version
            .or_else(|| self.latest.load().as_ref()?.info.airflow_version)
    }

    /// Returns the last response of AWS; `None` before the first.
    pub fn latest_info(&self) -> Option<Arc<InfoRecord>> {
        self.latest.load_full()
    }

    /// Keeps a response of `GetEnvironment` that came at `when` by the wall clock.
    pub fn set_info(&self, mut info: EnvironmentInfo, when: Duration) {
        // the rules for commands depend on a version, and a later response may have none
        if info.airflow_version.is_none() {
            let latest = self.latest.load();
            info.airflow_version = latest
                .as_ref()
                .and_then(|latest| latest.info.airflow_version);
        }
        self.latest.store(Some(Arc::new(InfoRecord { info, when })));
    }
}

/// The values in the first block of an [`EntryTable`]: most people have fewer environments.
const FIRST_BLOCK: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_one_value_for_each_id() {
        let table = EntryTable::default();
        let first = table.get_or_init(EntryId(0), || 0);
        for number in [7, 8, 23, 24, 100, 0] {
            assert_eq!(*table.get_or_init(EntryId(number), || number), number);
        }
        for number in [100, 24, 23, 8, 7] {
            let value = table.get_or_init(EntryId(number), || unreachable!("it was made"));
            assert_eq!(*value, number);
        }
        assert_eq!(*first, 0);
        let values: Vec<_> = table.values().copied().collect();
        assert_eq!(values, [0, 7, 8, 23, 24, 100]);
    }
}
