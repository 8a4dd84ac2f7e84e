//! The shutdown of the gateway, as the tasks of one worker thread see it.

use super::{CoarseTimer, LocalTasks};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use tokio::sync::{Notify, watch};

/// Announces the shutdown to the tasks of one thread. Clones share it.
///
/// All threads share one channel, whose lock is too dear for every turn of every connection. Here
/// one task for each thread waits for the channel, sets a flag, and wakes the others.
#[derive(Clone)]
pub struct Shutdown(Rc<Shared>);

#[derive(Default)]
struct Shared {
    has_begun: Cell<bool>,
    begun: Notify,
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shutdown").field(&self.has_begun()).finish()
    }
}

impl Shutdown {
    /// Starts to watch the channel, which holds `true` from the shutdown on. Once it does, every task
    /// that waits for a deadline of `timer` is woken, and has to ask [`has_begun`](Self::has_begun).
    pub fn watch(
        mut announced: watch::Receiver<bool>,
        timer: &CoarseTimer,
        tasks: &LocalTasks,
    ) -> Self {
        let shutdown = Self(Rc::default());
        let (watching, timer) = (shutdown.clone(), timer.clone());
        tasks.spawn_unwatched(tracing::Span::none(), async move {
            // an error means that the gateway itself is gone
            let _announced = announced.wait_for(|begun| *begun).await;
            watching.0.has_begun.set(true);
            watching.0.begun.notify_waiters();
            timer.wake_all();
        });
        shutdown
    }

    /// Returns true from the shutdown on.
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.get()
    }

    /// Waits for the shutdown.
    pub async fn wait(&self) {
        // before the check, so that no notification is missed
        let begun = self.0.begun.notified();
        if !self.has_begun() {
            begun.await;
        }
    }
}
