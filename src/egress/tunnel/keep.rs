//! The task that keeps a tunnel's program: starts it, watches it, starts it again with growing
//! pauses when it ends, and replaces it before its service ends it (Session Manager does that
//! after about an hour).

use super::error::Trouble;
use super::process::{Exit, Running, launch};
use super::{Phase, Tunnel};
use crate::runtime::Moment;
use std::sync::Arc;
use std::time::Duration;

impl Tunnel {
    /// Keeps a program that leads to `host` until another task takes over or nobody needs it.
    pub(super) async fn keep(self: Arc<Self>, keeper: u64, host: &str) {
        loop {
            let launched = self.launch(host).await;
            let (trouble, was_up) = match launched {
                Err(trouble) => (trouble, false),
                Ok((running, exit)) => {
                    if !self.enter(keeper, Phase::Up(Arc::clone(&running))) {
                        return;
                    }
                    tracing::info!(program = self.program(), host, "tunnel is up");
                    match self.attend(running, exit).await {
                        Some(trouble) => (trouble, true),
                        None => return,
                    }
                }
            };
            let hold = self.hold(was_up);
            tracing::warn!(program = self.program(), host, %trouble, retry_in = ?hold, "tunnel ended");
            if hold.is_zero() && self.is_needed() {
                if !self.enter(keeper, Phase::Starting) {
                    return;
                }
                continue;
            }
            let failed = Phase::Failed {
                trouble: Arc::new(trouble),
                since: Moment::now(),
                hold,
            };
            if !self.enter(keeper, failed) {
                return;
            }
            // a program that cannot start must not be started in a loop
            tokio::time::sleep(hold).await;
            // who needs it later starts it again
            if !self.is_needed() || !self.enter(keeper, Phase::Starting) {
                return;
            }
        }
    }

    async fn launch(&self, host: &str) -> Result<(Arc<Running>, Exit), Trouble> {
        launch(&self.program, host, self.start, &self.background).await
    }

    /// Waits for the program's end; `None` if another has taken its place by then.
    async fn attend(&self, running: Arc<Running>, exit: Exit) -> Option<Trouble> {
        // not held here: it ends when the phase and all connections have let go of it
        let (since, weak) = (running.since, Arc::downgrade(&running));
        drop(running);
        let trouble = exit.wait().await;
        let is_current = matches!(
            &*self.phase.borrow(),
            Phase::Up(current) if Arc::as_ptr(current) == weak.as_ptr()
        );
        if !is_current {
            return None;
        }
        if since.age(Moment::now()) >= STABLE {
            self.need().failures = 0;
        }
        Some(trouble)
    }

    /// Starts a second program beside an old one; new connections go through it once it is up.
    pub(super) fn replace(self: &Arc<Self>, old: Arc<Running>) {
        let tunnel = Arc::clone(self);
        self.background.spawn(async move {
            match tunnel.launch(&old.host).await {
                Ok((running, exit)) => {
                    let host = Arc::clone(&old.host);
                    let keeper = {
                        let mut need = tunnel.need();
                        need.keeper += 1;
                        need.keeper
                    };
                    drop(old);
                    if tunnel.enter(keeper, Phase::Up(Arc::clone(&running))) {
                        tracing::info!(program = tunnel.program(), "tunnel is replaced by a new one");
                        if let Some(trouble) = tunnel.attend(running, exit).await {
                            tracing::warn!(program = tunnel.program(), %trouble, "tunnel ended");
                            if tunnel.enter(keeper, Phase::Off) && tunnel.is_needed() {
                                // as if somebody had asked
                                let _begun = tunnel.look(&host, Moment::now());
                            }
                        }
                    }
                }
                Err(trouble) => {
                    tracing::warn!(program = tunnel.program(), %trouble, "the old tunnel stays: no new one started");
                    // the next request may try again, but not every one of them
                    tokio::time::sleep(LONGEST_HOLD).await;
                    old.stays();
                }
            }
        });
    }

    /// Enters a phase, unless another task has taken over.
    fn enter(&self, keeper: u64, next: Phase) -> bool {
        let need = self.need();
        if need.keeper != keeper {
            return false;
        }
        self.phase.send_replace(next);
        true
    }

    /// How long to wait before the next start: not at all after a stable run.
    fn hold(&self, was_up: bool) -> Duration {
        let mut need = self.need();
        let before = need.failures;
        need.failures = before.saturating_add(1);
        if was_up && before == 0 {
            return Duration::ZERO;
        }
        // up to a quarter more, so that many gateways do not come back at once
        (FIRST_HOLD * 2u32.pow(before.min(6)))
            .min(LONGEST_HOLD)
            .mul_f64(1.0 + 0.25 * fastrand::f64())
    }

    /// Whether a connection was asked for lately.
    fn is_needed(&self) -> bool {
        let now = Moment::now();
        self.need().last.is_some_and(|last| last.age(now) < NEEDED)
    }
}

/// A run that lasted this long was no failure.
pub(super) const STABLE: Duration = Duration::from_secs(10);
/// The first pause after a failed start; each further one is twice as long.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_HOLD: Duration = Duration::from_secs(30);
/// A tunnel that nobody has used for so long is not started again until somebody does.
const NEEDED: Duration = Duration::from_mins(5);
