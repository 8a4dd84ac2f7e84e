//! A program whose stdin and stdout are one connection, as with `ssh -W`.

use super::words::Words;
use crate::runtime::Background;
use std::io;
use std::process::Stdio;
use tokio::io::{Join, join};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

/// The pipes of one program. It is killed when they are dropped, and reads the end of its stdin
/// when the gateway ends in whatever way.
pub(crate) struct Pipes {
    pub(in crate::egress) wire: Join<ChildStdout, ChildStdin>,
    _child: Child,
}

impl Pipes {
    /// Starts the program, on the control runtime: there the system tells of its end.
    pub(super) async fn open(
        command: Vec<String>,
        words: &Words,
        background: &Background,
    ) -> io::Result<Self> {
        let (tell, told) = oneshot::channel();
        let (words, readers) = (words.clone(), background.clone());
        background.spawn(async move {
            // nobody may wait for it any more
            let _unheard = tell.send(spawn(&command, words, &readers));
        });
        told.await
            .map_err(|_gone| io::Error::other("the gateway is stopping"))?
    }
}

fn spawn(command: &[String], words: Words, background: &Background) -> io::Result<Pipes> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| io::Error::other("no program"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the gateway's terminal is not for it
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no pipes"));
    };
    if let Some(err) = child.stderr.take() {
        background.spawn(words.hear(err, program.clone()));
    }
    Ok(Pipes {
        wire: join(stdout, stdin),
        _child: child,
    })
}
