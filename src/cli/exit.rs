//! The exit codes, as the README lists them.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the thing asked for failed or was refused.
    Failed,
    /// 2: bad arguments.
    Usage,
    /// 69: AWS or the web server can't be reached, or there are no credentials (sysexits.h
    /// `EX_UNAVAILABLE`).
    Unavailable,
    /// 78: bad configuration (sysexits.h `EX_CONFIG`).
    Configuration,
    /// Another program's own.
    Other(u8),
    /// 128 and the signal's number: it ended the program before everything was answered.
    Signal(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unavailable => 69,
            Exit::Configuration => 78,
            Exit::Other(code) => code,
            Exit::Signal(number) => 128 + number,
        })
    }
}
