//! Why a command does not pass.

use crate::names::{Code, Fault, code};
use http::Method;
use std::borrow::Cow;
use std::fmt;

/// Why a body is no command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    Assignment,
    ByteOrderMark,
    Control,
    Empty,
    LastBackslash,
    NotUtf8(usize),
    OpenQuote,
    OptionFirst,
    OptionValue,
    SecondLine,
}

/// A command that is not let through. `Display` names the command, never its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The environment's policy or deny list forbids the command.
    Forbidden {
        /// What is forbidden, and by what.
        detail: String,
        /// What to do about it.
        hint: String,
    },
    /// The path hands out what the gateway keeps to itself.
    ForbiddenPath,
    /// The hand-over would give the browser a session, and the environment takes no changes.
    HandOver,
    /// An option reaches into the web server.
    ForbiddenOption {
        /// The command, by its name in the table.
        command: &'static str,
        /// The option's full name.
        option: &'static str,
        /// Why the option may not pass.
        reason: &'static str,
        /// What to do instead.
        hint: String,
    },
    /// The command would ask a question, and nobody could answer it.
    Unconfirmed {
        /// The command, by its name in the table.
        command: &'static str,
        /// The option that answers the question beforehand.
        answer: &'static str,
    },
    /// The environment takes no changes.
    ReadOnly {
        /// The method of the request.
        method: Method,
    },
    /// The body is no command line that can be read in one way only.
    Unreadable {
        /// What is wrong with it.
        detail: Cow<'static, str>,
        /// How to write it.
        hint: &'static str,
    },
    /// MWAA does not run the command at the environment's version.
    Unsupported {
        /// The command and the version.
        detail: String,
        /// Where it works, or what to send instead.
        hint: String,
    },
}

impl From<Unreadable> for Refusal {
    fn from(why: Unreadable) -> Self {
        let (detail, hint): (Cow<'static, str>, _) = match why {
            Unreadable::Assignment => (
                "the command starts with a variable assignment".into(),
                "start with the command's name: no shell reads this line",
            ),
            Unreadable::ByteOrderMark => (
                "the command starts with a byte order mark".into(),
                "save or send the text as UTF-8 without a byte order mark",
            ),
            Unreadable::Control => (
                "the command has a control character".into(),
                "send printable text; line ends and tabs only inside quotes",
            ),
            Unreadable::Empty => (
                "the request names no command".into(),
                "send an Airflow command such as `dags list` as the body",
            ),
            Unreadable::LastBackslash => (
                "the command ends with a lone backslash".into(),
                "double the backslash, or put the word in single quotes",
            ),
            Unreadable::NotUtf8(at) => (
                format!("the command is not UTF-8 from byte {at} on").into(),
                "send the command in UTF-8",
            ),
            Unreadable::OpenQuote => (
                "a quote is not closed".into(),
                "close the quote; inside double quotes write \\\" for a quote",
            ),
            Unreadable::OptionFirst => (
                "an option stands before the command's name".into(),
                "name the command first, then its options: `dags list --verbose`",
            ),
            Unreadable::OptionValue => (
                "Python versions differ in the value that an option is given".into(),
                "write options apart and their values as words: `-v -o json`",
            ),
            Unreadable::SecondLine => (
                "the command has more than one line".into(),
                "send one command, on one line; a line end may stand inside quotes only",
            ),
        };
        Self::Unreadable { detail, hint }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden { detail, .. } | Self::Unsupported { detail, .. } => {
                f.write_str(detail)
            }
            Self::HandOver => f.write_str(
                "a browser that is handed over has a session that may change something",
            ),
            Self::ForbiddenPath => {
                f.write_str("this makes a token of Airflow's, which would leave the gateway")
            }
            Self::ReadOnly { method } => write!(f, "a {method} changes something"),
            Self::Unreadable { detail, .. } => f.write_str(detail),
            Self::ForbiddenOption {
                command,
                option,
                reason,
                ..
            } => {
                write!(f, "`{command}` may not be given {option}: {reason}")
            }
            Self::Unconfirmed { command, .. } => write!(
                f,
                "`{command}` would ask whether to go on, and nobody can answer it there"
            ),
        }
    }
}

impl std::error::Error for Refusal {}

impl Fault for Refusal {
    fn code(&self) -> &'static Code {
        match self {
            Self::Forbidden { .. } => &code::FORBIDDEN_COMMAND,
            Self::ForbiddenOption { .. } => &code::FORBIDDEN_OPTION,
            Self::ForbiddenPath => &code::FORBIDDEN_PATH,
            Self::HandOver | Self::ReadOnly { .. } => &code::READ_ONLY,
            Self::Unconfirmed { .. } => &code::NEEDS_CONFIRMATION,
            Self::Unreadable { .. } => &code::UNREADABLE_COMMAND,
            Self::Unsupported { .. } => &code::UNSUPPORTED_COMMAND,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Forbidden { hint, .. }
            | Self::ForbiddenOption { hint, .. }
            | Self::Unsupported { hint, .. } => Cow::Owned(hint.clone()),
            Self::Unconfirmed { answer, .. } => {
                Cow::Owned(format!("add {answer} if you are sure"))
            }
            Self::ForbiddenPath | Self::HandOver | Self::ReadOnly { .. } => {
                Cow::Borrowed(self.code().advice)
            }
            Self::Unreadable { hint, .. } => Cow::Borrowed(hint),
        }
    }
}
