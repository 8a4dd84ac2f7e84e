//! The real program as a child process, with an environment that is all its own.

use rustix::process::{Pid, Signal, kill_process};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// More than anything here takes on a machine under load.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program under test with these arguments, nothing of the caller's environment, and no
/// way to credentials but those that a test adds.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = isolated(PROGRAM);
    command.args(arguments);
    command
}

/// A shell that runs this script; its arguments are the program under test and these.
pub(crate) fn shell(script: &str, arguments: &[&str]) -> Command {
    let mut command = isolated("/bin/sh");
    command.args(["-c", script, "sh", PROGRAM]).args(arguments);
    command
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_mwaa-gateway");

fn isolated(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("COLUMNS", "100")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a program that ended has left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn new(status: ExitStatus, stdout: String, stderr: String) -> Self {
        let code = status.code();
        Self {
            code,
            stdout,
            stderr,
        }
    }
}

/// Runs a program to its end.
pub(crate) async fn end(mut command: Command) -> Ended {
    // not `output()`: that would put pipes in place of the streams that a test has chosen
    let child = command.spawn().unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = output.await.expect("the program ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended::new(output.status, text(output.stdout), text(output.stderr))
}

/// Runs the program with these arguments to its end.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    end(command(arguments)).await
}

/// A program that runs until it is stopped; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: watch::Receiver<String>,
    stderr: watch::Receiver<String>,
    readers: JoinSet<()>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        // A child inherits a signal that its parent ignores, as under nohup, and gets the default of one
        // that its parent handles. The program handles all others that tests send.
        drop(signal(SignalKind::hangup()).unwrap());
        let mut child = command.spawn().unwrap();
        let mut readers = JoinSet::new();
        let stdout = collect(child.stdout.take().unwrap(), &mut readers);
        let stderr = collect(child.stderr.take().unwrap(), &mut readers);
        Self {
            child,
            stdout,
            stderr,
            readers,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits for a line on stderr with this beginning, and returns its rest.
    pub(crate) async fn told(&mut self, beginning: &str) -> String {
        after(&mut self.stderr, beginning).await
    }

    /// Waits for a line on stdout with this beginning, and returns its rest.
    pub(crate) async fn printed(&mut self, beginning: &str) -> String {
        after(&mut self.stdout, beginning).await
    }

    /// Waits for a line on stderr that has this part, and returns it.
    pub(crate) async fn logged(&mut self, part: &str) -> String {
        let found = |text: &str| {
            let line = text.lines().find(|line| line.contains(part));
            line.map(str::to_owned)
        };
        let waited = self.stderr.wait_for(|text| found(text).is_some());
        let waited = tokio::time::timeout(PATIENCE, waited).await;
        let has_come = matches!(waited, Ok(Ok(_)));
        drop(waited);
        let text = self.stderr.borrow();
        assert!(has_come, "no line has {part:?}:\n{}", *text);
        found(&text).unwrap()
    }

    /// What it has printed to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.borrow().clone()
    }

    /// Asks the program to stop (SIGTERM) and waits for its end.
    pub(crate) async fn stop(self) -> Ended {
        self.end_by(Signal::TERM).await
    }

    /// Sends it a signal and waits for its end.
    pub(crate) async fn end_by(mut self, signal: Signal) -> Ended {
        let id = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        let status = tokio::time::timeout(PATIENCE, self.child.wait());
        let status = status.await.expect("the program stops").unwrap();
        while self.readers.join_next().await.is_some() {}
        let text = |stream: &watch::Receiver<String>| stream.borrow().clone();
        Ended::new(status, text(&self.stdout), text(&self.stderr))
    }
}

fn collect(
    mut stream: impl AsyncRead + Unpin + Send + 'static,
    readers: &mut JoinSet<()>,
) -> watch::Receiver<String> {
    let (sender, receiver) = watch::channel(String::new());
    readers.spawn(async move {
        let mut rest = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            rest.extend_from_slice(&buffer[..count]);
            // only whole lines: a cut must not go through a character
            if let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') {
                let lines: Vec<u8> = rest.drain(..=end).collect();
                sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&lines)));
            }
        }
        sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&rest)));
    });
    receiver
}

async fn after(stream: &mut watch::Receiver<String>, beginning: &str) -> String {
    let found = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(beginning));
        line.map(str::to_owned)
    };
    let waited = tokio::time::timeout(
        PATIENCE,
        stream.wait_for(|text| text.contains('\n') && found(text).is_some()),
    );
    let told = matches!(waited.await, Ok(Ok(_)));
    let text = stream.borrow();
    assert!(told, "no line begins with {beginning:?}:\n{}", *text);
    found(&text).unwrap()
}
