//! Timeouts: coarse ones on a worker thread, the runtime's own elsewhere.
//!
//! A timer per request costs two system calls where a runtime has to re-arm its wake-up. Limits
//! of seconds need no such precision: one tick for the whole thread, at most once in 100 ms, looks
//! at all deadlines, and there is no tick when none is armed. The control thread wakes the worker
//! for a tick: the runtime of a worker has no timers, which would cost something in each turn.

use super::{BackgroundTasks, LocalTasks, boot_clock, end_turn};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// A source of timeouts.
pub trait Timer {
    /// Returns the future's output, or [`Elapsed`] if `limit` has passed before.
    fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>>;
}

/// The time limit has passed before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time limit has passed")]
pub struct Elapsed;

/// The runtime's own timers: for rare work that does not run on a worker thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct RuntimeTimer;

impl Timer for RuntimeTimer {
    async fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(limit, future)
            .await
            .map_err(|_elapsed| Elapsed)
    }
}

/// For work on a worker thread that has no coarse timer; rare, because each limit wakes the control
/// thread.
impl Timer for BackgroundTasks {
    async fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.sleep(limit) => Err(Elapsed),
        }
    }
}

/// The coarse timer of a worker thread. Clones share its deadlines.
#[derive(Clone)]
pub struct CoarseTimer(Rc<Shared>);

struct Shared {
    entries: RefCell<Slab<Entry>>,
    /// The boot clock of the last tick.
    last: Cell<Duration>,
    /// The boot clock at which the next tick is due; [`NEVER`] while no deadline is armed.
    next: Cell<Duration>,
    /// Notified when `next` has become earlier.
    wake: Notify,
}

#[derive(Default)]
struct Entry {
    due: Option<Duration>,
    expired: bool,
    waker: Option<Waker>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            entries: RefCell::default(),
            last: Cell::default(),
            next: Cell::new(NEVER),
            wake: Notify::new(),
        }
    }
}

impl fmt::Debug for CoarseTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoarseTimer")
            .field("next", &self.0.next.get())
            .finish_non_exhaustive()
    }
}

impl Timer for CoarseTimer {
    async fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        Self::within(self, limit, future).await
    }
}

impl CoarseTimer {
    /// Starts the thread's timer. Its ticks run as one of `tasks`; `background` wakes it for them.
    pub fn start(tasks: &LocalTasks, background: &BackgroundTasks) -> Self {
        let timer = Self(Rc::default());
        let ticks = timer.clone().run(background.clone());
        tasks.spawn_unwatched(tracing::debug_span!("timer"), ticks);
        timer
    }

    async fn run(self, background: BackgroundTasks) {
        let shared = &self.0;
        loop {
            let next = shared.next.get();
            // nothing is armed: nothing to wake up for
            if next == NEVER {
                shared.wake.notified().await;
                continue;
            }

            // a thread that never sleeps has no other end of a turn
            end_turn();
            let now = boot_clock();
            let nap = next.saturating_sub(now);
            if nap.is_zero() {
                // What has come counts before a deadline. A thread that was stopped for a while gets
                // here before the runtime has looked at its sockets: it does so first.
                tokio::task::yield_now().await;
                self.expire_due(now);
                continue;
            }

            tokio::select! {
                biased;
                // the next tick is earlier now
                () = shared.wake.notified() => {}
                () = background.sleep(nap) => {}
            }
        }
    }

    /// Creates a deadline that is not armed yet.
    pub fn deadline(&self) -> Deadline {
        let key = self.0.entries.borrow_mut().insert(Entry::default());
        Deadline {
            timer: self.clone(),
            key,
        }
    }

    /// Returns the future's output, or [`Elapsed`] if `limit` has passed before, which may be
    /// noticed a tick late.
    pub async fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut deadline = None;

        std::future::poll_fn(|cx| {
            // most futures are ready at once and never cost a deadline
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            let deadline = deadline.get_or_insert_with(|| {
                let deadline = self.deadline();
                deadline.arm(limit);
                deadline
            });
            deadline.poll_expired(cx).map(|()| Err(Elapsed))
        })
        .await
    }

    /// Wakes every task that waits for a deadline; none expires.
    pub fn wake_all(&self) {
        let wakers: Vec<_> = {
            let entries = self.0.entries.borrow();
            let wakers = entries.iter().filter_map(|(_, entry)| entry.waker.clone());
            wakers.collect()
        };
        // after the borrow: a task that wakes may arm another deadline
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Expires the deadlines that are due, wakes their tasks and sets the next tick.
    fn expire_due(&self, now: Duration) {
        let mut wakers = Vec::new();
        let mut nearest = NEVER;
        for (_, entry) in self.0.entries.borrow_mut().iter_mut() {
            let Some(due) = entry.due else { continue };
            if due <= now {
                entry.due = None;
                entry.expired = true;
                wakers.extend(entry.waker.take());
            } else {
                nearest = nearest.min(due);
            }
        }

        self.0.last.set(now);
        self.0.next.set(NEVER);
        if nearest != NEVER {
            self.0.schedule(now, nearest);
        }
        // after the borrow: a task that wakes may arm another deadline
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    /// Moves the next tick forward if `due` is earlier. Returns true if it has moved.
    ///
    /// A tick comes at most `LONGEST_NAP` from now, so most limits are later than the tick that
    /// is due anyway, and arming them wakes no task. It comes at least `SHORTEST_NAP` after the
    /// last one.
    fn schedule(&self, now: Duration, due: Duration) -> bool {
        // the tick that is due is never later than `LONGEST_NAP` from now
        if due >= self.next.get() {
            return false;
        }
        let tick = due.min(now + LONGEST_NAP);
        let tick = tick.max(self.last.get() + SHORTEST_NAP);
        let earlier = tick < self.next.get();
        if earlier {
            self.next.set(tick);
        }
        earlier
    }
}

/// A time limit that can be moved, removed and set again without a system call.
pub struct Deadline {
    timer: CoarseTimer,
    key: usize,
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deadline")
    }
}

impl Deadline {
    /// Sets the limit to `from_now`, in place of any earlier one.
    pub fn arm(&self, from_now: Duration) {
        let now = boot_clock();
        let due = now + from_now;
        self.set_due(Some(due));
        // any other deadline is noticed by the tick that is due anyway
        if self.timer.0.schedule(now, due) {
            self.timer.0.wake.notify_one();
        }
    }

    /// Removes the limit.
    pub fn disarm(&self) {
        self.set_due(None);
    }

    /// Ends the limit now.
    pub fn expire(&self) {
        let waker = {
            let mut entries = self.timer.0.entries.borrow_mut();
            entries.get_mut(self.key).and_then(|entry| {
                entry.due = None;
                entry.expired = true;
                entry.waker.take()
            })
        };
        // after the borrow: a task that wakes may arm another deadline
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn set_due(&self, due: Option<Duration>) {
        if let Some(entry) = self.timer.0.entries.borrow_mut().get_mut(self.key) {
            entry.due = due;
            entry.expired = false;
        }
    }

    /// Ready once the limit has passed.
    pub fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        let mut entries = self.timer.0.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else {
            return Poll::Ready(());
        };
        if entry.expired {
            return Poll::Ready(());
        }

        // the same task polls most of the time, and then nothing is cloned
        match &mut entry.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => entry.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Future for &Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_expired(cx)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // the waker is dropped after the borrow: a task that ends with it may hold deadlines itself
        let entry = self.timer.0.entries.borrow_mut().try_remove(self.key);
        drop(entry);
    }
}

/// The least time between two ticks, and so the delay with which a limit may be noticed.
const SHORTEST_NAP: Duration = Duration::from_millis(100);
/// The most time between two ticks while a deadline is armed. Not longer than most limits: a limit
/// that is shorter than this makes each of its requests wake the timer.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// No tick is due.
const NEVER: Duration = Duration::MAX;

#[cfg(test)]
mod tests {
    use super::super::keep_time_for_a_turn;
    use super::*;
    use std::io::Write as _;
    use tokio::io::AsyncReadExt as _;

    fn timer() -> CoarseTimer {
        CoarseTimer(Rc::default())
    }

    fn start_timer() -> CoarseTimer {
        CoarseTimer::start(&LocalTasks::default(), &BackgroundTasks::current())
    }

    /// Returns true if the ticking task was woken since the last call.
    fn is_woken(timer: &CoarseTimer) -> bool {
        let mut woken = pin!(timer.0.wake.notified());
        let cx = &mut Context::from_waker(Waker::noop());
        woken.as_mut().poll(cx).is_ready()
    }

    #[test]
    fn a_due_deadline_expires_and_a_moved_one_does_not() {
        let timer = timer();
        let first = timer.deadline();
        let second = timer.deadline();
        let third = timer.deadline();
        first.arm(Duration::from_secs(5));
        second.arm(Duration::from_secs(5));
        third.arm(Duration::from_secs(5));
        second.arm(Duration::from_secs(500));
        third.disarm();
        let cx = Context::from_waker(Waker::noop());
        let now = boot_clock() + Duration::from_secs(6);
        timer.expire_due(now);
        assert!(first.poll_expired(&cx).is_ready());
        assert!(second.poll_expired(&cx).is_pending());
        assert!(third.poll_expired(&cx).is_pending());
        assert_eq!(timer.0.next.get(), now + LONGEST_NAP);
        drop(second);
        timer.expire_due(now + LONGEST_NAP);
        assert_eq!(timer.0.next.get(), NEVER, "nothing waits");
    }

    /// Returns a control thread, which runs until it is dropped, and its tasks.
    fn control_thread() -> (tokio::runtime::Runtime, BackgroundTasks) {
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let background = control.block_on(async { BackgroundTasks::current() });
        (control, background)
    }

    /// Its clock is read once in a turn, and its turn has no end.
    #[test]
    fn a_deadline_expires_on_a_thread_that_never_sleeps() {
        let (_control, background) = control_thread();
        // without timers, as a worker's
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_unpark(end_turn)
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        keep_time_for_a_turn();
        runtime.block_on(async {
            let tasks = LocalTasks::default();
            let timer = CoarseTimer::start(&tasks, &background);
            let deadline = timer.deadline();
            deadline.arm(SHORTEST_NAP);
            let never_sleeps = std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            });
            tokio::select! {
                () = &deadline => {}
                () = never_sleeps => {}
                // another thread's clock: otherwise the test would never end
                () = background.sleep(30 * SHORTEST_NAP) => panic!("it does not expire"),
            }
        });
    }

    /// As on a thread that was stopped for longer than the limit.
    #[test]
    fn bytes_that_have_come_count_before_a_deadline_that_has_passed() {
        let (_control, background) = control_thread();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            let timer = CoarseTimer::start(&LocalTasks::default(), &background);
            let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            let mut near = tokio::net::UnixStream::from_std(near).unwrap();
            far.write_all(b"x").unwrap();
            // as a task: the runtime looks at its sockets before it polls this function again
            let (done, result) = tokio::sync::oneshot::channel();
            let reading = async move {
                let _sent = done.send(timer.within(Duration::ZERO, near.read_u8()).await);
            };
            LocalTasks::default().spawn_unwatched(tracing::Span::none(), reading);
            assert_eq!(result.await.unwrap().unwrap().unwrap(), b'x');
        });
    }

    #[test]
    fn only_a_deadline_before_the_next_tick_wakes_the_timer() {
        let timer = timer();
        let long = timer.deadline();
        let short = timer.deadline();
        long.arm(Duration::from_mins(1));
        assert!(is_woken(&timer), "the first");
        let now = boot_clock();
        timer.expire_due(now);
        let planned = timer.0.next.get();
        assert_eq!(planned, now + LONGEST_NAP);

        // as each request does
        for limit in [LONGEST_NAP, Duration::from_secs(10)] {
            short.arm(limit);
            short.disarm();
            assert!(!is_woken(&timer), "{limit:?}");
            assert_eq!(timer.0.next.get(), planned, "{limit:?}");
        }

        let limit = Duration::from_millis(200);
        short.arm(limit);
        assert!(is_woken(&timer));
        let earlier = timer.0.next.get();
        assert!(earlier < planned && earlier >= now + limit);
        long.arm(limit * 2);
        assert!(!is_woken(&timer), "later than the tick that is due");

        // but ticks keep their distance
        long.arm(Duration::ZERO);
        assert!(is_woken(&timer));
        assert_eq!(timer.0.next.get(), now + SHORTEST_NAP);
        short.arm(Duration::ZERO);
        assert!(!is_woken(&timer), "there is no earlier tick");
    }

    #[tokio::test]
    async fn a_short_deadline_expires_although_the_timer_sleeps_longer() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let timer = start_timer();
                let long = timer.deadline();
                let short = timer.deadline();
                long.arm(Duration::from_mins(1));
                tokio::task::yield_now().await;
                assert!(!is_woken(&timer), "the first nap has begun");
                short.arm(SHORTEST_NAP);
                tokio::task::yield_now().await;
                assert!(!is_woken(&timer), "the nap has become shorter");
                (&short).await;
                let cx = Context::from_waker(Waker::noop());
                assert!(long.poll_expired(&cx).is_pending());
            })
            .await;
    }

    #[tokio::test]
    async fn within_returns_the_output_or_an_elapsed_error() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let timer = start_timer();
                assert_eq!(
                    timer.within(Duration::from_secs(9), async { 7 }).await,
                    Ok(7)
                );
                let never = std::future::pending::<()>();
                assert_eq!(
                    timer.within(Duration::from_millis(1), never).await,
                    Err(Elapsed)
                );
            })
            .await;
    }
}
