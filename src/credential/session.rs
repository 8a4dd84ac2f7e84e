//! One session at an environment's Airflow: the cookies that the login gave, and for how long.
//! Pure: time is passed in.

use super::error::LoginError;
use super::login::LoginReply;
use super::perishable::Perishable;
use crate::control::WebToken;
use crate::names::{Secret, debug_only};
use crate::runtime::Moment;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, Expiration};
use http::header::{DATE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A session that the login gave. The jar holds nothing else: it starts empty at each login,
/// and only Airflow 3's own re-issue of its token changes it.
#[derive(Clone)]
pub struct Session {
    cookies: HeaderValue,
    bearer: Option<HeaderValue>,
    flask: Option<Arc<Secret<String>>>,
    host: Arc<str>,
    host_field: HeaderValue,
    /// When the login was made, and the longest use from then on, whatever is re-issued.
    begun: Moment,
    longest: Duration,
    asked: Moment,
    usable: Duration,
    refresh_at: Duration,
    identity: Arc<Identity>,
    accepted: Arc<AtomicBool>,
}

debug_only!(Session: host, begun, asked, usable, identity);

/// Who the session belongs to, as AWS told with the web token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Such as `assumed-role/Analyst/ann`.
    pub iam: Option<String>,
    /// The Airflow user.
    pub airflow: Option<String>,
}

impl Session {
    /// Takes the cookies of the login's first reply: `session` up to Airflow 2, `_token` (and
    /// `session`, for the pages of the FAB provider) from 3 on. `Domain` and `Path` are ignored:
    /// they go back to this host only.
    pub(super) fn new(
        minted: &WebToken,
        host_field: HeaderValue,
        reply: &LoginReply,
        three: bool,
        asked: Moment,
        longest: Duration,
    ) -> Result<Self, LoginError> {
        let jar = Jar::read(&reply.headers);
        let wanted = if three { &jar.token } else { &jar.flask };
        let Some(wanted) = wanted else {
            return Err(LoginError::NoCookie {
                host: minted.host.clone(),
                status: reply.status,
                cookie: if three { TOKEN } else { FLASK },
            });
        };
        let usable = usable_for(wanted.life, longest);
        let flask = jar.flask.map(|cookie| Arc::new(cookie.value));
        let token = jar.token.map(|cookie| cookie.value).filter(|_| three);
        // late, because a new session of Airflow 2 makes the forms of open pages stale
        let refresh_at = usable.mul_f64(0.85 + 0.1 * fastrand::f64());
        let garbled = || LoginError::Garbled {
            host: minted.host.clone(),
        };
        Ok(Self {
            cookies: cookies(token.as_ref(), flask.as_deref()).ok_or_else(garbled)?,
            bearer: match &token {
                Some(token) => Some(bearer(token).ok_or_else(garbled)?),
                None => None,
            },
            flask,
            host: minted.host.as_str().into(),
            host_field,
            begun: asked,
            longest,
            asked,
            usable,
            refresh_at,
            identity: Arc::new(Identity {
                iam: minted.iam_identity.clone(),
                airflow: minted.airflow_identity.clone(),
            }),
            accepted: Arc::default(),
        })
    }

    /// The session after Airflow 3 has re-issued its token on a reply; `None` if it has not.
    pub(super) fn reissued(&self, headers: &HeaderMap, now: Moment) -> Option<Self> {
        self.bearer.as_ref()?;
        let token = Jar::read(headers).token?;
        let rest = self.longest.saturating_sub(self.begun.age(now));
        let usable = usable_for(token.life, rest);
        Some(Self {
            cookies: cookies(Some(&token.value), self.flask.as_deref())?,
            bearer: Some(bearer(&token.value)?),
            asked: now,
            usable,
            refresh_at: usable.mul_f64(0.85 + 0.1 * fastrand::f64()),
            ..self.clone()
        })
    }

    /// The `Cookie` header's value; marked sensitive.
    pub fn cookies(&self) -> &HeaderValue {
        &self.cookies
    }

    /// The `Authorization` header's value that Airflow 3 takes; marked sensitive.
    pub fn bearer(&self) -> Option<&HeaderValue> {
        self.bearer.as_ref()
    }

    /// The web server that the session is at.
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// The same as the `Host` header's value.
    pub fn host_field(&self) -> &HeaderValue {
        &self.host_field
    }

    /// When the login was made.
    pub(super) fn begun(&self) -> Moment {
        self.begun
    }

    /// Notes that the web server has accepted it.
    pub fn accept(&self) {
        // written once: all threads read it
        if !self.was_accepted() {
            self.accepted.store(true, Ordering::Relaxed);
        }
    }

    /// Who it belongs to.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Whether AWS made this web token for somebody else than the session's owner: the
    /// credentials have changed hands since.
    pub(super) fn is_anothers(&self, minted: &WebToken) -> bool {
        self.identity.iam != minted.iam_identity
    }

    /// How old it is.
    pub fn age(&self, now: Moment) -> Duration {
        self.asked.age(now)
    }

    /// How long it will still be used.
    pub fn left(&self, now: Moment) -> Duration {
        self.usable.saturating_sub(self.asked.age(now))
    }
}

impl Perishable for Session {
    fn is_usable(&self, now: Moment) -> bool {
        self.asked.age(now) < self.usable
    }

    fn is_due(&self, now: Moment) -> bool {
        self.asked.age(now) >= self.refresh_at
    }

    fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// The cookies of a reply that make a session.
#[derive(Default)]
struct Jar {
    flask: Option<Taken>,
    token: Option<Taken>,
}

struct Taken {
    value: Secret<String>,
    life: Option<Duration>,
}

impl Jar {
    /// A cookie that is being deleted is none. Of several with one name the last counts.
    fn read(headers: &HeaderMap) -> Self {
        let issued = headers
            .get(DATE)
            .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let mut jar = Self::default();
        for value in headers.get_all(SET_COOKIE) {
            let Some(cookie) = value
                .to_str()
                .ok()
                .and_then(|text| Cookie::parse(text).ok())
            else {
                continue;
            };
            let life = life(&cookie, issued);
            let gone = cookie.value().is_empty() || life.is_some_and(|life| life.is_zero());
            let slot = match cookie.name() {
                FLASK => &mut jar.flask,
                TOKEN => &mut jar.token,
                _ => continue,
            };
            *slot = (!gone).then(|| Taken {
                value: Secret::concat(&[cookie.value()]),
                life,
            });
        }
        jar
    }
}

/// How long the cookie says it lives, by the web server's own clock: `Max-Age`, else `Expires`
/// less the reply's `Date` (RFC 6265 section 5.3); a JWT's `exp` may shorten it.
fn life(cookie: &Cookie<'_>, issued: Option<SystemTime>) -> Option<Duration> {
    let until = |end: Duration| {
        let issued = issued?.duration_since(UNIX_EPOCH).ok()?;
        Some(end.saturating_sub(issued))
    };
    let told = match (cookie.max_age(), cookie.expires()) {
        (Some(age), _) => Some(Duration::try_from(age).unwrap_or(Duration::ZERO)),
        (None, Some(Expiration::DateTime(end))) => {
            let seconds = u64::try_from(end.unix_timestamp()).unwrap_or(0);
            until(Duration::from_secs(seconds))
        }
        (None, Some(Expiration::Session) | None) => None,
    };
    let claimed = claimed_end(cookie.value()).and_then(until);
    match (told, claimed) {
        (Some(told), Some(claimed)) => Some(told.min(claimed)),
        (told, claimed) => told.or(claimed),
    }
}

/// The `exp` claim of a JWT, since 1970. What is no JWT tells nothing.
fn claimed_end(token: &str) -> Option<Duration> {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: u64,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(Duration::from_secs(claims.exp))
}

/// How long a session is used: at most `longest`, less a margin if it says itself how long it
/// lives.
fn usable_for(life: Option<Duration>, longest: Duration) -> Duration {
    match life {
        Some(life) => longest.min(life.saturating_sub((life / 6).min(LARGEST_MARGIN))),
        None => longest,
    }
}

/// The `Cookie` header (RFC 6265 section 4.2).
fn cookies(
    token: Option<&Secret<String>>,
    flask: Option<&Secret<String>>,
) -> Option<HeaderValue> {
    let mut parts = Vec::with_capacity(7);
    for (name, value) in [(TOKEN, token), (FLASK, flask)] {
        let Some(value) = value.map(Secret::reveal) else {
            continue;
        };
        if !is_value(value) {
            return None;
        }
        if !parts.is_empty() {
            parts.push("; ");
        }
        parts.extend([name, "=", value]);
    }
    Secret::concat(&parts).into_header()
}

fn bearer(token: &Secret<String>) -> Option<HeaderValue> {
    Secret::concat(&["Bearer ", token.reveal()]).into_header()
}

/// Whether it is a cookie-value (RFC 6265 section 4.1.1): it must not be able to become more
/// than one cookie.
fn is_value(value: &str) -> bool {
    value
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\'))
}

/// Airflow 2's session, and that of the FAB provider's pages in Airflow 3.
const FLASK: &str = "session";
/// Airflow 3's session, a JWT.
const TOKEN: &str = "_token";
/// What is kept back of a session's life: 10 minutes of 12 hours.
const LARGEST_MARGIN: Duration = Duration::from_mins(10);
