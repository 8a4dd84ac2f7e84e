//! The Airflow release of an environment: configured, or asked of `GetEnvironment` once and again
//! when the answer has grown old.

use super::described::describe;
use super::{AwsError, AwsErrorKind, MwaaApi};
use crate::backoff::Backoff;
use crate::run_in_background;
use arc_swap::ArcSwapOption;
use mwaa_fleet::Fleet;
use mwaa_model::{AirflowVersion, Code, Entry, EntryId, EntryTable, Fault, HostSource, code};
use mwaa_runtime::{BackgroundTasks, Timestamp};
use std::borrow::Cow;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tracing::Instrument as _;

/// Finds versions; at most one call for an environment at a time. Shared by all threads.
#[derive(Debug)]
pub struct VersionResolver {
    api: Arc<dyn MwaaApi>,
    background: BackgroundTasks,
    limit: Duration,
    on_new_version: fn(&Entry, AirflowVersion),
    lookups: Arc<EntryTable<VersionLookup>>,
    /// The fleet that shares the answers.
    fleet: Option<Arc<Fleet>>,
}

/// The calls for one environment's version.
#[derive(Debug, Default)]
struct VersionLookup {
    /// Locked while AWS is asked, so that there is one call at a time.
    asking: Mutex<Backoff<AwsError>>,
    /// The time of the last call, whether it failed or not.
    asked: StdMutex<Option<Timestamp>>,
    /// The time of the last answer; every request reads it.
    answered: ArcSwapOption<Timestamp>,
}

/// The version is not known and could not be asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the environment's Airflow version is not known")]
pub struct VersionError {
    source: AwsError,
    retry_after: Option<Duration>,
}

impl Fault for VersionError {
    fn code(&self) -> &'static Code {
        self.source.code()
    }

    fn hint(&self) -> Cow<'static, str> {
        // only where this one call is the trouble: the next one needs credentials and a network
        // too
        if self.source.kind == AwsErrorKind::Denied {
            let version = "or set airflow_version for this environment, which then needs no \
                           GetEnvironment";
            format!("{}; {version}", self.source.hint()).into()
        } else {
            self.source.hint()
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl VersionResolver {
    /// Creates a resolver that knows nothing yet. `limit` bounds one call; `on_new_version` is
    /// called when an answer is new.
    pub fn new(
        api: Arc<dyn MwaaApi>,
        background: BackgroundTasks,
        limit: Duration,
        on_new_version: fn(&Entry, AirflowVersion),
        fleet: Option<Arc<Fleet>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            api,
            background,
            limit,
            on_new_version,
            lookups: Arc::default(),
            fleet,
        })
    }

    /// Returns a resolver that asks by another client, and knows what this one knows.
    pub fn succeed(&self, api: Arc<dyn MwaaApi>, limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            api,
            background: self.background.clone(),
            limit,
            on_new_version: self.on_new_version,
            lookups: Arc::clone(&self.lookups),
            fleet: self.fleet.clone(),
        })
    }

    /// Returns the environment's version. A known one costs nothing; one that has grown old is
    /// asked for again beside the request that uses it.
    pub async fn resolve(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
    ) -> Result<AirflowVersion, VersionError> {
        // a configured version needs no permission to call AWS
        if let Some(version) = entry.environment.airflow_version {
            return Ok(version);
        }

        let lookup = self.lookup(entry.id);
        // before the version: an answer that comes in between is then known to be new
        let before = lookup.answered_at();
        match entry.airflow_version() {
            Some(version) => {
                if before.is_some_and(is_old) && lookup.is_free() {
                    let query = self.query(entry, before);
                    self.background
                        .spawn(tracing::Span::none(), async { drop(query.await) });
                }
                Ok(version)
            }
            // once in a process: boxed, so that not every request has room for it
            None => Box::pin(run_in_background(
                &self.background,
                self.query(entry, before),
            ))
            .await
            .unwrap_or_else(|| Err(stopping_error())),
        }
    }

    /// Asks in the background until there is an answer. The first request then finds it, and a
    /// gateway that started without a network becomes ready without a request.
    ///
    /// It ends when the entry is dropped.
    pub fn prepare(self: &Arc<Self>, entry: &Arc<Entry>) {
        let span = tracing::debug_span!("version", environment = %entry.environment.local);
        let resolver = Arc::clone(self);
        // weak: an environment that discovery has removed is not asked about for ever
        let entry = Arc::downgrade(entry);

        let task = async move {
            let mut pause = FIRST_PAUSE;
            while let Some(entry) = entry.upgrade() {
                let Err(error) = resolver.resolve(&entry).await else {
                    return;
                };
                tracing::warn!(environment = %entry.environment.local, code = error.code().text, error = %error.detail(), hint = %error.hint(), "cannot get the Airflow version");
                drop(entry);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        self.background.spawn(span, task);
    }

    /// Asks AWS for the environment's present state; [`Entry::latest_info`] has it then. AWS is not
    /// asked again within 30 s, and after a failure the old answer stays. The call continues if
    /// its caller is dropped.
    pub async fn refresh(self: &Arc<Self>, entry: &Arc<Entry>) {
        let lookup = self.lookup(entry.id);
        if !lookup.is_refresh_due() {
            return;
        }
        // the old answer stays if there is no new one
        let query = self.query(entry, lookup.answered_at());
        let _ended = run_in_background(&self.background, query).await;
    }

    /// Returns the failure that is held for an environment whose version is not known.
    pub fn failure(&self, entry: &Entry) -> Option<Arc<AwsError>> {
        let lookup = self.lookup(entry.id);
        // while AWS is asked there is no failure to show
        let asking = lookup.asking.try_lock().ok()?;
        asking.current(Timestamp::now()).map(|(error, _)| error)
    }

    /// Returns the task that asks AWS, for the background.
    fn query(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        before: Option<Timestamp>,
    ) -> impl Future<Output = Result<AirflowVersion, VersionError>> + Send + 'static {
        let span = tracing::debug_span!("version", environment = %entry.environment.local);
        let resolver = Arc::clone(self);
        let entry = Arc::clone(entry);
        let task = async move { resolver.ask(&entry, before).await };
        task.instrument(span)
    }

    /// Asks AWS, once for all callers that wait here, unless a failure is held. An answer after
    /// `before` is as good as its own.
    async fn ask(
        &self,
        entry: &Entry,
        before: Option<Timestamp>,
    ) -> Result<AirflowVersion, VersionError> {
        let lookup = self.lookup(entry.id);
        let mut backoff = lookup.asking.lock().await;
        // the one that held the lock may have got the answer
        if let Some(version) = entry.airflow_version()
            && lookup.answered_at() != before
        {
            return Ok(version);
        }
        if let Some((error, left)) = backoff.current(Timestamp::now()) {
            return Err(VersionError {
                source: error.as_ref().clone(),
                retry_after: Some(left),
            });
        }

        let old = entry.airflow_version();
        // before the call, so that a failed one counts too
        lookup.set_asked();
        match self.get_environment(entry).await {
            Ok(version) => {
                backoff.reset();
                tracing::debug!(environment = %entry.environment.local, %version, "AWS returned the Airflow version");
                // an upgrade changes which commands pass, so it is announced
                if old != Some(version) {
                    (self.on_new_version)(entry, version);
                }
                lookup.set_answered();
                Ok(version)
            }
            Err(error) => {
                let now = Timestamp::now();
                tracing::debug!(environment = %entry.environment.local, code = error.code().text, "AWS returned no Airflow version");
                backoff.record_failure(Arc::new(error.clone()), error.is_transient(), now);
                Err(VersionError {
                    source: error,
                    retry_after: backoff.current(now).map(|(_, left)| left),
                })
            }
        }
    }

    /// Calls `GetEnvironment`, and remembers what it returns. Fails if that names no version.
    async fn get_environment(&self, entry: &Entry) -> Result<AirflowVersion, AwsError> {
        let (fleet, api) = (self.fleet.as_ref(), &*self.api);
        // within a limit: an AWS that does not answer must not keep the lock
        let request = describe(api, fleet, &entry.environment, self.limit);
        let (described, when) = tokio::time::timeout(self.limit, request)
            .await
            .unwrap_or_else(|_elapsed| Err(self.timeout_error(entry).source))?;

        if let Some(host) = &described.webserver_host {
            // also if the version is missing: the host may be news
            let hosts = &entry.hosts;
            hosts.record(HostSource::Description, host, when.boot());
        }
        entry.set_info(described, when.wall());
        entry.airflow_version().ok_or_else(|| no_version(entry))
    }

    fn timeout_error(&self, entry: &Entry) -> VersionError {
        let source = AwsError::new(
            AwsErrorKind::Unavailable,
            &format!(
                "no response to GetEnvironment for {:?} within {}",
                entry.environment.name,
                humantime::format_duration(self.limit)
            ),
            code::AWS_UNAVAILABLE.advice,
        );
        VersionError {
            source,
            retry_after: None,
        }
    }

    fn lookup(&self, id: EntryId) -> &VersionLookup {
        self.lookups.get_or_init(id, VersionLookup::default)
    }
}

/// Returns the error of a query that ended with the gateway.
fn stopping_error() -> VersionError {
    let advice = code::STOPPING.advice;
    VersionError {
        source: AwsError::new(AwsErrorKind::Unavailable, "the gateway is stopping", advice),
        retry_after: None,
    }
}

/// Returns the error for an answer that has no version that can be read.
fn no_version(entry: &Entry) -> AwsError {
    let name = &entry.environment.name;
    let error = AwsError::new(
        AwsErrorKind::Unavailable,
        &format!("GetEnvironment for {name:?} returned no Airflow version"),
        "set airflow_version for this environment",
    );

    match entry.latest_info() {
        // it is being created or deleted, and has none yet or none any more
        Some(latest) if latest.info.status_meaning().is_some() => {
            error.with_state(&latest.info)
        }
        _ => error,
    }
}

impl VersionLookup {
    fn answered_at(&self) -> Option<Timestamp> {
        self.answered.load().as_deref().copied()
    }

    fn set_answered(&self) {
        self.answered.store(Some(Arc::new(Timestamp::now())));
    }

    fn set_asked(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Timestamp::now());
    }

    /// Returns true if the last call is long enough ago for another one that is only for news.
    fn is_refresh_due(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_none_or(|then| then.age(Timestamp::now()) > REFRESH_INTERVAL)
    }

    /// Returns true if no call is pending and no failure is held. Otherwise each request that
    /// comes would start a task that waits for the one answer.
    fn is_free(&self) -> bool {
        self.asking
            .try_lock()
            .is_ok_and(|backoff| backoff.current(Timestamp::now()).is_none())
    }
}

/// Returns true if an answer of that time should be asked for again.
fn is_old(answered: Timestamp) -> bool {
    answered.age(Timestamp::now()) > MAX_AGE
}

/// Between background calls at first: as long as a failure is held.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Between background calls at last: an idle gateway that lacks the permission asks rarely.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An environment is upgraded rarely, and a session of work should not need a restart.
const MAX_AGE: Duration = Duration::from_mins(15);
/// Between calls that a page, or a web server out of reach, causes.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_not_free_while_one_runs_or_a_failure_is_held() {
        let lookup = VersionLookup::default();
        assert!(lookup.is_free());
        let mut asking = lookup.asking.try_lock().unwrap();
        assert!(!lookup.is_free());
        let error = AwsError::new(AwsErrorKind::Throttled, "x", "y");
        asking.record_failure(Arc::new(error), true, Timestamp::now());
        drop(asking);
        assert!(!lookup.is_free());
    }
}
