//! The guard of a tunnel's program: a process that starts it and ends it, with all that it has
//! started, when the gateway is gone. A killed gateway cannot do that itself, but the system
//! closes its end of the guard's stdin.

use rustix::process::{Pid, Signal, kill_process_group, setsid, test_kill_process_group};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The hidden command of the gateway's program that is the guard.
pub(super) const COMMAND: &str = "tunnel-guard";

/// Its option: become the program in place of watching it.
pub(super) const EXEC_FLAG: &str = "--become";

/// A program under guard.
#[derive(Debug)]
pub struct TunnelGuard {
    child: Child,
    group: Option<Pid>,
}

impl TunnelGuard {
    /// The exit code if there is no such program, as of shells.
    pub const NOT_FOUND: u8 = 127;

    /// Becomes the program: its stdin and stdout are then those of this process. Returns only if
    /// that failed.
    pub fn exec(command: &[String]) -> io::Error {
        detach();
        match command.split_first() {
            Some((program, arguments)) => {
                std::process::Command::new(program).args(arguments).exec()
            }
            None => io::Error::other("no program is named"),
        }
    }

    /// Starts the program in a process group of its own. Fails if there is none. Must run inside a
    /// tokio runtime.
    pub fn start(command: &[String]) -> io::Result<Self> {
        detach();
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::other("no program is named"))?;

        let child = Command::new(program)
            .args(arguments)
            // the guard's own stdin is the pipe from the gateway
            .stdin(Stdio::null())
            // so that one signal reaches all processes that it starts
            .process_group(0)
            .spawn()?;
        let group = child.id().and_then(process_group);
        Ok(Self { child, group })
    }

    /// Waits until the program ends by itself or the gateway is gone. Then ends everything that
    /// is left, and returns the program's exit code.
    pub async fn wait(mut self) -> u8 {
        let exited = tokio::select! {
            status = self.child.wait() => Some(status),
            () = wait_for_end_of_stdin() => None,
        };

        // also if the program has ended by itself: it may have left others behind
        self.send_signal(Signal::TERM);
        let last = async {
            let status = match exited {
                Some(status) => status,
                None => self.child.wait().await,
            };
            // the processes that it has started may need a moment to end
            while self.is_running() {
                tokio::time::sleep(PAUSE).await;
            }
            status
        };
        let code = match timeout(GRACE_PERIOD, last).await {
            Ok(Ok(status)) => exit_code(status),
            Ok(Err(_)) | Err(_) => KILLED,
        };

        // whatever ignores the first signal
        self.send_signal(Signal::KILL);
        code
    }

    /// Returns `true` while any process of the group is left.
    fn is_running(&self) -> bool {
        self.group
            .is_some_and(|group| test_kill_process_group(group).is_ok())
    }

    /// Signals the whole group; one that is gone is no error.
    fn send_signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _gone = kill_process_group(group, signal);
        }
    }
}

/// Leaves the gateway's terminal, so that the program cannot ask for a password there, and Ctrl-C
/// does not reach it.
fn detach() {
    // it fails in a process that leads a session already, which is as good
    let _already = setsid();
}

/// Waits until the other end of stdin is closed; for ever if stdin is no pipe.
async fn wait_for_end_of_stdin() {
    let own = io::stdin().as_fd().try_clone_to_owned();
    let Ok(mut stdin) = own.and_then(pipe::Receiver::from_owned_fd) else {
        return std::future::pending().await;
    };
    let mut ignored = [0; 64];
    while matches!(stdin.read(&mut ignored).await, Ok(1..)) {}
}

/// Returns the process group that a process leads.
pub(super) fn process_group(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

/// Returns the exit code as shells report it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The time that a program may take to end before it is killed.
const GRACE_PERIOD: Duration = Duration::from_secs(3);
/// The pause between two looks at the group.
const PAUSE: Duration = Duration::from_millis(20);
/// 128 and SIGKILL's number.
const KILLED: u8 = 137;
