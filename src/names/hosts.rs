//! Where AWS says that an environment's web server is. An environment that is deleted and recreated
//! has another host, and whatever was made for the old one is worth nothing.

use arc_swap::ArcSwapOption;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What AWS has said of an environment's host. Moments are times since the machine started.
#[derive(Debug, Default)]
pub struct Hosts {
    /// The last word of each source, in the order of [`Source`].
    last: Mutex<[Option<Word>; 3]>,
    /// The last word that was news.
    news: ArcSwapOption<Word>,
}

#[derive(Debug, Clone)]
struct Word {
    host: Arc<str>,
    when: Duration,
}

/// Which answer of AWS named the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `CreateCliToken`.
    CliToken,
    /// `GetEnvironment`, whose `WebserverUrl` may be another name of the same server.
    Description,
    /// `CreateWebLoginToken`.
    WebToken,
}

impl Hosts {
    /// Remembers that AWS named this host; `when` is the moment at which it was asked. It is
    /// news only if the same source named another one before: two sources may use two names of
    /// one server.
    pub fn named(&self, by: Source, host: &str, when: Duration) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = last.get_mut(by as usize) else {
            return;
        };
        let before = last.as_mut().filter(|before| *before.host == *host);
        if let Some(before) = before {
            before.when = before.when.max(when);
            return;
        }
        // of two answers that cross each other, the one that was asked for later counts
        if last.as_ref().is_some_and(|before| before.when > when) {
            return;
        }
        let word = Word {
            host: host.into(),
            when,
        };
        *last = Some(word.clone());
        self.news.store(Some(Arc::new(word)));
    }

    /// Whether AWS has named another host since `made`, so that what was made for `host` then
    /// is outdated now. No lock: this is on every request's path.
    pub fn left(&self, host: &str, made: Duration) -> bool {
        let news = self.news.load();
        news.as_ref()
            .is_some_and(|news| news.when > made && *news.host != *host)
    }

    /// Whether AWS has named this host since then.
    pub fn still(&self, host: &str, since: Duration) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = last.iter().flatten();
        words.any(|word| *word.host == *host && word.when >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn another_host_is_news_once() {
        let hosts = Hosts::default();
        hosts.named(Source::WebToken, "old", s(10));
        assert!(!hosts.left("old", s(11)));
        hosts.named(Source::WebToken, "new", s(20));
        assert!(hosts.left("old", s(11)));
        assert!(!hosts.left("new", s(11)));
        // what was made later was made with this known
        assert!(!hosts.left("old", s(21)));
    }

    #[test]
    fn two_names_of_one_server_are_no_news_for_ever() {
        let hosts = Hosts::default();
        hosts.named(Source::WebToken, "a", s(10));
        hosts.named(Source::CliToken, "b", s(20));
        assert!(hosts.left("a", s(11)), "it may be news");
        for later in 30..40 {
            hosts.named(Source::WebToken, "a", s(later));
            hosts.named(Source::CliToken, "b", s(later));
            assert!(!hosts.left("a", s(29)) && !hosts.left("b", s(29)));
        }
    }

    #[test]
    fn an_older_answer_that_comes_late_is_not_believed() {
        let hosts = Hosts::default();
        hosts.named(Source::CliToken, "new", s(20));
        hosts.named(Source::CliToken, "old", s(10));
        assert!(hosts.still("new", s(20)) && !hosts.still("old", s(0)));
        assert!(!hosts.still("new", s(21)));
    }
}
