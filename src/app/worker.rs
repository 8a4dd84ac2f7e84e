//! Runs a [`Gateway`] and shuts it down. Each worker thread has a runtime of its own with its own
//! sockets, connection pool and coarse clock; a request stays on one thread. The control thread,
//! which calls [`Gateway::serve`], runs the calls to AWS, the management address and the timers that
//! wake the workers.

use super::generation::Generation;
use super::reload::{Reloader, addresses};
use super::supervisor::{Pulse, PulseReceiver, pulse};
use super::{Gateway, StartError, settings};
use mwaa_config::Config;
use mwaa_policy::CommandMemory;
use mwaa_proxy::ReverseProxy;
use mwaa_proxy::admission::AdmissionMemory;
use mwaa_proxy::queue::CommandQueues;
use mwaa_proxy::upstream::{TrustStore, UpstreamClient};
use mwaa_runtime::{
    BackgroundTasks, ClockShift, CoarseTimer, LocalTasks, Shutdown, ShutdownStage, boot_clock,
    end_turn, keep_time_for_a_turn,
};
use mwaa_server::{
    BoundListener, OpenConnections, OpenListener, Places, RequestHandler, Server,
};
use mwaa_telemetry::{AccessLog, Metrics, access};
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument as _;

/// The way in which a gateway has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownStatus {
    /// Every request in flight was served.
    Drained,
    /// `limits.drain` was over before every request was served.
    TimedOut,
    /// A worker thread ended by itself.
    WorkerFailed,
}

impl Gateway {
    /// Serves until `shutdown` completes, then stops in the order of
    /// [`ShutdownStage`].
    ///
    /// Fails if a thread cannot be started.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<ShutdownStatus, StartError> {
        let (notifier, stopping) = (self.notifier.clone(), Arc::clone(&self.stopping));
        let (mut workers, mut reloader) = self.start()?;
        tokio::select! {
            () = shutdown => {}
            // a reload that is under way ends with this: nothing of it counts before its last step
            never = reloader.run() => match never {},
            exit = workers.exits.recv() => {
                // With a worker less the gateway would look well and lose a share of the clients.
                tracing::error!(?exit, "a worker thread ended unexpectedly");
                return Ok(ShutdownStatus::WorkerFailed);
            }
        }
        let Reloader {
            generation,
            sockets,
            ..
        } = reloader;
        // the listeners are the workers' alone: they close with the last one
        drop(sockets);

        // Not ready before the listeners close: a load balancer may look in between.
        notifier.stopping();
        stopping.store(true, Ordering::Relaxed);
        let stop = StopLimits::new(&generation.config);
        let status = workers.stop(stop, &generation.state.queues).await;
        end_records(&generation).await;
        Ok(status)
    }

    /// Starts the workers and all that runs beside them. Returns them, and what replaces their
    /// configuration.
    fn start(self) -> Result<(WorkerPool, Reloader), StartError> {
        let Self {
            generation,
            mut sockets,
            status,
            stopping: _,
            background,
            notifier,
            source,
            requests,
            files,
        } = self;
        generation.start_aws_calls(None);

        // The management address before the workers: no request is served that it cannot show.
        sockets.serve_management(&status, &background);

        let worker = WorkerContext {
            places: Arc::clone(&sockets.places),
            generation: Arc::clone(&generation),
            background: background.clone(),
            listeners: Arc::clone(&sockets.listeners),
        };
        let mut workers = WorkerPool::start(&worker, sockets.threads)?;
        drop(worker);
        start_warm_up(Arc::clone(&generation.trust));
        tracing::debug!(threads = sockets.threads, "the gateway serves");
        notifier.ready(&addresses(&generation, &sockets));
        let pulses = std::mem::take(&mut workers.pulses);
        let watchdog = notifier.clone().keep_alive(pulses);
        background.spawn(tracing::debug_span!("watchdog"), watchdog);
        let history = keep_history(Arc::clone(&generation.state.metrics));
        background.spawn(tracing::debug_span!("history"), history);

        let reloader = Reloader {
            generation,
            sockets,
            status,
            background,
            notifier,
            source,
            requests,
            files,
            workers: std::mem::take(&mut workers.updates),
        };
        Ok((workers, reloader))
    }
}

/// Records what has happened at the end of each minute.
async fn keep_history(metrics: Arc<Metrics>) {
    loop {
        let into_minute = boot_clock().as_millis() % MINUTE.as_millis();
        let into_minute = Duration::from_millis(u64::try_from(into_minute).unwrap_or_default());
        tokio::time::sleep(MINUTE.saturating_sub(into_minute)).await;
        metrics.end_minutes(boot_clock());
    }
}

/// The times of a shutdown.
#[derive(Debug, Clone, Copy)]
struct StopLimits {
    /// Clients are still accepted for this time.
    delay: Duration,
    /// Requests have this time to finish.
    drain: Duration,
    /// So long before the end of `drain` waiting commands get no more slots.
    last: Duration,
}

impl StopLimits {
    fn new(config: &Config) -> Self {
        let drain = config.limits.drain;
        Self {
            delay: config.limits.shutdown_delay,
            drain,
            last: LAST_COMMANDS.min(drain / 2),
        }
    }
}

/// The running worker threads.
struct WorkerPool {
    /// One for each worker.
    pulses: Vec<Pulse>,
    /// One for each worker.
    updates: Vec<mpsc::UnboundedSender<Update>>,
    stage: watch::Sender<ShutdownStage>,
    exits: mpsc::UnboundedReceiver<WorkerResult>,
}

/// The result of a worker thread; the outer error is its panic.
type WorkerResult = thread::Result<io::Result<()>>;

impl WorkerPool {
    fn start(context: &WorkerContext, count: usize) -> Result<Self, StartError> {
        let (stage, stage_receiver) = watch::channel(ShutdownStage::Serving);
        let (sender, exits) = mpsc::unbounded_channel();
        let mut pulses = Vec::with_capacity(count);
        let mut updates = Vec::with_capacity(count);

        for number in 0..count {
            let (asking, answering) = pulse();
            pulses.push(asking);
            let (updating, updated) = mpsc::unbounded_channel();
            updates.push(updating);
            let worker = Worker {
                context: context.clone(),
                pulse: answering,
                updates: updated,
                stage: stage_receiver.clone(),
            };
            let sender = sender.clone();
            let span = tracing::debug_span!("worker", number);
            let clock = ClockShift::current();
            let run = move || {
                clock.enter();
                block_on(worker.serve().instrument(span)).flatten()
            };
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || send_result(run, &sender))
                .map_err(StartError::Thread)?;
        }
        Ok(Self {
            pulses,
            updates,
            stage,
            exits,
        })
    }

    /// Takes the workers through the stages of a shutdown.
    async fn stop(mut self, limits: StopLimits, queues: &CommandQueues) -> ShutdownStatus {
        let StopLimits { delay, drain, last } = limits;
        if !delay.is_zero() {
            tracing::info!(
                ?delay,
                "stopping: connections are accepted for limits.shutdown_delay"
            );
            self.stage.send_replace(ShutdownStage::Leaving);
            tokio::time::sleep(delay).await;
        }

        tracing::info!("stopping: no new connections; waiting for running requests");
        self.stage.send_replace(ShutdownStage::Draining);
        if self.wait_all(drain.saturating_sub(last)).await {
            return ShutdownStatus::Drained;
        }

        tracing::debug!(?last, "waiting commands get no more slots");
        queues.close();
        if self.wait_all(last).await {
            return ShutdownStatus::Drained;
        }

        tracing::warn!(
            ?drain,
            "limits.drain is over; answering the remaining requests"
        );
        self.stage.send_replace(ShutdownStage::Cut);
        self.wait_all(Duration::MAX).await;
        ShutdownStatus::TimedOut
    }

    /// Waits until every worker has ended: each holds a sender of the channel. Returns false if the
    /// limit passes before.
    async fn wait_all(&mut self, limit: Duration) -> bool {
        let all = async { while self.exits.recv().await.is_some() {} };
        tokio::time::timeout(limit, all).await.is_ok()
    }
}

/// Runs a worker and sends its result, also if it panics: the others keep the channel open, so
/// that its end would not be noticed.
fn send_result(
    run: impl FnOnce() -> io::Result<()>,
    exits: &mpsc::UnboundedSender<WorkerResult>,
) {
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    // the receiver outlives the workers except at the very end
    drop(exits.send(result));
}

/// The values that all worker threads share.
#[derive(Clone)]
struct WorkerContext {
    generation: Arc<Generation>,
    background: BackgroundTasks,
    /// Each worker takes its socket of each. They close with the last worker.
    listeners: Arc<Mutex<Vec<BoundListener>>>,
    /// The places for client connections.
    places: Arc<Places>,
}

/// Returns the thread's access log, if the configuration wants its lines.
fn select_access_log(access: &AccessLog, generation: &Generation) -> AccessLog {
    if generation.config.telemetry.access_log {
        access.clone()
    } else {
        AccessLog::default()
    }
}

/// Writes the last lines of the audit log, sends the last traces, and gives back what the fleet knows of.
async fn end_records(generation: &Generation) {
    let begun = boot_clock();
    if let Some(audit) = &generation.state.audit {
        audit.flush(LAST_RECORDS);
    }

    let rest = LAST_RECORDS.saturating_sub(boot_clock().saturating_sub(begun));
    let send_traces = async {
        if let Some(traces) = &generation.traces {
            traces.end(rest).await;
        }
    };
    let leave = async {
        if let Some(fleet) = &generation.fleet {
            fleet.leave(rest).await;
        }
    };
    tokio::join!(send_traces, leave);
}

/// Another configuration, for a worker.
pub(super) struct Update {
    pub(super) generation: Arc<Generation>,
    /// Gets a message once the worker's requests have it, and its sockets that are gone are closed.
    pub(super) done: oneshot::Sender<()>,
}

/// One worker thread.
struct Worker {
    context: WorkerContext,
    pulse: PulseReceiver,
    updates: mpsc::UnboundedReceiver<Update>,
    stage: watch::Receiver<ShutdownStage>,
}

impl Worker {
    /// Serves until the shutdown, and then until every request in flight is answered.
    async fn serve(self) -> io::Result<()> {
        let tasks = LocalTasks::default();
        self.pulse.start(&tasks);
        let WorkerContext {
            generation,
            background,
            listeners,
            places,
        } = self.context;

        let timer = CoarseTimer::start(&tasks, &background);
        let shutdown = Shutdown::watch(self.stage, &timer, &tasks);
        let log = generation.inputs.log.clone();
        let access = log.map(|log| AccessLog::start(log, &timer, &tasks));
        let access = access.unwrap_or_default();
        let metrics = generation.state.metrics.worker_metrics();
        let proxy = Rc::new(ReverseProxy {
            upstream: create_client(&generation, &timer, &tasks),
            metrics: Rc::new(metrics),
            state: Arc::clone(&generation.state),
            admissions: AdmissionMemory::default(),
            commands: CommandMemory::default(),
            access: select_access_log(&access, &generation),
            timer: timer.clone(),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
            is_replaced: Cell::new(false),
        });
        // the one for the next request, on whatever connection it comes
        let current = Rc::new(RefCell::new(proxy));
        let (handling, refusing) = (Rc::clone(&current), Rc::clone(&current));
        let server = Rc::new(Server {
            settings: settings::connections(&generation.config).into(),
            connections: OpenConnections::start(&places, &timer, &tasks),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
            timer: timer.clone(),
            handle: move |request| mwaa_proxy::handle(Rc::clone(&handling.borrow()), request),
            refuse: Box::new(move |bad_head, client| {
                mwaa_proxy::reject_head(&refusing.borrow(), bad_head, client)
            }),
            farewell: Box::new(mwaa_proxy::say_farewell),
        });

        let mut room = WorkRoom {
            pool: generation.pool,
            access,
            current,
            server,
            listeners,
            open: Vec::new(),
        };
        drop(generation);
        room.listen()?;
        let following = room.follow(self.updates);
        tasks.spawn_unwatched(tracing::debug_span!("updates"), following);

        wait_for_end(&tasks, &shutdown, &timer).await;
        Ok(())
    }
}

/// The parts of a worker that another configuration changes.
struct WorkRoom<H> {
    /// The number of the pool of idle connections, as in [`Generation`].
    pool: u32,
    access: AccessLog,
    current: Rc<RefCell<Rc<ReverseProxy>>>,
    server: Rc<Server<H>>,
    listeners: Arc<Mutex<Vec<BoundListener>>>,
    open: Vec<OpenListener>,
}

impl<H: RequestHandler> WorkRoom<H> {
    /// Carries out the updates, one after the other.
    async fn follow(mut self, mut updates: mpsc::UnboundedReceiver<Update>) {
        while let Some(update) = updates.recv().await {
            for closed in self.update(&update.generation) {
                closed.await;
            }
            // the control thread waits no longer if it is ending
            let _unheard = update.done.send(());
        }
    }

    /// Lets a configuration count from the next request on. Requests that run keep theirs. Returns
    /// futures that wait until each socket that is gone is closed.
    fn update(&mut self, generation: &Generation) -> Vec<impl Future<Output = ()> + use<H>> {
        let old = Rc::clone(&self.current.borrow());
        let upstream = if self.pool == generation.pool {
            old.upstream.clone()
        } else {
            create_client(generation, &old.timer, &old.tasks)
        };
        self.pool = generation.pool;
        self.current.replace(Rc::new(ReverseProxy {
            upstream,
            metrics: Rc::clone(&old.metrics),
            access: select_access_log(&self.access, generation),
            state: Arc::clone(&generation.state),
            // by other rules now
            admissions: AdmissionMemory::default(),
            commands: CommandMemory::default(),
            timer: old.timer.clone(),
            tasks: old.tasks.clone(),
            shutdown: old.shutdown.clone(),
            is_replaced: Cell::new(false),
        }));
        old.is_replaced.set(true);
        if generation.has_renamed(&old.state) {
            old.metrics.forget_names();
        }

        let server = &self.server;
        server
            .settings
            .set(settings::connections(&generation.config));
        server.connections.update();
        let closing = self.close_removed();
        if let Err(error) = self.listen() {
            tracing::error!(%error, "a worker cannot accept on a new listener");
        }
        // idle connections of listeners that are closed end now
        old.timer.wake_all();
        closing
    }

    /// Closes the listeners that are gone.
    fn close_removed(&mut self) -> Vec<impl Future<Output = ()> + use<H>> {
        let listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_gone = |open: &mut OpenListener| {
            !listeners.iter().any(|bound| bound.number == open.number)
        };
        let gone = self.open.extract_if(.., is_gone);
        gone.map(OpenListener::close).collect()
    }

    /// Takes this thread's socket of each listener that is new, and updates the others.
    fn listen(&mut self) -> io::Result<()> {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for bound in &mut *listeners {
            let number = bound.number;
            match self.open.iter().find(|open| open.number == number) {
                Some(open) => open.update(bound),
                None => self.open.extend(self.server.listen(bound)?),
            }
        }
        Ok(())
    }
}

/// Waits until every request has its answer.
async fn wait_for_end(tasks: &LocalTasks, shutdown: &Shutdown, timer: &CoarseTimer) {
    // the accept loops are among the tasks: they end at the shutdown
    tokio::select! {
        () = tasks.wait_idle() => return,
        () = shutdown.wait_for(ShutdownStage::Cut) => {}
    }
    // every request has its answer now, but a client may be slow to take it
    let _elapsed = timer.within(LAST_ANSWERS, tasks.wait_idle()).await;
}

fn create_client(
    generation: &Generation,
    timer: &CoarseTimer,
    tasks: &LocalTasks,
) -> UpstreamClient {
    UpstreamClient::new(
        settings::upstream(&generation.config),
        generation.connector.clone(),
        Arc::clone(&generation.trust),
        timer.clone(),
        tasks,
        Arc::clone(&generation.state.metrics),
    )
}

/// Runs a worker's future on a runtime of this thread, which ends with it.
fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    // its tasks need not be `Send`, and it is one scheduler where a `LocalSet` would be a second
    let runtime = tokio::runtime::Builder::new_current_thread()
        // without timers, which would read the clock twice in each turn
        .enable_io()
        // the thread has slept: the time is another
        .on_thread_unpark(end_turn)
        .build_local(LocalOptions::default())?;
    keep_time_for_a_turn();
    let output = runtime.block_on(future);
    // a look-up of a name may hang in the C library; the end does not wait for it
    runtime.shutdown_background();
    access::flush();
    Ok(output)
}

/// Loads the roots and sets up the crypto beside the serving threads, so that neither the start
/// nor the first request waits for it.
fn start_warm_up(trust: Arc<TrustStore>) {
    let thread = thread::Builder::new()
        .name("warm-up".to_owned())
        .spawn(move || trust.warm_up());
    if let Err(error) = thread {
        tracing::debug!(%error, "cannot start the warm-up thread; the first request will be \
                                 slower");
    }
}

const MINUTE: Duration = Duration::from_mins(1);
/// The longest time from the end of `limits.drain` to the end of the program.
pub const AFTER_DRAIN: Duration = Duration::from_secs(5);
/// The part of `limits.drain` in which waiting commands get no more slots: Airflow takes seconds to
/// start, and the outcome of a command that is cut off is unknown.
const LAST_COMMANDS: Duration = Duration::from_secs(10);
/// The longest wait for clients to take the answers to what was cut.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// The longest wait at the end for the disk of the audit log and for the collector of traces, together.
const LAST_RECORDS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc as std_mpsc;

    #[test]
    fn a_worker_that_panics_also_sends_its_exit() {
        let (sender, mut exits) = mpsc::unbounded_channel();
        send_result(|| panic!("on purpose"), &sender);
        assert!(matches!(exits.try_recv(), Ok(Err(_))));
        send_result(|| Ok(()), &sender);
        assert!(matches!(exits.try_recv(), Ok(Ok(Ok(())))));
    }

    #[test]
    fn a_lookup_that_hangs_does_not_delay_the_shutdown() {
        let (answer, never) = std_mpsc::channel::<()>();
        let (sender, started) = std_mpsc::channel();
        let worker = thread::spawn(move || {
            let ended = block_on(async move {
                let look_up = tokio::task::spawn_blocking(move || {
                    sender.send("started").unwrap();
                    never.recv()
                });
                drop(look_up);
            });
            ended.unwrap();
        });
        assert_eq!(started.recv(), Ok("started"));
        worker.join().unwrap();
        drop(answer);
    }
}
