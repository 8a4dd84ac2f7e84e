//! The only place that spawns.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, LocalSet};

/// The tasks of one worker thread. Those that shutdown must wait for are counted.
#[derive(Clone, Default)]
pub struct LocalTasks(Rc<Count>);

#[derive(Default)]
struct Count {
    live: Cell<usize>,
    none: Notify,
}

impl fmt::Debug for LocalTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTasks")
            .field("live", &self.0.live.get())
            .finish()
    }
}

/// Counts as a live task until dropped.
#[derive(Debug)]
pub struct Guarded(LocalTasks);

impl Drop for Guarded {
    fn drop(&mut self) {
        let live = &self.0.0.live;
        live.set(live.get() - 1);
        if live.get() == 0 {
            self.0.0.none.notify_waiters();
        }
    }
}

impl LocalTasks {
    /// Runs a task that shutdown waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        let guard = self.guard();
        self.spawn_unwatched(async move {
            let _guard = guard;
            task.await;
        })
    }

    /// Runs a task that simply ends with the thread: idle upstream connections, the sweeper.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of spawning on a worker"
    )]
    pub fn spawn_unwatched(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        tokio::task::spawn_local(task).abort_handle()
    }

    /// Counts one more live task.
    pub fn guard(&self) -> Guarded {
        self.0.live.set(self.0.live.get() + 1);
        Guarded(self.clone())
    }

    /// Waits until no counted task is left.
    pub async fn idle(&self) {
        loop {
            let none = self.0.none.notified();
            if self.0.live.get() == 0 {
                return;
            }
            none.await;
        }
    }
}

/// A set for a worker thread's tasks, which need not be `Send`.
pub fn local_set() -> LocalSet {
    LocalSet::new()
}

/// The control thread's tasks, spawned from any thread: mints, discovery, management. They
/// belong to the gateway, not to the request that caused them.
#[derive(Debug, Clone)]
pub struct Background(tokio::runtime::Handle);

impl Background {
    /// Takes the runtime that we are in.
    pub fn current() -> Self {
        Self(tokio::runtime::Handle::current())
    }

    /// Runs a task until it ends or the runtime does.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.0.spawn(task).abort_handle()
    }
}
