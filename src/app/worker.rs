//! One worker thread: a current-thread runtime with its own sockets, pool and coarse clock.
//! Nothing of a request leaves its thread but the mint that it may need.

use super::settings;
use crate::config::Config;
use crate::egress::Egress;
use crate::gateway::{self, Corridor, Shared};
use crate::listener::{self, Bound, Handler, Stop};
use crate::runtime::{LocalTasks, Sweeper, local_set};
use crate::upstream::{Trusts, Upstream};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

/// What a worker needs to start; clones go to each thread.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) config: Arc<Config>,
    pub(super) shared: Arc<Shared>,
    pub(super) trust: Arc<Trusts>,
    pub(super) egress: Egress,
    pub(super) bound: Arc<Mutex<Vec<Bound>>>,
    pub(super) places: Arc<Semaphore>,
    pub(super) stop: Stop,
    pub(super) cut: watch::Receiver<bool>,
}

impl Worker {
    /// Serves until told to stop and all is answered, or until cut.
    pub(super) fn run(self) -> io::Result<()> {
        block_on(self.serve())?
    }

    async fn serve(mut self) -> io::Result<()> {
        let tasks = LocalTasks::default();
        let sweeper = Sweeper::start(&tasks);
        let upstream = Upstream::new(
            settings::upstream(&self.config),
            self.egress.clone(),
            Arc::clone(&self.trust),
            sweeper.clone(),
            tasks.clone(),
        );
        let corridor = Rc::new(Corridor {
            shared: Arc::clone(&self.shared),
            upstream,
            sweeper: sweeper.clone(),
            tasks: tasks.clone(),
        });
        let shared = Arc::clone(&self.shared);
        let handler = Rc::new(Handler {
            handle: move |arrived| gateway::handle(Rc::clone(&corridor), arrived),
            refuse: Box::new(move |bad_head| gateway::refuse_head(&shared, bad_head)),
        });
        let connections = Rc::new(settings::connections(&self.config));
        for bound in self
            .bound
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter_mut()
        {
            listener::serve(
                bound,
                &connections,
                &self.places,
                &tasks,
                &sweeper,
                &self.stop,
                &handler,
            )?;
        }
        // the accept loops are among the tasks: they end when told to stop
        tokio::select! {
            () = tasks.idle() => {}
            _ = self.cut.wait_for(|cut| *cut) => {}
        }
        tasks.close();
        Ok(())
    }
}

/// Runs the work on a runtime of its own, and ends with it.
fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let output = local_set().block_on(&runtime, work);
    // a look-up of a name may hang in the C library; the end does not wait for it
    runtime.shutdown_background();
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_look_up_that_hangs_does_not_hold_the_end_up() {
        let (answer, never) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let worker = std::thread::spawn(move || {
            let ended = block_on(async move {
                let look_up = tokio::task::spawn_blocking(move || {
                    tell.send("begun").unwrap();
                    never.recv()
                });
                drop(look_up);
            });
            ended.unwrap();
        });
        assert_eq!(told.recv(), Ok("begun"));
        worker.join().unwrap();
        drop(answer);
    }
}
