//! Why a command does not pass.

use crate::names::{Code, Fault, code};
use http::Method;
use std::borrow::Cow;
use std::fmt;

/// What read-only rules keep closed on the REST API and in the UI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// A request with this method changes something.
    Change(Method),
    /// The hand-over would give the browser a session that may do anything.
    HandOver,
    /// It shows what may be secret.
    Secret,
    /// It is not known what it does.
    Unknown,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(method) => write!(f, "this {method} changes something"),
            Self::HandOver => f.write_str(
                "a browser that is handed over has a session that may change something",
            ),
            Self::Secret => f.write_str(
                "this reads secrets: variables, connections, configuration, rendered templates",
            ),
            Self::Unknown => f.write_str("nothing says that this path only reads"),
        }
    }
}

/// A command that is not let through. `Display` names the command, never its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The environment lets the command pass, the listener that it came by does not.
    AtListener {
        /// Why not.
        why: Box<Self>,
        /// The table of the configuration that holds the listener's rules.
        table: String,
    },
    /// The environment's policy or deny list forbids the command.
    Forbidden {
        /// What is forbidden, and by what.
        detail: String,
        /// What to do about it.
        hint: String,
    },
    /// The path hands out what the gateway keeps to itself.
    ForbiddenPath,
    /// A browser is handed over to the environment's own host only where `browser = "redirect"`.
    HandoverOff,
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
    /// The environment, or the listener that the request came by, is read-only.
    ReadOnly {
        /// What is closed.
        closed: Closed,
        /// The table of the configuration that holds the listener's rules, if it is the listener.
        table: Option<String>,
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

impl Refusal {
    /// Says that it is a listener that refuses, where the words do not tell.
    pub(super) fn at_listener(self, table: &str) -> Self {
        if matches!(
            self,
            Self::ForbiddenOption { .. } | Self::Unsupported { .. }
        ) {
            return Self::AtListener {
                why: Box::new(self),
                table: table.to_owned(),
            };
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtListener { why, table } => {
                write!(f, "{why}; this environment allows it, but not [{table}]")
            }
            Self::Forbidden { detail, .. } | Self::Unsupported { detail, .. } => {
                f.write_str(detail)
            }
            Self::ForbiddenPath => {
                f.write_str("this makes a token of Airflow's, which would leave the gateway")
            }
            Self::HandoverOff => f.write_str(
                "this environment's UI is served here; a hand-over would give a web token away",
            ),
            Self::NotRepeatable { detail, .. } => f.write_str(detail),
            Self::ReadOnly { closed, table } => match table {
                Some(table) => write!(f, "{closed}; [{table}] is read-only"),
                None => write!(f, "{closed}; this environment is read-only here"),
            },
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
            Self::AtListener { why, .. } => why.code(),
            Self::Forbidden { .. } => &code::FORBIDDEN_COMMAND,
            Self::ForbiddenOption { .. } => &code::FORBIDDEN_OPTION,
            Self::ForbiddenPath => &code::FORBIDDEN_PATH,
            Self::HandoverOff => &code::HANDOVER_OFF,
            Self::ReadOnly { .. } => &code::READ_ONLY,
            Self::Unconfirmed { .. } => &code::NEEDS_CONFIRMATION,
            Self::NotRepeatable { .. } => &code::NOT_REPEATABLE,
            Self::Unreadable { .. } => &code::UNREADABLE_COMMAND,
            Self::Unsupported { .. } => &code::UNSUPPORTED_COMMAND,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::AtListener { table, .. } => Cow::Owned(format!(
                "change policy or allow in [{table}], or use another listener"
            )),
            Self::Forbidden { hint, .. }
            | Self::ForbiddenOption { hint, .. }
            | Self::Unsupported { hint, .. } => Cow::Owned(hint.clone()),
            Self::Unconfirmed { answer, .. } => {
                Cow::Owned(format!("add {answer} if you are sure"))
            }
            Self::ReadOnly {
                table: Some(table), ..
            } => Cow::Owned(format!(
                "use another listener, or set another policy in [{table}]"
            )),
            Self::ForbiddenPath | Self::HandoverOff | Self::ReadOnly { table: None, .. } => {
                Cow::Borrowed(self.code().advice)
            }
            Self::NotRepeatable { hint, .. } | Self::Unreadable { hint, .. } => {
                Cow::Borrowed(hint)
            }
        }
    }
}
