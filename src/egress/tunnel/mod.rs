//! The tunnel of one environment: a program that is started when it is first needed, shared by
//! all connections, watched, started again with growing pauses when it ends, and replaced before
//! its service ends it (Session Manager does that after about an hour).

mod error;
mod guard;
mod pipes;
mod process;
mod words;

pub use error::TunnelError;
pub use guard::Guard;
pub(super) use pipes::Pipes;

use super::{ByEnvironment, Settings, Stream};
use crate::names::{self, EnvName};
use crate::runtime::{Background, Moment, Timer};
use error::Trouble;
use pipes::Program;
use process::{Exit, Running, launch};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// The tunnels by the local names of their environments.
pub(super) type Tunnels = ByEnvironment<Tunnel>;

/// Makes the tunnels; starts no program.
pub(super) fn start(
    tunnels: impl Iterator<Item = (EnvName, names::Tunnel)>,
    settings: &Settings,
    background: &Background,
) -> Tunnels {
    let make = |(local, program)| {
        let tunnel = Tunnel {
            program,
            start: settings.tunnel_start,
            most_age: settings.tunnel_age,
            background: background.clone(),
            need: Mutex::new(Need::default()),
            phase: watch::Sender::new(Phase::Off),
        };
        (local, Arc::new(tunnel))
    };
    tunnels.map(make).collect()
}

/// One environment's tunnel.
pub struct Tunnel {
    program: names::Tunnel,
    start: Duration,
    most_age: Duration,
    background: Background,
    need: Mutex<Need>,
    phase: watch::Sender<Phase>,
}

/// Who looks after the program, and until when it is worth it.
#[derive(Debug, Default)]
struct Need {
    /// The number of the task that may change the phase; one with another number ends.
    keeper: u64,
    /// When a connection was last asked for.
    last: Option<Moment>,
    /// Ends without a stable run since the last stable one.
    failures: u32,
}

enum Phase {
    /// No program runs: none was needed yet, or none for a while.
    Off,
    Starting,
    Up(Arc<Running>),
    /// It ended, and is not started before `hold` is over.
    Failed {
        trouble: Arc<Trouble>,
        since: Moment,
        hold: Duration,
    },
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("program", &self.program())
            .finish_non_exhaustive()
    }
}

/// A connection's part of a tunnel. It keeps the program alive.
#[derive(Debug)]
pub struct Through {
    tunnel: Arc<Tunnel>,
    by: By,
}

#[derive(Debug)]
enum By {
    /// The run that all connections share.
    Running(Arc<Running>),
    /// A program of its own.
    Program(Arc<Program>),
}

impl Through {
    /// The web server has answered.
    pub fn worked(&self) {
        if let By::Running(running) = &self.by {
            running.worked();
        }
    }

    /// Nothing came of the connection: what to say, with the program's last words. A run that
    /// several connections gave nothing through is replaced.
    pub async fn broke(&self, how: &str, timer: &impl Timer) -> TunnelError {
        let words = match &self.by {
            By::Running(running) => &running.words,
            By::Program(program) => &program.words,
        };
        // what it says of a connection may come a moment after it has closed it
        let _said = timer.within(LAST_WORDS, words.next()).await;
        let said = words.last();
        let trouble = match (&self.by, said) {
            (By::Program(program), Some(said)) if program.is_missing() => {
                Trouble::NotStarted(said)
            }
            (_, said) => Trouble::Broke(how.to_owned(), said),
        };
        // where nothing behind it answers, another run is no better: not more often than this
        if let By::Running(running) = &self.by
            && running.failed()
            && running.since.age(Moment::now()) >= STABLE
        {
            self.tunnel.abandon(running);
        }
        self.tunnel.error(trouble, None)
    }
}

/// What a look at the phase asks for.
enum Look {
    Use(Arc<Running>),
    Refuse(TunnelError),
    Wait,
}

impl Tunnel {
    /// The program's name.
    pub fn program(&self) -> &str {
        self.program.program()
    }

    /// What it does now, for people.
    pub(super) fn state(&self) -> String {
        if self.program.is_stdio() {
            return "one program for each connection".to_owned();
        }
        let now = Moment::now();
        match &*self.phase.borrow() {
            Phase::Off => "not needed".to_owned(),
            Phase::Starting => "starting".to_owned(),
            Phase::Up(running) => {
                let age = Duration::from_secs(running.since.age(now).as_secs());
                format!("up for {}", humantime::format_duration(age))
            }
            Phase::Failed { trouble, .. } => format!("failed: {trouble}"),
        }
    }

    /// Opens a connection through it to `host`.
    pub(super) async fn connect(
        self: &Arc<Self>,
        host: &str,
        timer: &impl Timer,
    ) -> Result<Stream, TunnelError> {
        if self.program.is_stdio() {
            let words = self.program.words(host, 0);
            let opened = Pipes::open(words, &self.background).await;
            return opened
                .map(|pipes| {
                    let by = By::Program(Arc::clone(&pipes.program));
                    Stream::pipes(pipes, self.through(by))
                })
                .map_err(|source| self.error(Trouble::NotStarted(source.to_string()), None));
        }
        let first = self.running(host).await?;
        let refused = match timer.within(CONNECT, dial(first.port)).await {
            Ok(Ok(stream)) => {
                return Ok(Stream::tunnelled(stream, self.through(By::Running(first))));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => {
                let how = "it takes no connection";
                return Err(self.through(By::Running(first)).broke(how, timer).await);
            }
        };
        // it has just ended, and the next one is on its way
        let left = timer.within(LAST_WORDS, self.left(&first)).await;
        if left.is_ok() {
            let second = self.running(host).await?;
            if let Ok(Ok(stream)) = timer.within(CONNECT, dial(second.port)).await {
                return Ok(Stream::tunnelled(stream, self.through(By::Running(second))));
            }
        }
        Err(self
            .through(By::Running(first))
            .broke(&refused, timer)
            .await)
    }

    fn through(self: &Arc<Self>, by: By) -> Through {
        Through {
            tunnel: Arc::clone(self),
            by,
        }
    }

    /// This run is of no use any more: another takes its place.
    fn abandon(self: &Arc<Self>, running: &Arc<Running>) {
        let mut is_current = false;
        self.phase.send_if_modified(|phase| {
            is_current = matches!(phase, Phase::Up(current) if Arc::ptr_eq(current, running));
            if is_current {
                *phase = Phase::Starting;
            }
            is_current
        });
        if is_current {
            let program = self.program();
            tracing::warn!(program, "tunnel gives no connections; starting another");
            self.begin(&running.host);
        }
    }

    /// Waits until this program is not the current one any more.
    async fn left(&self, running: &Arc<Running>) {
        let is_current = |phase: &Phase| matches!(phase, Phase::Up(current) if Arc::ptr_eq(current, running));
        let mut changes = self.phase.subscribe();
        // the sender lives as long as we do
        let _left = changes.wait_for(|phase| !is_current(phase)).await;
    }

    fn error(&self, trouble: Trouble, retry_after: Option<Duration>) -> TunnelError {
        TunnelError {
            program: self.program().to_owned(),
            trouble: Arc::new(trouble),
            retry_after,
        }
    }

    /// The program that leads to `host`; starts one, or waits for one that is starting.
    async fn running(self: &Arc<Self>, host: &str) -> Result<Arc<Running>, TunnelError> {
        let mut changes = self.phase.subscribe();
        self.need().last = Some(Moment::now());
        loop {
            match self.look(host, Moment::now()) {
                Look::Use(running) => return Ok(running),
                Look::Refuse(error) => return Err(error),
                Look::Wait => {}
            }
            // the sender lives as long as we do
            let _changed = changes.changed().await;
        }
    }

    fn look(self: &Arc<Self>, host: &str, now: Moment) -> Look {
        let mut begin = false;
        let mut look = Look::Wait;
        self.phase.send_if_modified(|phase| {
            match phase {
                Phase::Up(running) if *running.host == *host => {
                    if running.since.age(now) >= self.most_age && running.ages() {
                        self.replace(Arc::clone(running));
                    }
                    look = Look::Use(Arc::clone(running));
                }
                Phase::Failed {
                    trouble,
                    since,
                    hold,
                } if since.age(now) < *hold => {
                    look = Look::Refuse(TunnelError {
                        program: self.program().to_owned(),
                        trouble: Arc::clone(trouble),
                        retry_after: Some(hold.saturating_sub(since.age(now))),
                    });
                }
                Phase::Starting => {}
                // one that leads to another host is of no use any more
                Phase::Up(_) | Phase::Off | Phase::Failed { .. } => {
                    *phase = Phase::Starting;
                    begin = true;
                }
            }
            begin
        });
        if begin {
            self.begin(host);
        }
        look
    }

    /// Starts the task that starts the program and looks after it.
    fn begin(self: &Arc<Self>, host: &str) {
        let keeper = {
            let mut need = self.need();
            need.keeper += 1;
            need.keeper
        };
        let (tunnel, host) = (Arc::clone(self), host.to_owned());
        self.background.spawn(async move {
            tunnel.keep(keeper, &host).await;
        });
    }

    async fn keep(self: Arc<Self>, keeper: u64, host: &str) {
        loop {
            let launched = self.launch(host).await;
            let (trouble, was_up) = match launched {
                Err(trouble) => (trouble, false),
                Ok((running, exit)) => {
                    if !self.enter(keeper, Phase::Up(Arc::clone(&running))) {
                        return;
                    }
                    tracing::info!(program = self.program(), host, "tunnel is up");
                    match self.attend(running, exit).await {
                        Some(trouble) => (trouble, true),
                        None => return,
                    }
                }
            };
            let hold = self.hold(was_up);
            tracing::warn!(program = self.program(), host, %trouble, retry_in = ?hold, "tunnel ended");
            if hold.is_zero() && self.is_needed() {
                if !self.enter(keeper, Phase::Starting) {
                    return;
                }
                continue;
            }
            let failed = Phase::Failed {
                trouble: Arc::new(trouble),
                since: Moment::now(),
                hold,
            };
            if !self.enter(keeper, failed) {
                return;
            }
            tokio::time::sleep(hold).await;
            // who needs it later starts it again
            if !self.is_needed() || !self.enter(keeper, Phase::Starting) {
                return;
            }
        }
    }

    async fn launch(&self, host: &str) -> Result<(Arc<Running>, Exit), Trouble> {
        launch(&self.program, host, self.start, &self.background).await
    }

    /// Waits for the program's end; `None` if another has taken its place by then.
    async fn attend(&self, running: Arc<Running>, exit: Exit) -> Option<Trouble> {
        // not held here: it ends when the phase and all connections have let go of it
        let (since, weak) = (running.since, Arc::downgrade(&running));
        drop(running);
        let trouble = exit.wait().await;
        let is_current = matches!(
            &*self.phase.borrow(),
            Phase::Up(current) if Arc::as_ptr(current) == weak.as_ptr()
        );
        if !is_current {
            return None;
        }
        if since.age(Moment::now()) >= STABLE {
            self.need().failures = 0;
        }
        Some(trouble)
    }

    /// Starts a second program beside an old one; new connections go through it once it is up.
    fn replace(self: &Arc<Self>, old: Arc<Running>) {
        let tunnel = Arc::clone(self);
        self.background.spawn(async move {
            match tunnel.launch(&old.host).await {
                Ok((running, exit)) => {
                    let host = Arc::clone(&old.host);
                    let keeper = {
                        let mut need = tunnel.need();
                        need.keeper += 1;
                        need.keeper
                    };
                    drop(old);
                    if tunnel.enter(keeper, Phase::Up(Arc::clone(&running))) {
                        tracing::info!(program = tunnel.program(), "tunnel is replaced by a new one");
                        if let Some(trouble) = tunnel.attend(running, exit).await {
                            tracing::warn!(program = tunnel.program(), %trouble, "tunnel ended");
                            if tunnel.enter(keeper, Phase::Off) && tunnel.is_needed() {
                                // as if somebody had asked
                                let _begun = tunnel.look(&host, Moment::now());
                            }
                        }
                    }
                }
                Err(trouble) => {
                    tracing::warn!(program = tunnel.program(), %trouble, "the old tunnel stays: no new one started");
                    tokio::time::sleep(LONGEST_HOLD).await;
                    old.stays();
                }
            }
        });
    }

    /// Enters a phase, unless another task has taken over.
    fn enter(&self, keeper: u64, next: Phase) -> bool {
        let need = self.need();
        if need.keeper != keeper {
            return false;
        }
        self.phase.send_replace(next);
        true
    }

    /// How long to wait before the next start: not at all after a stable run.
    fn hold(&self, was_up: bool) -> Duration {
        let mut need = self.need();
        let before = need.failures;
        need.failures = before.saturating_add(1);
        if was_up && before == 0 {
            return Duration::ZERO;
        }
        // up to a quarter more, so that many gateways do not come back at once
        (FIRST_HOLD * 2u32.pow(before.min(6)))
            .min(LONGEST_HOLD)
            .mul_f64(1.0 + 0.25 * fastrand::f64())
    }

    /// Whether a connection was asked for lately.
    fn is_needed(&self) -> bool {
        let now = Moment::now();
        self.need().last.is_some_and(|last| last.age(now) < NEEDED)
    }

    fn need(&self) -> std::sync::MutexGuard<'_, Need> {
        self.need.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to the port that a program of ours has opened.
#[expect(
    clippy::disallowed_methods,
    reason = "to a port on loopback that our own program has opened"
)]
async fn dial(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    stream.set_nodelay(true)?;
    // where nobody listens on a port of its own range, the system may connect a socket to itself
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(std::io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// A program on this machine takes a connection at once.
const CONNECT: Duration = Duration::from_secs(5);
/// How long its last words may take.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// A run that lasted this long was no failure.
const STABLE: Duration = Duration::from_secs(10);
/// The first pause after a failed start; each further one is twice as long.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_HOLD: Duration = Duration::from_secs(30);
/// A tunnel that nobody has used for so long is not started again until somebody does.
const NEEDED: Duration = Duration::from_mins(5);
