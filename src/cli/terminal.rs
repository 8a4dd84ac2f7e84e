//! The only printer: data to stdout, talk to stderr.

use super::Exit;
use crate::config::env;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;

/// Both streams of the process, with colour only where a person reads.
#[derive(Debug)]
pub(super) struct Terminal {
    colour: ColorChoice,
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
            lost: OnceLock::new(),
        }
    }

    /// Whether a person reads what is printed.
    pub(super) fn is_watched() -> bool {
        io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether talk may be coloured.
    pub(super) fn colours_talk(&self) -> bool {
        self.colour != ColorChoice::Never && io::stderr().is_terminal()
    }

    /// Writes data. A reader that has gone away is no error (as with `| head`).
    pub(super) fn data(&self, text: impl Display) {
        let mut stdout = AutoStream::new(io::stdout(), self.colour);
        let written = write!(stdout, "{text}").and_then(|()| stdout.flush());
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
                self.say(format_args!(
                    "{ERROR}error{ERROR:#}: cannot write to stdout: {error}"
                ));
                Exit::Failed
            }
            _ => exit,
        }
    }

    /// Says a line.
    pub(super) fn say(&self, text: impl Display) {
        let mut stderr = AutoStream::new(io::stderr(), self.colour);
        drop(writeln!(stderr, "{text}"));
    }

    /// Tells of an error, its causes and what to do, and gives the exit code back.
    pub(super) fn fail(&self, exit: Exit, error: &dyn Error, hint: Option<&str>) -> Exit {
        self.say(format_args!("{ERROR}error{ERROR:#}: {error}"));
        let mut said = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // some libraries give their cause's text as their own
            let text = error.to_string();
            if text != said {
                self.say(format_args!("  cause: {text}"));
            }
            said = text;
            cause = error.source();
        }
        if let Some(hint) = hint {
            self.say(format_args!("\n{HINT}hint{HINT:#}: {hint}"));
        }
        exit
    }
}

/// How the word `error` looks.
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// How the word `hint` looks.
const HINT: Style = AnsiColor::Cyan.on_default().bold();
