//! Whether this machine's resolver takes a name for its own. `NAME.localhost` always is (RFC 6761
//! section 6.3), and Chrome, Firefox and curl know that; the resolvers of many systems do not, and
//! what asks them, Safari for one, finds nothing.

use super::Moment;
use std::collections::HashMap;
use std::net::ToSocketAddrs as _;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// What the resolver said of names. It is asked in the background; nobody waits for it.
#[derive(Debug, Clone, Default)]
pub struct Resolver(Arc<Mutex<HashMap<String, Asked>>>);

#[derive(Debug, Clone, Copy)]
struct Asked {
    when: Moment,
    /// The last answer, until there is a newer one.
    knows: Option<bool>,
    pending: bool,
}

impl Resolver {
    /// Whether the name leads to this machine, as far as is known. An old answer, or none, has
    /// the resolver asked once more.
    pub fn knows(&self, name: &str) -> Option<bool> {
        let now = Moment::now();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = names.get(name).copied();
        let is_old = |asked: Asked| !asked.pending && asked.when.age(now) > FRESH;
        if asked.is_none_or(is_old) {
            let pending = Asked {
                when: now,
                knows: asked.and_then(|asked| asked.knows),
                pending: true,
            };
            names.insert(name.to_owned(), pending);
            let (memory, name) = (Arc::clone(&self.0), name.to_owned());
            apart(move || {
                let answered = Asked {
                    when: now,
                    knows: Some(is_here(&name)),
                    pending: false,
                };
                let mut names = memory.lock().unwrap_or_else(PoisonError::into_inner);
                names.insert(name, answered);
            });
        }
        asked?.knows
    }
}

/// Asks the resolver whether the name leads to this machine; whoever wants to know waits at the
/// receiver, and not for long: it may hang.
pub fn ask(name: String) -> mpsc::Receiver<bool> {
    let (tell, told) = mpsc::channel();
    apart(move || {
        let _nobody_waits = tell.send(is_here(&name));
    });
    told
}

fn is_here(name: &str) -> bool {
    (name, 0)
        .to_socket_addrs()
        .is_ok_and(|mut found| found.any(|address| address.ip().is_loopback()))
}

/// The C library's look-up may hang, so it gets a thread that nothing waits for.
fn apart(work: impl FnOnce() + Send + 'static) {
    let started = thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(work);
    if let Err(error) = started {
        tracing::debug!(%error, "no thread for the resolver; the name stays unknown");
    }
}

/// An answer stands this long: somebody may have edited the table of hosts.
const FRESH: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_here_and_an_invalid_name_is_not() {
        assert!(is_here("localhost"));
        assert!(ask("127.0.0.1".to_owned()).recv().unwrap());
        assert!(!is_here("192.0.2.1"), "an address, but not of this machine");
    }

    #[tokio::test]
    async fn an_answer_is_there_when_somebody_asks_later() {
        let resolver = Resolver::default();
        assert_eq!(resolver.knows("localhost"), None, "nobody waits");
        while resolver.knows("localhost").is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(resolver.knows("localhost"), Some(true));
    }
}
