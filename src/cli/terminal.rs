//! The only printer: data to stdout, talk to stderr.

use super::Exit;
use super::neutral::neutral;
use super::wrap::wrapped;
use crate::config::env;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use rustix::termios::tcgetwinsize;
use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// Both streams of the process, with colour only where a person reads.
#[derive(Debug)]
pub(super) struct Terminal {
    colour: ColorChoice,
    quiet: Cell<bool>,
    lost: OnceLock<io::Error>,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let colour = if env::no_color() {
            ColorChoice::Never
        } else {
            ColorChoice::Auto
        };
        Self {
            colour,
            quiet: Cell::new(false),
            lost: OnceLock::new(),
        }
    }

    /// From now on only errors are talked about.
    pub(super) fn hush(&self) {
        self.quiet.set(true);
    }

    /// Whether a person reads what is printed.
    pub(super) fn is_watched() -> bool {
        io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether talk may be coloured.
    pub(super) fn colours_talk(&self) -> bool {
        self.colour != ColorChoice::Never && io::stderr().is_terminal()
    }

    /// How talk is read: by nobody who sees it move, by a person on a plain terminal, or live.
    pub(super) fn talk(&self) -> Talk {
        if self.quiet.get() || !io::stderr().is_terminal() {
            Talk::Piped
        } else if self.colour == ColorChoice::Never || env::dumb_terminal() {
            Talk::Plain
        } else {
            Talk::Live
        }
    }

    /// Writes text that others have made to stdout: to the byte into a pipe or file, and such
    /// that it can't command a terminal.
    pub(super) fn others(&self, text: impl Display) {
        let text = text.to_string();
        if io::stdout().is_terminal() {
            self.bytes(neutral(&text).as_bytes());
        } else {
            self.bytes(text.as_bytes());
        }
    }

    /// The same for what may be no text.
    pub(super) fn others_bytes(&self, bytes: &[u8]) {
        if io::stdout().is_terminal() {
            self.bytes(neutral(&String::from_utf8_lossy(bytes)).as_bytes());
        } else {
            self.bytes(bytes);
        }
    }

    /// The same to stderr, for talk.
    pub(super) fn others_talk(text: &str) {
        let mut stderr = io::stderr();
        if stderr.is_terminal() {
            let shown = neutral(text);
            let end = if shown.is_empty() || shown.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            drop(write!(stderr, "{shown}{end}"));
        } else {
            drop(stderr.write_all(text.as_bytes()));
        }
    }

    /// Writes bytes to stdout as they are. A reader that has gone away is no error.
    pub(super) fn bytes(&self, bytes: &[u8]) {
        let mut stdout = io::stdout();
        self.note(stdout.write_all(bytes).and_then(|()| stdout.flush()));
    }

    /// Writes data. A reader that has gone away is no error (as with `| head`).
    pub(super) fn data(&self, text: impl Display) {
        let mut stdout = AutoStream::new(io::stdout(), self.colour);
        self.note(write!(stdout, "{text}").and_then(|()| stdout.flush()));
    }

    /// The width of the terminal that stdout is.
    pub(super) fn data_width() -> Option<usize> {
        width(&io::stdout())
    }

    fn note(&self, written: io::Result<()>) {
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            // the first one tells; the end of the program reports it
            let _first = self.lost.set(error);
        }
    }

    /// The exit code at the end: whoever asked for data and did not get it is told.
    pub(super) fn end(&self, exit: Exit) -> Exit {
        match self.lost.get() {
            Some(error) if exit == Exit::Done => {
                self.tell(format_args!(
                    "{ERROR}error{ERROR:#}: cannot write to stdout: {error}"
                ));
                Exit::Failed
            }
            _ => exit,
        }
    }

    /// Says a line that nobody has to hear.
    pub(super) fn say(&self, text: impl Display) {
        if !self.quiet.get() {
            self.tell(text);
        }
    }

    /// Tells what is wrong, or what somebody has to know.
    pub(super) fn tell(&self, text: impl Display) {
        let mut stderr = AutoStream::new(io::stderr(), self.colour);
        drop(writeln!(stderr, "{text}"));
    }

    /// Says what may be longer than a line.
    pub(super) fn say_long(&self, text: &str) {
        self.say(flowing(text, ""));
    }

    /// Tells what may be longer than a line.
    pub(super) fn tell_long(&self, text: &str) {
        self.tell(flowing(text, ""));
    }

    /// Tells of an error, its causes and what to do, and gives the exit code back.
    pub(super) fn fail(&self, exit: Exit, error: &dyn Error, hint: Option<&str>) -> Exit {
        let mut said = error.to_string();
        self.tell(format_args!(
            "{ERROR}error{ERROR:#}: {}",
            flowing(&said, "error: ")
        ));
        let mut cause = error.source();
        while let Some(error) = cause {
            // some libraries give their cause's text as their own
            let text = error.to_string();
            if text != said {
                self.tell(format_args!("  cause: {}", flowing(&text, "  cause: ")));
            }
            said = text;
            cause = error.source();
        }
        if let Some(hint) = hint {
            self.tell(format_args!(
                "\n{HINT}hint{HINT:#}: {}",
                flowing(hint, "hint: ")
            ));
        }
        exit
    }
}

/// The text as it goes on after `before`: on a terminal in lines of its width, elsewhere in one.
/// It may quote others, also where it is read later, so none of it can command a terminal.
fn flowing<'a>(text: &'a str, before: &str) -> Cow<'a, str> {
    let text = neutral(text);
    match width(&io::stderr()) {
        Some(width) => wrapped(&text, before.len(), width).into(),
        None => text,
    }
}

/// The stream's width in columns, if it is a terminal and knows.
fn width(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let size = tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then(|| size.ws_col.into())
}

/// How talk is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Talk {
    /// By a program, or later.
    Piped,
    /// By a person, on a terminal that shows lines and no more, or should.
    Plain,
    /// By a person, while it happens.
    Live,
}

/// How what is well looks.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// How what should be looked at looks.
pub(super) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
/// How the word `error` looks, and what does not work.
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// How the word `hint` looks.
const HINT: Style = AnsiColor::Cyan.on_default().bold();
