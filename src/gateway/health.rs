//! Whether an environment could be served now, from what is known; nothing is asked for it.

use super::Shared;
use crate::names::{Entry, EntryId, Fault, code};
use crate::runtime::uptime;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Why an environment could not serve a request now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The fault's code, where it is a fault and no mere waiting.
    pub code: Option<&'static str>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Shared {
    /// Why this environment could not serve a request now.
    pub fn trouble(&self, entry: &Entry) -> Option<Trouble> {
        let unknown = entry.airflow_version().is_none();
        let version = || {
            let error = self.versions.failure(entry).filter(|_| unknown)?;
            Some(told(error.as_ref()))
        };
        let token = self.broker.state(entry);
        // a live token serves, whatever became of its refresh
        let failure = token.failure.filter(|_| token.age.is_none());
        let failure = failure.map(|error| told(error.as_ref())).or_else(version);
        let failure = failure.or_else(|| self.reach.trouble(entry, uptime()));
        let failure = failure.or_else(|| self.signed_out(entry));
        failure.or_else(|| {
            unknown.then(|| Trouble {
                code: None,
                what: "the Airflow version is not known yet".to_owned(),
                hint: None,
            })
        })
    }
}

fn told(fault: &dyn Fault) -> Trouble {
    Trouble {
        code: Some(fault.code().text),
        what: fault.to_string(),
        hint: Some(fault.hint().into_owned()),
    }
}

impl Shared {
    /// Why the UI and the REST API have no session. An identity that may have none, which is a
    /// way to use the gateway for commands alone, is no trouble.
    fn signed_out(&self, entry: &Entry) -> Option<Trouble> {
        let session = self.broker.session_state(entry);
        let failure = session.failure.filter(|_| session.age.is_none())?;
        (failure.code() != &code::AWS_DENIED).then(|| told(failure.as_ref()))
    }
}

/// The web servers that could not be reached, or that failed TLS, the last time that it was
/// tried.
#[derive(Debug, Default)]
pub struct Reach {
    lost: Mutex<HashMap<EntryId, (Duration, Trouble)>>,
    /// Whether there are any: what every request looks at.
    any: AtomicBool,
}

impl Reach {
    /// Notes a fault of an environment's web server, if it is of this kind.
    pub(super) fn failed(&self, entry: &Entry, fault: &dyn Fault) {
        if [&code::UPSTREAM_TLS, &code::UPSTREAM_UNREACHABLE].contains(&fault.code()) {
            self.lost(entry.id, told(fault), uptime());
        }
    }

    /// Notes that an environment's web server has answered.
    pub(super) fn works(&self, entry: &Entry) {
        if self.any.load(Ordering::Relaxed) {
            self.found(entry.id);
        }
    }

    /// The trouble with an environment's web server. It does not outlast [`FORGOTTEN`]: a
    /// gateway that gets no requests because of it would never see it recover.
    fn trouble(&self, entry: &Entry, now: Duration) -> Option<Trouble> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, trouble) = lost.get(&entry.id)?;
        (now.saturating_sub(*when) < FORGOTTEN).then(|| trouble.clone())
    }

    fn lost(&self, id: EntryId, trouble: Trouble, now: Duration) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.insert(id, (now, trouble));
        self.any.store(true, Ordering::Relaxed);
    }

    fn found(&self, id: EntryId) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.remove(&id);
        // nor may one of an environment that is gone keep every request looking
        let now = uptime();
        lost.retain(|_, (when, _)| now.saturating_sub(*when) < FORGOTTEN);
        self.any.store(!lost.is_empty(), Ordering::Relaxed);
    }
}

/// A web server that could not be reached is tried again after this.
const FORGOTTEN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{EnvName, Environment};

    #[test]
    fn a_lost_web_server_is_trouble_until_it_answers_or_for_half_a_minute() {
        let environment = Environment::new(EnvName::new("prod").unwrap(), "prod");
        let entry = Entry::new(EntryId(7), environment);
        let reach = Reach::default();
        let (start, trouble) = (Duration::from_secs(100), |what: &str| Trouble {
            code: Some("upstream.tls"),
            what: what.to_owned(),
            hint: None,
        });
        assert_eq!(reach.trouble(&entry, start), None);
        reach.lost(entry.id, trouble("x"), start);
        let later = |seconds| reach.trouble(&entry, start + Duration::from_secs(seconds));
        assert_eq!(later(29), Some(trouble("x")));
        assert_eq!(later(30), None);
        reach.works(&entry);
        assert_eq!(later(0), None);
    }
}
