//! What the web server wants to see: finds or mints the token, one mint at a time, and makes
//! [`Keyed`] of [`Seated`].

mod error;
mod flights;
mod host;
mod live;
mod login;
mod perishable;
mod renewals;
mod session;
mod slot;
mod tokens;

pub use error::{CredentialError, LoginError, MintError};
pub use live::Live;
pub use login::{LoggingIn, LoginReply, SignIn};
pub use session::{Identity, Session};

use crate::control::{AwsError, ControlPlane};
use crate::names::Entry;
use crate::policy::Passage;
use crate::queue::Seated;
use crate::runtime::{Background, Moment};
use crate::telemetry::Metrics;
use flights::Flights;
use http::{HeaderMap, HeaderValue};
use login::Logins;
use perishable::Perishable as _;
use std::sync::Arc;
use std::time::Duration;
use tokens::CliTokens;
use tokio::sync::oneshot;

/// The limits of tokens and sessions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// All tries of one mint together; a sign-in likewise.
    pub mint_total: Duration,
    /// A request waits so long for a token or session.
    pub mint_wait: Duration,
    /// The longest use of a CLI token, from the moment at which it was asked for.
    pub token_use: Duration,
    /// The longest use of a session.
    pub session_use: Duration,
}

/// Finds tokens and sessions, and makes them. Shared by all worker threads.
#[derive(Debug)]
pub struct Broker {
    control: Arc<dyn ControlPlane>,
    tokens: Arc<Flights<CliTokens>>,
    sessions: Arc<Flights<Logins>>,
    settings: Settings,
    background: Background,
}

/// A permitted request with the token to send it with.
#[derive(Debug)]
pub struct Keyed {
    seated: Seated,
    live: Arc<Live>,
}

impl Keyed {
    /// The request.
    pub fn seated(&self) -> &Seated {
        &self.seated
    }

    /// The token and the host that it is for.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The same request with the other token.
    #[must_use]
    pub fn renewed(self, renewal: Renewal) -> Self {
        Self {
            live: renewal.0,
            ..self
        }
    }
}

/// A request that policy let pass, with the session to send it with.
#[derive(Debug)]
pub struct SignedIn {
    passage: Passage,
    session: Arc<Session>,
}

impl SignedIn {
    /// The request.
    pub fn passage(&self) -> &Passage {
        &self.passage
    }

    /// The request, without its session.
    pub fn into_passage(self) -> Passage {
        self.passage
    }

    /// The session and the host that it is at.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

/// Another token for a request whose first one was refused.
#[derive(Debug)]
pub struct Renewal(Arc<Live>);

impl Broker {
    /// Makes a broker whose mints run among the background tasks; `door` posts the login.
    pub fn new(
        control: Arc<dyn ControlPlane>,
        door: Arc<dyn SignIn>,
        settings: Settings,
        background: Background,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let limits = flights::Limits {
            total: settings.mint_total,
            wait: settings.mint_wait,
        };
        let tokens = CliTokens {
            control: Arc::clone(&control),
            metrics: Arc::clone(&metrics),
            longest: settings.token_use,
        };
        let logins = Logins {
            control: Arc::clone(&control),
            door,
            metrics,
            longest: settings.session_use,
        };
        Arc::new(Self {
            tokens: Flights::new(tokens, limits.clone(), background.clone()),
            sessions: Flights::new(logins, limits, background.clone()),
            control,
            settings,
            background,
        })
    }

    /// Adds a token to the request: the cached one, else the one being minted, else a new one.
    pub async fn key(&self, seated: Seated) -> Result<Keyed, CredentialError> {
        let entry = seated.entry();
        let mut live = self.tokens.obtain(entry).await?;
        if entry.hosts.left(live.host(), live.asked().boot()) {
            self.tokens.slot(entry.id).discard(&live);
            live = self.tokens.obtain(entry).await?;
        }
        Ok(Keyed { seated, live })
    }

    /// After a 401 or 403: another token, if one is to be had.
    pub async fn renew(&self, keyed: &Keyed) -> Option<Renewal> {
        let entry = keyed.seated.entry();
        let slot = self.tokens.slot(entry.id);
        if !slot.refused(&keyed.live, false, Moment::now()) {
            return None;
        }
        self.tokens.obtain(entry).await.ok().map(Renewal)
    }

    /// A token for a second write, which may come long after the first: the live one, or a new
    /// one.
    pub async fn current(&self, keyed: &Keyed) -> Option<Renewal> {
        let entry = keyed.seated.entry();
        self.tokens.obtain(entry).await.ok().map(Renewal)
    }

    /// Adds a session to the request: the live one, else the one being opened, else a new one.
    ///
    /// A session belongs to a host: one whose host AWS names no more is not used.
    pub async fn sign_in(&self, passage: Passage) -> Result<SignedIn, CredentialError> {
        let entry = passage.entry();
        let mut session = self.sessions.obtain(entry).await?;
        if is_outdated(entry, &session) {
            self.sessions.slot(entry.id).discard(&session);
            session = self.sessions.obtain(entry).await?;
        }
        Ok(SignedIn { passage, session })
    }

    /// After the session's host could not be reached: the same request with a session that AWS
    /// and the web server have given since, if one is to be had. Nothing of the request may
    /// have been written.
    pub async fn sign_in_elsewhere(&self, signed: SignedIn) -> Option<SignedIn> {
        let passage = signed.passage;
        let found = self.sessions.replace(passage.entry(), &signed.session);
        let session = found.await?;
        Some(SignedIn { passage, session })
    }

    /// Whether AWS names another host than the session's by now.
    pub fn is_outdated(&self, signed: &SignedIn) -> bool {
        is_outdated(signed.passage.entry(), &signed.session)
    }

    /// Whether AWS may be asked now which host the environment has: a few times at once, then
    /// once in ten seconds.
    pub fn may_ask_host(&self, entry: &Entry) -> bool {
        self.sessions.slot(entry.id).may_ask(Moment::now())
    }

    /// Asks AWS which host the environment has, by `CreateWebLoginToken`, which every identity
    /// may call that has a session at all; [`is_outdated`](Self::is_outdated) knows the answer
    /// then. The question continues if its caller is dropped.
    pub async fn ask_host(&self, entry: &Arc<Entry>) {
        let (sender, asked) = oneshot::channel::<()>();
        let (control, entry) = (Arc::clone(&self.control), Arc::clone(entry));
        self.background.spawn(async move {
            if let Err(error) = login::web_token(control.as_ref(), &entry).await {
                let environment = &entry.environment.local;
                tracing::warn!(%environment, %error, "cannot ask which host the environment has");
            }
            drop(sender);
        });
        // a sender that is gone has asked
        let _done = asked.await;
    }

    /// After the web server refused the session: the same request with a new one. A web server
    /// that refuses what it has just given gets no third try; `reply` is what it said,
    /// `redirected` whether that was only a redirect to a login page.
    pub async fn sign_in_again(
        &self,
        signed: SignedIn,
        reply: &str,
        redirected: bool,
    ) -> Result<SignedIn, CredentialError> {
        let slot = self.sessions.slot(signed.passage.entry().id);
        if !slot.refused(&signed.session, redirected, Moment::now()) {
            let reply = reply.to_owned();
            let error = if signed.session.was_accepted() {
                LoginError::Restless { reply }
            } else {
                LoginError::Loop { reply }
            };
            return Err(CredentialError::mint(&Arc::new(error.into()), None));
        }
        self.sign_in(signed.passage).await
    }

    /// Keeps the token that Airflow 3 has re-issued on a reply; no other cookie of a reply
    /// counts.
    pub fn reissued(&self, signed: &SignedIn, headers: &HeaderMap) {
        if let Some(session) = signed.session.reissued(headers, Moment::now()) {
            let slot = self.sessions.slot(signed.passage.entry().id);
            slot.amend(&signed.session, session);
        }
    }

    /// The web server that the live session is at.
    pub fn session_host(&self, entry: &Entry) -> Option<Arc<str>> {
        let session = self.sessions.slot(entry.id).usable(Moment::now())?;
        Some(Arc::clone(session.host()))
    }

    /// Drops the environment's session: somebody has signed out.
    pub fn sign_out(&self, entry: &Entry) -> bool {
        self.sessions.slot(entry.id).forget().is_some()
    }

    /// The address that hands a browser over to the environment's own web server, with a web
    /// token made for it alone. If AWS takes us for somebody else by now, the session goes.
    pub async fn handover(&self, entry: &Arc<Entry>) -> Result<HeaderValue, CredentialError> {
        let (sender, made) = oneshot::channel();
        let (control, asked) = (Arc::clone(&self.control), Arc::clone(entry));
        let slot = self.sessions.slot(entry.id);
        self.background.spawn(async move {
            let minted = login::web_token(control.as_ref(), &asked).await;
            let address = minted.and_then(|(minted, _)| {
                if slot
                    .usable(Moment::now())
                    .is_some_and(|live| live.is_anothers(&minted))
                {
                    slot.forget();
                }
                login::handover(&minted)
            });
            // the browser may have gone away
            let _unheard = sender.send(address);
        });
        match tokio::time::timeout(self.settings.mint_wait, made).await {
            Ok(Ok(Ok(address))) => Ok(address),
            Ok(Ok(Err(error))) => Err(aws(error)),
            Ok(Err(_gone)) => Err(CredentialError::Gone),
            Err(_elapsed) => Err(CredentialError::Slow),
        }
    }

    /// What is known of an environment's token, for `/readyz`, `/status` and metrics.
    pub fn state(&self, entry: &Entry) -> TokenState {
        let now = Moment::now();
        let slot = self.tokens.slot(entry.id);
        let usable = slot.usable(now);
        TokenState {
            age: usable.as_ref().map(|live| live.age(now)),
            host: usable.map(|live| Arc::clone(live.host())),
            minting: slot.is_making(),
            failure: slot.standing(now).map(|(error, _)| error),
        }
    }

    /// What is known of an environment's session, for `/status` and our pages.
    pub fn session_state(&self, entry: &Entry) -> SessionState {
        let now = Moment::now();
        let slot = self.sessions.slot(entry.id);
        let live = slot.usable(now);
        SessionState {
            age: live.as_ref().map(|live| live.age(now)),
            left: live.as_ref().map(|live| live.left(now)),
            identity: live.map(|live| Arc::clone(live.identity())),
            signing_in: slot.is_making(),
            failure: slot.standing(now).map(|(error, _)| error),
        }
    }
}

fn is_outdated(entry: &Entry, session: &Session) -> bool {
    entry.hosts.left(session.host(), session.begun().boot())
}

/// What a web server does that refuses what it has just given; `reply` is how.
pub fn login_loop(reply: &str) -> CredentialError {
    let reply = reply.to_owned();
    let error = MintError::Login(LoginError::Loop { reply });
    CredentialError::mint(&Arc::new(error), None)
}

fn aws(error: AwsError) -> CredentialError {
    CredentialError::mint(&Arc::new(MintError::Aws(error)), None)
}

/// What is known of a token, without the token.
#[derive(Debug, Clone)]
pub struct TokenState {
    /// The age of the live token.
    pub age: Option<Duration>,
    /// The web server that it is for.
    pub host: Option<Arc<str>>,
    /// Whether a mint is in flight.
    pub minting: bool,
    /// The failure that stands.
    pub failure: Option<Arc<MintError>>,
}

/// What is known of a session, without the session.
#[derive(Debug, Clone)]
pub struct SessionState {
    /// The age of the live session.
    pub age: Option<Duration>,
    /// How long it will still be used.
    pub left: Option<Duration>,
    /// Who it belongs to.
    pub identity: Option<Arc<Identity>>,
    /// Whether a sign-in is under way.
    pub signing_in: bool,
    /// The failure that stands.
    pub failure: Option<Arc<MintError>>,
}
