//! Why no token or session could be put to a request.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::control::AwsError;
use crate::names::{Code, Fault, code};
use http::StatusCode;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A sign-in that gave no session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LoginError {
    /// Its reply has a cookie that fits no header.
    Garbled {
        /// The web server.
        host: String,
    },
    /// Airflow refuses the session that it has just given.
    Loop {
        /// What it said.
        reply: String,
    },
    /// Its reply has no session.
    NoCookie {
        /// The web server.
        host: String,
        /// The reply's status.
        status: StatusCode,
        /// The cookie that was looked for.
        cookie: &'static str,
    },
    /// Airflow has ended sessions that it had accepted, one after the other.
    Restless {
        /// What it said of the last one.
        reply: String,
    },
    /// The web server refused the web token.
    Refused {
        /// The web server.
        host: String,
        /// The login route.
        path: &'static str,
        /// The reply's status.
        status: StatusCode,
    },
    /// The web server could not be asked.
    Wire(Arc<dyn Fault + Send + Sync>),
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Garbled { host } => write!(f, "{host} gave a session cookie that is garbled"),
            Self::Loop { reply } => write!(
                f,
                "Airflow refuses the session that it has just given ({reply})"
            ),
            Self::Restless { reply } => write!(
                f,
                "Airflow keeps ending sessions that it had accepted ({reply})"
            ),
            Self::NoCookie {
                host,
                status,
                cookie,
            } => write!(
                f,
                "{host} answered the login with {} and no {cookie:?} cookie",
                status.as_u16()
            ),
            Self::Refused { host, path, status } => {
                write!(
                    f,
                    "{host}{path} refused the web token with {}",
                    status.as_u16()
                )
            }
            Self::Wire(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for LoginError {}

impl Fault for LoginError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Garbled { .. } | Self::NoCookie { .. } | Self::Refused { .. } => {
                &code::LOGIN_FAILED
            }
            Self::Loop { .. } | Self::Restless { .. } => &code::LOGIN_LOOP,
            Self::Wire(fault) => fault.code(),
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND => {
                "the route depends on the Airflow version: check airflow_version".into()
            }
            // AWS gave the token, so the permission is not the trouble
            Self::Refused { status, .. }
                if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(status) =>
            {
                "the web server takes tokens of its own environment for 60 s: see that connect_to leads to it, \
                 and that the user is active in Airflow's Security menu"
                    .into()
            }
            Self::Wire(fault) => fault.hint(),
            Self::Garbled { .. }
            | Self::Loop { .. }
            | Self::NoCookie { .. }
            | Self::Refused { .. }
            | Self::Restless { .. } => self.code().advice.into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Wire(fault) => fault.retry_after(),
            Self::Loop { .. } | Self::Restless { .. } => Some(Duration::from_secs(10)),
            Self::Garbled { .. } | Self::NoCookie { .. } | Self::Refused { .. } => None,
        }
    }
}

/// A token or session that was not made.
#[derive(Debug, Clone)]
pub enum MintError {
    /// AWS refused or failed.
    Aws(AwsError),
    /// The sign-in at the web server failed.
    Login(LoginError),
}

impl MintError {
    /// Whether the same may succeed in a moment, with nothing changed on our side.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Aws(error) => error.is_passing(),
            Self::Login(LoginError::Refused { status, .. }) => status.is_server_error(),
            Self::Login(LoginError::Wire(_)) => true,
            Self::Login(
                LoginError::Garbled { .. }
                | LoginError::Loop { .. }
                | LoginError::NoCookie { .. }
                | LoginError::Restless { .. },
            ) => false,
        }
    }
}

impl From<AwsError> for MintError {
    fn from(error: AwsError) -> Self {
        Self::Aws(error)
    }
}

impl From<LoginError> for MintError {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws(error) => error.fmt(f),
            Self::Login(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MintError {}

impl Fault for MintError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Aws(error) => error.code(),
            Self::Login(error) => error.code(),
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Aws(error) => error.hint(),
            Self::Login(error) => error.hint(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Aws(error) => error.retry_after(),
            Self::Login(error) => error.retry_after(),
        }
    }
}

/// A request for which no token or session was to be had.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CredentialError {
    /// The gateway is stopping.
    Gone,
    /// AWS or the web server refused or failed.
    Mint {
        /// How.
        error: Arc<MintError>,
        /// The next try, where one is held back.
        retry_after: Option<Duration>,
    },
    /// It took longer than a request waits.
    Slow,
}

impl CredentialError {
    pub(super) fn mint(error: &Arc<MintError>, retry_after: Option<Duration>) -> Self {
        Self::Mint {
            error: Arc::clone(error),
            retry_after,
        }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the gateway is stopping"),
            Self::Mint { error, .. } => error.fmt(f),
            Self::Slow => f.write_str("AWS did not give a token in time"),
        }
    }
}

impl std::error::Error for CredentialError {}

impl Fault for CredentialError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Gone => &code::STOPPING,
            Self::Mint { error, .. } => error.code(),
            Self::Slow => &code::AWS_UNAVAILABLE,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Mint { error, .. } => error.hint(),
            Self::Gone | Self::Slow => self.code().advice.into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Mint { error, retry_after } => retry_after.or_else(|| error.retry_after()),
            Self::Gone | Self::Slow => Some(Duration::from_secs(5)),
        }
    }
}
