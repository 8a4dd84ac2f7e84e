//! Why no token could be put to a request.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::control::AwsError;
use crate::names::{Code, Fault, code};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A request for which no token was to be had.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CredentialError {
    /// AWS refused or failed.
    Aws {
        /// How.
        error: Arc<AwsError>,
        /// The next try, where one is held back.
        retry_after: Option<Duration>,
    },
    /// The gateway is stopping.
    Gone,
    /// The mint took longer than a request waits.
    Slow,
}

impl CredentialError {
    pub(super) fn aws(error: &Arc<AwsError>, retry_after: Option<Duration>) -> Self {
        Self::Aws {
            error: Arc::clone(error),
            retry_after,
        }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws { error, .. } => error.fmt(f),
            Self::Gone => f.write_str("the gateway is stopping"),
            Self::Slow => f.write_str("AWS did not give a token in time"),
        }
    }
}

impl std::error::Error for CredentialError {}

impl Fault for CredentialError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Aws { error, .. } => error.code(),
            Self::Gone => &code::STOPPING,
            Self::Slow => &code::AWS_UNAVAILABLE,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Aws { error, .. } => error.hint(),
            Self::Gone | Self::Slow => self.code().advice.into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Aws { error, retry_after } => retry_after.or_else(|| error.retry_after()),
            Self::Gone | Self::Slow => Some(Duration::from_secs(5)),
        }
    }
}
