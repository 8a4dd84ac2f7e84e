//! The shutdown of the gateway, as the tasks of one worker thread see it.

use super::{CoarseTimer, LocalTasks};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use tokio::sync::{Notify, watch};

/// The stages of a shutdown, in their order. A stage may be skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownStage {
    /// There is no shutdown.
    #[default]
    Serving,
    /// Connections are accepted and requests are served, but each response is the last of its
    /// connection.
    Leaving,
    /// No connection is accepted, and idle ones are closed. Requests are served.
    Draining,
    /// Every request is answered at once.
    Cut,
}

/// Announces the stages of the shutdown to the tasks of one thread. Clones share it.
///
/// All threads share one channel, whose lock is too dear for every turn of every connection. Here
/// one task for each thread waits for the channel, sets a flag, and wakes the others.
#[derive(Clone)]
pub struct Shutdown(Rc<Shared>);

#[derive(Default)]
struct Shared {
    stage: Cell<ShutdownStage>,
    changed: Notify,
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shutdown").field(&self.stage()).finish()
    }
}

impl Shutdown {
    /// Starts to watch the channel, whose sender announces the stages. At each, every task that waits
    /// for a deadline of `timer` is woken, and has to ask for the [`stage`](Self::stage). The cut closes
    /// `tasks` before.
    pub fn watch(
        mut announced: watch::Receiver<ShutdownStage>,
        timer: &CoarseTimer,
        tasks: &LocalTasks,
    ) -> Self {
        let shutdown = Self(Rc::default());
        let (watching, timer) = (shutdown.clone(), timer.clone());
        let closing = tasks.clone();

        tasks.spawn_unwatched(tracing::Span::none(), async move {
            while watching.stage() < ShutdownStage::Cut {
                let after = |stage: &ShutdownStage| *stage > watching.stage();
                // an error means that the gateway itself is gone
                let stage = announced.wait_for(after).await;
                let stage = stage.map_or(ShutdownStage::Cut, |stage| *stage);

                watching.0.stage.set(stage);
                if stage == ShutdownStage::Cut {
                    closing.close();
                }
                watching.0.changed.notify_waiters();
                timer.wake_all();
            }
        });
        shutdown
    }

    /// Returns the stage.
    pub fn stage(&self) -> ShutdownStage {
        self.0.stage.get()
    }

    /// Waits for a stage, or a later one.
    pub async fn wait_for(&self, stage: ShutdownStage) {
        loop {
            // before the check, so that no notification is missed
            let changed = self.0.changed.notified();
            if self.stage() >= stage {
                return;
            }
            changed.await;
        }
    }
}
