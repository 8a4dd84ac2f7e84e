//! Sessions at an environment's Airflow: the login with a web token of AWS, the cookies that it
//! gives, and how long they are used.

use super::error::{LoginError, MintError};
use super::host::check_host;
use super::lifetime::{Expiring, Lifetime, limit_use, parse_jwt_expiry};
use super::sharing::StoredSecret;
use super::single_flight::{MintFuture, Source};
use crate::aws::{AwsError, AwsErrorKind, MintedWebToken, MwaaApi, with_environment_state};
use cookie::{Cookie, Expiration};
use http::{HeaderValue, StatusCode};
use mwaa_http1::Headers;
use mwaa_http1::name::{DATE, SET_COOKIE};
use mwaa_model::{Entry, Fault, HostSource, Secret, debug_fields};
use mwaa_runtime::{Timestamp, boot_clock};
use mwaa_telemetry::Metrics;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A session that the login gave. It holds nothing else: it starts empty at each login, and only
/// Airflow 3's own re-issue of its token changes it.
#[derive(Clone)]
pub struct Session {
    cookies: HeaderValue,
    bearer: Option<HeaderValue>,
    flask: Option<Arc<Secret<String>>>,
    host: Arc<str>,
    host_field: HeaderValue,
    region: Box<str>,
    /// The moment of the login.
    begun: Timestamp,
    /// The longest use from then on, also of tokens that are re-issued later.
    longest: Duration,
    lifetime: Lifetime,
    identity: Arc<Identity>,
    accepted: Arc<AtomicBool>,
}

debug_fields!(Session: host, begun, lifetime, identity);

/// The owner of a session, as AWS named it with the web token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Such as `assumed-role/Analyst/ann`.
    pub iam: Option<String>,
    /// The Airflow user.
    pub airflow: Option<String>,
}

impl Session {
    /// Takes the cookies of the login's response: `session` up to Airflow 2, `_token` (and
    /// `session`, for the pages of the FAB provider) from 3 on. `Domain` and `Path` are ignored:
    /// the cookies are sent to this host only.
    ///
    /// Fails if the cookie is missing or fits no header.
    pub(super) fn new(
        minted: &MintedWebToken,
        host_field: HeaderValue,
        response: &LoginResponse,
        is_airflow_3: bool,
        requested: Timestamp,
        longest: Duration,
    ) -> Result<Self, LoginError> {
        let received = ResponseCookies::read(&response.headers);
        let (wanted, name) = if is_airflow_3 {
            (&received.token, TOKEN)
        } else {
            (&received.flask, FLASK)
        };
        let Some(wanted) = wanted else {
            return Err(LoginError::NoCookie {
                host: minted.host.clone(),
                status: response.status,
                cookie: name,
            });
        };

        let usable = limit_use(wanted.life, longest, MAX_MARGIN);
        // the FAB provider of Airflow 3 has a session of its own beside the token
        let flask = received.flask.map(|cookie| Arc::new(cookie.value));
        let token = received.token.map(|cookie| cookie.value);
        // only Airflow 3 knows it: with an older one it must not become a bearer token
        let token = token.filter(|_| is_airflow_3);
        let garbled = || LoginError::Garbled {
            host: minted.host.clone(),
        };

        Ok(Self {
            cookies: format_cookies(token.as_ref(), flask.as_deref()).ok_or_else(garbled)?,
            bearer: match &token {
                Some(token) => Some(format_bearer(token).ok_or_else(garbled)?),
                None => None,
            },
            flask,
            host: minted.host.as_str().into(),
            host_field,
            region: minted.region.as_str().into(),
            begun: requested,
            longest,
            lifetime: Lifetime::new(requested, usable, &REFRESH),
            identity: Arc::new(Identity {
                iam: minted.iam_identity.clone(),
                airflow: minted.airflow_identity.clone(),
            }),
            accepted: Arc::default(),
        })
    }

    /// Returns the session after Airflow 3 has re-issued its token in a response; `None` if it
    /// has not.
    pub(super) fn with_reissued(&self, headers: &Headers, now: Timestamp) -> Option<Self> {
        // only Airflow 3 re-issues a token; cookies of Airflow 2's later responses are ignored
        self.bearer.as_ref()?;
        let token = ResponseCookies::read(headers).token?;

        // a re-issue does not prolong the longest use, which began with the login
        let rest = self.longest.saturating_sub(self.begun.age(now));
        let usable = limit_use(token.life, rest, MAX_MARGIN);
        Some(Self {
            cookies: format_cookies(Some(&token.value), self.flask.as_deref())?,
            bearer: Some(format_bearer(&token.value)?),
            lifetime: Lifetime::new(now, usable, &REFRESH),
            ..self.clone()
        })
    }

    /// Returns the `Cookie` header's value; marked sensitive.
    pub fn cookies(&self) -> &HeaderValue {
        &self.cookies
    }

    /// Returns the `Authorization` header's value that Airflow 3 takes; marked sensitive. `None`
    /// up to Airflow 2.
    pub fn bearer(&self) -> Option<&HeaderValue> {
        self.bearer.as_ref()
    }

    /// Returns the web server that the session is at.
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Returns the web server as the `Host` header's value.
    pub fn host_field(&self) -> &HeaderValue {
        &self.host_field
    }

    /// Returns the moment of the login.
    pub(super) fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Records that the web server has accepted it.
    pub fn accept(&self) {
        // written once: all threads read it
        if !self.was_accepted() {
            self.accepted.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the owner of the session.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Returns true if AWS made this web token for another owner than the session's: the
    /// credentials have changed since.
    pub(super) fn is_of_another(&self, minted: &MintedWebToken) -> bool {
        self.identity.iam != minted.iam_identity
    }

    /// Returns the age of the session.
    pub fn age(&self, now: Timestamp) -> Duration {
        self.lifetime.age(now)
    }

    /// Returns the time for which it is still used.
    pub fn left(&self, now: Timestamp) -> Duration {
        self.lifetime.remaining(now)
    }
}

impl Expiring for Session {
    fn lifetime(&self) -> &Lifetime {
        &self.lifetime
    }

    fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// A session in the store of a fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredSession {
    cookies: StoredSecret,
    bearer: Option<StoredSecret>,
    flask: Option<StoredSecret>,
    host: String,
    region: String,
    iam: Option<String>,
    airflow: Option<String>,
}

/// The head of the web server's response to a login.
pub struct LoginResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its header section.
    pub headers: Headers,
}

debug_fields!(LoginResponse: status);

/// The response to a login that has been sent.
pub type LoginFuture<'a> = Pin<
    Box<dyn Future<Output = Result<LoginResponse, Arc<dyn Fault + Send + Sync>>> + Send + 'a>,
>;

/// Posts the login form: the connection to the web server, as the sessions need it.
pub trait LoginClient: fmt::Debug + Send + Sync {
    /// Posts `form` (`application/x-www-form-urlencoded`) to `path` of the environment's web
    /// server, over verified TLS and with no other credential; follows no redirect.
    fn sign_in<'a>(
        &'a self,
        entry: &'a Entry,
        host: &'a str,
        path: &'static str,
        form: &'a Secret<String>,
    ) -> LoginFuture<'a>;
}

/// Logs in: a web token of AWS becomes a session of the environment's Airflow.
#[derive(Debug)]
pub(super) struct SessionSource {
    pub(super) api: Arc<dyn MwaaApi>,
    pub(super) client: Arc<dyn LoginClient>,
    pub(super) metrics: Arc<Metrics>,
    /// The longest use of a session.
    pub(super) longest: Duration,
}

impl SessionSource {
    /// Requests a web token and posts it to the environment's login route.
    async fn log_in(&self, entry: &Entry) -> Result<Session, MintError> {
        let (minted, host_field) = request_web_token(self.api.as_ref(), entry).await?;
        let form = build_login_form(&minted)?;

        // the session's life may begin as soon as the form is sent
        let requested = Timestamp::now();
        // requests are sent only once the version is known; without one it counts as Airflow 2
        let is_airflow_3 = entry
            .airflow_version()
            .is_some_and(|version| version.major >= 3);
        let path = if is_airflow_3 { AIRFLOW_3 } else { AIRFLOW_2 };
        let response = self
            .client
            .sign_in(entry, &minted.host, path, &form)
            .await
            .map_err(LoginError::Wire)?;
        tracing::debug!(
            host = minted.host,
            path,
            status = response.status.as_u16(),
            "login sent"
        );

        // the login route may redirect to the UI, which is not followed
        if !response.status.is_success() && !response.status.is_redirection() {
            return Err(LoginError::Refused {
                host: minted.host,
                path,
                status: response.status,
            }
            .into());
        }
        let longest = self.longest;
        Session::new(
            &minted,
            host_field,
            &response,
            is_airflow_3,
            requested,
            longest,
        )
        .map_err(Into::into)
    }
}

impl Source for SessionSource {
    type Item = Session;
    type Stored = StoredSession;

    const KIND: &'static str = "session";
    const FRESH: f64 = REFRESH.start;

    fn export(&self, session: &Session) -> StoredSession {
        let text = |value: &HeaderValue| StoredSecret::new(value.to_str().unwrap_or_default());
        let flask = session.flask.as_ref();
        StoredSession {
            cookies: text(&session.cookies),
            bearer: session.bearer.as_ref().map(text),
            flask: flask.map(|flask| StoredSecret::new(flask.reveal())),
            host: session.host.to_string(),
            region: session.region.to_string(),
            iam: session.identity.iam.clone(),
            airflow: session.identity.airflow.clone(),
        }
    }

    fn import(
        &self,
        entry: &Entry,
        stored: StoredSession,
        requested: Timestamp,
        usable: Duration,
    ) -> Option<Session> {
        let host_field = check_host(&stored.host, &stored.region, &entry.environment).ok()?;
        let header = |text: &StoredSecret| Secret::concat(&[&text.0]).into_header();
        let bearer = match &stored.bearer {
            Some(bearer) => Some(header(bearer)?),
            None => None,
        };
        let hosts = &entry.hosts;
        hosts.record(HostSource::WebToken, &stored.host, requested.boot());

        let flask = stored.flask.as_ref();
        let longest = usable.min(self.longest);
        Some(Session {
            cookies: header(&stored.cookies)?,
            bearer,
            flask: flask.map(|flask| Arc::new(Secret::concat(&[&flask.0]))),
            host: stored.host.as_str().into(),
            host_field,
            region: stored.region.into(),
            begun: requested,
            longest,
            lifetime: Lifetime::new(requested, longest, &REFRESH),
            identity: Arc::new(Identity {
                iam: stored.iam,
                airflow: stored.airflow,
            }),
            accepted: Arc::default(),
        })
    }

    fn make<'a>(&'a self, entry: &'a Entry) -> MintFuture<'a, Session> {
        Box::pin(async move {
            let made = self.log_in(entry).await;
            made.map_err(|error| error.with_identity_center(entry))
        })
    }

    fn count(&self, entry: &Entry, outcome: &'static str) {
        self.metrics.count_login(entry, outcome);
    }

    fn name(&self) -> &'static str {
        "an Airflow session"
    }
}

/// Requests a web token, and checks and remembers the host that AWS names with it. Returns that
/// host as the `Host` header's value besides.
pub(super) async fn request_web_token(
    api: &dyn MwaaApi,
    entry: &Entry,
) -> Result<(MintedWebToken, HeaderValue), AwsError> {
    let requested = boot_clock();
    let minted = match api.create_web_login_token(&entry.environment).await {
        Ok(minted) => minted,
        Err(error) => return Err(with_environment_state(api, entry, error).await),
    };

    let host_field = check_host(&minted.host, &minted.region, &entry.environment)?;
    entry
        .hosts
        .record(HostSource::WebToken, &minted.host, requested);
    Ok((minted, host_field))
}

/// Returns the form of the login route: one field (MWAA User Guide, "Using the Apache Airflow
/// REST API").
fn build_login_form(minted: &MintedWebToken) -> Result<Secret<String>, AwsError> {
    let token = check_visible(minted)?;
    // room for the longest form, %XX for each byte: text that grows leaves unwiped copies behind
    let room = String::with_capacity("token=".len() + 3 * token.len());
    let mut form = form_urlencoded::Serializer::new(room);
    form.append_pair("token", token);
    Ok(Secret::new(form.finish()))
}

/// Returns the URL that hands a browser over to the environment's own web server: the token is
/// in the fragment, which no browser sends and so no log of a server holds.
pub(super) fn build_handover_url(minted: &MintedWebToken) -> Result<HeaderValue, AwsError> {
    let token = check_visible(minted)?;
    let url = Secret::concat(&["https://", &minted.host, HANDOVER, "#", token]);
    url.into_header().ok_or_else(|| {
        AwsError::new(
            AwsErrorKind::Unavailable,
            "AWS returned a web token that cannot be part of a URL",
            "check endpoint_url: MWAA's tokens look different",
        )
    })
}

/// Returns the web token. Fails unless it is visible ASCII: it becomes part of a form and of a
/// URL.
fn check_visible(minted: &MintedWebToken) -> Result<&str, AwsError> {
    let token = minted.token.reveal();
    if token.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(token);
    }
    Err(AwsError::new(
        AwsErrorKind::Unavailable,
        "AWS returned a web token that is not printable ASCII",
        "check endpoint_url: MWAA's tokens look different",
    ))
}

/// The cookies of a response that make a session.
#[derive(Default)]
struct ResponseCookies {
    flask: Option<CookieValue>,
    token: Option<CookieValue>,
}

struct CookieValue {
    value: Secret<String>,
    life: Option<Duration>,
}

impl ResponseCookies {
    /// Reads the `Set-Cookie` headers. A cookie that is being deleted counts as none. Of several
    /// with one name the last one counts (RFC 6265 section 5.3, step 11).
    fn read(headers: &Headers) -> Self {
        // most responses set none
        if !headers.contains(SET_COOKIE) {
            return Self::default();
        }
        // lives are counted by the clock that stated them, not by ours
        let issued = headers
            .get_str(DATE)
            .and_then(|date| httpdate::parse_http_date(date).ok());
        let mut cookies = Self::default();

        for header in headers.get_all(SET_COOKIE) {
            let text = mwaa_http1::to_str(header);
            let Some(cookie) = text.and_then(|text| Cookie::parse(text).ok()) else {
                continue;
            };
            let target = match cookie.name() {
                FLASK => &mut cookies.flask,
                TOKEN => &mut cookies.token,
                _ => continue,
            };

            let life = read_cookie_life(&cookie, issued);
            let is_deleted =
                cookie.value().is_empty() || life.is_some_and(|life| life.is_zero());
            *target = (!is_deleted).then(|| CookieValue {
                value: Secret::concat(&[cookie.value()]),
                life,
            });
        }
        cookies
    }
}

/// Returns the life that the cookie states, by the web server's own clock: `Max-Age`, else
/// `Expires` less the response's `Date` (RFC 6265 section 5.3); a JWT's `exp` may shorten it.
fn read_cookie_life(cookie: &Cookie<'_>, issued: Option<SystemTime>) -> Option<Duration> {
    let until = |end: Duration| {
        let issued = issued?.duration_since(UNIX_EPOCH).ok()?;
        Some(end.saturating_sub(issued))
    };

    let stated = match (cookie.max_age(), cookie.expires()) {
        // a negative age deletes the cookie
        (Some(age), _) => Some(Duration::try_from(age).unwrap_or(Duration::ZERO)),
        (None, Some(Expiration::DateTime(end))) => {
            let seconds = u64::try_from(end.unix_timestamp()).unwrap_or(0);
            until(Duration::from_secs(seconds))
        }
        (None, Some(Expiration::Session) | None) => None,
    };

    let claimed = parse_jwt_expiry(cookie.value()).and_then(until);
    match (stated, claimed) {
        (Some(stated), Some(claimed)) => Some(stated.min(claimed)),
        (stated, claimed) => stated.or(claimed),
    }
}

/// Returns the `Cookie` header (RFC 6265 section 4.2); `None` if a value fits none.
fn format_cookies(
    token: Option<&Secret<String>>,
    flask: Option<&Secret<String>>,
) -> Option<HeaderValue> {
    let mut parts = Vec::with_capacity(7);
    for (name, value) in [(TOKEN, token), (FLASK, flask)] {
        let Some(value) = value.map(Secret::reveal) else {
            continue;
        };
        if !is_cookie_value(value) {
            return None;
        }

        // RFC 6265 section 4.2.1: a semicolon and one space between pairs
        if !parts.is_empty() {
            parts.push("; ");
        }
        parts.extend([name, "=", value]);
    }
    Secret::concat(&parts).into_header()
}

fn format_bearer(token: &Secret<String>) -> Option<HeaderValue> {
    Secret::concat(&["Bearer ", token.reveal()]).into_header()
}

/// Returns true for a cookie-value (RFC 6265 section 4.1.1): it must not be able to become more
/// than one cookie.
fn is_cookie_value(value: &str) -> bool {
    value
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\'))
}

/// Airflow 2's session, and that of the FAB provider's pages in Airflow 3.
const FLASK: &str = "session";
/// Airflow 3's session, a JWT.
const TOKEN: &str = "_token";
/// The login route up to Airflow 2.
const AIRFLOW_2: &str = "/aws_mwaa/login";
/// The login route from Airflow 3 on, which mounts Flask plugins below `/pluginsv2`.
const AIRFLOW_3: &str = "/pluginsv2/aws_mwaa/login";
/// The page of the web server that takes a web token from a browser.
const HANDOVER: &str = "/aws_mwaa/aws-console-sso?login=true";
/// The part of its use after which a session is refreshed: late, because a new session of
/// Airflow 2 makes the forms of open pages stale.
const REFRESH: Range<f64> = 0.85..0.95;
/// The part that is kept back of a session's life: 10 minutes of 12 hours.
const MAX_MARGIN: Duration = Duration::from_mins(10);
