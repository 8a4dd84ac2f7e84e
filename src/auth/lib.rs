//! Tokens and sessions for the environments' web servers, and the AWS calls that make them.

pub mod aws;
mod backoff;
mod cache_entry;
mod cli_token;
mod error;
mod host;
mod lifetime;
mod local_token;
mod session;
mod sharing;
mod single_flight;

pub use cli_token::CliToken;
pub use error::{AuthError, LoginError, MintError};
pub use local_token::{LocalTokenError, LocalTokenUse, LocalTokens};
pub use session::{Identity, LoginClient, LoginFuture, LoginResponse, Session};

use crate::aws::{
    AwsError, MintedWebToken, MwaaApi, RestApiError, RestApiRequest, RestApiResponse,
};
use bytes::Bytes;
use cache_entry::CacheEntry;
use cli_token::CliTokenSource;
use http::HeaderValue;
use lifetime::Expiring as _;
use mwaa_fleet::Fleet;
use mwaa_http1::Headers;
use mwaa_model::{Entry, Fault as _};
use mwaa_runtime::{BackgroundTasks, Timer as _, Timestamp};
use mwaa_telemetry::Metrics;
use session::SessionSource;
use single_flight::SingleFlight;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::Instrument as _;

/// The limits of tokens and sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// All tries of one mint together; a login likewise.
    pub mint_total: Duration,
    /// A request waits so long for a token or session.
    pub mint_wait: Duration,
    /// The longest use of a CLI token, from the moment at which it was requested.
    pub token_use: Duration,
    /// The longest use of a session.
    pub session_use: Duration,
}

/// Finds tokens and sessions, and makes them. Shared by all worker threads.
///
/// Worker threads only wait: every call to AWS and every login is a background task, which
/// continues if the request that caused it ends.
#[derive(Debug)]
pub struct CredentialCache {
    api: Arc<dyn MwaaApi>,
    tokens: Arc<SingleFlight<CliTokenSource>>,
    sessions: Arc<SingleFlight<SessionSource>>,
    settings: Settings,
    background: BackgroundTasks,
    metrics: Arc<Metrics>,
}

impl CredentialCache {
    /// Creates an empty cache. `client` posts the logins; all calls run as tasks of
    /// `background`. With a `fleet`, tokens and sessions are shared.
    pub fn new(
        api: Arc<dyn MwaaApi>,
        client: Arc<dyn LoginClient>,
        settings: Settings,
        background: BackgroundTasks,
        metrics: Arc<Metrics>,
        fleet: Option<Arc<Fleet>>,
    ) -> Arc<Self> {
        let (tokens, sessions) = create_sources(&api, client, &settings, &metrics);

        Arc::new(Self {
            tokens: SingleFlight::new(
                tokens,
                settings.clone(),
                background.clone(),
                fleet.clone(),
            ),
            sessions: SingleFlight::new(sessions, settings.clone(), background.clone(), fleet),
            api,
            settings,
            background,
            metrics,
        })
    }

    /// Returns a cache with other ways to AWS and to the web servers, or other limits. It has all
    /// tokens and sessions of this one, also those that are still being made.
    pub fn succeed(
        &self,
        api: Arc<dyn MwaaApi>,
        client: Arc<dyn LoginClient>,
        settings: Settings,
    ) -> Arc<Self> {
        let (tokens, sessions) = create_sources(&api, client, &settings, &self.metrics);
        Arc::new(Self {
            tokens: self.tokens.succeed(tokens, settings.clone()),
            sessions: self.sessions.succeed(sessions, settings.clone()),
            api,
            settings,
            background: self.background.clone(),
            metrics: Arc::clone(&self.metrics),
        })
    }

    /// Drops the token and the session of an environment that is no longer served.
    pub fn forget(&self, entry: &Entry) {
        let token = self.tokens.cache_entry(entry.id).clear();
        let session = self.sessions.cache_entry(entry.id).clear();
        tracing::debug!(environment = %entry.environment.local, token = token.is_some(), session = session.is_some(), "credentials dropped");
    }

    /// Returns a token for the environment: the cached one, else the one being minted, else a
    /// new one.
    pub async fn cli_token(&self, entry: &Arc<Entry>) -> Result<Arc<CliToken>, AuthError> {
        let token = self.tokens.get(entry).await?;
        let requested = token.lifetime().requested();
        if !entry.hosts.has_moved_from(token.host(), requested.boot()) {
            return Ok(token);
        }

        // AWS has named another host since: the token is for the old one
        tracing::debug!(environment = %entry.environment.local, host = %token.host(), "the environment's host has changed; the CLI token is dropped");
        self.tokens.cache_entry(entry.id).remove(&token);
        self.tokens.get(entry).await
    }

    /// Returns another token after the web server refused `used` with a 401 or 403, or `None` if
    /// there is none.
    pub async fn renew_cli_token(
        &self,
        entry: &Arc<Entry>,
        used: &Arc<CliToken>,
    ) -> Option<Arc<CliToken>> {
        let cached = self.tokens.cache_entry(entry.id);
        let is_granted = cached.try_renew(used, false, Timestamp::now());
        tracing::debug!(environment = %entry.environment.local, is_granted, "the CLI token was rejected");
        if !is_granted {
            return None;
        }
        self.tokens.get(entry).await.ok()
    }

    /// Returns the environment's session: the live one, else the one being opened, else a new
    /// one.
    ///
    /// A session belongs to a host: one whose host AWS no longer names is not used.
    pub async fn session(&self, entry: &Arc<Entry>) -> Result<Arc<Session>, AuthError> {
        let session = self.sessions.get(entry).await?;
        if !self.is_outdated(entry, &session) {
            return Ok(session);
        }

        tracing::debug!(environment = %entry.environment.local, host = %session.host(), "the environment's host has changed; the session is dropped");
        self.sessions.cache_entry(entry.id).remove(&session);
        self.sessions.get(entry).await
    }

    /// Returns a session that was opened after `used`, whose host could not be reached, or `None`
    /// if there is none. Nothing of the request may have been written.
    pub async fn replace_session(
        &self,
        entry: &Arc<Entry>,
        used: &Arc<Session>,
    ) -> Option<Arc<Session>> {
        self.sessions.replace(entry, used).await
    }

    /// Returns true if AWS has named another host than the session's since its login.
    pub fn is_outdated(&self, entry: &Entry, session: &Session) -> bool {
        entry
            .hosts
            .has_moved_from(session.host(), session.begun().boot())
    }

    /// Returns true if AWS may be asked now which host the environment has: a few times at once,
    /// then once in ten seconds.
    pub fn can_query_host(&self, entry: &Entry) -> bool {
        self.sessions
            .cache_entry(entry.id)
            .take_host_query(Timestamp::now())
    }

    /// Asks AWS which host the environment has; [`is_outdated`](Self::is_outdated) knows the
    /// answer then. The query continues if its caller is dropped.
    ///
    /// It is a `CreateWebLoginToken`, which every identity may call that has a session at all.
    pub async fn query_host(&self, entry: &Arc<Entry>) {
        let span = tracing::debug_span!("host query", environment = %entry.environment.local);
        let api = Arc::clone(&self.api);
        let entry = Arc::clone(entry);
        let task = async move {
            if let Err(error) = session::request_web_token(api.as_ref(), &entry).await {
                let environment = &entry.environment.local;
                let error = error.detail();
                tracing::warn!(%environment, %error, "cannot look up the environment's host");
            }
        };

        // the answer is in the entry's hosts
        let _ended = run_in_background(&self.background, task.instrument(span)).await;
    }

    /// Returns a new session after the web server refused `used`.
    ///
    /// `response` is its answer in words; `is_redirect` is true if that was only a redirect to a
    /// login page. Fails if the web server refuses what it has just given: there is no third try.
    pub async fn renew_session(
        &self,
        entry: &Arc<Entry>,
        used: &Arc<Session>,
        response: &str,
        is_redirect: bool,
    ) -> Result<Arc<Session>, AuthError> {
        let cached = self.sessions.cache_entry(entry.id);
        let is_granted = cached.try_renew(used, is_redirect, Timestamp::now());
        tracing::debug!(environment = %entry.environment.local, is_granted, is_redirect, "the session was rejected");

        if !is_granted {
            let response = response.to_owned();
            // a session that never worked means that the login itself is wrong
            let error = if used.was_accepted() {
                LoginError::Restless { response }
            } else {
                LoginError::Loop { response }
            };
            return Err(AuthError::mint(&Arc::new(error.into()), None));
        }
        self.session(entry).await
    }

    /// Keeps the token that Airflow 3 has re-issued in a response to a request with `session`.
    /// Other cookies are ignored.
    pub fn update_session(&self, entry: &Entry, session: &Arc<Session>, headers: &Headers) {
        if let Some(reissued) = session.with_reissued(headers, Timestamp::now()) {
            tracing::debug!(environment = %entry.environment.local, "Airflow has re-issued the session's token");
            self.sessions
                .cache_entry(entry.id)
                .update(session, reissued);
        }
    }

    /// Returns the web server that the live session is at; `None` if there is no live session.
    pub fn session_host(&self, entry: &Entry) -> Option<Arc<str>> {
        let session = self.sessions.cache_entry(entry.id).get(Timestamp::now())?;
        Some(Arc::clone(session.host()))
    }

    /// Drops the environment's session after a logout; returns false if there was none.
    pub fn sign_out(&self, entry: &Entry) -> bool {
        let had_session = self.sessions.cache_entry(entry.id).clear().is_some();
        tracing::debug!(environment = %entry.environment.local, had_session, "session dropped after a logout");
        had_session
    }

    /// Returns the URL that hands a browser over to the environment's own web server, with a web
    /// token made for it alone. If AWS names another owner than the session's by now, the
    /// session is dropped.
    pub async fn handover(&self, entry: &Arc<Entry>) -> Result<HeaderValue, AuthError> {
        let span = tracing::debug_span!("handover", environment = %entry.environment.local);
        let api = Arc::clone(&self.api);
        let sessions = Arc::clone(&self.sessions);
        let entry = Arc::clone(entry);
        let task = async move {
            create_handover(api.as_ref(), &entry, sessions.cache_entry(entry.id)).await
        };

        let url = run_in_background(&self.background, task.instrument(span));
        self.wait(url).await
    }

    /// Returns a new web token, for a client that may have it.
    pub async fn web_token(&self, entry: &Arc<Entry>) -> Result<MintedWebToken, AuthError> {
        let span = tracing::debug_span!("web token", environment = %entry.environment.local);
        let api = Arc::clone(&self.api);
        let entry = Arc::clone(entry);
        let task = async move { session::request_web_token(api.as_ref(), &entry).await };

        let minted = run_in_background(&self.background, task.instrument(span));
        let (minted, _host_field) = self.wait(minted).await?;
        Ok(minted)
    }

    /// Returns `GetEnvironment`'s document about the environment, as AWS sends it. AWS is asked each
    /// time.
    pub async fn describe(&self, entry: &Arc<Entry>) -> Result<Bytes, AuthError> {
        let span = tracing::debug_span!("describe", environment = %entry.environment.local);
        let api = Arc::clone(&self.api);
        let entry = Arc::clone(entry);
        let task = async move { api.describe_environment(&entry.environment).await };

        let document = run_in_background(&self.background, task.instrument(span));
        self.wait(document).await
    }

    /// Lets AWS send a request to the environment's REST API. It is sent once, and the call continues
    /// if its caller is dropped. `None` if the gateway is stopping: then the outcome is unknown.
    pub async fn invoke_rest_api(
        &self,
        entry: &Arc<Entry>,
        request: RestApiRequest,
    ) -> Option<Result<RestApiResponse, RestApiError>> {
        let span = tracing::debug_span!("invoke", environment = %entry.environment.local);
        let api = Arc::clone(&self.api);
        let entry = Arc::clone(entry);
        let task = async move { api.invoke_rest_api(&entry.environment, &request).await };
        // the call has a limit of its own
        run_in_background(&self.background, task.instrument(span)).await
    }

    /// Waits for a call of AWS's API that runs in the background.
    async fn wait<T>(
        &self,
        call: impl Future<Output = Option<Result<T, AwsError>>>,
    ) -> Result<T, AuthError> {
        match self.background.within(self.settings.mint_wait, call).await {
            Ok(Some(Ok(response))) => Ok(response),
            Ok(Some(Err(error))) => Err(AuthError::mint(&Arc::new(error.into()), None)),
            Ok(None) => Err(AuthError::Gone),
            Err(_elapsed) => Err(AuthError::Slow),
        }
    }

    /// Returns the state of an environment's token, for `/readyz`, `/status` and metrics.
    pub fn state(&self, entry: &Entry) -> TokenState {
        let now = Timestamp::now();
        let cached = self.tokens.cache_entry(entry.id);
        // one reading, so that all fields are of one token
        let live = cached.get(now);
        TokenState {
            age: live.as_ref().map(|live| live.age(now)),
            host: live.map(|live| Arc::clone(live.host())),
            minting: cached.is_pending(),
            failure: cached.current_failure(now).map(|(error, _)| error),
        }
    }

    /// Returns the state of an environment's session, for `/status` and our pages.
    pub fn session_state(&self, entry: &Entry) -> SessionState {
        let now = Timestamp::now();
        let cached = self.sessions.cache_entry(entry.id);
        let live = cached.get(now);
        SessionState {
            age: live.as_ref().map(|live| live.age(now)),
            left: live.as_ref().map(|live| live.left(now)),
            identity: live.map(|live| Arc::clone(live.identity())),
            signing_in: cached.is_pending(),
            failure: cached.current_failure(now).map(|(error, _)| error),
        }
    }
}

fn create_sources(
    api: &Arc<dyn MwaaApi>,
    client: Arc<dyn LoginClient>,
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> (CliTokenSource, SessionSource) {
    let tokens = CliTokenSource {
        api: Arc::clone(api),
        metrics: Arc::clone(metrics),
        longest: settings.token_use,
    };
    let sessions = SessionSource {
        api: Arc::clone(api),
        client,
        metrics: Arc::clone(metrics),
        longest: settings.session_use,
    };
    (tokens, sessions)
}

/// Runs a task in the background and returns its output. The task continues if the caller is
/// dropped: what AWS has begun should be finished and kept. `None` if the runtime is shutting
/// down.
pub(crate) async fn run_in_background<T: Send + 'static>(
    background: &BackgroundTasks,
    task: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    background.spawn(tracing::Span::none(), async move {
        // the caller may have left
        let _unheard = sender.send(task.await);
    });
    receiver.await.ok()
}

/// Mints a web token for a browser, and returns the URL with it.
async fn create_handover(
    api: &dyn MwaaApi,
    entry: &Entry,
    cached: &CacheEntry<Session>,
) -> Result<HeaderValue, AwsError> {
    let (minted, _host_field) = session::request_web_token(api, entry).await?;

    // the gateway must not act with an identity that AWS no longer gives it
    if cached
        .get(Timestamp::now())
        .is_some_and(|live| live.is_of_another(&minted))
    {
        tracing::debug!("the session belongs to another identity and is dropped");
        cached.clear();
    }

    session::build_handover_url(&minted)
}

/// Returns the error of a web server that refuses the session that it has just issued; `response`
/// describes its response.
pub fn login_loop(response: &str) -> AuthError {
    let response = response.to_owned();
    AuthError::mint(&Arc::new(LoginError::Loop { response }.into()), None)
}

/// The state of a token, without the token.
#[derive(Debug, Clone)]
pub struct TokenState {
    /// The age of the live token.
    pub age: Option<Duration>,
    /// The web server that it is for.
    pub host: Option<Arc<str>>,
    /// True while a mint is pending.
    pub minting: bool,
    /// The failure for which no mint is tried now.
    pub failure: Option<Arc<MintError>>,
}

/// The state of a session, without the session.
#[derive(Debug, Clone)]
pub struct SessionState {
    /// The age of the live session.
    pub age: Option<Duration>,
    /// The time for which it is still used.
    pub left: Option<Duration>,
    /// Its owner.
    pub identity: Option<Arc<Identity>>,
    /// True while a login is pending.
    pub signing_in: bool,
    /// The failure for which no login is tried now.
    pub failure: Option<Arc<MintError>>,
}
