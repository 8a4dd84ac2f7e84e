//! How a tunnel failed.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::names::code;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A tunnel that gave no connection.
#[derive(Debug, Clone)]
pub struct TunnelError {
    pub(super) program: String,
    pub(super) trouble: Arc<Trouble>,
    pub(super) retry_after: Option<Duration>,
}

/// What became of a program. Its last words stand beside what it did, if it said any.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A connection through it gave nothing.
    Broke(String, Option<String>),
    /// It ended.
    Ended(String, Option<String>),
    /// It ended without an error, before anything went through it.
    Left(Option<String>),
    /// Its port was not open in time.
    NotOpen(Duration, Option<String>),
    /// The system did not start it.
    NotStarted(String),
}

impl Trouble {
    fn said(&self) -> Option<&str> {
        match self {
            Self::Broke(_, said)
            | Self::Ended(_, said)
            | Self::Left(said)
            | Self::NotOpen(_, said) => said.as_deref(),
            Self::NotStarted(_) => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broke(how, _) => write!(f, "gave no connection ({how})")?,
            Self::Ended(how, _) => write!(f, "ended with {how}")?,
            Self::Left(_) => f.write_str("ended at once and without an error")?,
            Self::NotOpen(limit, _) => write!(
                f,
                "did not open its port within {}",
                humantime::format_duration(*limit)
            )?,
            Self::NotStarted(why) => write!(f, "cannot start: {why}")?,
        }
        match self.said() {
            Some(said) => write!(f, "; it said: {said}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tunnel `{}` {}", self.program, self.trouble)
    }
}

impl std::error::Error for TunnelError {}

impl TunnelError {
    /// What to do.
    pub fn hint(&self) -> Cow<'static, str> {
        match &*self.trouble {
            Trouble::NotStarted(_) => format!(
                "install `{}`, or write its whole path as the first word of tunnel",
                self.program
            )
            .into(),
            Trouble::NotOpen(..) => {
                "the program must open {local_port} on 127.0.0.1; if it only \
                                     needs longer, raise limits.tunnel_start"
                    .into()
            }
            Trouble::Left(_) => "it must stay in the foreground as long as the tunnel is open: no -f; with ssh, \
                                 -o ControlPath=none keeps a shared connection out"
                .into(),
            Trouble::Broke(..) | Trouble::Ended(..) => {
                code::UPSTREAM_TUNNEL.advice.into()
            }
        }
    }

    /// When the program may be started again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}
