//! The tunnel of one environment: a program that is started when it is first needed and shared by
//! all connections. A background task, its supervisor, starts it again when it ends, with growing
//! delays, and another replaces it before its service ends it (Session Manager does that after
//! about an hour):
//!
//! | State      | ends when                                                              |
//! |------------|------------------------------------------------------------------------|
//! | `Idle`     | a connection is needed → `Starting`                                     |
//! | `Starting` | the program's port is open → `Up`, or the program has failed → `Failed` |
//! | `Up`       | the program ends → `Starting` after a stable run, else `Failed`         |
//! | `Failed`   | the delay is over and a connection is needed → `Starting`               |

mod guard;
mod output;
mod process;

pub use guard::TunnelGuard;

use super::error::{TunnelError, TunnelErrorKind};
use super::stream::StreamKind;
use super::{Settings, Stream};
use mwaa_model::error_chain;
use mwaa_runtime::{BackgroundTasks, Timer, Timestamp};
use process::{PipedProcess, ProcessExit, SharedProcess, connect_to_port};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;

/// One environment's tunnel.
pub struct Tunnel {
    command: mwaa_model::TunnelCommand,
    start_limit: Duration,
    max_age: Duration,
    background: BackgroundTasks,
    upkeep: Mutex<UpkeepState>,
    state: watch::Sender<TunnelState>,
}

enum TunnelState {
    /// No program runs: none was needed yet, or none for a while.
    Idle,
    Starting,
    Up(Arc<SharedProcess>),
    /// It ended, and is not started before `delay` is over.
    Failed {
        error: Arc<TunnelErrorKind>,
        since: Timestamp,
        delay: Duration,
    },
}

/// The upkeep of the program: by which task, and until when it is worth it.
#[derive(Debug, Default)]
struct UpkeepState {
    /// The number of the task that may change the state; one with another number ends.
    supervisor: u64,
    /// The time of the last request for a connection.
    last_request: Option<Timestamp>,
    /// Ends without a stable run since the last stable one.
    failures: u32,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("program", &self.program())
            .finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Creates a tunnel; starts no program.
    pub(super) fn new(
        command: mwaa_model::TunnelCommand,
        settings: &Settings,
        background: &BackgroundTasks,
    ) -> Self {
        Self {
            command,
            start_limit: settings.tunnel_start,
            max_age: settings.tunnel_age,
            background: background.clone(),
            upkeep: Mutex::default(),
            state: watch::Sender::new(TunnelState::Idle),
        }
    }

    /// Returns true if both run the same command within the same limits.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.command == other.command
            && self.start_limit == other.start_limit
            && self.max_age == other.max_age
    }

    /// Returns the program's name.
    pub fn program(&self) -> &str {
        self.command.program()
    }

    /// Returns its state, for people.
    pub(super) fn state_text(&self) -> String {
        if self.command.is_stdio() {
            return "one program for each connection".to_owned();
        }

        let now = Timestamp::now();
        match &*self.state.borrow() {
            TunnelState::Idle => "not needed".to_owned(),
            TunnelState::Starting => "starting".to_owned(),
            TunnelState::Up(process) => {
                let age = Duration::from_secs(process.since.age(now).as_secs());
                format!("up for {}", humantime::format_duration(age))
            }
            TunnelState::Failed { error, .. } => format!("failed: {}", error_chain(&**error)),
        }
    }

    /// Opens a connection through it to `host`. Fails if the program cannot start, or takes no
    /// connection.
    pub(super) async fn connect(
        self: &Arc<Self>,
        host: &str,
        timer: &impl Timer,
    ) -> Result<Stream, TunnelError> {
        if self.command.is_stdio() {
            return self.connect_to_pipes(host).await;
        }

        let first = self.get_process(host).await?;
        let error = match self.connect_through(&first, timer).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };

        // A port that refuses: the program has just ended, and the next one is being started.
        if error.kind() != io::ErrorKind::TimedOut {
            let replaced = timer.within(OUTPUT_LIMIT, self.wait_until_replaced(&first));
            if replaced.await.is_ok() {
                let second = self.get_process(host).await?;
                if let Ok(stream) = self.connect_through(&second, timer).await {
                    return Ok(stream);
                }
            }
        }
        let handle = self.handle(Process::Shared(first));
        Err(handle.record_failure(&error.to_string(), timer).await)
    }

    async fn connect_through(
        self: &Arc<Self>,
        process: &Arc<SharedProcess>,
        timer: &impl Timer,
    ) -> io::Result<Stream> {
        let stream = timer
            .within(CONNECT_LIMIT, connect_to_port(process.port))
            .await
            .map_err(|_elapsed| {
                io::Error::new(io::ErrorKind::TimedOut, "it accepts no connections")
            })??;
        let handle = self.handle(Process::Shared(Arc::clone(process)));
        Ok(Stream::new(StreamKind::Tcp(stream)).with_tunnel(handle))
    }

    /// Starts a program whose stdin and stdout are the connection.
    async fn connect_to_pipes(self: &Arc<Self>, host: &str) -> Result<Stream, TunnelError> {
        // such a command has no place for a port
        let words = self.command.expand(host, 0);
        let (pipes, process) = PipedProcess::start(words, &self.background)
            .await
            .map_err(|error| self.error(TunnelErrorKind::NotStarted(error)))?;
        let stream = Stream::new(StreamKind::Pipes(pipes));
        Ok(stream.with_tunnel(self.handle(Process::Piped(process))))
    }

    fn handle(self: &Arc<Self>, process: Process) -> TunnelHandle {
        let tunnel = Arc::clone(self);
        TunnelHandle { tunnel, process }
    }

    fn error(&self, kind: TunnelErrorKind) -> TunnelError {
        TunnelError {
            program: self.program().to_owned(),
            kind: Arc::new(kind),
            retry_after: None,
        }
    }

    /// Returns the program to `host`; starts one, or waits for one that is starting.
    async fn get_process(
        self: &Arc<Self>,
        host: &str,
    ) -> Result<Arc<SharedProcess>, TunnelError> {
        // before the first look at the state, so that no change is missed
        let mut changes = self.state.subscribe();
        self.upkeep().last_request = Some(Timestamp::now());
        loop {
            if let Poll::Ready(process) = self.try_process(host, Timestamp::now()) {
                return process;
            }
            // the sender lives as long as `self`
            let _changed = changes.changed().await;
        }
    }

    /// Returns the program to `host`, or the error of one that must not be started again yet.
    /// `Pending` means that one is starting, which this call may have caused.
    fn try_process(
        self: &Arc<Self>,
        host: &str,
        now: Timestamp,
    ) -> Poll<Result<Arc<SharedProcess>, TunnelError>> {
        let mut result = Poll::Pending;
        let is_starting = self.state.send_if_modified(|state| match state {
            TunnelState::Up(process) if *process.host == *host => {
                if process.since.age(now) >= self.max_age && process.mark_outdated() {
                    self.replace(Arc::clone(process));
                }
                // it serves this connection in any case: the new one takes time to start
                result = Poll::Ready(Ok(Arc::clone(process)));
                false
            }

            // no connection waits for the delay
            TunnelState::Failed {
                error,
                since,
                delay,
            } if since.age(now) < *delay => {
                result = Poll::Ready(Err(TunnelError {
                    program: self.program().to_owned(),
                    kind: Arc::clone(error),
                    retry_after: Some(delay.saturating_sub(since.age(now))),
                }));
                false
            }

            TunnelState::Starting => false,
            // one to another host is of no use any more
            TunnelState::Up(_) | TunnelState::Idle | TunnelState::Failed { .. } => {
                *state = TunnelState::Starting;
                true
            }
        });

        if is_starting {
            self.start_supervisor(host);
        }
        result
    }

    /// Returns `true` while this is the program of new connections.
    fn is_current(state: &TunnelState, process: &Arc<SharedProcess>) -> bool {
        matches!(state, TunnelState::Up(current) if Arc::ptr_eq(current, process))
    }

    async fn wait_until_replaced(&self, process: &Arc<SharedProcess>) {
        let mut changes = self.state.subscribe();
        // the sender lives as long as `self`
        let _replaced = changes
            .wait_for(|state| !Self::is_current(state, process))
            .await;
    }

    /// Starts another program in the place of this one, which is of no use any more.
    fn abandon(self: &Arc<Self>, process: &Arc<SharedProcess>) {
        // several connections may report it, and only the first report counts
        let was_current = self.state.send_if_modified(|state| {
            let is_current = Self::is_current(state, process);
            if is_current {
                *state = TunnelState::Starting;
            }
            is_current
        });

        if was_current {
            let program = self.program();
            tracing::warn!(
                program,
                "the tunnel accepts no connections; starting another"
            );
            self.start_supervisor(&process.host);
        }
    }

    /// Starts the task that starts the program and watches it.
    fn start_supervisor(self: &Arc<Self>, host: &str) {
        let supervisor = self.next_supervisor();
        let tunnel = Arc::clone(self);
        let host = host.to_owned();
        let span = tracing::debug_span!("tunnel", program = self.program(), supervisor);
        let task = async move { tunnel.supervise(supervisor, &host).await };
        self.background.spawn(span, task);
    }

    /// Runs a program to `host` until another task takes over or no connection is needed any
    /// more.
    async fn supervise(self: &Arc<Self>, supervisor: u64, host: &str) {
        loop {
            let (error, was_up) = match self.start_process(host).await {
                Err(error) => (error, false),
                Ok((process, exit)) => {
                    if !self.set_state(supervisor, TunnelState::Up(Arc::clone(&process))) {
                        return;
                    }
                    tracing::info!(program = self.program(), host, "tunnel is up");

                    match self.wait_for_exit(process, exit).await {
                        Some(error) => (error, true),
                        None => return,
                    }
                }
            };

            let delay = self.next_delay(was_up);
            tracing::warn!(
                program = self.program(),
                host,
                error = error_chain(&error),
                retry_in = ?delay,
                "tunnel ended"
            );

            let is_immediate = delay.is_zero() && self.is_needed();
            if !is_immediate {
                let failed = TunnelState::Failed {
                    error: Arc::new(error),
                    since: Timestamp::now(),
                    delay,
                };
                if !self.set_state(supervisor, failed) {
                    return;
                }

                // a program that cannot start must not be started in a loop
                tokio::time::sleep(delay).await;
                // a later request starts a supervisor of its own
                if !self.is_needed() {
                    tracing::debug!("no connection is needed; not starting the tunnel again");
                    return;
                }
            }
            if !self.set_state(supervisor, TunnelState::Starting) {
                return;
            }
        }
    }

    async fn start_process(
        &self,
        host: &str,
    ) -> Result<(Arc<SharedProcess>, ProcessExit), TunnelErrorKind> {
        tracing::debug!(program = self.program(), host, "starting the tunnel");
        SharedProcess::start(&self.command, host, self.start_limit, &self.background).await
    }

    /// Waits for the program's end; `None` if another one has taken its place by then.
    async fn wait_for_exit(
        &self,
        process: Arc<SharedProcess>,
        exit: ProcessExit,
    ) -> Option<TunnelErrorKind> {
        // Not held here: the program ends when the state and all connections have dropped it.
        let since = process.since;
        let weak = Arc::downgrade(&process);
        drop(process);

        let error = exit.wait().await;

        let is_current = matches!(
            &*self.state.borrow(),
            TunnelState::Up(current) if Arc::as_ptr(current) == weak.as_ptr()
        );
        if !is_current {
            tracing::debug!("the replaced tunnel has ended");
            return None;
        }

        if since.age(Timestamp::now()) >= STABLE_RUN {
            self.upkeep().failures = 0;
        }
        Some(error)
    }

    /// Starts a second program beside an old one; new connections use it once it is up.
    fn replace(self: &Arc<Self>, old: Arc<SharedProcess>) {
        let tunnel = Arc::clone(self);
        let span = tracing::debug_span!("tunnel", program = self.program(), is_new = true);
        let task = async move {
            match tunnel.start_process(&old.host).await {
                Ok((process, exit)) => {
                    let host = Arc::clone(&old.host);
                    // its connections keep it until they end
                    drop(old);
                    tunnel.use_new_process(process, exit, &host).await;
                }

                Err(error) => {
                    let error = error_chain(&error);
                    tracing::warn!(
                        program = tunnel.program(),
                        error,
                        "no new tunnel started; keeping the old one"
                    );
                    // the next request may try again, but not every one of them
                    tokio::time::sleep(MAX_DELAY).await;
                    old.unmark_outdated();
                }
            }
        };
        self.background.spawn(span, task);
    }

    async fn use_new_process(
        self: &Arc<Self>,
        process: Arc<SharedProcess>,
        exit: ProcessExit,
        host: &str,
    ) {
        // from here on the supervisor of the old program changes nothing
        let supervisor = self.next_supervisor();
        if !self.set_state(supervisor, TunnelState::Up(Arc::clone(&process))) {
            return;
        }
        let program = self.program();
        tracing::info!(program, "a new tunnel replaces the old one");

        if let Some(error) = self.wait_for_exit(process, exit).await {
            let error = error_chain(&error);
            tracing::warn!(program, error, "tunnel ended");
            if self.set_state(supervisor, TunnelState::Idle) && self.is_needed() {
                // as a request would
                let _starting = self.try_process(host, Timestamp::now());
            }
        }
    }

    fn next_supervisor(&self) -> u64 {
        let mut upkeep = self.upkeep();
        upkeep.supervisor += 1;
        upkeep.supervisor
    }

    /// Sets the state; returns `false` if another task has taken over.
    fn set_state(&self, supervisor: u64, state: TunnelState) -> bool {
        let upkeep = self.upkeep();
        // under the lock, so that no other task takes over in between
        let is_own = upkeep.supervisor == supervisor;
        if is_own {
            self.state.send_replace(state);
        }
        is_own
    }

    /// Counts a failure and returns the delay before the next start: none after a stable run.
    fn next_delay(&self, was_up: bool) -> Duration {
        let mut upkeep = self.upkeep();
        let failures = upkeep.failures;
        upkeep.failures = failures.saturating_add(1);
        if was_up && failures == 0 {
            return Duration::ZERO;
        }

        // up to a quarter more, so that many gateways do not come back at once
        (FIRST_DELAY * 2u32.pow(failures.min(6)))
            .min(MAX_DELAY)
            .mul_f64(1.0 + 0.25 * fastrand::f64())
    }

    /// Returns `true` if a connection was asked for recently.
    fn is_needed(&self) -> bool {
        let now = Timestamp::now();
        let last = self.upkeep().last_request;
        last.is_some_and(|last| last.age(now) < NEEDED_FOR)
    }

    fn upkeep(&self) -> MutexGuard<'_, UpkeepState> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a tunnel that belongs to one connection. It keeps the program alive.
#[derive(Debug)]
pub struct TunnelHandle {
    tunnel: Arc<Tunnel>,
    process: Process,
}

#[derive(Debug)]
enum Process {
    /// The one that all connections share.
    Shared(Arc<SharedProcess>),
    /// One for this connection alone.
    Piped(Arc<PipedProcess>),
}

impl TunnelHandle {
    /// The web server has answered.
    pub fn record_success(&self) {
        if let Process::Shared(process) = &self.process {
            process.record_success();
        }
    }

    /// The connection failed for this reason. Returns the error, with the last lines of the
    /// program's output. A program that several connections have failed through is replaced.
    pub async fn record_failure(&self, reason: &str, timer: &impl Timer) -> TunnelError {
        let output = match &self.process {
            Process::Shared(process) => &process.output,
            Process::Piped(process) => &process.output,
        };

        // the lines about a connection may come a moment after it is closed
        let _line = timer.within(OUTPUT_LIMIT, output.wait_for_line()).await;

        let kind = match (&self.process, output.text()) {
            (Process::Piped(process), Some(text)) if process.is_missing() => {
                TunnelErrorKind::NotStarted(io::Error::other(text))
            }
            (_, tail) => TunnelErrorKind::NoConnection {
                reason: reason.to_owned(),
                tail,
            },
        };

        // If nothing answers behind it, another run is no better: not more often than this.
        if let Process::Shared(process) = &self.process
            && process.record_failure()
            && process.since.age(Timestamp::now()) >= STABLE_RUN
        {
            self.tunnel.abandon(process);
        }
        self.tunnel.error(kind)
    }
}

/// A program on this machine takes a connection at once.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The longest wait for the last lines of a program's output.
const OUTPUT_LIMIT: Duration = Duration::from_millis(200);
/// A run that lasted this long was no failure.
const STABLE_RUN: Duration = Duration::from_secs(10);
/// The delay after a first failed start; each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// A tunnel that was not used for so long is not started again until it is needed.
const NEEDED_FOR: Duration = Duration::from_mins(5);
