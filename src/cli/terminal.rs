//! The only printer: data to stdout, messages for people to stderr.

use crate::ExitStatus;
use crate::sanitize::sanitize;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use mwaa_config::env;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// Both streams of the process, with colour only where a person reads.
#[derive(Debug)]
pub struct Terminal {
    color: ColorChoice,
    quiet: Cell<bool>,
    stdout_error: OnceLock<io::Error>,
}

impl Terminal {
    /// Creates the printer, without colour where `NO_COLOR` is set.
    pub fn detect() -> Self {
        // anstream itself would let CLICOLOR_FORCE beat it
        let color = if env::no_color() {
            ColorChoice::Never
        } else {
            ColorChoice::Auto
        };
        Self {
            color,
            quiet: Cell::new(false),
            stdout_error: OnceLock::new(),
        }
    }

    /// Prints only errors from now on.
    pub(crate) fn set_quiet(&self) {
        self.quiet.set(true);
    }

    /// Returns true if a person sees both streams.
    #[cfg(feature = "emulator")]
    pub(crate) fn is_interactive() -> bool {
        io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// Returns true if messages may be coloured.
    pub(crate) fn has_stderr_color(&self) -> bool {
        self.color != ColorChoice::Never && io::stderr().is_terminal()
    }

    /// Returns the kind of progress that stderr can show.
    pub(crate) fn stderr_mode(&self) -> StderrMode {
        if self.quiet.get() || !io::stderr().is_terminal() {
            StderrMode::Piped
        } else if self.color == ColorChoice::Never || env::is_dumb_terminal() {
            StderrMode::Plain
        } else {
            StderrMode::Live
        }
    }

    /// Prints data. A reader that has gone away is no error, as with `| head`.
    pub(crate) fn print(&self, text: impl Display) {
        // colour is part of the text, and taken out here where no person reads
        let mut stdout = AutoStream::new(io::stdout(), self.color);
        self.check_written(write!(stdout, "{text}").and_then(|()| stdout.flush()));
    }

    /// Prints data as indented JSON.
    pub(crate) fn print_json(&self, data: &impl Serialize) -> Result<(), ExitStatus> {
        let json = serde_json::to_string_pretty(data)
            .map_err(|error| self.fail(ExitStatus::Failure, &error, None))?;
        self.print(format_args!("{json}\n"));
        Ok(())
    }

    /// Prints text that others have written: byte for byte into a pipe or file, and sanitized on
    /// a terminal.
    pub(crate) fn print_untrusted(&self, text: impl Display) {
        self.print_untrusted_bytes(text.to_string().as_bytes());
    }

    /// Prints bytes that others have written, which may be no text.
    pub(crate) fn print_untrusted_bytes(&self, bytes: &[u8]) {
        let mut stdout = io::stdout();
        // a program behind a pipe gets every byte
        let written = if stdout.is_terminal() {
            stdout.write_all(sanitize(&String::from_utf8_lossy(bytes)).as_bytes())
        } else {
            stdout.write_all(bytes)
        };
        self.check_written(written.and_then(|()| stdout.flush()));
    }

    /// Prints a message that others have written to stderr.
    pub(crate) fn print_untrusted_message(text: &str) {
        let mut stderr = io::stderr();
        // who can't read stderr misses nothing that stdout or the exit status does not say
        drop(if stderr.is_terminal() {
            let shown = sanitize(text);
            let is_closed = shown.is_empty() || shown.ends_with('\n');
            write!(stderr, "{shown}{}", if is_closed { "" } else { "\n" })
        } else {
            stderr.write_all(text.as_bytes())
        });
    }

    /// Returns the width of the terminal that stdout is; `None` means that it is none.
    pub(crate) fn stdout_width() -> Option<usize> {
        terminal_width(&io::stdout())
    }

    /// Prints a message that `--quiet` leaves out.
    pub fn info(&self, text: impl Display) {
        if !self.quiet.get() {
            self.error(text);
        }
    }

    /// Prints a message that a person must see.
    pub(crate) fn error(&self, text: impl Display) {
        let mut stderr = AutoStream::new(io::stderr(), self.color);
        // in one piece: the log's thread writes to stderr as well
        drop(stderr.write_all(format!("{text}\n").as_bytes()));
    }

    /// Prints an error, its causes and a hint, and returns the exit status.
    pub(crate) fn fail(
        &self,
        exit: ExitStatus,
        error: &dyn Error,
        hint: Option<&str>,
    ) -> ExitStatus {
        let mut printed = error.to_string();
        self.error(format_args!(
            "{RED}error{RED:#}: {}",
            wrap_message(&printed, "error: ")
        ));

        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // some libraries use their cause's text as their own
            if text != printed {
                self.error(format_args!(
                    "  cause: {}",
                    wrap_message(&text, "  cause: ")
                ));
            }
            printed = text;
            cause = error.source();
        }

        if let Some(hint) = hint {
            self.error(format_args!(
                "\n{CYAN}hint{CYAN:#}: {}",
                wrap_message(hint, "hint: ")
            ));
        }
        exit
    }

    /// Returns the exit status of the program: data that could not be written makes it fail.
    pub fn finish(&self, exit: ExitStatus) -> ExitStatus {
        match self.stdout_error.get() {
            Some(error) if exit == ExitStatus::Success => {
                self.error(format_args!(
                    "{RED}error{RED:#}: cannot write to stdout: {error}"
                ));
                ExitStatus::Failure
            }
            _ => exit,
        }
    }

    fn check_written(&self, written: io::Result<()>) {
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            // the first error is the one that the end of the program reports
            let _first = self.stdout_error.set(error);
        }
    }
}

/// The kind of progress that stderr can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StderrMode {
    /// None: a program reads, or a person later.
    Piped,
    /// Lines only, to a person.
    Plain,
    /// A line that is drawn anew, to a person.
    Live,
}

/// Returns the message, sanitized because it may quote others also where it is read later. On a
/// terminal its lines fit the width; `before` is printed in front of it.
pub(crate) fn wrap_message<'a>(text: &'a str, before: &str) -> Cow<'a, str> {
    // the line may be a copy of what AWS, a web server or a file said
    let text = sanitize(text);
    match terminal_width(&io::stderr()) {
        Some(width) => wrap_text(&text, before.len(), width).into(),
        None => text,
    }
}

/// Breaks a text into lines of at most `width` columns where its words allow that. `before` columns
/// are in use before its first line; new lines begin with two spaces, and lines that are there
/// keep their own indent. Text between backticks stays in one piece, to be copied.
pub(crate) fn wrap_text(text: &str, before: usize, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut column = before;
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
            column = 0;
        }
        // lists in a message keep their shape
        let words = line.trim_start_matches(' ');
        let indent = line.len() - words.len();
        out.push_str(&" ".repeat(indent));
        column += indent;

        for (index, word) in split_words(words).into_iter().enumerate() {
            let length = word.chars().count();
            // a word that is longer than the width gets a line of its own
            if index > 0 && column + 1 + length > width {
                out.push_str("\n  ");
                column = 2;
            } else if index > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
    }
    out
}

/// Splits a line at its spaces, but not between backticks.
fn split_words(line: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let words = line.split(|c| {
        is_quoted ^= c == '`';
        c == ' ' && !is_quoted
    });
    words.collect()
}

/// Returns the stream's width in columns; `None` means that it is no terminal, or does not know.
fn terminal_width(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    // a terminal without a size says 0 columns
    let size = tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then(|| size.ws_col.into())
}

/// The word `ok`.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// The word `warn`.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// The words `error` and `fail`.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// The word `hint`.
const CYAN: Style = AnsiColor::Cyan.on_default().bold();

#[cfg(test)]
mod tests {
    use super::wrap_text;

    #[test]
    fn lines_are_wrapped_between_words_and_not_within_commands() {
        let text = "the login is over: run `aws sso login --profile dev` and try again";
        assert_eq!(
            wrap_text(text, 7, 30),
            "the login is over: run\n  `aws sso login --profile dev`\n  and try again"
        );
        assert_eq!(wrap_text(text, 7, 200), text);
    }

    #[test]
    fn nothing_is_lost() {
        for text in [
            "",
            "a  b",
            "one\n  two three\n\nfour",
            "`open",
            "x".repeat(90).as_str(),
        ] {
            for width in [0, 1, 5, 40] {
                let squeezed =
                    |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert_eq!(
                    squeezed(&wrap_text(text, 7, width)),
                    squeezed(text),
                    "{text:?} {width}"
                );
            }
        }
        assert_eq!(wrap_text("one\n  two", 7, 40), "one\n  two");
    }
}
