//! The sessions of one environment: Airflow's cookies and tokens, kept in memory.

mod cookie;
mod dialect;
mod token;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;

use super::identity::Holder;
use super::script::Script;
use super::{Shared, made_up};
pub(crate) use dialect::Dialect;
use token::Signer;

/// Everybody who is signed in to an environment.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    signer: Signer,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By the value of the `session` cookie.
    flask: HashMap<String, Session>,
    /// By the `jti` of the `_token`.
    tokens: HashMap<String, Session>,
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
        let mut cookies = vec![cookie::flask(&flask.id, flask.expires)];
        kept.flask.insert(flask.id.clone(), flask);
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
            outcome = kept.flask.get(value).ok_or(Dead::Invalid);
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
        let session = kept.tokens.get(&claims.jti).ok_or(Dead::Invalid)?;
        session.alive(script)
    }

    /// Whether this is the secret of a session, living or not.
    pub(crate) fn knows(&self, secret: &str) -> bool {
        self.signer.read(secret).is_some() || self.kept().flask.contains_key(secret)
    }

    /// Gives a token's session another token; the old one is worth nothing from now on.
    pub(crate) fn reissue(
        &self,
        session: &Session,
        dialect: Dialect,
        script: &Script,
    ) -> HeaderValue {
        self.kept().tokens.remove(&session.id);
        self.token_for(session, dialect, script)
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
        cookie::flask(&session.id, session.expires)
    }

    /// A new cookie for somebody who is not signed in: Airflow 2 keeps a session for everyone.
    pub(crate) fn anonymous(shared: &Shared) -> HeaderValue {
        let end = shared.script.clock.since_epoch() + shared.settings.session_life;
        cookie::flask(&made_up::flask_id(), end)
    }

    /// Signs out: neither cookie nor token of this id is known any more.
    pub(crate) fn end(&self, session: &Session) {
        let mut kept = self.kept();
        kept.flask.remove(&session.id);
        kept.tokens.remove(&session.id);
    }

    /// Forgets everybody.
    pub(crate) fn clear(&self) {
        let mut kept = self.kept();
        kept.flask.clear();
        kept.tokens.clear();
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
        let cookie = cookie::token(&token, dialect);
        kept.tokens.insert(session.id.clone(), session);
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
        for sessions in [&mut self.flask, &mut self.tokens] {
            if sessions.len() >= REMEMBERED {
                sessions.retain(|_, session| session.expires > now);
            }
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

/// How many sessions of a kind are kept before those that ran out are dropped.
const REMEMBERED: usize = 4096;
