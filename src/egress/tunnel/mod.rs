//! The tunnel of one environment: a program that is started when it is first needed and shared by
//! all connections. `keep` starts it again when it ends, and replaces it before its service ends it.

mod error;
mod guard;
mod keep;
mod pipes;
mod process;
mod through;
mod words;

pub use error::TunnelError;
pub use guard::Guard;
pub(super) use pipes::Pipes;
pub use through::Through;

use super::{ByEnvironment, Settings, Stream};
use crate::names::{self, EnvName};
use crate::runtime::{Background, Moment, Timer};
use error::Trouble;
use process::Running;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use through::By;
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
