//! The guard of a tunnel's program: a process of ours that starts it and ends it, with all that it
//! has started, when the gateway is gone. A killed gateway can't do that itself, but the system
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

/// The hidden command of the program that is the guard.
pub(super) const COMMAND: &str = "tunnel-guard";

/// Its option: become the program in place of watching it.
pub(super) const BECOME: &str = "--become";

/// The exit code where there is no such program, as of shells.
pub(super) const NO_PROGRAM: u8 = 127;

/// A program under guard.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    group: Option<Pid>,
}

impl Guard {
    /// The exit code where there is no such program, as of shells.
    pub const NO_PROGRAM: u8 = NO_PROGRAM;

    /// Leaves the gateway's terminal, so that the program finds none to ask at, and Ctrl-C is not
    /// for it.
    fn detach() {
        // a session of our own already is as good
        let _already = setsid();
    }

    /// Becomes the program: its stdin and stdout are then ours. Gives the reason why not.
    pub fn become_program(command: &[String]) -> io::Error {
        Self::detach();
        match command.split_first() {
            Some((program, arguments)) => {
                std::process::Command::new(program).args(arguments).exec()
            }
            None => io::Error::other("no program is named"),
        }
    }

    /// Starts the program in a process group of its own. Must run inside a tokio runtime.
    pub fn start(command: &[String]) -> io::Result<Self> {
        Self::detach();
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::other("no program is named"))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()?;
        let group = child.id().and_then(group);
        Ok(Self { child, group })
    }

    /// Waits until the program ends by itself or our stdin is closed. Then ends everything that is
    /// left, and gives the program's exit code.
    pub async fn watch(mut self) -> u8 {
        let ended = tokio::select! {
            ended = self.child.wait() => Some(ended),
            () = end_of_stdin() => None,
        };
        self.signal(Signal::TERM);
        let last = async {
            let ended = match ended {
                Some(ended) => ended,
                None => self.child.wait().await,
            };
            // what it has started may need a moment to say goodbye
            while self.is_there() {
                tokio::time::sleep(PAUSE).await;
            }
            ended
        };
        let code = match timeout(GRACE, last).await {
            Ok(Ok(status)) => code(status),
            Ok(Err(_)) | Err(_) => KILLED,
        };
        self.signal(Signal::KILL);
        code
    }

    /// Whether any process of the group is left.
    fn is_there(&self) -> bool {
        self.group
            .is_some_and(|group| test_kill_process_group(group).is_ok())
    }

    /// Signals the whole group; one that is gone is no error.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _gone = kill_process_group(group, signal);
        }
    }
}

/// Waits until the other end of our stdin is closed; for ever where stdin is no pipe.
async fn end_of_stdin() {
    let own = io::stdin().as_fd().try_clone_to_owned();
    let Ok(mut stdin) = own.and_then(pipe::Receiver::from_owned_fd) else {
        return std::future::pending().await;
    };
    let mut ignored = [0; 64];
    while matches!(stdin.read(&mut ignored).await, Ok(1..)) {}
}

/// The process group that a process leads.
pub(super) fn group(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

/// The exit code as shells tell it.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// How long a program may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);
/// 128 and SIGKILL's number.
const KILLED: u8 = 137;
