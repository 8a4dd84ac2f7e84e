//! Coarse timeouts: one slow tick a thread instead of one timer a request.
//!
//! A timer per request costs two system calls where a runtime has to re-arm its wake-up. Limits
//! of seconds need no such precision: a tick at most once in 100 ms looks at all that waits,
//! and there is no tick when nothing waits.

use super::{LocalTasks, uptime};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// The thread's list of deadlines. Clones share it.
#[derive(Clone)]
pub struct Sweeper(Rc<Shared>);

struct Shared {
    entries: RefCell<Slab<Entry>>,
    /// The uptime of the last tick.
    last: Cell<Duration>,
    /// The uptime at which the next tick is due; [`NEVER`] while nothing waits.
    next: Cell<Duration>,
    /// Tells the ticking task that `next` is earlier than it was.
    wake: Notify,
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

#[derive(Default)]
struct Entry {
    due: Option<Duration>,
    expired: bool,
    waker: Option<Waker>,
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper")
            .field("next", &self.0.next.get())
            .finish_non_exhaustive()
    }
}

/// The limit was reached before the future was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Elapsed;

impl Sweeper {
    /// Starts the thread's sweeper; its tick runs among `tasks`.
    pub fn start(tasks: &LocalTasks) -> Self {
        let sweeper = Self(Rc::default());
        tasks.spawn_unwatched(sweeper.clone().tick());
        sweeper
    }

    async fn tick(self) {
        let shared = &self.0;
        loop {
            let next = shared.next.get();
            if next == NEVER {
                shared.wake.notified().await;
                continue;
            }

            let now = uptime();
            let nap = next.saturating_sub(now);
            if nap.is_zero() {
                self.sweep(now);
                continue;
            }

            tokio::select! {
                biased;
                () = shared.wake.notified() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Makes a deadline that is not armed yet.
    pub fn deadline(&self) -> Deadline {
        let key = self.0.entries.borrow_mut().insert(Entry::default());
        Deadline {
            sweeper: self.clone(),
            key,
        }
    }

    /// Runs the future for at most about `limit` (up to a tick longer).
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

    /// Expires the deadlines that are due, wakes their tasks and sets the next tick.
    fn sweep(&self, now: Duration) {
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
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    /// Moves the next tick forward if `due` is earlier; returns whether it has moved.
    ///
    /// A tick comes at most `LONGEST_NAP` from now, so most limits are later than the tick that
    /// is due anyway, and to arm them wakes nobody. It comes at least `SHORTEST_NAP` after the
    /// last one.
    fn schedule(&self, now: Duration, due: Duration) -> bool {
        let tick = due.min(now + LONGEST_NAP);
        let tick = tick.max(self.last.get() + SHORTEST_NAP);
        let earlier = tick < self.next.get();
        if earlier {
            self.next.set(tick);
        }
        earlier
    }
}

/// A time limit that can be moved, taken off and set again without a system call.
pub struct Deadline {
    sweeper: Sweeper,
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
        let now = uptime();
        let due = now + from_now;
        self.set(Some(due));
        if self.sweeper.0.schedule(now, due) {
            self.sweeper.0.wake.notify_one();
        }
    }

    /// Takes the limit off.
    pub fn disarm(&self) {
        self.set(None);
    }

    fn set(&self, due: Option<Duration>) {
        if let Some(entry) = self.sweeper.0.entries.borrow_mut().get_mut(self.key) {
            entry.due = due;
            entry.expired = false;
        }
    }

    /// Ready when the limit has passed.
    pub fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        let mut entries = self.sweeper.0.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else {
            return Poll::Ready(());
        };
        if entry.expired {
            return Poll::Ready(());
        }
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
        let entry = self.sweeper.0.entries.borrow_mut().try_remove(self.key);
        drop(entry);
    }
}

/// The least time between two ticks, and so how late a limit may be noticed.
const SHORTEST_NAP: Duration = Duration::from_millis(100);
/// The most time between two ticks while something waits. No shorter than most limits, a longer
/// nap would be cut short by each request that arms one.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// No tick is due.
const NEVER: Duration = Duration::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn sweeper() -> Sweeper {
        Sweeper(Rc::default())
    }

    /// Whether the ticking task was woken since the last call.
    fn is_woken(sweeper: &Sweeper) -> bool {
        let mut woken = pin!(sweeper.0.wake.notified());
        let cx = &mut Context::from_waker(Waker::noop());
        woken.as_mut().poll(cx).is_ready()
    }

    #[test]
    fn a_due_deadline_expires_and_a_moved_one_does_not() {
        let sweeper = sweeper();
        let (first, second, third) =
            (sweeper.deadline(), sweeper.deadline(), sweeper.deadline());
        first.arm(Duration::from_secs(5));
        second.arm(Duration::from_secs(5));
        third.arm(Duration::from_secs(5));
        second.arm(Duration::from_secs(500));
        third.disarm();
        let cx = Context::from_waker(Waker::noop());
        let now = uptime() + Duration::from_secs(6);
        sweeper.sweep(now);
        assert!(first.poll_expired(&cx).is_ready());
        assert!(second.poll_expired(&cx).is_pending());
        assert!(third.poll_expired(&cx).is_pending());
        assert_eq!(sweeper.0.next.get(), now + LONGEST_NAP);
        drop(second);
        sweeper.sweep(now + LONGEST_NAP);
        assert_eq!(sweeper.0.next.get(), NEVER, "nothing waits");
    }

    #[test]
    fn only_a_limit_that_ends_before_the_next_tick_wakes_the_sweeper() {
        let sweeper = sweeper();
        let (long, short) = (sweeper.deadline(), sweeper.deadline());
        long.arm(Duration::from_mins(1));
        assert!(is_woken(&sweeper), "the first");
        let now = uptime();
        sweeper.sweep(now);
        let planned = sweeper.0.next.get();
        assert_eq!(planned, now + LONGEST_NAP);

        // as each request does
        for limit in [LONGEST_NAP, Duration::from_secs(10)] {
            short.arm(limit);
            short.disarm();
            assert!(!is_woken(&sweeper), "{limit:?}");
            assert_eq!(sweeper.0.next.get(), planned, "{limit:?}");
        }

        let limit = Duration::from_millis(200);
        short.arm(limit);
        assert!(is_woken(&sweeper));
        let earlier = sweeper.0.next.get();
        assert!(earlier < planned && earlier >= now + limit);
        long.arm(limit * 2);
        assert!(!is_woken(&sweeper), "later than the tick that is due");

        // but ticks keep their distance
        long.arm(Duration::ZERO);
        assert!(is_woken(&sweeper));
        assert_eq!(sweeper.0.next.get(), now + SHORTEST_NAP);
        short.arm(Duration::ZERO);
        assert!(!is_woken(&sweeper), "there is no earlier tick");
    }

    #[tokio::test]
    async fn a_short_limit_that_is_armed_during_a_long_nap_expires_in_its_turn() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let sweeper = Sweeper::start(&LocalTasks::default());
                let (long, short) = (sweeper.deadline(), sweeper.deadline());
                long.arm(Duration::from_mins(1));
                while sweeper.0.last.get().is_zero() {
                    tokio::time::sleep(SHORTEST_NAP / 10).await;
                }
                short.arm(SHORTEST_NAP);
                let cx = Context::from_waker(Waker::noop());
                assert!(short.poll_expired(&cx).is_pending());
                // shorter than the rest of the nap, longer than the limit
                tokio::time::sleep(SHORTEST_NAP * 8).await;
                // on a busy machine both timers may fire at once: the sweeper has its turn
                tokio::task::yield_now().await;
                assert!(short.poll_expired(&cx).is_ready());
                assert!(long.poll_expired(&cx).is_pending());
            })
            .await;
    }

    #[tokio::test]
    async fn within_gives_the_output_or_elapses() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let sweeper = Sweeper::start(&LocalTasks::default());
                assert_eq!(
                    sweeper.within(Duration::from_secs(9), async { 7 }).await,
                    Ok(7)
                );
                let never = std::future::pending::<()>();
                assert_eq!(
                    sweeper.within(Duration::from_millis(1), never).await,
                    Err(Elapsed)
                );
            })
            .await;
    }
}
