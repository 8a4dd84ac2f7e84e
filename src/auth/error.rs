//! Errors of tokens and sessions: the login's, the mint's, and what a request gets of them.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::aws::{AwsError, AwsErrorKind};
use http::StatusCode;
use mwaa_model::{Code, Entry, Fault, code};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A request for which there is no token or session.
#[derive(Debug, Clone)]
pub enum AuthError {
    /// The gateway is stopping.
    Gone,
    /// AWS or the web server refused or failed.
    Mint {
        /// The failure.
        error: Arc<MintError>,
        /// The time until the next try, where one is held back.
        retry_after: Option<Duration>,
    },
    /// It took longer than a request waits.
    Slow,
}

impl AuthError {
    pub(super) fn mint(error: &Arc<MintError>, retry_after: Option<Duration>) -> Self {
        Self::Mint {
            error: Arc::clone(error),
            retry_after,
        }
    }
}

// by hand: the failed mint is this very error, not its cause, and thiserror's `transparent` does
// not allow a second field
impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the gateway is stopping"),
            Self::Mint { error, .. } => error.fmt(f),
            Self::Slow => f.write_str("AWS did not return a token in time"),
        }
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Mint { error, .. } => error.source(),
            Self::Gone | Self::Slow => None,
        }
    }
}

impl Fault for AuthError {
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
            // a hold is known better here than by the error itself
            Self::Mint { error, retry_after } => retry_after.or_else(|| error.retry_after()),
            Self::Gone | Self::Slow => Some(Duration::from_secs(5)),
        }
    }
}

/// A token or session that was not made.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub enum MintError {
    /// AWS refused or failed.
    Aws(#[from] AwsError),
    /// The login at the web server failed.
    Login(#[from] LoginError),
    /// The same, where users log in with IAM Identity Center.
    IdentityCenter(Box<Self>),
}

impl MintError {
    /// Returns the same error, explained where the users of the environment log in with IAM Identity
    /// Center and AWS or the web server has refused.
    pub(super) fn with_identity_center(self, entry: &Entry) -> Self {
        let is_refusal = match &self {
            Self::Aws(error) => error.kind == AwsErrorKind::Denied,
            Self::Login(error) => matches!(
                error,
                LoginError::Refused { .. } | LoginError::NoCookie { .. }
            ),
            Self::IdentityCenter(_) => false,
        };
        let latest = entry.latest_info();
        if is_refusal && latest.is_some_and(|latest| latest.info.identity_center.is_some()) {
            Self::IdentityCenter(Box::new(self))
        } else {
            self
        }
    }

    /// Returns true if the same may succeed in a moment, with nothing changed on our side.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Aws(error) => error.is_transient(),
            Self::IdentityCenter(error) => error.is_transient(),
            // a load balancer answers so while the web server restarts
            Self::Login(LoginError::Refused { status, .. }) => status.is_server_error(),
            // the network: nothing was decided
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

impl Fault for MintError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Aws(error) => error.code(),
            Self::IdentityCenter(error) => error.code(),
            Self::Login(error) => error.code(),
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Aws(error) => error.hint(),
            Self::IdentityCenter(error) => {
                format!("{IDENTITY_CENTER}; {}", error.hint()).into()
            }
            Self::Login(error) => error.hint(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            // the cache holds a failed call back itself
            Self::Aws(_) => None,
            Self::IdentityCenter(error) => error.retry_after(),
            Self::Login(error) => error.retry_after(),
        }
    }
}

/// The hint of a failed login where users do not log in with IAM.
const IDENTITY_CENTER: &str = "the environment's users log in with IAM Identity Center, and AWS does not document whether a \
     web token is accepted then; rest_via = \"invoke\" serves the REST API without a login";

/// A login that gave no session.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginError {
    /// The response has a cookie that fits no header.
    #[error("{host} returned an invalid session cookie")]
    Garbled {
        /// The web server.
        host: String,
    },
    /// Airflow refuses the session that it has just given.
    #[error("Airflow rejects the session that it has just issued ({response})")]
    Loop {
        /// The response in words.
        response: String,
    },
    /// The response has no session.
    #[error("the login response of {host} has status {} and no {cookie:?} cookie", status.as_u16())]
    NoCookie {
        /// The web server.
        host: String,
        /// The response's status.
        status: StatusCode,
        /// The cookie that was looked for.
        cookie: &'static str,
    },
    /// Airflow has ended sessions that it had accepted, one after the other.
    #[error("Airflow keeps rejecting sessions that it had accepted ({response})")]
    Restless {
        /// The response to the last one in words.
        response: String,
    },
    /// The web server refused the web token.
    #[error("{host}{path} refused the web token with {}", status.as_u16())]
    Refused {
        /// The web server.
        host: String,
        /// The login route.
        path: &'static str,
        /// The response's status.
        status: StatusCode,
    },
    /// The web server could not be asked.
    #[error(transparent)]
    Wire(Arc<dyn Fault + Send + Sync>),
}

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
                "the login path depends on the Airflow version: check airflow_version".into()
            }
            // AWS gave the token, so the permission is not the trouble
            Self::Refused { status, .. }
                if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(status) =>
            {
                "a web server accepts only tokens of its own environment, for 60 s: check that \
                 connect_to points to it, and that the user is active in Airflow's Security \
                 menu"
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
            // in which a session's renewal is earned back
            Self::Loop { .. } | Self::Restless { .. } => Some(Duration::from_secs(10)),
            Self::Garbled { .. } | Self::NoCookie { .. } | Self::Refused { .. } => None,
        }
    }
}
