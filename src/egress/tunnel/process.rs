//! One run of a tunnel's program, beside its guard.

use super::error::Trouble;
use super::words::Words;
use super::{dial, guard};
use crate::names;
use crate::runtime::platform::own_program;
use crate::runtime::{Background, Moment};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::process::{Child, Command};

/// A program whose port is open. It is ended when the last one lets go of this, or when the
/// gateway ends in whatever way: its guard reads from a pipe whose other end is here.
#[derive(Debug)]
pub(crate) struct Running {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) since: Moment,
    pub(super) words: Words,
    /// Connections through it that gave nothing, one after the other.
    failures: AtomicU32,
    replaced: AtomicBool,
    _leash: OwnedFd,
}

impl Running {
    /// Whether this call is the first that finds it too old.
    pub(super) fn ages(&self) -> bool {
        !self.replaced.swap(true, Ordering::Relaxed)
    }

    /// A connection through it has worked.
    pub(super) fn worked(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A connection through it gave nothing; whether it has become useless.
    pub(super) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_FAILURES
    }

    /// There is no new one: it may be found too old again.
    pub(super) fn stays(&self) {
        self.replaced.store(false, Ordering::Relaxed);
    }
}

/// The end of a run, to be waited for.
pub(super) struct Exit {
    child: Child,
    words: Words,
}

impl fmt::Debug for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exit")
    }
}

impl Exit {
    /// Waits for the program's end.
    pub(super) async fn wait(mut self) -> Trouble {
        ended_with(self.child.wait().await, &self.words).await
    }
}

async fn ended_with(ended: io::Result<ExitStatus>, words: &Words) -> Trouble {
    // its last words may still be on their way
    let _said = tokio::time::timeout(super::LAST_WORDS, words.next()).await;
    let said = words.last();
    match (ended, said) {
        (Ok(status), Some(said)) if status.code() == Some(guard::NO_PROGRAM.into()) => {
            Trouble::NotStarted(said)
        }
        (Ok(status), said) if status.success() => Trouble::Left(said),
        // "exit status: 1" in the words of a sentence
        (Ok(status), said) => Trouble::Ended(status.to_string().replace(": ", " "), said),
        (Err(error), said) => Trouble::Ended(error.to_string(), said),
    }
}

/// Starts the program and waits until its port is open, at most for `limit`.
pub(super) async fn launch(
    program: &names::Tunnel,
    host: &str,
    limit: Duration,
    background: &Background,
) -> Result<(Arc<Running>, Exit), Trouble> {
    let not_started = |error: io::Error| Trouble::NotStarted(error.to_string());
    let port = free_port().map_err(not_started)?;
    let words = Words::default();
    let (mut child, leash) =
        spawn(&program.words(host, port), &words, background).map_err(not_started)?;
    let open = async {
        // a port that is not open yet refuses at once
        while dial(port).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let opened = tokio::select! {
        ended = child.wait() => Err(ended),
        opened = tokio::time::timeout(limit, open) => Ok(opened.is_ok()),
    };
    match opened {
        Ok(true) => {
            let running = Running {
                host: host.into(),
                port,
                since: Moment::now(),
                words: words.clone(),
                failures: AtomicU32::new(0),
                replaced: AtomicBool::new(false),
                _leash: leash,
            };
            Ok((Arc::new(running), Exit { child, words }))
        }
        Ok(false) => Err(Trouble::NotOpen(limit, words.last())),
        Err(ended) => Err(ended_with(ended, &words).await),
    }
}

/// A port on loopback that nobody uses. Somebody may take it before the program does; TLS then
/// finds a stranger there.
fn free_port() -> io::Result<u16> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(free.local_addr()?.port())
}

/// Starts the guard, which starts the program, and hears what they say.
fn spawn(
    command: &[String],
    words: &Words,
    background: &Background,
) -> io::Result<(Child, OwnedFd)> {
    let program = command.first().cloned().unwrap_or_default();
    let mut child = Command::new(own_program()?)
        .arg0(env!("CARGO_PKG_NAME"))
        .arg(guard::COMMAND)
        .arg("--")
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let leash = child
        .stdin
        .take()
        .ok_or_else(|| io::Error::other("no pipe"))?
        .into_owned_fd()?;
    if let Some(out) = child.stdout.take() {
        background.spawn(words.clone().hear(out, program.clone()));
    }
    if let Some(err) = child.stderr.take() {
        background.spawn(words.clone().hear(err, program));
    }
    Ok((child, leash))
}

/// So many connections that gave nothing, one after the other, and a new run is tried.
const MOST_FAILURES: u32 = 3;
/// Between two looks at the port.
const PAUSE: Duration = Duration::from_millis(50);
