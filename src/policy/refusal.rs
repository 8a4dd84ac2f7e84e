//! Why a command does not pass.

use crate::names::{Code, Fault, code};
use http::Method;
use std::borrow::Cow;
use std::fmt;

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
    /// The client asked for a second write if need be, and the command is not fit for that.
    NotRepeatable {
        /// Why not.
        detail: &'static str,
        /// What would make it so.
        hint: &'static str,
    },
    /// The environment takes no changes.
    ReadOnly {
        /// The method of the request.
        method: Method,
    },
    /// The body is no command line that can be read in one way only.
    Unreadable {
        /// What is wrong with it, and at which byte.
        detail: String,
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
            Self::NotRepeatable { detail, .. } => f.write_str(detail),
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
            Self::NotRepeatable { .. } => &code::NOT_REPEATABLE,
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
            Self::NotRepeatable { hint, .. } | Self::Unreadable { hint, .. } => {
                Cow::Borrowed(hint)
            }
        }
    }
}
