//! The only place that spawns tasks. Each task has a span of its own, which names it in the log.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::task::{AbortHandle, LocalSet};
use tracing::{Instrument as _, Span};

/// The tasks of one worker thread. It counts those that shutdown must wait for.
#[derive(Clone, Default)]
pub struct LocalTasks(Rc<Count>);

struct Count {
    live: Cell<usize>,
    none: Notify,
    open: Cell<bool>,
    closed: Notify,
}

impl Default for Count {
    fn default() -> Self {
        Self {
            live: Cell::new(0),
            none: Notify::new(),
            open: Cell::new(true),
            closed: Notify::new(),
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

impl LocalTasks {
    /// Runs a task in its span. Shutdown waits for it.
    pub fn spawn(&self, span: Span, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        // counted from now on, not from the first poll
        let guard = TaskGuard::new(self);
        self.spawn_unwatched(span, async move {
            let _guard = guard;
            task.await;
        })
    }

    /// Runs a task in its span that ends with the thread: an idle upstream connection, the timer.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of spawning on a worker"
    )]
    pub fn spawn_unwatched(
        &self,
        span: Span,
        task: impl Future<Output = ()> + 'static,
    ) -> AbortHandle {
        tokio::task::spawn_local(task.instrument(span)).abort_handle()
    }

    /// Runs the future as part of the caller, and to its end even if the caller is dropped.
    ///
    /// If the caller is dropped while `has_begun` returns true, the future continues as a task of
    /// its own, and `unheard` gets the output. Most futures end with their caller and never cost
    /// a task.
    pub fn finish<F, B, U>(&self, future: F, has_begun: B, unheard: U) -> Finish<F, B, U>
    where
        F: Future + 'static,
        B: Fn() -> bool,
        U: FnOnce(F::Output) + 'static,
    {
        Finish {
            tasks: self.clone(),
            span: Span::current(),
            has_begun,
            // boxed, so that it can move into a task
            work: Some((Box::pin(future), unheard)),
        }
    }

    /// Closes the list of tasks because the thread is about to end: a future that is dropped from
    /// now on is not finished, and one that continues without its caller is dropped.
    pub fn close(&self) {
        self.0.open.set(false);
        self.0.closed.notify_waiters();
    }

    async fn wait_closed(&self) {
        // before the check, so that no notification is missed
        let closed = self.0.closed.notified();
        if !self.is_closed() {
            closed.await;
        }
    }

    /// Returns true if the thread is about to end.
    pub fn is_closed(&self) -> bool {
        !self.0.open.get()
    }

    /// Waits until no counted task is left.
    pub async fn wait_idle(&self) {
        loop {
            // before the check, so that no notification is missed
            let none = self.0.none.notified();
            if self.0.live.get() == 0 {
                return;
            }
            none.await;
        }
    }
}

/// Counts as a live task until dropped.
struct TaskGuard(LocalTasks);

impl TaskGuard {
    fn new(tasks: &LocalTasks) -> Self {
        tasks.0.live.update(|live| live + 1);
        Self(tasks.clone())
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let count = &self.0.0;
        count.live.update(|live| live - 1);
        if count.live.get() == 0 {
            count.none.notify_waiters();
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
    span: Span,
    has_begun: B,
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
        // a command that has been sent must not lose its slot before the web server has answered
        if let Some((future, unheard)) = self.work.take()
            && self.tasks.0.open.get()
            && (self.has_begun)()
        {
            let tasks = self.tasks.clone();
            let task = async move {
                tokio::select! {
                    biased;
                    output = future => unheard(output),
                    () = tasks.wait_closed() => {}
                }
            };
            self.tasks.spawn(self.span.clone(), task);
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

/// Returns a set for a worker thread's tasks, which need not be `Send`.
pub fn local_set() -> LocalSet {
    LocalSet::new()
}

/// The tasks of the control thread, spawned from any thread: mints, discovery, management. They
/// belong to the gateway, not to the request that caused them.
#[derive(Debug, Clone)]
pub struct BackgroundTasks(tokio::runtime::Handle);

impl BackgroundTasks {
    /// Returns the tasks of the current runtime.
    pub fn current() -> Self {
        Self(tokio::runtime::Handle::current())
    }

    /// Runs a task in its span until it ends or the runtime does.
    pub fn spawn(
        &self,
        span: Span,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.0.spawn(task.instrument(span)).abort_handle()
    }

    /// Runs a task in its span, and again after a second each time that it panics. `start` gets the
    /// number of panics so far.
    pub fn spawn_restarting<F>(
        &self,
        span: Span,
        mut start: impl FnMut(u64) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let handle = self.0.clone();
        let inner = span.clone();
        self.spawn(span, async move {
            for panics in 0.. {
                let task = handle.spawn(start(panics).instrument(inner.clone()));
                match task.await {
                    Err(error) if error.is_panic() => tokio::time::sleep(RESTART).await,
                    Ok(()) | Err(_) => return,
                }
            }
        });
    }

    /// Runs work that may block, such as reading files, on a thread for such work. `None` if it
    /// panics, or the runtime is shutting down.
    pub async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.0.spawn_blocking(work).await.ok()
    }

    /// Waits so long by the timers of the control thread: a worker thread has none of its own.
    pub async fn sleep(&self, time: Duration) {
        let (mut sender, ended) = oneshot::channel();
        self.spawn(Span::none(), async move {
            // the one that waits may leave before
            if tokio::time::timeout(time, sender.closed()).await.is_err() {
                let _unheard = sender.send(());
            }
        });
        if ended.await.is_err() {
            // the control thread has ended, and this one is about to
            pending::<()>().await;
        }
    }
}

/// The pause before a task that has panicked starts again.
const RESTART: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_future_is_finished_and_its_result_is_reported() {
        LocalSet::new()
            .run_until(async {
                let tasks = LocalTasks::default();
                let (go, waiting) = oneshot::channel::<u8>();
                let (sender, output) = oneshot::channel();
                let mut work = Box::pin(tasks.finish(
                    async { waiting.await.unwrap() },
                    || true,
                    |done| {
                        sender.send(done).unwrap();
                    },
                ));
                let cx = &mut Context::from_waker(std::task::Waker::noop());
                assert!(work.as_mut().poll(cx).is_pending());
                drop(work);
                go.send(7).unwrap();
                assert_eq!(output.await, Ok(7));
                tasks.wait_idle().await;
            })
            .await;
    }

    #[tokio::test]
    async fn the_end_drops_what_continues_without_its_caller() {
        LocalSet::new()
            .run_until(async {
                let tasks = LocalTasks::default();
                let never = pending::<()>();
                let mut work = Box::pin(tasks.finish(never, || true, |()| panic!("it ended")));
                let cx = &mut Context::from_waker(std::task::Waker::noop());
                assert!(work.as_mut().poll(cx).is_pending());
                drop(work);
                tokio::task::yield_now().await;
                tasks.close();
                tasks.wait_idle().await;
            })
            .await;
    }

    #[tokio::test]
    async fn a_task_that_panics_does_not_stop_the_others() {
        LocalSet::new()
            .run_until(async {
                let tasks = LocalTasks::default();
                let (go, waiting) = oneshot::channel::<u8>();
                let (sender, output) = oneshot::channel();
                tasks.spawn(Span::none(), async { panic!("on purpose") });
                tasks.spawn(Span::none(), async {
                    sender.send(waiting.await.unwrap()).unwrap();
                });
                tokio::task::yield_now().await;
                go.send(7).unwrap();
                assert_eq!(output.await, Ok(7));
                tasks.wait_idle().await;
            })
            .await;
    }

    #[tokio::test]
    async fn a_finished_unstarted_or_closed_future_is_not_spawned() {
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
                tasks.wait_idle().await;
            })
            .await;
    }
}
