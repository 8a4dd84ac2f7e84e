//! Which Airflow release an environment runs: configured, or asked of `GetEnvironment` once
//! and again when the answer has grown old.

use super::{AwsError, AwsErrorKind, Backoff, ControlPlane};
use crate::names::{AirflowVersion, Code, Entry, EntryId, Fault, HostSource, code};
use crate::runtime::{Background, Moment, uptime};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};

/// Asks for versions; at most one call for an environment at a time. Shared by all threads.
#[derive(Debug)]
pub struct Versions {
    control: Arc<dyn ControlPlane>,
    background: Background,
    limit: Duration,
    learnt: fn(&Entry, AirflowVersion),
    questions: StdMutex<HashMap<EntryId, Arc<Question>>>,
}

#[derive(Debug, Default)]
struct Question {
    asking: Mutex<Backoff<AwsError>>,
    /// When AWS was last asked, whatever came of it.
    asked: StdMutex<Option<Moment>>,
    answered: StdMutex<Option<Moment>>,
}

/// The version is not known and could not be asked.
#[derive(Debug, Clone)]
pub struct VersionError(AwsError, Option<Duration>);

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the environment's Airflow version is not known: {}",
            self.0
        )
    }
}

impl std::error::Error for VersionError {}

impl Fault for VersionError {
    fn code(&self) -> &'static Code {
        self.0.code()
    }

    fn hint(&self) -> Cow<'static, str> {
        // only where this one call is the trouble: the next one needs credentials and a network too
        if self.0.kind == AwsErrorKind::Denied {
            let version =
                "or set airflow_version for this environment, and GetEnvironment is not needed";
            format!("{}; {version}", self.0.hint()).into()
        } else {
            self.0.hint()
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.1.or_else(|| self.0.retry_after())
    }
}

impl Versions {
    /// `limit` bounds one question; `learnt` is called when an answer is new.
    pub fn new(
        control: Arc<dyn ControlPlane>,
        background: Background,
        limit: Duration,
        learnt: fn(&Entry, AirflowVersion),
    ) -> Arc<Self> {
        let questions = StdMutex::default();
        Arc::new(Self {
            control,
            background,
            limit,
            learnt,
            questions,
        })
    }

    /// The environment's version. Known versions cost nothing; one that has grown old is asked
    /// for again beside the request that uses it.
    pub async fn of(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
    ) -> Result<AirflowVersion, VersionError> {
        if entry.environment.airflow_version.is_some() {
            return entry.airflow_version().ok_or_else(|| self.silent(entry));
        }
        let question = self.question(entry.id);
        match entry.airflow_version() {
            Some(version) => {
                if question.is_old() && question.may_be_asked() {
                    let (versions, entry) = (Arc::clone(self), Arc::clone(entry));
                    self.background.spawn(async move {
                        // the old answer stands if there is no new one
                        let _kept = versions.ask(&entry, &question).await;
                    });
                }
                Ok(version)
            }
            // once in a process: boxed, so that not every request has room for it
            None => Box::pin(self.ask(entry, &question)).await,
        }
    }

    /// Asks in the background until there is an answer: the first request finds it, and a
    /// gateway that started without a network becomes ready by itself (whoever waits for that
    /// sends no request). An entry that nobody holds any more is not asked about.
    pub fn prepare(self: &Arc<Self>, entry: &Arc<Entry>) {
        let (versions, entry) = (Arc::clone(self), Arc::downgrade(entry));
        self.background.clone().spawn(async move {
            let mut pause = FIRST_PAUSE;
            while let Some(entry) = entry.upgrade() {
                let Err(error) = versions.of(&entry).await else {
                    return;
                };
                tracing::warn!(environment = %entry.environment.local, code = error.code().text, %error, hint = %error.hint(), "cannot ask for the version");
                drop(entry);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }

    /// Asks AWS how the environment is now; then [`Entry::learnt`] is news. Nothing is asked
    /// again within 30 s, and a failure says nothing: the old answer stands. The question goes
    /// on if its caller goes away.
    pub async fn refresh(self: &Arc<Self>, entry: &Arc<Entry>) {
        let question = self.question(entry.id);
        if !question.may_be_asked_for_news() {
            return;
        }
        let (versions, entry) = (Arc::clone(self), Arc::clone(entry));
        let (tell, told) = oneshot::channel::<()>();
        self.background.spawn(async move {
            let _kept = versions.ask(&entry, &question).await;
            drop(tell);
        });
        // a sender that is gone has asked
        let _done = told.await;
    }

    /// The failure that stands for an environment whose version is not known.
    pub fn failure(&self, entry: &Entry) -> Option<Arc<AwsError>> {
        let question = self.question(entry.id);
        let asking = question.asking.try_lock().ok()?;
        asking.standing(Moment::now()).map(|(error, _)| error)
    }

    async fn ask(
        &self,
        entry: &Entry,
        question: &Question,
    ) -> Result<AirflowVersion, VersionError> {
        let before = question.answered_at();
        let mut backoff = question.asking.lock().await;
        // whoever held the lock may have got the answer
        if let Some(version) = entry.airflow_version()
            && question.answered_at() != before
        {
            return Ok(version);
        }
        if let Some((error, left)) = backoff.standing(Moment::now()) {
            return Err(VersionError(error.as_ref().clone(), Some(left)));
        }
        // a silent AWS must not keep the lock
        let asked =
            tokio::time::timeout(self.limit, self.control.get_environment(&entry.environment));
        question.note_question();
        let when = uptime();
        let before = entry.airflow_version();
        let told = match asked.await {
            Ok(Ok(described)) => {
                if let Some(host) = &described.webserver_host {
                    entry.hosts.named(HostSource::Description, host, when);
                }
                entry.learn(described, Moment::now().wall());
                entry.airflow_version().ok_or_else(|| untold(entry))
            }
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(self.silent(entry).0),
        };
        match told {
            Ok(version) => {
                backoff.succeeded();
                if before != Some(version) {
                    (self.learnt)(entry, version);
                }
                question.note_answer();
                Ok(version)
            }
            Err(error) => {
                let now = Moment::now();
                backoff.failed(Arc::new(error.clone()), error.is_passing(), now);
                let left = backoff.standing(now).map(|(_, left)| left);
                Err(VersionError(error, left))
            }
        }
    }

    fn silent(&self, entry: &Entry) -> VersionError {
        let error = AwsError::new(
            AwsErrorKind::Unavailable,
            &format!(
                "GetEnvironment for {:?} was not answered within {}",
                entry.environment.name,
                humantime::format_duration(self.limit)
            ),
            code::AWS_UNAVAILABLE.advice,
        );
        VersionError(error, None)
    }

    fn question(&self, id: EntryId) -> Arc<Question> {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(questions.entry(id).or_default())
    }
}

/// AWS describes the environment and names no version that can be read.
fn untold(entry: &Entry) -> AwsError {
    let name = &entry.environment.name;
    let error = AwsError::new(
        AwsErrorKind::Unavailable,
        &format!("GetEnvironment for {name:?} names no version"),
        "set airflow_version for this environment",
    );
    match entry.learnt() {
        // it has none yet, or none any more
        Some(learnt) if learnt.described.status_meaning().is_some() => {
            error.with_state(&learnt.described)
        }
        _ => error,
    }
}

impl Question {
    fn answered_at(&self) -> Option<Moment> {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_answer(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Moment::now());
    }

    fn note_question(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Moment::now());
    }

    /// Whether the last question is long enough ago to be asked again only for news.
    fn may_be_asked_for_news(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_none_or(|then| then.age(Moment::now()) > NEWS)
    }

    /// Whether nobody asks now and no failure stands: each request that comes would else leave
    /// a task behind that waits for the one answer.
    fn may_be_asked(&self) -> bool {
        self.asking
            .try_lock()
            .is_ok_and(|backoff| backoff.standing(Moment::now()).is_none())
    }

    fn is_old(&self) -> bool {
        self.answered_at()
            .is_some_and(|then| then.age(Moment::now()) > FRESH)
    }
}

/// Between background questions at first: as long as a failure stands.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Between background questions at last: an idle gateway that lacks the permission asks rarely.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An environment is upgraded rarely, and a session of work should not need a restart.
const FRESH: Duration = Duration::from_mins(15);

/// Between questions that somebody's look at a page, or a web server out of reach, brings about.
const NEWS: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_by_one_and_not_while_a_failure_stands() {
        let question = Question::default();
        assert!(question.may_be_asked());
        let mut asking = question.asking.try_lock().unwrap();
        assert!(!question.may_be_asked());
        let error = AwsError::new(AwsErrorKind::Throttled, "x", "y");
        asking.failed(Arc::new(error), true, Moment::now());
        drop(asking);
        assert!(!question.may_be_asked());
    }
}
