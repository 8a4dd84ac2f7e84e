//! The only place that spawns.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, LocalSet};

/// The tasks of one worker thread. Those that shutdown must wait for are counted.
#[derive(Clone, Default)]
pub struct LocalTasks(Rc<Count>);

struct Count {
    live: Cell<usize>,
    none: Notify,
    open: Cell<bool>,
}

impl Default for Count {
    fn default() -> Self {
        Self {
            live: Cell::new(0),
            none: Notify::new(),
            open: Cell::new(true),
        }
    }
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

    /// Runs the future as part of the caller. If the caller is dropped before it is done, but
    /// after `begun` says so, it goes on as a task of its own, and `unheard` gets what nobody
    /// waits for any more. Most futures end with their caller and never cost a task.
    pub fn finish<F, B, U>(&self, future: F, begun: B, unheard: U) -> Finish<F, B, U>
    where
        F: Future + 'static,
        B: Fn() -> bool,
        U: FnOnce(F::Output) + 'static,
    {
        Finish {
            tasks: self.clone(),
            begun,
            work: Some((Box::pin(future), unheard)),
        }
    }

    /// Counts one more live task.
    pub fn guard(&self) -> Guarded {
        self.0.live.set(self.0.live.get() + 1);
        Guarded(self.clone())
    }

    /// The thread is about to end: what is dropped from now on is not finished any more.
    pub fn close(&self) {
        self.0.open.set(false);
    }

    /// Whether the thread is about to end.
    pub fn is_closed(&self) -> bool {
        !self.0.open.get()
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

/// A future that is finished even without its caller: see [`LocalTasks::finish`].
pub struct Finish<F, B, U>
where
    F: Future + 'static,
    B: Fn() -> bool,
    U: FnOnce(F::Output) + 'static,
{
    tasks: LocalTasks,
    begun: B,
    work: Option<(Pin<Box<F>>, U)>,
}

impl<F, B, U> Future for Finish<F, B, U>
where
    F: Future + 'static,
    B: Fn() -> bool + Unpin,
    U: FnOnce(F::Output) + Unpin + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some((future, _)) = &mut self.work else {
            return Poll::Pending;
        };
        let output = std::task::ready!(future.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(output)
    }
}

impl<F, B, U> Drop for Finish<F, B, U>
where
    F: Future + 'static,
    B: Fn() -> bool,
    U: FnOnce(F::Output) + 'static,
{
    fn drop(&mut self) {
        if let Some((future, unheard)) = self.work.take()
            && self.tasks.0.open.get()
            && (self.begun)()
        {
            self.tasks.spawn(async move { unheard(future.await) });
        }
    }
}

impl<F, B, U> fmt::Debug for Finish<F, B, U>
where
    F: Future + 'static,
    B: Fn() -> bool,
    U: FnOnce(F::Output) + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finish")
            .field("done", &self.work.is_none())
            .finish_non_exhaustive()
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_its_caller_drops_is_finished_and_told() {
        LocalSet::new()
            .run_until(async {
                let tasks = LocalTasks::default();
                let (go, gone) = oneshot::channel::<u8>();
                let (tell, told) = oneshot::channel();
                let mut work = Box::pin(tasks.finish(
                    async { gone.await.unwrap() },
                    || true,
                    |output| {
                        tell.send(output).unwrap();
                    },
                ));
                let cx = &mut Context::from_waker(std::task::Waker::noop());
                assert!(work.as_mut().poll(cx).is_pending());
                drop(work);
                go.send(7).unwrap();
                assert_eq!(told.await, Ok(7));
                tasks.idle().await;
            })
            .await;
    }

    #[tokio::test]
    async fn a_task_that_panics_is_over_and_the_others_go_on() {
        LocalSet::new()
            .run_until(async {
                let tasks = LocalTasks::default();
                let (go, gone) = oneshot::channel::<u8>();
                let (tell, told) = oneshot::channel();
                tasks.spawn(async { panic!("on purpose") });
                tasks.spawn(async { tell.send(gone.await.unwrap()).unwrap() });
                tokio::task::yield_now().await;
                go.send(7).unwrap();
                assert_eq!(told.await, Ok(7));
                tasks.idle().await;
            })
            .await;
    }

    #[tokio::test]
    async fn what_is_done_or_closed_or_not_begun_costs_no_task() {
        LocalSet::new()
            .run_until(async {
                let tasks = LocalTasks::default();
                assert_eq!(
                    tasks
                        .finish(async { 7 }, || true, |_| panic!("it was heard"))
                        .await,
                    7
                );
                drop(tasks.finish(async { 7 }, || false, |_| panic!("it had not begun")));
                tasks.close();
                drop(tasks.finish(async { 7 }, || true, |_| panic!("the thread is closed")));
                tasks.idle().await;
            })
            .await;
    }
}
