//! A check that this machine's resolver maps `NAME.localhost` to this machine.
//!
//! RFC 6761 section 6.3 requires it, and Chrome, Firefox and curl do it themselves. The resolvers
//! of many systems do not, and programs that ask them, such as Safari, find nothing.

use super::Timestamp;
use std::collections::HashMap;
use std::net::ToSocketAddrs as _;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// The answers of the system's resolver. It is asked in the background, and no caller waits.
#[derive(Debug, Clone, Default)]
pub struct Resolver(Arc<Mutex<HashMap<String, CacheEntry>>>);

#[derive(Debug, Clone, Copy)]
struct CacheEntry {
    when: Timestamp,
    /// The last answer, until there is a newer one.
    is_local: Option<bool>,
    pending: bool,
}

impl Resolver {
    /// Returns true if the name is an address of this machine, false if it is not, and `None` if
    /// that is not known yet. If the answer is old, or there is none, the resolver is asked again.
    pub fn is_local(&self, name: &str) -> Option<bool> {
        let now = Timestamp::now();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = names.get(name).copied();

        let is_old = |entry: CacheEntry| !entry.pending && entry.when.age(now) > FRESH;
        // a page must not wait for DNS: it shows the last answer, and the next page the new one
        if cached.is_none_or(is_old) {
            let entry = CacheEntry {
                when: now,
                is_local: cached.and_then(|entry| entry.is_local),
                // other calls must not start more lookups
                pending: true,
            };
            names.insert(name.to_owned(), entry);
            self.start_lookup(name.to_owned(), now);
        }
        cached?.is_local
    }

    fn start_lookup(&self, name: String, when: Timestamp) {
        let cache = Arc::clone(&self.0);
        spawn_thread(move || {
            let entry = CacheEntry {
                when,
                is_local: Some(resolve_local(&name)),
                pending: false,
            };
            tracing::debug!(%name, is_local = entry.is_local, "asked the resolver");
            let mut names = cache.lock().unwrap_or_else(PoisonError::into_inner);
            names.insert(name, entry);
        });
    }
}

/// Starts a lookup. The receiver gets true if the name is an address of this machine. The lookup
/// may hang, so wait with a limit.
pub fn start_lookup(name: String) -> mpsc::Receiver<bool> {
    let (sender, receiver) = mpsc::channel();
    spawn_thread(move || {
        let _no_one_waits = sender.send(resolve_local(&name));
    });
    receiver
}

fn resolve_local(name: &str) -> bool {
    (name, 0)
        .to_socket_addrs()
        .is_ok_and(|mut found| found.any(|address| address.ip().is_loopback()))
}

/// Runs a lookup of the C library, which may hang, on a thread that no other thread joins.
fn spawn_thread(lookup: impl FnOnce() + Send + 'static) {
    // one thread per lookup: one that hangs must not hold up the others
    let started = thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(lookup);
    if let Err(error) = started {
        tracing::debug!(%error, "cannot start a thread for the resolver; the name stays unknown");
    }
}

/// The time for which an answer is used. It is short because a person may be editing /etc/hosts.
const FRESH: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_local_and_other_addresses_are_not() {
        assert!(resolve_local("localhost"));
        assert!(start_lookup("127.0.0.1".to_owned()).recv().unwrap());
        assert!(
            !resolve_local("192.0.2.1"),
            "an address, but not of this machine"
        );
    }

    #[tokio::test]
    async fn the_result_of_a_lookup_is_cached_for_later_calls() {
        let resolver = Resolver::default();
        assert_eq!(resolver.is_local("localhost"), None, "no caller waits");
        while resolver.is_local("localhost").is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(resolver.is_local("localhost"), Some(true));
    }
}
