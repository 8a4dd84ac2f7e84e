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
    armed: Cell<usize>,
    wake: Notify,
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
            .field("armed", &self.0.armed.get())
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
        let sweeper = Self(Rc::new(Shared {
            entries: RefCell::new(Slab::new()),
            armed: Cell::new(0),
            wake: Notify::new(),
        }));
        let ticking = sweeper.clone();
        tasks.spawn_unwatched(async move {
            loop {
                if ticking.0.armed.get() == 0 {
                    ticking.0.wake.notified().await;
                }
                let nap = ticking.sweep(uptime());
                tokio::time::sleep(nap).await;
            }
        });
        sweeper
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

    /// Marks what is due, wakes it, and says how long to sleep until the next look.
    fn sweep(&self, now: Duration) -> Duration {
        let mut wakers = Vec::new();
        let mut nearest = LONGEST_NAP;
        for (_, entry) in self.0.entries.borrow_mut().iter_mut() {
            let Some(due) = entry.due else { continue };
            if due <= now {
                entry.due = None;
                entry.expired = true;
                self.0.armed.set(self.0.armed.get() - 1);
                wakers.extend(entry.waker.take());
            } else {
                nearest = nearest.min(due.saturating_sub(now));
            }
        }
        wakers.into_iter().for_each(Waker::wake);
        nearest.max(SHORTEST_NAP)
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
        self.set(Some(uptime() + from_now));
    }

    /// Takes the limit off.
    pub fn disarm(&self) {
        self.set(None);
    }

    fn set(&self, due: Option<Duration>) {
        let shared = &self.sweeper.0;
        if let Some(entry) = shared.entries.borrow_mut().get_mut(self.key) {
            let before = shared.armed.get() - usize::from(entry.due.is_some());
            let after = before + usize::from(due.is_some());
            shared.armed.set(after);
            entry.due = due;
            entry.expired = false;
            if before == 0 && after == 1 {
                shared.wake.notify_one();
            }
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
        let shared = &self.sweeper.0;
        // its waker goes after the borrow: a task that ends with it may hold deadlines itself
        let removed = shared.entries.borrow_mut().try_remove(self.key);
        if removed.is_some_and(|entry| entry.due.is_some()) {
            shared.armed.set(shared.armed.get() - 1);
        }
    }
}

/// The finest grain: no limit of ours is shorter than a few of these.
const SHORTEST_NAP: Duration = Duration::from_millis(100);
/// How late a limit may be noticed that was set during a nap.
const LONGEST_NAP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn sweeper() -> Sweeper {
        Sweeper(Rc::new(Shared {
            entries: RefCell::new(Slab::new()),
            armed: Cell::new(0),
            wake: Notify::new(),
        }))
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
        let nap = sweeper.sweep(uptime() + Duration::from_secs(6));
        assert!(first.poll_expired(&cx).is_ready());
        assert!(second.poll_expired(&cx).is_pending());
        assert!(third.poll_expired(&cx).is_pending());
        assert_eq!(nap, LONGEST_NAP);
        assert_eq!(sweeper.0.armed.get(), 1);
        drop(second);
        assert_eq!(sweeper.0.armed.get(), 0);
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
