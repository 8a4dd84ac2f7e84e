//! The reasons why an environment cannot be served now, from what is known already, and AWS's
//! explanation of a web server that cannot be reached.

use crate::error::ProxyError;
use crate::state::{ProxyState, ReverseProxy};
use dashmap::DashMap;
use mwaa_auth::{SessionState, TokenState};
use mwaa_model::{Blame, Code, Entry, EntryId, Fault, code};
use mwaa_runtime::boot_clock;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A reason why an environment cannot serve a request now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthIssue {
    /// The fault's code; `None` while something is not known yet.
    pub code: Option<&'static Code>,
    /// The problem in words.
    pub what: String,
    /// The fault's hint.
    pub hint: Option<String>,
}

impl HealthIssue {
    fn new(fault: &dyn Fault) -> Self {
        Self {
            code: Some(fault.code()),
            what: fault.detail(),
            hint: Some(fault.hint().into_owned()),
        }
    }

    /// Returns true if it does not concern a request that AWS sends (`InvokeRestApi`).
    fn spares_invoke(&self) -> bool {
        self.code.is_some_and(|code| {
            // a right to create tokens is not needed for it
            code.blame == Blame::Upstream
                || [&code::AWS_DENIED, &code::AWS_UNTRUSTED_HOST].contains(&code)
        })
    }
}

impl fmt::Display for HealthIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code {
            write!(f, "{}: ", code.text)?;
        }
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// The known reasons why an environment does not serve every request.
#[derive(Debug)]
pub(crate) struct Health {
    /// The most important reason why it cannot serve a request now.
    pub(crate) issue: Option<HealthIssue>,
    /// The most important reason why it serves the REST API only.
    pub(crate) limit: Option<HealthIssue>,
}

impl ProxyState {
    /// Returns what is known to be wrong with this environment. AWS is not called for it.
    pub(crate) fn health(
        &self,
        entry: &Entry,
        token: &TokenState,
        session: &SessionState,
    ) -> Health {
        let has_version = entry.airflow_version().is_some();
        let unknown_version = (!has_version).then(|| HealthIssue {
            code: None,
            what: "the Airflow version is not known yet".to_owned(),
            hint: None,
        });
        let issues = [
            token_issue(token),
            self.version_issue(entry),
            self.reachability.issue(entry, boot_clock()),
            session_issue(session),
            unknown_version,
        ];

        // without a version no request is sent, by no route
        let is_served = has_version && self.rest_routes.is_invoked(entry);
        let (limits, issues): (Vec<_>, Vec<_>) = issues
            .into_iter()
            .flatten()
            .partition(|issue| is_served && issue.spares_invoke());
        Health {
            issue: issues.into_iter().next(),
            limit: limits.into_iter().next(),
        }
    }

    /// A known version is enough, even if it could not be read again.
    fn version_issue(&self, entry: &Entry) -> Option<HealthIssue> {
        if entry.airflow_version().is_some() {
            return None;
        }
        let failure = self.versions.failure(entry)?;
        Some(HealthIssue::new(failure.as_ref()))
    }
}

/// A live token is enough, even if its refresh failed.
fn token_issue(token: &TokenState) -> Option<HealthIssue> {
    let failure = token.failure.as_ref().filter(|_| token.age.is_none())?;
    Some(HealthIssue::new(failure.as_ref()))
}

/// An identity that may have no session is no issue: it is a way to use the gateway for commands
/// alone.
fn session_issue(session: &SessionState) -> Option<HealthIssue> {
    let failure = session.failure.as_ref().filter(|_| session.age.is_none())?;
    (failure.code() != &code::AWS_DENIED).then(|| HealthIssue::new(failure.as_ref()))
}

/// The web servers that could not be reached, or that failed TLS, at the last attempt.
#[derive(Debug, Default)]
pub struct Reachability {
    unreachable: DashMap<EntryId, (Duration, HealthIssue)>,
    /// True if there are any; every request reads this.
    any: AtomicBool,
}

impl Reachability {
    /// Records a fault of an environment's web server, if it is of this kind.
    fn on_fault(&self, entry: &Entry, fault: &dyn Fault) {
        if [&code::UPSTREAM_TLS, &code::UPSTREAM_UNREACHABLE].contains(&fault.code()) {
            self.insert(entry.id, HealthIssue::new(fault), boot_clock());
        }
    }

    /// Records that an environment's web server has answered.
    pub(crate) fn on_response(&self, entry: &Entry) {
        if self.any.load(Ordering::Relaxed) {
            self.remove(entry.id);
        }
    }

    /// Returns the issue of an environment's web server. It expires: a gateway that gets no
    /// requests because of it would never see the web server recover.
    fn issue(&self, entry: &Entry, now: Duration) -> Option<HealthIssue> {
        let found = self.unreachable.get(&entry.id)?;
        let (when, issue) = found.value();
        (now.saturating_sub(*when) < LIFETIME).then(|| issue.clone())
    }

    fn insert(&self, id: EntryId, issue: HealthIssue, now: Duration) {
        self.unreachable.insert(id, (now, issue));
        self.any.store(true, Ordering::Relaxed);
    }

    fn remove(&self, id: EntryId) {
        self.unreachable.remove(&id);
        // an environment that no longer exists must not keep every request looking
        let now = boot_clock();
        self.unreachable
            .retain(|_, (when, _)| now.saturating_sub(*when) < LIFETIME);
        self.any
            .store(!self.unreachable.is_empty(), Ordering::Relaxed);
    }
}

/// Records a fault of the web server, and adds AWS's explanation of the environment to it. AWS is
/// asked first, unless it was asked recently; the client waits for that only a moment.
pub(crate) async fn explain(
    proxy: &ReverseProxy,
    entry: &Arc<Entry>,
    error: ProxyError,
) -> ProxyError {
    let fault = error.fault();
    proxy.state.reachability.on_fault(entry, fault);
    if fault.code().blame != Blame::Upstream {
        return error;
    }

    // an answer that comes too late is known to the next request
    let refresh = proxy.state.versions.refresh(entry);
    let _late = proxy.timer.within(EXPLANATION_WAIT, refresh).await;

    let explanation = entry.latest_info().and_then(|latest| {
        if fault.code() == &code::UPSTREAM_UNREACHABLE {
            latest.info.explain_unreachable()
        } else {
            latest.info.explain_status()
        }
    });
    match explanation {
        Some(explanation) => ExplainedFault { error, explanation }.into(),
        None => error,
    }
}

/// A fault of the web server, and AWS's explanation of it.
#[derive(Debug)]
struct ExplainedFault {
    error: ProxyError,
    explanation: String,
}

impl fmt::Display for ExplainedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.error.fault(), f)
    }
}

impl std::error::Error for ExplainedFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.fault().source()
    }
}

impl Fault for ExplainedFault {
    fn code(&self) -> &'static Code {
        self.error.fault().code()
    }

    fn hint(&self) -> Cow<'static, str> {
        format!("{}; {}", self.explanation, self.error.fault().hint()).into()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.error.fault().retry_after()
    }

    fn allow(&self) -> Option<&'static str> {
        self.error.fault().allow()
    }

    fn ends_connection(&self) -> bool {
        self.error.fault().ends_connection()
    }
}

/// A web server that could not be reached counts as unreachable for this time.
const LIFETIME: Duration = Duration::from_secs(30);
/// The client's longest wait for AWS's explanation.
const EXPLANATION_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_model::{EnvName, Environment};

    #[test]
    fn an_unreachable_web_server_is_an_issue_until_it_answers_or_for_half_a_minute() {
        let environment = Environment::new(EnvName::new("prod").unwrap(), "prod");
        let entry = Entry::new(EntryId(7), environment);
        let reachability = Reachability::default();
        let (start, issue) = (Duration::from_secs(100), |what: &str| HealthIssue {
            code: Some(&code::UPSTREAM_TLS),
            what: what.to_owned(),
            hint: None,
        });
        assert_eq!(reachability.issue(&entry, start), None);
        reachability.insert(entry.id, issue("x"), start);
        let later = |seconds| reachability.issue(&entry, start + Duration::from_secs(seconds));
        assert_eq!(later(29), Some(issue("x")));
        assert_eq!(later(30), None);
        reachability.on_response(&entry);
        assert_eq!(later(0), None);
    }
}
