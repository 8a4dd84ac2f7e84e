//! The sessions of one environment: Airflow's cookies and tokens, kept in memory.

mod token;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;

use super::identity::Holder;
use super::script::Script;
use super::{Shared, made_up};
use token::Signer;

/// Airflow's way with sessions.
///
/// Source: the Airflow sources named in the variants, and measurements of 2.10.5, 3.0.6, 3.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Airflow 1 and 2: a Flask cookie for pages and REST.
    Two,
    /// Airflow 3.0: a script-readable `_token`, which REST takes as a Bearer only.
    ThreeZero,
    /// Airflow 3.1 and later: an HttpOnly `_token`, which REST takes as cookie or Bearer.
    Three,
}

impl Dialect {
    /// The dialect of a version such as `2.10.3`.
    pub(crate) fn of(version: &str) -> Self {
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        let major: u32 = parts.next().unwrap_or(0);
        let minor: u32 = parts.next().unwrap_or(0);
        match (major, minor) {
            (0..=2, _) => Self::Two,
            (3, 0) => Self::ThreeZero,
            _ => Self::Three,
        }
    }

    /// Where a web token is posted to; the other major's path does not exist.
    pub(crate) fn login_path(self) -> &'static str {
        match self {
            Self::Two => "/aws_mwaa/login",
            Self::ThreeZero | Self::Three => "/pluginsv2/aws_mwaa/login",
        }
    }

    /// The page a browser is sent to after it has signed in.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::Two => "/home",
            Self::ThreeZero | Self::Three => "/",
        }
    }
}

/// Everybody who is signed in to an environment.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    signer: Signer,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By the value of the `session` cookie or the `jti` of the `_token`.
    sessions: HashMap<String, Session>,
    /// Who has ever signed in; a place in this list is a user id.
    users: Vec<String>,
}

/// One sign-in, as a cookie or a token shows it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The value of the `session` cookie, or the `jti` of the token.
    pub(crate) id: String,
    pub(crate) holder: Holder,
    /// What a form must carry.
    pub(crate) csrf: String,
    expires: Duration,
    kills: u64,
}

/// Why a request has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dead {
    /// It carries no session.
    Absent,
    /// What it carries has run out.
    Expired,
    /// What it carries is garbled, killed or was never good.
    Invalid,
}

impl Sessions {
    /// Signs somebody in and returns the cookies that say so.
    pub(crate) fn begin(
        &self,
        holder: &Holder,
        dialect: Dialect,
        life: Duration,
        script: &Script,
    ) -> Vec<HeaderValue> {
        let now = script.clock.since_epoch();
        let session = |id: String| Session {
            id,
            holder: holder.clone(),
            csrf: made_up::letters(40),
            expires: now + life,
            kills: script.kills(),
        };
        let mut kept = self.kept();
        kept.forget(now);
        let flask = session(made_up::flask_id());
        let mut cookies = vec![flask_cookie(&flask.id, flask.expires)];
        kept.sessions.insert(flask.id.clone(), flask);
        if dialect != Dialect::Two {
            let token = session(made_up::uuid());
            cookies.push(self.write_token(&mut kept, token, dialect, now));
        }
        cookies
    }

    /// The session behind the first known of these `session` cookies.
    pub(crate) fn by_cookie<'a>(
        &self,
        values: impl Iterator<Item = &'a str>,
        script: &Script,
    ) -> Result<Session, Dead> {
        let mut outcome = Err(Dead::Absent);
        let kept = self.kept();
        for value in values {
            outcome = kept.sessions.get(value).ok_or(Dead::Invalid);
            if outcome.is_ok() {
                break;
            }
        }
        outcome?.alive(script)
    }

    /// The session behind a `_token`.
    pub(crate) fn by_token(&self, token: &str, script: &Script) -> Result<Session, Dead> {
        let claims = self.signer.read(token).ok_or(Dead::Invalid)?;
        if script.clock.since_epoch() >= Duration::from_secs(claims.exp) {
            return Err(Dead::Expired);
        }
        let kept = self.kept();
        let session = kept.sessions.get(&claims.jti).ok_or(Dead::Invalid)?;
        session.alive(script)
    }

    /// Whether this is the secret of a session, living or not.
    pub(crate) fn knows(&self, secret: &str) -> bool {
        self.signer.read(secret).is_some() || self.kept().sessions.contains_key(secret)
    }

    /// Another token for who is signed in by whatever session.
    pub(crate) fn token_for(
        &self,
        session: &Session,
        dialect: Dialect,
        script: &Script,
    ) -> HeaderValue {
        let token = Session {
            id: made_up::uuid(),
            ..session.clone()
        };
        let now = script.clock.since_epoch();
        self.write_token(&mut self.kept(), token, dialect, now)
    }

    /// The same cookie again, as Airflow 2 sends it with every page.
    pub(crate) fn again(session: &Session) -> HeaderValue {
        flask_cookie(&session.id, session.expires)
    }

    /// A new cookie for a user who is not signed in: Airflow 2 keeps a session for everyone.
    pub(crate) fn anonymous(shared: &Shared) -> HeaderValue {
        let end = shared.script.clock.since_epoch() + shared.settings.session_life;
        flask_cookie(&made_up::flask_id(), end)
    }

    /// Signs out: neither cookie nor token of this id is known any more.
    pub(crate) fn end(&self, session: &Session) {
        self.kept().sessions.remove(&session.id);
    }

    /// Forgets everybody.
    pub(crate) fn clear(&self) {
        self.kept().sessions.clear();
    }

    fn write_token(
        &self,
        kept: &mut Kept,
        session: Session,
        dialect: Dialect,
        now: Duration,
    ) -> HeaderValue {
        let user = kept.user(&session.holder.identity);
        let token = self.signer.write(user, &session.id, now, session.expires);
        let cookie = token_cookie(&token, dialect);
        kept.sessions.insert(session.id.clone(), session);
        cookie
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The number of a user, who is known from now on.
    fn user(&mut self, identity: &str) -> usize {
        let known = self.users.iter().position(|user| user == identity);
        let index = known.unwrap_or_else(|| {
            self.users.push(identity.to_owned());
            self.users.len() - 1
        });
        index + 1
    }

    /// Drops what has long run out, once there is much.
    fn forget(&mut self, now: Duration) {
        if self.sessions.len() >= REMEMBERED {
            self.sessions.retain(|_, session| session.expires > now);
        }
    }
}

impl Session {
    fn alive(&self, script: &Script) -> Result<Self, Dead> {
        if script.clock.since_epoch() >= self.expires {
            return Err(Dead::Expired);
        }
        if self.kills != script.kills() || script.refuse_sessions.take().is_some() {
            return Err(Dead::Invalid);
        }
        Ok(self.clone())
    }
}

/// Flask's cookie, with the end of the session as its own.
fn flask_cookie(id: &str, expires: Duration) -> HeaderValue {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + expires);
    value(&format!(
        "session={id}; Expires={date}; Secure; HttpOnly; Path=/; SameSite=Lax"
    ))
}

/// The cookie of Airflow 3: a script may read it in 3.0 only.
fn token_cookie(token: &str, dialect: Dialect) -> HeaderValue {
    let http_only = match dialect {
        Dialect::Three => "; HttpOnly",
        Dialect::ThreeZero | Dialect::Two => "",
    };
    value(&format!(
        "_token={token}; Path=/; Secure{http_only}; SameSite=Lax"
    ))
}

/// A header of what the emulator made up itself, which is ASCII without control characters.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// How many sessions are kept before those that ran out are dropped.
const REMEMBERED: usize = 4096;
