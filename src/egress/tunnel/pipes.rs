//! A program whose stdin and stdout are one connection, as with `ssh -W`.

use super::guard;
use super::words::Words;
use crate::runtime::Background;
use crate::runtime::platform::own_program;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fmt;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{Join, join};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

/// The pipes of one program.
pub(crate) struct Pipes {
    pub(in crate::egress) wire: Join<ChildStdout, ChildStdin>,
    pub(super) program: Arc<Program>,
}

/// The program. It is ended with all that it has started when this is dropped, and reads the end
/// of its stdin when the gateway ends in whatever way.
pub(super) struct Program {
    child: Mutex<Child>,
    group: Option<Pid>,
    pub(super) words: Words,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

impl Program {
    /// Whether the system knew no such program.
    pub(super) fn is_missing(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = child.try_wait().ok().flatten();
        ended.is_some_and(|status| status.code() == Some(guard::NO_PROGRAM.into()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _gone = kill_process_group(group, Signal::TERM);
        }
    }
}

impl Pipes {
    /// Starts the program, on the control runtime: there the system tells of its end.
    pub(super) async fn open(
        command: Vec<String>,
        background: &Background,
    ) -> io::Result<Self> {
        let (tell, told) = oneshot::channel();
        let readers = background.clone();
        background.spawn(async move {
            // nobody may wait for it any more
            let _unheard = tell.send(spawn(&command, &readers));
        });
        told.await
            .map_err(|_gone| io::Error::other("the gateway is stopping"))?
    }
}

/// Starts ourselves, which leaves the terminal and becomes the program.
fn spawn(command: &[String], background: &Background) -> io::Result<Pipes> {
    let mut child = Command::new(own_program()?)
        .arg0(env!("CARGO_PKG_NAME"))
        .args([guard::COMMAND, guard::BECOME, "--"])
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no pipes"));
    };
    let words = Words::default();
    if let Some(err) = child.stderr.take() {
        let name = command.first().cloned().unwrap_or_default();
        background.spawn(words.clone().hear(err, name));
    }
    let group = child.id().and_then(guard::group);
    Ok(Pipes {
        wire: join(stdout, stdin),
        program: Arc::new(Program {
            child: Mutex::new(child),
            group,
            words,
        }),
    })
}
