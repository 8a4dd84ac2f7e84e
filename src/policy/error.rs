//! The error of the policy: the reason why a command or a request is refused.

use crate::command::ParseError;
use http::Method;
use mwaa_model::{Code, Fault, code};
use std::borrow::Cow;

/// A command or a request that is refused. The text has the command's name and never its
/// arguments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The value of an option depends on the Python version that reads the command.
    #[error("an option's value depends on the Python version")]
    AmbiguousValue,
    /// The environment allows the command, but the listener that it was received by does not.
    #[error("{error}; this environment allows it, but not [{table}]")]
    AtListener {
        /// The reason of the listener's rules.
        error: Box<Self>,
        /// The table of the configuration that has the listener's rules.
        table: String,
    },
    /// The policy or the deny list forbids the command.
    #[error("{detail}")]
    ForbiddenCommand {
        /// The command, and the rule that forbids it.
        detail: String,
        /// The change in the configuration that would allow it.
        hint: String,
    },
    /// An option reaches into the web server.
    #[error("`{command}` cannot be used with {option}: {reason}")]
    ForbiddenOption {
        /// The command, by its name in the table.
        command: &'static str,
        /// The option's full name.
        option: &'static str,
        /// The reason why the option may not be given.
        reason: &'static str,
        /// The change that would let the command pass.
        hint: String,
    },
    /// The path returns a token, and tokens stay in the gateway.
    #[error("this path issues an Airflow token, which must not leave the gateway")]
    ForbiddenPath,
    /// A browser is handed over to the environment's own host only if `browser = "redirect"`.
    #[error(
        "the gateway serves this environment's UI; a redirect to AWS would give away a web \
         token"
    )]
    HandoverOff,
    /// The client asked for a command that may be repeated, and this one may not be.
    #[error("{detail}")]
    NotRepeatable {
        /// The reason why it may not be repeated.
        detail: &'static str,
        /// The change that would make it repeatable.
        hint: &'static str,
    },
    /// The client may not have a token of AWS's.
    #[error("a token of AWS's may do more than [{table}] allows")]
    RealToken {
        /// The table of the configuration that has the rules.
        table: String,
    },
    /// The environment, or the listener that the request was received by, is read-only.
    #[error("{reason}; {}", format_read_only(table.as_deref()))]
    ReadOnly {
        /// The reason why the request is not a read.
        reason: ReadOnlyReason,
        /// The table of the configuration that has the listener's rules; `None` if the
        /// environment's rules are read-only.
        table: Option<String>,
    },
    /// The command would ask a question, and no one could answer it.
    #[error("`{command}` asks for a confirmation, and MWAA gives it no terminal to answer")]
    Unconfirmed {
        /// The command, by its name in the table.
        command: &'static str,
        /// The option that answers the question beforehand.
        answer: &'static str,
    },
    /// The body is no command line with exactly one reading.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// MWAA does not run the command at the environment's version.
    #[error("{detail}")]
    Unsupported {
        /// The command and the version.
        detail: String,
        /// The releases at which it works, or what to send instead.
        hint: String,
    },
}

/// The reason why a request may not be sent under a read-only policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadOnlyReason {
    /// A request with this method changes something.
    #[error("this {0} changes something")]
    Change(Method),
    /// A browser that is handed over gets a session that may do anything.
    #[error("a browser that is redirected to AWS gets a session that can make changes")]
    Handover,
    /// The response may contain secrets.
    #[error("this reads secrets: variables, connections, configuration, rendered templates")]
    Secret,
    /// A token of AWS's may do anything.
    #[error("a token of AWS's can make changes")]
    Token,
    /// The effect of the path is unknown.
    #[error("this path is not known to be read-only")]
    Unknown,
}

impl PolicyError {
    /// Adds the listener that refuses the command, if the text does not name it yet.
    pub(crate) fn at_listener(self, table: &str) -> Self {
        // The texts of the deny list and of the policy name the listener already, and all other
        // errors would be the same by any rules.
        if matches!(
            self,
            Self::ForbiddenOption { .. } | Self::Unsupported { .. }
        ) {
            return Self::AtListener {
                error: Box::new(self),
                table: table.to_owned(),
            };
        }
        self
    }
}

fn format_read_only(table: Option<&str>) -> String {
    match table {
        Some(table) => format!("[{table}] is read-only"),
        None => "this environment is read-only here".to_owned(),
    }
}

impl Fault for PolicyError {
    fn code(&self) -> &'static Code {
        match self {
            // The code says what is wrong with the command, by any rules.
            Self::AtListener { error, .. } => error.code(),
            Self::ForbiddenCommand { .. } => &code::FORBIDDEN_COMMAND,
            Self::ForbiddenOption { .. } => &code::FORBIDDEN_OPTION,
            Self::ForbiddenPath => &code::FORBIDDEN_PATH,
            Self::HandoverOff => &code::HANDOVER_OFF,
            Self::NotRepeatable { .. } => &code::NOT_REPEATABLE,
            Self::ReadOnly { .. } => &code::READ_ONLY,
            Self::RealToken { .. } => &code::AWS_OPERATION,
            Self::Unconfirmed { .. } => &code::NEEDS_CONFIRMATION,
            Self::AmbiguousValue | Self::Unreadable(_) => &code::UNREADABLE_COMMAND,
            Self::Unsupported { .. } => &code::UNSUPPORTED_COMMAND,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            // Options in words of their own are read alike by every Python.
            Self::AmbiguousValue => {
                "write each option and its value as separate words: `-v -o json`".into()
            }

            // The hint of the wrapped error is about the environment's rules, which allow it.
            Self::AtListener { table, .. } => {
                format!("change policy or allow in [{table}], or use another listener").into()
            }

            Self::ForbiddenCommand { hint, .. }
            | Self::ForbiddenOption { hint, .. }
            | Self::Unsupported { hint, .. } => hint.clone().into(),
            Self::RealToken { table } => format!(
                "set policy = \"all\" without deny in [{table}], or aws_tokens = \"local\""
            )
            .into(),
            Self::ReadOnly {
                table: Some(table), ..
            } => format!("use another listener, or set another policy in [{table}]").into(),
            Self::ForbiddenPath | Self::HandoverOff | Self::ReadOnly { table: None, .. } => {
                self.code().advice.into()
            }
            Self::NotRepeatable { hint, .. } => (*hint).into(),
            Self::Unconfirmed { answer, .. } => format!("add {answer} if you are sure").into(),
            Self::Unreadable(error) => error.hint().into(),
        }
    }
}
