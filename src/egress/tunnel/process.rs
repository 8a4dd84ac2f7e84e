//! The programs of a tunnel: one that opens a port and serves all connections, and one whose
//! stdin and stdout are a single connection, as with `ssh -W`. Both run beside a guard
//! ([`TunnelGuard`]), which is this program under a hidden command.

use super::super::error::TunnelErrorKind;
use super::guard;
use super::output::OutputTail;
use super::{OUTPUT_LIMIT, TunnelGuard};
use mwaa_runtime::platform::current_exe;
use mwaa_runtime::{BackgroundTasks, Timestamp};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, Join, join};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

/// A program whose port is open. It ends when this is dropped, or when the gateway ends in
/// whatever way: its guard reads from a pipe whose other end is here.
#[derive(Debug)]
pub(super) struct SharedProcess {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) since: Timestamp,
    pub(super) output: OutputTail,
    /// Connections through it that failed, one after the other.
    failures: AtomicU32,
    is_outdated: AtomicBool,
    _guard_stdin: OwnedFd,
}

impl SharedProcess {
    /// Starts the program and waits until its port is open. Fails if that takes longer than
    /// `limit`, or if the program ends before.
    pub(super) async fn start(
        command: &mwaa_model::TunnelCommand,
        host: &str,
        limit: Duration,
        background: &BackgroundTasks,
    ) -> Result<(Arc<Self>, ProcessExit), TunnelErrorKind> {
        // chosen here, because the command has to name it
        let port = find_free_port().map_err(TunnelErrorKind::NotStarted)?;
        let output = OutputTail::default();
        let (mut child, guard_stdin) =
            spawn_with_guard(&command.expand(host, port), &output, background)
                .map_err(TunnelErrorKind::NotStarted)?;

        let is_open = async {
            // a port that is not open yet refuses at once
            while connect_to_port(port).await.is_err() {
                tokio::time::sleep(PORT_PAUSE).await;
            }
        };
        // the guard ends with its program, and has the program's exit code
        tokio::select! {
            status = child.wait() => return Err(exit_error(status, &output).await),
            opened = tokio::time::timeout(limit, is_open) => {
                if opened.is_err() {
                    let tail = output.text();
                    return Err(TunnelErrorKind::PortNotOpen { limit, tail });
                }
            }
        }

        let process = Self {
            host: host.into(),
            port,
            since: Timestamp::now(),
            output: output.clone(),
            failures: AtomicU32::new(0),
            is_outdated: AtomicBool::new(false),
            _guard_stdin: guard_stdin,
        };
        Ok((Arc::new(process), ProcessExit { child, output }))
    }

    /// Marks it as too old; returns `true` for the first call only.
    pub(super) fn mark_outdated(&self) -> bool {
        !self.is_outdated.swap(true, Ordering::Relaxed)
    }

    /// There is no new one: it may be marked as too old again.
    pub(super) fn unmark_outdated(&self) {
        self.is_outdated.store(false, Ordering::Relaxed);
    }

    /// A connection through it has worked.
    pub(super) fn record_success(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A connection through it has failed; returns `true` if it has become useless.
    pub(super) fn record_failure(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_FAILURES
    }
}

/// The end of a program, to be waited for.
pub(super) struct ProcessExit {
    child: Child,
    output: OutputTail,
}

impl fmt::Debug for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessExit")
    }
}

impl ProcessExit {
    /// Waits for the program's end, and returns it as an error.
    pub(super) async fn wait(mut self) -> TunnelErrorKind {
        exit_error(self.child.wait().await, &self.output).await
    }
}

async fn exit_error(status: io::Result<ExitStatus>, output: &OutputTail) -> TunnelErrorKind {
    // its last lines may still be on their way
    let _line = tokio::time::timeout(OUTPUT_LIMIT, output.wait_for_line()).await;
    match (status, output.text()) {
        (Ok(status), Some(text)) if status.code() == Some(TunnelGuard::NOT_FOUND.into()) => {
            TunnelErrorKind::NotStarted(io::Error::other(text))
        }
        (Ok(status), tail) if status.success() => TunnelErrorKind::ExitedAtOnce { tail },
        (Ok(status), tail) => TunnelErrorKind::Exited {
            // "exit status: 1" in the words of a sentence
            status: status.to_string().replace(": ", " "),
            tail,
        },
        (Err(error), tail) => TunnelErrorKind::Exited {
            status: error.to_string(),
            tail,
        },
    }
}

/// A program whose stdin and stdout are one connection. It ends with all that it has started when
/// this is dropped, and reads the end of its stdin when the gateway ends in whatever way.
pub(super) struct PipedProcess {
    child: Mutex<Child>,
    group: Option<Pid>,
    pub(super) output: OutputTail,
}

impl fmt::Debug for PipedProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipedProcess").finish_non_exhaustive()
    }
}

impl PipedProcess {
    /// Starts the program, and returns its pipes too. Runs on the control runtime: there the
    /// system reports its end.
    pub(super) async fn start(
        command: Vec<String>,
        background: &BackgroundTasks,
    ) -> io::Result<(Join<ChildStdout, ChildStdin>, Arc<Self>)> {
        let (sender, receiver) = oneshot::channel();
        let readers = background.clone();
        let task = async move {
            // if the connection is not needed any more, the program ends with the result
            let _result = sender.send(spawn_piped(&command, &readers));
        };
        background.spawn(tracing::Span::current(), task);
        receiver
            .await
            .map_err(|_gone| io::Error::other("the gateway is stopping"))?
    }

    /// Returns `true` if the system has no such program.
    pub(super) fn is_missing(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.try_wait().ok().flatten();
        status.is_some_and(|status| status.code() == Some(TunnelGuard::NOT_FOUND.into()))
    }
}

impl Drop for PipedProcess {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _gone = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Connects to a program of this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the one home of opening connections to tunnels"
)]
pub(super) async fn connect_to_port(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    stream.set_nodelay(true)?;
    // if no one listens on a port of its own range, the system may connect a socket to itself
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// Returns a port on loopback that is not in use. Another program may take it before the tunnel's
/// does; TLS then finds that it is not the web server.
fn find_free_port() -> io::Result<u16> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(free.local_addr()?.port())
}

/// Starts the guard, which starts the program.
fn spawn_with_guard(
    command: &[String],
    output: &OutputTail,
    background: &BackgroundTasks,
) -> io::Result<(Child, OwnedFd)> {
    let mut child = guard_command(command, &[])?.spawn()?;
    let stdin = child
        .stdin
        .take()
        .ok_or_else(|| io::Error::other("no pipe"))?
        .into_owned_fd()?;

    read_output(output, child.stdout.take(), command, background);
    read_output(output, child.stderr.take(), command, background);
    Ok((child, stdin))
}

/// Starts this program, which leaves the terminal and becomes the other one.
fn spawn_piped(
    command: &[String],
    background: &BackgroundTasks,
) -> io::Result<(Join<ChildStdout, ChildStdin>, Arc<PipedProcess>)> {
    let mut child = guard_command(command, &[guard::EXEC_FLAG])?
        .kill_on_drop(true)
        .spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no pipes"));
    };

    // stdout is the connection, so only stderr is text
    let output = OutputTail::default();
    read_output(&output, child.stderr.take(), command, background);

    // it leads a session of its own, and so a group of the same number
    let group = child.id().and_then(guard::process_group);
    let process = PipedProcess {
        child: Mutex::new(child),
        group,
        output,
    };
    Ok((join(stdout, stdin), Arc::new(process)))
}

/// Returns the command that runs `command` under guard, with pipes.
fn guard_command(command: &[String], flags: &[&str]) -> io::Result<Command> {
    let mut guard = Command::new(current_exe()?);
    guard
        .arg0(PROGRAM_NAME)
        .arg(guard::COMMAND)
        .args(flags)
        .arg("--")
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(guard)
}

fn read_output(
    output: &OutputTail,
    pipe: Option<impl AsyncRead + Send + Unpin + 'static>,
    command: &[String],
    background: &BackgroundTasks,
) {
    if let Some(pipe) = pipe {
        let program = command.first().cloned().unwrap_or_default();
        let task = output.clone().read_from(pipe, program);
        background.spawn(tracing::Span::current(), task);
    }
}

/// The guard's name in lists of processes: its path is another one on Linux (`/proc/self/exe`).
const PROGRAM_NAME: &str = "mwaa-gateway";
/// A program that so many connections have failed through, one after the other, is useless.
const MAX_FAILURES: u32 = 3;
/// The pause between two attempts to connect to the port of a program that starts.
const PORT_PAUSE: Duration = Duration::from_millis(50);
