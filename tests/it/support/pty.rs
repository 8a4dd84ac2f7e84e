//! A terminal: a program's streams on a pseudoterminal, and all that comes out of it.

use super::soon;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// A program that runs on a terminal of 100 columns; killed when dropped.
pub(crate) struct OnTerminal {
    child: Child,
    shown: watch::Receiver<Vec<u8>>,
}

impl OnTerminal {
    /// Starts the program with stderr, and stdout unless it is piped, on a terminal.
    pub(crate) fn start(command: Command, stdout_too: bool) -> Self {
        Self::with(command, stdout_too, &[])
    }

    /// The same with more variables.
    pub(crate) fn with(
        mut command: Command,
        stdout_too: bool,
        variables: &[(&str, &str)],
    ) -> Self {
        let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&control).unwrap();
        unlockpt(&control).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&control, size).unwrap();
        let name = ptsname(&control, Vec::new()).unwrap();
        let name = std::path::Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let terminal = || {
            let mut open = File::options();
            Stdio::from(open.read(true).write(true).open(name).unwrap())
        };
        command.stderr(terminal()).env("TERM", "xterm-256color");
        command.envs(variables.iter().copied());
        if stdout_too {
            command.stdout(terminal());
        }
        let child = command.spawn().unwrap();
        // the command holds the terminal too
        drop(command);
        Self {
            child,
            shown: collect(control),
        }
    }

    /// Waits until the terminal has shown this.
    pub(crate) async fn shows(&mut self, text: &str) {
        let found = |shown: &Vec<u8>| String::from_utf8_lossy(shown).contains(text);
        let waited = soon(text, self.shown.wait_for(found)).await.is_ok();
        assert!(waited, "{text:?} is not in {:?}", self.text());
    }

    /// What the terminal has shown so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.borrow()).into_owned()
    }

    /// Waits for the end: the exit code, what came through a pipe, what the terminal showed.
    pub(crate) async fn end(mut self) -> (Option<i32>, String, String) {
        let mut piped = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            use tokio::io::AsyncReadExt as _;
            soon("stdout", stdout.read_to_string(&mut piped))
                .await
                .unwrap();
        }
        let status = soon("the end", self.child.wait()).await.unwrap();
        // the reader ends when no process holds the terminal any more
        while soon("the terminal's end", self.shown.changed())
            .await
            .is_ok()
        {}
        (status.code(), piped, self.text())
    }
}

fn collect(control: OwnedFd) -> watch::Receiver<Vec<u8>> {
    let (sender, receiver) = watch::channel(Vec::new());
    std::thread::spawn(move || {
        let mut control = File::from(control);
        let mut buffer = [0; 4096];
        // a terminal that is closed is an error on Linux (EIO)
        while let Ok(count @ 1..) = control.read(&mut buffer) {
            sender.send_modify(|shown| shown.extend_from_slice(&buffer[..count]));
        }
    });
    receiver
}
