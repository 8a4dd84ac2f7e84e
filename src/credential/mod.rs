//! What the web server wants to see: finds or mints the token, one mint at a time, and makes
//! [`Keyed`] of [`Seated`].

mod cache;
mod error;
mod host;
mod live;
mod slot;

pub use error::CredentialError;
pub use live::Live;

use crate::control::{AwsError, AwsErrorKind, ControlPlane};
use crate::names::Entry;
use crate::queue::Seated;
use crate::runtime::{Background, Moment};
use crate::telemetry::Metrics;
use cache::Cache;
use slot::{Outcome, Slot, Step, Watch};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The limits of minting.
#[derive(Debug, Clone)]
pub struct Settings {
    /// All tries of one mint together.
    pub mint_total: Duration,
    /// A request waits so long for a mint.
    pub mint_wait: Duration,
    /// The longest use of a token, from the moment at which it was asked for.
    pub token_use: Duration,
}

/// Finds tokens and mints them. Shared by all worker threads.
#[derive(Debug)]
pub struct Broker {
    control: Arc<dyn ControlPlane>,
    cache: Cache,
    settings: Settings,
    background: Background,
    metrics: Arc<Metrics>,
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

/// Another token for a request whose first one was refused.
#[derive(Debug)]
pub struct Renewal(Arc<Live>);

impl Broker {
    /// Makes a broker whose mints run among the background tasks.
    pub fn new(
        control: Arc<dyn ControlPlane>,
        settings: Settings,
        background: Background,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            control,
            cache: Cache::default(),
            settings,
            background,
            metrics,
        })
    }

    /// Puts a token to the request: the cached one, else the one being minted, else a new one.
    pub async fn key(self: &Arc<Self>, seated: Seated) -> Result<Keyed, CredentialError> {
        let live = self.token(seated.entry()).await?;
        Ok(Keyed { seated, live })
    }

    /// After a 401 or 403: another token, if one is to be had.
    pub async fn renew(self: &Arc<Self>, keyed: &Keyed) -> Option<Renewal> {
        let entry = keyed.seated.entry();
        if !self
            .cache
            .slot(entry.id)
            .refused(keyed.live.generation, Moment::now())
        {
            return None;
        }
        self.token(entry).await.ok().map(Renewal)
    }

    async fn token(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<Arc<Live>, CredentialError> {
        let slot = self.cache.slot(entry.id);
        let now = Moment::now();
        if let Some(live) = slot.usable(now) {
            if live.is_due(now)
                && let Some(Step::Mint(generation, sender, _)) = slot.refresh(now)
            {
                self.fly(slot, entry, generation, sender, Patience::Refresh);
            }
            return Ok(live);
        }
        let watch = match slot.obtain(now) {
            Step::Use(live) => return Ok(live),
            Step::Wait(watch) => watch,
            Step::Mint(generation, sender, watch) => {
                let patience = if slot.is_failing() {
                    Patience::Once
                } else {
                    Patience::Waited
                };
                self.fly(Arc::clone(&slot), entry, generation, sender, patience);
                watch
            }
            Step::Refuse(error, left) => return Err(CredentialError::aws(&error, Some(left))),
        };
        self.wait(&slot, watch).await
    }

    async fn wait(&self, slot: &Slot, mut watch: Watch) -> Result<Arc<Live>, CredentialError> {
        let landed = async { watch.wait_for(Option::is_some).await.ok()?.clone() };
        match tokio::time::timeout(self.settings.mint_wait, landed).await {
            Ok(Some(Ok(live))) => Ok(live),
            Ok(Some(Err(error))) => {
                let held = slot.standing(Moment::now()).map(|(_, left)| left);
                Err(CredentialError::aws(&error, held))
            }
            Ok(None) => Err(CredentialError::Gone),
            Err(_) => Err(CredentialError::Slow),
        }
    }

    /// Starts a flight. It ends in time whatever AWS does, and every waiter gets its result.
    fn fly(
        self: &Arc<Self>,
        slot: Arc<Slot>,
        entry: &Arc<Entry>,
        generation: u64,
        sender: watch::Sender<Option<Outcome>>,
        patience: Patience,
    ) {
        let (broker, entry) = (Arc::clone(self), Arc::clone(entry));
        self.background.spawn(async move {
            let tries = broker.mint(&entry, generation, patience);
            let outcome = tokio::time::timeout(broker.settings.mint_total, tries)
                .await
                .unwrap_or_else(|_elapsed| {
                    Err(AwsError::new(
                        AwsErrorKind::Unavailable,
                        &format!(
                            "CreateCliToken for {:?} took too long",
                            entry.environment.name
                        ),
                        "check the network and the region; limits.mint_total bounds the wait",
                    ))
                })
                .map(Arc::new)
                .map_err(Arc::new);
            broker.report(&entry, &outcome);
            slot.land(generation, &outcome, Moment::now());
            // nobody may be waiting any more, which is fine
            let _unheard = sender.send(Some(outcome));
        });
    }

    async fn mint(
        &self,
        entry: &Entry,
        generation: u64,
        patience: Patience,
    ) -> Result<Live, AwsError> {
        let mut tries = 0;
        loop {
            let asked = Moment::now();
            let minted = self
                .control
                .create_cli_token(&entry.environment)
                .await
                .and_then(|minted| {
                    let longest = self.settings.token_use;
                    Live::new(&minted, &entry.environment, asked, longest, generation)
                });
            tries += 1;
            match minted {
                Err(error) if error.is_passing() && tries < patience.tries() => {
                    self.metrics.mint(entry, "retried");
                    let ceiling = FIRST_PAUSE * 2u32.pow(tries);
                    tokio::time::sleep(ceiling.mul_f64(fastrand::f64())).await;
                }
                done => return done,
            }
        }
    }

    fn report(&self, entry: &Entry, outcome: &Outcome) {
        use crate::names::Fault as _;
        let environment = &entry.environment.local;
        match outcome {
            Ok(live) => {
                self.metrics.mint(entry, "ok");
                tracing::debug!(%environment, host = %live.host(), "minted a CLI token");
            }
            Err(error) => {
                self.metrics.mint(entry, error.code().text);
                tracing::warn!(%environment, code = error.code().text, %error, hint = %error.hint(), "cannot mint a CLI token");
            }
        }
    }

    /// What is known of an environment's token, for `/readyz`, `/status` and metrics.
    pub fn state(&self, entry: &Entry) -> TokenState {
        let now = Moment::now();
        let slot = self.cache.slot(entry.id);
        let usable = slot.usable(now);
        TokenState {
            age: usable.as_ref().map(|live| live.age(now)),
            host: usable.map(|live| Arc::clone(live.host())),
            minting: slot.is_minting(),
            failure: slot.standing(now).map(|(error, _)| error),
        }
    }
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
    pub failure: Option<Arc<AwsError>>,
}

/// How often one flight may try.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// A live token still serves: one try.
    Refresh,
    /// The last flight failed too: one try, so that a failing AWS is not hammered.
    Once,
    /// Requests wait and nothing has failed yet: a hiccup should not reach them.
    Waited,
}

impl Patience {
    const fn tries(self) -> u32 {
        match self {
            Self::Refresh | Self::Once => 1,
            Self::Waited => 3,
        }
    }
}

/// Pauses between tries are random between nothing and this, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
