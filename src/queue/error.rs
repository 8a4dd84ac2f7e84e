//! How a command got no slot.

use crate::names::{Code, Fault, code};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A command that got no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// As many wait as may.
    Full {
        /// How many that is.
        waiting: usize,
        /// When there may be room again.
        retry: Duration,
    },
    /// It waited as long as one may.
    Timeout {
        /// How long that is.
        after: Duration,
        /// When those who wait now may have been served.
        retry: Duration,
    },
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { waiting, .. } => write!(f, "{waiting} commands are waiting already"),
            Self::Timeout { after, .. } => write!(
                f,
                "no slot became free within {}; nothing was sent",
                humantime::format_duration(*after)
            ),
        }
    }
}

impl std::error::Error for QueueError {}

impl Fault for QueueError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Full { .. } => &code::QUEUE_FULL,
            Self::Timeout { .. } => &code::QUEUE_TIMEOUT,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        self.code().advice.into()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { retry, .. } | Self::Timeout { retry, .. } => Some(*retry),
        }
    }
}
